"""From a recipe to a trained network.

`train` and `finetune` are the two functions to call. `loop` does the phases and their steps.
`scope` says which parameters a phase trains, and on which terms. `run` is the state of a training,
which is saved so that a killed process can continue. `progress` reports how far a training is,
`signals` turns Ctrl-C and its like into a request to stop, and `finish` makes the entry at the end.
"""

from pinnzoo.training.finetuning import finetune as finetune
from pinnzoo.training.finish import diagnose as diagnose
from pinnzoo.training.progress import Progress as Progress
from pinnzoo.training.progress import Report as Report
from pinnzoo.training.training import train as train
