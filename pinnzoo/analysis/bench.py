"""The table of analyses: what each computes of an entry, as plain numbers and as what is drawn."""

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from pinnzoo._threads import one_thread
from pinnzoo.analysis.alignment import Alignments, alignments
from pinnzoo.analysis.hessians import (
    Hessian,
    begin_curvature_products,
    compile_curvature_products,
    curvature_products_are_compiling,
    damped_gauss_newton,
    hessian_eigenpairs,
    hessian_map,
    hessian_part,
    lbfgs_pairs,
    lbfgs_preconditioner,
    product_traffic,
)
from pinnzoo.analysis.landscape import (
    Line,
    Plane,
    SingularValues,
    gradient_alignment,
    loss_line,
    loss_plane,
    singular_values,
)
from pinnzoo.analysis.linearised import Laziness, Linearised, laziness_from
from pinnzoo.analysis.modes import (
    MOST_POINTS,
    Modes,
    ModeSpectrum,
    condition_numbers,
    error_modes,
    kernel_modes,
    mode_spectrum,
)
from pinnzoo.analysis.spectra import (
    BLOCK,
    Products,
    Space,
    SpectralDensity,
    krylov,
    spectral_density,
    whole_space,
)
from pinnzoo.analysis.tangent import WORTH_OPTIMISING, Tangent, residuals, study, tangent
from pinnzoo.diagnostics import ANALYSIS_TITLES, DIAGNOSTICS, Study, compute_blocks
from pinnzoo.diagnostics.ntk import lacks_beginning
from pinnzoo.domains import Box
from pinnzoo.entry import Entry
from pinnzoo.errors import UnknownNameError, refuse_names
from pinnzoo.objective import EQUATION

Block: TypeAlias = dict[str, Any]
"""Plain numbers by name; infinite where there is no bound, None where nothing is known."""

WITHOUT_DAMPING = 1e-6
"""Damping relative to the largest eigenvalue, where the training had none."""

TENFOLD = 0.1
"""By what a residual is to shrink, where steps are counted."""

FULL = (12, 16)
"""Blocks and steps of the densities: 28 calls for eight products each."""

REMAINDER = "final, remainder"
"""Name of the density of `Σ r_i H_i`."""

DAMPED = "final, damped Gauss-Newton"
"""Name of the density of the loss Hessian after a step of Levenberg-Marquardt."""

LOWER = {
    "initial": (12, 6),
    "final": (8, 6),
    REMAINDER: (8, 6),
    DAMPED: (12, 6),
    "final, L-BFGS": (8, 6),
}
"""The same where products are dear. Where spectra fall off slowly they keep their blocks: those at
the start of a training, and those that a preconditioner has made flat. Moments up to the fourth
need four steps; the others tell the signs of small eigenvalues apart."""

KNOWN = 0.1
"""Eigenvalue of the damped Gauss-Newton matrix from which its modes are taken for outliers."""

CONVERGED = 1e-5
"""Residual of an eigenpair, relative to its eigenvalue, beyond which it is computed for itself."""

WORTH_FORMING = (2048, 1e12)
"""Parameters up to which Hessians are formed, and bytes of `product_traffic` for all their columns:
ten seconds on one core. Then all densities are exact."""

MAP = {1: 129, 2: 17}
"""Points per axis of a map, by the number of axes; others take those of the diagnostics."""

LARGE = 5_000_000
"""Numbers of a Jacobian beyond which those of all snapshots are not held at once."""


