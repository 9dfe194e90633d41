"""One call that chooses network, points, weights and schedule itself."""

from pinnzoo.solving.solve import solve as solve
