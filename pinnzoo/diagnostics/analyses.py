"""The analyses of `pinnzoo.analysis` in the table of diagnostics, computed on demand only.

They take up to a minute, and stand on what lies above this package: on entries and on SciPy. So
their functions are looked up when one of them is asked for.
"""

import importlib
from collections.abc import Callable

from pinnzoo.diagnostics.registry import (
    Block,
    Diagnostic,
    Row,
    Study,
    flatten_block,
    register_diagnostic,
)

ANALYSIS_TITLES = {
    "modes": "Modes of the kernel",
    "linearised": "Linearised training",
    "alignment": "Alignment of the kernels",
    "hessians": "Hessians",
    "landscape": "Landscape",
}
"""What each analysis is called, in the order in which they are shown."""

HOME = "pinnzoo.analysis.bench"


def _computed(name: str) -> Callable[[Study], Block]:
    def compute(study: Study) -> Block:
        return importlib.import_module(HOME).block_of(study, name)

    return compute


def _numbers(block: Block) -> list[Row]:
    """Rows of single numbers; lists over the steps of the training are for figures."""
    return [row for row in flatten_block(block) if len(row) == 2]


for _name, _title in ANALYSIS_TITLES.items():
    register_diagnostic(Diagnostic(_name, _title, 1, _computed(_name), _numbers, on_demand=True))