class Bench:
    """A network at the steps of its training, with what its analyses share, such as Jacobians.

    Attributes:
        study: The network at its snapshots.
        size: Numbers of its Jacobian.
        tick: Called often, with what is being done.
    """

    def __init__(self, source: Entry | Study, tick: Callable[[str], None] = lambda _: None):
        """Take an entry or what diagnostics look at; nothing is computed yet."""
        refuse_names(source)
        self.study: Study = study(source) if isinstance(source, Entry) else source
        self.tick = tick
        self.size: int = self.study.objective.n * self.study.thetas.shape[1]
        self._at = functools.lru_cache(None if self.size <= LARGE else 2)(self._tangent)

    def _tangent(self, index: int) -> Tangent:
        self.tick(f"Jacobian of step {self.study.steps[index]}")
        return tangent(self.study.objective, self.study.thetas[index])

    @property
    def ends(self) -> dict[str, int]:
        """Both ends of the training as snapshots; the final one alone where step 0 is not there."""
        lacking = lacks_beginning(self.study.steps)
        return {when: k for when, k in ENDS.items() if when == "final" or not lacking}

    def at(self, index: int) -> Tangent:
        """The tangent at a snapshot, -1 for the last."""
        return self._at(index % len(self.study.steps))

    def effort(self, density: str) -> tuple[int, int]:
        """Blocks and steps of a density, by the size of the Jacobian alone."""
        return LOWER[density] if self.size >= WORTH_OPTIMISING else FULL

    def begin(self) -> None:
        """Begin to compile products with Hessians, in another thread, and return at once."""
        begin_curvature_products(self.study.objective, self.study.final)

    def quietly(self) -> AbstractContextManager[Any]:
        """One thread for linear algebra, while the compiler has another."""
        made = self.study.objective, self.study.final
        return one_thread() if curvature_products_are_compiling(*made) else nullcontext()

    def compile(self) -> None:
        """Wait for the program of products with Hessians, with signs of life."""
        compile_curvature_products(self.study.objective, self.study.final, self.tick)

    @functools.cached_property
    def forms(self) -> bool:
        """Whether Hessians are formed and all their eigenvalues known."""
        objective, theta = self.study.objective, self.study.final
        p = len(theta)
        return p <= WORTH_FORMING[0] and p * product_traffic(objective, theta) <= WORTH_FORMING[1]

    @functools.cached_property
    def _formed_remainders(self) -> dict[int, np.ndarray]:
        return {}

    def curvature(self, index: int) -> Products | None:
        """Products with the remainder at a snapshot where it is formed, for which it is kept."""
        if not self.forms:
            return None
        kept, index = self._formed_remainders, index % len(self.study.steps)
        if index not in kept:
            self.compile()
            kept[index] = hessian_part(self.at(index), part="remainder").formed(self.tick)
        return lambda rows: rows @ kept[index]

    def hessian(self, index: int, **kind: Any) -> Hessian:
        """`hessian_part` at a snapshot."""
        self.compile()
        return hessian_part(self.at(index), curvature=self.curvature(index), **kind)

    def space(self, matrix: Hessian, density: str, start: np.ndarray | None = None) -> Space:
        """All eigenpairs of a Hessian that can be formed, or the Krylov space for a density.

        Of a random start where nothing is said: where the remainder counts, singular vectors of J
        are far from eigenvectors, and a space that begins with them has moments that are off by
        2 to 130 %.
        """
        if self.forms:
            return whole_space(matrix.formed(together=matrix.size))
        blocks = self.effort(density)[0]
        return krylov(matrix.products, matrix.size, blocks=blocks, start=start)

    def _final(self, part: str, density: str) -> tuple[Hessian, Space]:
        matrix = self.hessian(-1, part=part)
        return matrix, self.space(matrix, density)

    @functools.cached_property
    def final_hessian(self) -> tuple[Hessian, Space]:
        """The loss Hessian of the end, and the Krylov space that all who ask for it share."""
        return self._final("loss", "final")

    @functools.cached_property
    def remainder(self) -> tuple[Hessian, Space]:
        """The part `Σ r_i H_i` of that Hessian, which vanishes with the residual, and its space."""
        return self._final("remainder", REMAINDER)

    @property
    def remainder_norm(self) -> float:
        """‖Σ r_i H_i‖, from above as far as its Krylov space has found the largest eigenvalue.

        No eigenvalue of the loss Hessian is farther from that of `Jᵀ J` (Weyl).
        """
        values, _, missed, _ = self.remainder[1]
        return float(np.abs(values[0]) + missed[0])

    @functools.cached_property
    def eigenpairs(self) -> tuple[np.ndarray, np.ndarray]:
        """The two eigenvalues of the last loss Hessian that are largest in magnitude, and vectors.

        Those of `Jᵀ J` where the remainder changes nothing. Otherwise from the space of the
        density; by a larger one of their own where that has not found them.
        """
        _, singular, right = self.at(-1).svd
        if len(singular) > 1 and self.remainder_norm <= CONVERGED * singular[1] ** 2:
            return singular[:2] ** 2, right[:2]
        _, (values, vectors, missed, closed) = self.final_hessian
        if closed or (missed[:2] <= CONVERGED * np.abs(values[:2])).all():
            return values[:2], vectors[:2]
        return hessian_eigenpairs(self.at(-1))

    @property
    def damping(self) -> tuple[float | None, bool]:
        """The last damping of the training, None where it had none; and whether D is scaled."""
        recipe = self.study.recipe
        scaled = recipe is not None and recipe.phases[-1].arguments.get("scaling") == "columns"
        return last_damping(self.study.history), scaled


