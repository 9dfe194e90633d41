"""The analysis bench: what a saved network's kernel, Hessians and loss look like, and why."""

from pinnzoo.analysis.alignment import Alignments as Alignments
from pinnzoo.analysis.alignment import alignments as alignments
from pinnzoo.analysis.alignment import kernel_alignment as kernel_alignment
from pinnzoo.analysis.alignment import target_alignment as target_alignment
from pinnzoo.analysis.linearised import Laziness as Laziness
from pinnzoo.analysis.linearised import Linearised as Linearised
from pinnzoo.analysis.linearised import laziness as laziness
from pinnzoo.analysis.linearised import linearise as linearise
from pinnzoo.analysis.modes import Modes as Modes
from pinnzoo.analysis.modes import ModeSpectrum as ModeSpectrum
from pinnzoo.analysis.modes import error_at as error_at
from pinnzoo.analysis.modes import kernel_modes as kernel_modes
from pinnzoo.analysis.modes import mode_spectrum as mode_spectrum
from pinnzoo.analysis.tangent import Tangent as Tangent
from pinnzoo.analysis.tangent import residuals as residuals
from pinnzoo.analysis.tangent import study as study
from pinnzoo.analysis.tangent import tangent as tangent
