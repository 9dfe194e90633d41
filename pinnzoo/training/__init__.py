"""From a recipe to a trained network.

`train` and `finetune` are the two functions to call. Below them, `loop` does the phases and steps,
`scope` says what a phase trains, `run` keeps the state that a kill leaves behind, `progress` tells
how far it has come, `signals` listens for the end, and `finish` makes the entry.
"""

from pinnzoo.training.finetuning import finetune as finetune
from pinnzoo.training.finish import diagnose as diagnose
from pinnzoo.training.progress import Progress as Progress
from pinnzoo.training.progress import Report as Report
from pinnzoo.training.training import train as train