def _assumed_damping(largest: float) -> float:
    """A damping where the training had none; not zero where the network moves no residual."""
    return WITHOUT_DAMPING * (float(largest) or 1.0)


STILL = 1e-6
"""Share of the loss by which a step that is of use lowers it."""


def last_damping(history: Mapping[str, np.ndarray]) -> float | None:
    """The damping of the last step that lowered the loss, None where the training had none.

    Where nothing lowers the loss any more, the search goes up to the largest damping of all, which
    says nothing of the training before.
    """
    if not {"damping", "accepted", "loss"} <= history.keys():
        return None
    damping, accepted, loss = (
        np.asarray(history[name], float) for name in ("damping", "accepted", "loss")
    )
    taken = accepted > 0
    if not taken.any() or not np.isfinite(damping[taken][-1]):
        # Another optimizer was the last one.
        return None
    before = np.concatenate([loss[:1], loss[:-1]])
    useful = taken & np.isfinite(damping) & (before - loss > STILL * before)
    last = damping[useful if useful.any() else taken][-1]
    return float(last) if last > 0 else None


ENDS = {"initial": 0, "final": -1}
"""Snapshots of both ends of a training; `Bench.ends` are those that are on record."""


@dataclass(frozen=True, eq=False)
class FoundModes:
    """Modes of the residual's kernel at the ends, and the error in those of the field's."""

    modes: dict[str, Modes]
    spectra: dict[str, ModeSpectrum]
    errors: dict[str, np.ndarray]
    block: Block


def _modes(bench: Bench) -> FoundModes:
    looked_at = bench.study
    modes, spectra, errors, block = {}, {}, {}, {}
    for when, index in bench.ends.items():
        bench.tick("modes")
        at = bench.at(index)
        found = modes[when] = kernel_modes(at)
        damping = _assumed_damping(found.eigenvalues[0])
        block[when] = {
            "largest_eigenvalue": float(found.eigenvalues[0]),
            "rank": found.rank,
            "condition_numbers": {"all": found.condition_number, **condition_numbers(at)},
            "effective_dimension": found.effective_dimension(damping),
            "residual_share": _shares(found.cumulative_share()),
            "steps_to_a_tenth": found.steps_for_residual(TENFOLD),
            # After the steps of the whole training: the initial end is there only with step 0.
            "slow_modes": int(found.slow(max(1, int(looked_at.steps[-1]))).sum()),
        }
        if looked_at.problem.reference is not None and looked_at.solution is not None:
            errors[when] = error_modes(looked_at, at.theta).cumulative_share()
            block[when]["error_share"] = _shares(errors[when])
        domain = looked_at.problem.domain
        if isinstance(domain, Box) and 2**domain.d <= MOST_POINTS:
            waves = spectra[when] = mode_spectrum(looked_at.objective, at.theta, domain=domain)
            few = waves.wave_numbers[: min(10, int(np.count_nonzero(waves.eigenvalues)))]
            mean = float(few.mean()) if len(few) else None
            block[when] |= {"spectral_bias": waves.bias, "wave_number_of_fast": mean}
    return FoundModes(modes, spectra, errors, block)


