"""NTK and Hessians of a network on a problem, as functions of an objective and flat parameters."""

from pinnzoo.diagnostics.hessian import HessianSpectrum as HessianSpectrum
from pinnzoo.diagnostics.hessian import ResidualHessians as ResidualHessians
from pinnzoo.diagnostics.hessian import gauss_newton_spectrum as gauss_newton_spectrum
from pinnzoo.diagnostics.hessian import gauss_newton_vector_product as gauss_newton_vector_product
from pinnzoo.diagnostics.hessian import hessian_vector_product as hessian_vector_product
from pinnzoo.diagnostics.hessian import loss_hessian as loss_hessian
from pinnzoo.diagnostics.hessian import loss_hessian_spectrum as loss_hessian_spectrum
from pinnzoo.diagnostics.hessian import residual_hessian as residual_hessian
from pinnzoo.diagnostics.hessian import residual_hessian_norms as residual_hessian_norms
from pinnzoo.diagnostics.ntk import NTKSnapshots as NTKSnapshots
from pinnzoo.diagnostics.ntk import ntk as ntk
from pinnzoo.diagnostics.ntk import ntk_blocks as ntk_blocks
from pinnzoo.diagnostics.ntk import ntk_drift as ntk_drift
from pinnzoo.diagnostics.ntk import ntk_eigenvalues as ntk_eigenvalues
from pinnzoo.diagnostics.ntk import ntk_snapshots as ntk_snapshots
from pinnzoo.diagnostics.registry import DIAGNOSTICS as DIAGNOSTICS
from pinnzoo.diagnostics.registry import Diagnostic as Diagnostic
from pinnzoo.diagnostics.registry import Study as Study
from pinnzoo.diagnostics.registry import compute_blocks as compute_blocks
from pinnzoo.diagnostics.registry import register_diagnostic as register_diagnostic
from pinnzoo.diagnostics.report import ntk_report as ntk_report
from pinnzoo.diagnostics.report import report as report
from pinnzoo.diagnostics.spectrum import effective_rank as effective_rank
from pinnzoo.diagnostics.spectrum import estimate_trace as estimate_trace
from pinnzoo.diagnostics.spectrum import lanczos as lanczos
from pinnzoo.errors import DiagnosticError as DiagnosticError
