"""One call that chooses network, points, weights and schedule itself.

`solve` is the function to call. `analysis` reads off a problem what can be decided before the first
step, `rounds` trains one network and its tangent, by the stages of `fitting`, and a wider one by
`growth`. `estimate` says how large the error is, and `result` makes the entry.
"""

from pinnzoo.solving.rounds import entry_name as entry_name
from pinnzoo.solving.solve import solve as solve