def _shares(cumulative: np.ndarray) -> dict[str, float]:
    """What the fastest mode, the ten and the hundred fastest hold."""
    last = len(cumulative)
    return {f"{k}": float(cumulative[min(k, last) - 1]) for k in (1, 10, 100)}


@dataclass(frozen=True, eq=False)
class FoundLinearised:
    """Predictions from the first snapshot, and how lazy the training was.

    There are none where the only network on record is that of the end, which has no steps before
    it that could be predicted.
    """

    laziness: Laziness
    steps: np.ndarray
    descent: np.ndarray | None
    gauss_newton: np.ndarray | None
    block: Block


def _linearised(bench: Bench) -> FoundLinearised:
    looked_at = bench.study
    bench.tick("linearised training")
    at = (bench.at(k) for k in range(len(looked_at.steps)))
    lazy = laziness_from(at, looked_at.objective, looked_at.thetas, looked_at.steps)
    descent, newton = _predictions(bench) if len(looked_at.steps) > 1 else (None, None)
    block = {
        "departure": None if descent is None else lazy.whole,
        "lazy_from": None if descent is None else lazy.lazy_from(),
        "loss": float(lazy.losses[-1]),
        "predicted_by_descent": None if descent is None else float(descent[-1]),
        "predicted_by_gauss_newton": None if newton is None else float(newton[-1]),
        "departures": [float(each) for each in lazy.departures[0]],
        "losses": [float(each) for each in lazy.losses],
    }
    return FoundLinearised(lazy, looked_at.steps, descent, newton, block)


def _predictions(bench: Bench) -> tuple[np.ndarray, np.ndarray]:
    """Losses at all snapshots by descent and by Gauss-Newton on the kernel of the first."""
    first = Linearised(kernel_modes(bench.at(0)))
    damping, scaled = bench.damping
    if damping is None or scaled:
        damping = _assumed_damping(first.modes.eigenvalues[0])
    # Its residual is that of its own step: what came before is not to be gone through again.
    steps = bench.study.steps - bench.study.steps[0]
    return (
        first.losses(first.descent(steps)),
        first.losses(first.gauss_newton(steps, damping)),
    )


@dataclass(frozen=True, eq=False)
class FoundAlignment:
    """Alignment of the kernels with each other and with the residual."""

    alignments: Alignments
    block: Block


def _alignment(bench: Bench) -> FoundAlignment:
    looked_at = bench.study
    bench.tick("alignment of kernels")
    kernels = [bench.at(k).kernel for k in range(len(looked_at.steps))]
    found = alignments(looked_at.steps, kernels, residuals(looked_at.objective, looked_at.thetas))
    begins = "initial" in bench.ends
    block: Block = {
        "initial_and_final": float(found.kernels[0, -1]) if begins else None,
        # None says that it never settled, which one kernel cannot tell.
        **({"settled_from": found.settled_from()} if len(looked_at.steps) > 1 else {}),
        "with_initial_residual": [float(each) for each in found.initial_residual]
        if begins
        else None,
        "with_residual": [float(each) for each in found.residual],
        "with_final": [float(each) for each in found.kernels[:, -1]],
    }
    return FoundAlignment(found, block)


@dataclass(frozen=True, eq=False)
class FoundHessians:
    """Densities of the loss Hessian, and the magnitude of the residual's over the domain."""

    densities: dict[str, SpectralDensity]
    residual: "Places"
    norms: dict[str, np.ndarray]
    block: Block


