import jax
import numpy as np
import pytest

from pinnzoo import analysis
from pinnzoo.errors import DiagnosticError, PointsError, UnknownNameError
from tests.diagnostics.oracles import dense_jacobian, dense_loss_hessian, moved, small


@pytest.fixture(scope="module")
def burgers():
    assembly = small(terms=2)
    return assembly.objective, moved(assembly.theta, 0.1)


@pytest.fixture(scope="module")
def loss(burgers):
    return jax.jit(burgers[0].loss)


def test_line_goes_through_both_networks(burgers, loss):
    objective, theta = burgers
    other = moved(theta, 0.5)
    found = analysis.loss_line(objective, theta, other, count=7, beyond=0.25)
    np.testing.assert_allclose(found.positions, [-0.25, 0, 0.25, 0.5, 0.75, 1, 1.25])
    wanted = [loss(theta + a * (other - theta)) for a in found.positions]
    np.testing.assert_allclose(found.losses, wanted, rtol=1e-8)
    np.testing.assert_allclose(sum(found.terms.values()), wanted, rtol=1e-8)
    assert list(found.terms) == ["equation", "initial"]
    assert found.barrier == pytest.approx(max(wanted[1:6]) / max(wanted[1], wanted[5]))
    with pytest.raises(PointsError, match="two networks of one shape"):
        analysis.loss_line(objective, theta, other[1:])


def test_random_plane_has_filters_as_long_as_the_parameters(burgers, loss):
    objective, theta = burgers
    found = analysis.loss_plane(objective, theta, count=3, radius=0.2)
    first, second = found.directions
    wanted = [
        [loss(theta + a * first + b * second) for b in (-0.2, 0, 0.2)] for a in (-0.2, 0, 0.2)
    ]
    np.testing.assert_allclose(found.losses, wanted, rtol=1e-8)
    start = 0
    for shape in objective.shapes:
        size = int(np.prod(shape))
        own, given = (v[start : start + size].reshape(shape) for v in (theta, first))
        np.testing.assert_allclose(
            np.linalg.norm(given, axis=0), np.linalg.norm(own, axis=0), rtol=1e-10
        )
        start += size
    assert start == len(theta)


def test_plane_of_eigenvectors_has_their_curvatures(burgers, loss):
    objective, theta = burgers
    radius = 1e-3
    found = analysis.loss_plane(objective, theta, directions="eigenvectors", count=3, radius=radius)
    assert found.curvatures is not None
    values = np.linalg.eigvalsh(dense_loss_hessian(objective, theta))
    values = values[np.argsort(-np.abs(values))][:2]
    np.testing.assert_allclose(found.curvatures, values * (theta @ theta), rtol=1e-8)
    along = found.losses[:, 1]
    second = (along[0] - 2 * along[1] + along[2]) / radius**2
    assert second == pytest.approx(found.curvatures[0], rel=1e-2)
    with pytest.raises(UnknownNameError, match="unknown directions"):
        analysis.loss_plane(objective, theta, directions="steepest")
    with pytest.raises(PointsError, match="two vectors"):
        analysis.loss_plane(objective, theta, directions=theta)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"beyond": np.nan}, "beyond nan was given: give a finite number of zero or more"),
        ({"beyond": -1}, "beyond -1 was given"),
        ({"count": 1}, "the count 1 was given: give a whole number of 2 or more"),
        ({"count": 2.5}, "the count 2.5 was given"),
    ],
)
def test_lines_of_no_meaning_are_refused(burgers, wrong, says):
    objective, theta = burgers
    kind = PointsError if "count" in wrong else DiagnosticError
    with pytest.raises(kind, match=says):
        analysis.loss_line(objective, theta, 2 * theta, **wrong)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"radius": np.nan}, "the radius nan was given: give a positive finite number"),
        ({"radius": 0}, "the radius 0 was given"),
        ({"seed": -1}, "the seed -1 was given: give a whole number of 0 or more"),
        ({"count": 0}, "the count 0 was given"),
    ],
)
def test_planes_of_no_meaning_are_refused(burgers, wrong, says):
    objective, theta = burgers
    kind = PointsError if "count" in wrong else DiagnosticError
    with pytest.raises(kind, match=says):
        analysis.loss_plane(objective, theta, **{"count": 3, **wrong})


def test_two_directions_along_one_line_span_no_plane(burgers):
    objective, theta = burgers
    for other in (theta, -3 * theta, 0 * theta, np.nan * theta):
        with pytest.raises(PointsError, match="span no plane"):
            analysis.loss_plane(objective, theta, directions=[theta, other], count=3)
    analysis.loss_plane(objective, theta, directions=[theta, moved(theta, 1e-3)], count=1)


def test_gradients_of_terms_are_compared(burgers):
    objective, theta = burgers
    rows = dense_jacobian(objective, theta)
    values = np.asarray(jax.jit(objective.residual)(theta))
    a, b = (rows[part].T @ values[part] for part in objective.slices().values())
    found = analysis.gradient_alignment(objective, theta)
    assert found.terms == ("equation", "initial")
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    assert found.cosines[0, 1] == pytest.approx(cosine, rel=1e-8)
    np.testing.assert_allclose(found.norms, [np.linalg.norm(a), np.linalg.norm(b)], rtol=1e-8)


@pytest.mark.parametrize("scaled", [False, True])
def test_singular_values_beside_the_damping(burgers, scaled):
    objective, theta = burgers
    rows = dense_jacobian(objective, theta)
    if scaled:
        rows = rows / np.linalg.norm(rows, axis=0)
    left, wanted, _ = np.linalg.svd(rows, full_matrices=False)
    damping = float(wanted[3] * wanted[4])
    found = analysis.singular_values(objective, theta, damping=damping, scaled=scaled)
    np.testing.assert_allclose(found.values, wanted, rtol=1e-8, atol=1e-12 * wanted[0])
    assert found.undamped == 4
    values = np.asarray(jax.jit(objective.residual)(theta))
    np.testing.assert_allclose(found.residual[:5], np.abs(left.T @ values)[:5], rtol=1e-6)
    assert analysis.singular_values(objective, theta).undamped is None


def test_a_tangent_is_at_its_own_parameters(burgers):
    objective, theta = burgers
    at = analysis.tangent(objective, theta)
    assert analysis.singular_values(at).values.size
    with pytest.raises(DiagnosticError, match="given with a tangent"):
        analysis.singular_values(at, theta + 1)