@dataclass(frozen=True, eq=False)
class Places:
    """Where the Hessian of the residual is looked at.

    Attributes:
        points: Those points, `(n, d)`.
        weights: Of a mean over them; they sum to 1.
        shape: Points per axis of the lattice that they are of, () where they are a sample.
        lines: Where the points of that lattice lie along each coordinate.
        inside: Which points of the lattice they are.
    """

    points: np.ndarray
    weights: np.ndarray
    shape: tuple[int, ...] = ()
    lines: tuple[np.ndarray, ...] = ()
    inside: np.ndarray | None = None

    @classmethod
    def of(cls, looked_at: Study) -> "Places":
        """A lattice of a domain with one or two coordinates, the points of diagnostics of others.

        Only the lattice has means over the domain: the others are few.
        """
        domain, sample = looked_at.problem.domain, looked_at.hessian_points
        if domain.d not in MAP:
            return cls(sample, np.full(len(sample), 1 / len(sample)))
        shape = (MAP[domain.d],) * domain.d
        lattice = domain.lattice(shape)
        return cls(
            domain.grid(shape),
            domain.grid_weights(shape),
            shape,
            tuple(np.unique(along) for along in lattice.T),
            domain.contains(lattice),
        )

    def map(self, values: np.ndarray) -> np.ndarray:
        """Values at the points as an array over the lattice, NaN outside the domain."""
        whole = np.full(int(np.prod(self.shape)), np.nan)
        whole[self.inside] = values
        return whole.reshape(self.shape)


def _hessians(bench: Bench) -> FoundHessians:
    densities: dict[str, SpectralDensity] = {}

    def look(name: str, matrix: Hessian, space: Space | None = None, **more: Any) -> None:
        bench.tick(f"Hessian of the loss: {name}")
        space = space or bench.space(matrix, name)
        steps = bench.effort(name)[1]
        densities[name] = spectral_density(
            matrix.products, matrix.size, steps=steps, space=space, **more
        )

    def is_gauss_newton(name: str, eigenvalues: np.ndarray, shift: float) -> bool:
        """Whether the density is that of `Jᵀ J`: no eigenvalue moves by more than `shift`."""
        if len(eigenvalues) * shift > CONVERGED * eigenvalues.sum():
            return False
        if bench.forms and shift > np.finfo(np.float64).eps * eigenvalues.sum():
            # The formed matrix has smaller eigenvalues right as well.
            return False
        exact = int(np.count_nonzero(eigenvalues > shift))
        known = SpectralDensity.of(eigenvalues)
        densities[name] = replace(known, exact=exact, resolution=shift)
        return True

    last = bench.at(-1)
    if "initial" in bench.ends:
        look("initial", bench.hessian(0))
    bench.tick("Hessian of the loss: remainder")
    shift = bench.remainder_norm
    squares = np.zeros(last.theta.size)
    squares[: len(last.svd[1])] = last.svd[1] ** 2
    if not is_gauss_newton("final", squares, shift):
        look("final", *bench.final_hessian)
    look(REMAINDER, *bench.remainder)
    damping, scaled = bench.damping
    assumed = damping is None or scaled
    if damping is None or scaled:
        damping = _assumed_damping(squares[0])
    scale = damped_gauss_newton(last, damping=damping)
    ones = squares / (squares + damping)
    if not is_gauss_newton(DAMPED, ones, shift / damping):
        matrix = bench.hessian(-1, preconditioner=scale)
        bare = hessian_part(last, part="gauss_newton", preconditioner=scale)
        modes = _known_modes(bench, damping) if shift <= damping else None
        space = bench.space(matrix, DAMPED, start=modes)
        look(DAMPED, matrix, space, part=(bare.products, float(ones.sum())))
    pairs = lbfgs_pairs(last)
    if (np.einsum("ij,ij->i", *pairs) > 0).any():
        scale = lbfgs_preconditioner(*pairs)
        look("final, L-BFGS", bench.hessian(-1, preconditioner=scale))
    places = Places.of(bench.study)
    norms = {}
    for when, index in bench.ends.items():
        bench.tick(f"{when} Hessian of the residual")
        norms[when] = hessian_map(
            bench.study.objective, bench.study.thetas[index], points=places.points
        )
    block: Block = {
        "damping": damping,
        "damping_is_assumed": assumed,
        "densities": {k: _told(v) for k, v in densities.items()},
    }
    block["residual_hessian"] = {
        "points": len(places.points),
        "is_domain_mean": bool(places.shape),
        "equations": len(bench.study.problem.equations),
        **{
            when: {
                "mean": float(places.weights @ each),
                "max": float(each.max()),
                "at": [float(z) for z in places.points[int(np.argmax(each))]],
            }
            for when, each in norms.items()
        },
    }
    return FoundHessians(densities, places, norms, block)


def _known_modes(bench: Bench, damping: float) -> np.ndarray:
    """Outliers of the damped Gauss-Newton matrix, where the remainder is below the damping.

    Its eigenvectors are then known but for a remainder that is smaller than they are, while a
    random space finds hundreds of eigenvalues that are nearly one only slowly. A larger remainder
    has outliers of its own, for which they would leave no room.
    """
    _, values, right = bench.at(-1).svd
    room = BLOCK * (bench.effort(DAMPED)[0] - 2)
    return right[values**2 >= KNOWN * (values**2 + damping)][:room]


def _told(density: SpectralDensity) -> Block:
    return {
        "largest": density.largest,
        "smallest": density.smallest,
        "mean": density.mean,
        "negative_curvature": density.negative_curvature,
        "unresolved": density.unresolved,
    }


@dataclass(frozen=True, eq=False)
class FoundLandscape:
    """The loss along the way of the training, where it is on record, and around its end."""

    line: Line | None
    random: Plane
    eigenvectors: Plane
    singular: dict[str, SingularValues]
    terms: tuple[str, ...]
    cosines: dict[str, np.ndarray]
    block: Block


def _landscape(bench: Bench) -> FoundLandscape:
    last = bench.at(-1)
    line = _line(bench) if "initial" in bench.ends else None
    bench.tick("loss on a plane")
    random = loss_plane(last, radius=0.2)
    bench.tick("eigenvectors of the Hessian")
    values, vectors = bench.eigenpairs
    if lacking := 2 - len(values):  # of a network with one parameter
        values, vectors = np.pad(values, (0, lacking)), np.pad(vectors, ((0, lacking), (0, 0)))
    length = float(np.linalg.norm(last.theta))
    # As far as the loss rises to that of the untrained network, or along a flat direction |θ| / 10;
    # where that network is not on record, to the highest loss of the other plane.
    highest = (
        float(random.losses.max())
        if line is None
        else float(line.losses[np.argmin(np.abs(line.positions))])
    )
    reach = np.sqrt(2 * highest / (abs(values[0]) * length**2)) if values[0] else 0.1
    radius = float(np.clip(reach, 1e-12, 0.1))
    eigenvectors = loss_plane(last, directions=vectors * length, radius=radius)
    damping, scaled = bench.damping
    singular = {
        when: singular_values(
            bench.at(index), damping=damping if when == "final" else None, scaled=scaled
        )
        for when, index in bench.ends.items()
    }
    gradients = {when: gradient_alignment(bench.at(index)) for when, index in bench.ends.items()}
    terms = gradients["final"].terms
    block: Block = {
        "barrier": None if line is None else line.barrier,
        "curvatures": [float(value) for value in values],
        "singular_values": {
            when: {
                "largest": float(each.values[0]),
                "smallest": float(each.values[-1]),
                "damping": each.damping,
                "undamped": each.undamped,
                "scaled": each.scaled,
            }
            for when, each in singular.items()
        },
        "gradient_cosines": {
            when: {
                f"{terms[i]}, {terms[j]}": float(each.cosines[i, j])
                for i in range(len(terms))
                for j in range(i)
            }
            for when, each in gradients.items()
        },
    }
    cosines = {when: each.cosines for when, each in gradients.items()}
    return FoundLandscape(line, random, eigenvectors, singular, terms, cosines, block)


def _line(bench: Bench) -> Line:
    """The loss along the line from the untrained network to the end."""
    bench.tick("loss along a line")
    looked_at = bench.study
    # 0 and 1 are among the points: the loss of a trained network is a narrow dip.
    return loss_line(looked_at.objective, looked_at.initial, looked_at.final, count=49, beyond=0.25)


WITHOUT: dict[tuple[str, ...], str] = {("alignment", "settled_from"): "never"}
"""What None means in a table where that is not "not known", by analysis and way to the number.

What is not known there is left out of the block."""


def mean_heading(blocks: Sequence[Block], when: str) -> str:
    """Heading of a column of means of |H_r|: over what, and of which equation.

    Args:
        blocks: Those of "hessians" of all entries in the column.
        when: "initial" or "final".
    """
    of = [block["residual_hessian"] for block in blocks]
    means = {
        "over the domain" if each["is_domain_mean"] else f"of {each['points']} points"
        for each in of
    }
    first = " of the\nfirst equation" if any(each["equations"] > 1 for each in of) else ""
    return f"Mean |H_r|{first}\n{' or '.join(sorted(means))},\n{when}"


Heading: TypeAlias = str | Callable[[Sequence[Block]], str]
"""What a column is called, or what that is by the blocks of all entries in it."""


@dataclass(frozen=True)
class Analysis:
    """One thing that can be asked of an entry.

    Attributes:
        name: What `analyze` and the command call it.
        title: What tables call it.
        compute: Makes the result, which has a `block` of plain numbers and all that is drawn.
        columns: Heading, and the way to a number in the block, for tables of several entries.
    """

    name: str
    title: str
    compute: Callable[[Bench], Any]
    columns: tuple[tuple[Heading, tuple[str, ...]], ...]


ANALYSES: dict[str, Analysis] = {
    each.name: each
    for each in (
        Analysis(
            "modes",
            ANALYSIS_TITLES["modes"],
            _modes,
            (
                ("Effective\ndimension", ("final", "effective_dimension")),
                ("Condition of\nequation", ("final", "condition_numbers", EQUATION)),
                ("Residual in\n10 fastest", ("final", "residual_share", "10")),
                ("Error in its\n10 fastest", ("final", "error_share", "10")),
                ("Descent to\na tenth", ("final", "steps_to_a_tenth")),
                ("Spectral\nbias", ("final", "spectral_bias")),
            ),
        ),
        Analysis(
            "linearised",
            ANALYSIS_TITLES["linearised"],
            _linearised,
            (
                ("Departure", ("departure",)),
                ("Lazy\nfrom step", ("lazy_from",)),
                ("Loss", ("loss",)),
                ("Descent (rate\n1/λ₁) predicts", ("predicted_by_descent",)),
                ("Gauss-Newton\npredicts", ("predicted_by_gauss_newton",)),
            ),
        ),
        Analysis(
            "alignment",
            ANALYSIS_TITLES["alignment"],
            _alignment,
            (
                ("CKA of first\nand last", ("initial_and_final",)),
                ("Settled\nfrom step", ("settled_from",)),
            ),
        ),
        Analysis(
            "hessians",
            ANALYSIS_TITLES["hessians"],
            _hessians,
            (
                ("Largest", ("densities", "final", "largest")),
                ("Smallest", ("densities", "final", "smallest")),
                ("Negative\ncurvature", ("densities", "final", "negative_curvature")),
                (
                    "Negative,\npreconditioned",
                    ("densities", DAMPED, "negative_curvature"),
                ),
                (
                    lambda blocks: mean_heading(blocks, "initial"),
                    ("residual_hessian", "initial", "mean"),
                ),
                (
                    lambda blocks: mean_heading(blocks, "final"),
                    ("residual_hessian", "final", "mean"),
                ),
            ),
        ),
        Analysis(
            "landscape",
            ANALYSIS_TITLES["landscape"],
            _landscape,
            (
                ("Barrier", ("barrier",)),
                ("Largest σ", ("singular_values", "final", "largest")),
                ("Smallest σ", ("singular_values", "final", "smallest")),
                ("Damping", ("singular_values", "final", "damping")),
                ("σ above\n√damping", ("singular_values", "final", "undamped")),
            ),
        ),
    )
}
"""All analyses by name, in the order in which they are shown."""


def check_names(names: Iterable[str] | str | None) -> list[str]:
    """Names of analyses or of registered diagnostics; by default all that are on demand.

    Raises:
        UnknownNameError: There is no such analysis.
    """
    if names is None:
        return [name for name, diagnostic in DIAGNOSTICS.items() if diagnostic.on_demand]
    chosen = [names] if isinstance(names, str) else list(names)
    for name in chosen:
        if name not in DIAGNOSTICS:
            raise UnknownNameError.of("analysis", name, DIAGNOSTICS)
    return chosen


@dataclass(frozen=True, eq=False)
class FoundBlock:
    """What a diagnostic without figures found."""

    block: Block


def find_analysis(name: str) -> Analysis:
    """An analysis of the package, or a registered diagnostic as one, without figures."""
    if name in ANALYSES:
        return ANALYSES[name]

    def compute(bench: Bench) -> FoundBlock:
        return FoundBlock(compute_blocks(bench.study, [name])[name])

    return Analysis(name, DIAGNOSTICS[name].title, compute, ())


def block_of(looked_at: Study, name: str) -> Block:
    """An analysis as a block of `metrics.json`: what has no bound or is not known is left out.

    Args:
        looked_at: The study; its other analyses share what this one computes.
        name: Name of the analysis.
    """
    bench = looked_at.shared.setdefault("analyses", Bench(looked_at, looked_at.tick))
    return _kept(ANALYSES[name].compute(bench).block)


def _kept(block: Mapping[str, Any]) -> Block:
    kept = {k: _kept(v) if isinstance(v, Mapping) else v for k, v in block.items()}
    return {k: v for k, v in kept.items() if v is not None and _is_finite(v)}


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_finite, value))
    return not isinstance(value, float) or math.isfinite(value)


def examine(
    entry: Entry, names: Iterable[str] | None = None, tick: Callable[[str], None] = lambda _: None
) -> Iterator[tuple[str, Any]]:
    """Names and results of analyses, one after the other.

    What the caller does with one costs no time as long as the compiler is at work for the next.

    Args:
        entry: The entry.
        names: Names of `ANALYSES` or of registered diagnostics; by default all that are computed
            on demand.
        tick: Called often, with what is being done.
    """
    chosen = check_names(names)
    bench = Bench(entry, tick)
    if needed := {"hessians", "landscape"}.intersection(chosen):
        bench.begin()
    for name in chosen:
        # Those that need the compiled program wait for it before anything else.
        with nullcontext() if name in needed else bench.quietly():
            found = find_analysis(name).compute(bench)
        yield name, found


def look_at(
    entry: Entry, names: Iterable[str] | None = None, tick: Callable[[str], None] = lambda _: None
) -> dict[str, Any]:
    """Results of analyses with all that is drawn; see `analyze`, which keeps the numbers.

    Args:
        entry: The entry.
        names: Names of `ANALYSES` or of registered diagnostics; by default all that are computed
            on demand.
        tick: Called often, with what is being done.
    """
    return dict(examine(entry, names, tick))


def analyze(
    entry: Entry,
    what: Iterable[str] | None = None,
    *,
    tick: Callable[[str], None] = lambda _: None,
) -> dict[str, Block]:
    """Kernel modes, linearised training, Hessians and loss landscape of an entry, as numbers.

    Everything comes from the stored parameters; nothing is trained.

    Args:
        entry: The entry.
        what: Of "modes", "linearised", "alignment", "hessians" and "landscape", or names of
            registered diagnostics; by default all that are computed on demand.
        tick: Called often, with what is being done.

    Returns:
        A block of plain numbers per analysis.

    Raises:
        UnknownNameError: There is no such analysis.
        PrecisionError: JAX has float64 switched off.

    Example:
        ```python
        found = pinnzoo.analyze(entry, ["alignment"])
        found["alignment"]["settled_from"]
        ```
    """
    return {name: found.block for name, found in look_at(entry, what, tick).items()}


def number(block: Mapping[str, Any], way: Iterable[str], without: Any = None) -> Any:
    """A number of a block, or `without` where the block does not have it."""
    found: Any = block
    for key in way:
        if not isinstance(found, Mapping) or key not in found:
            return without
        found = found[key]
    return found
