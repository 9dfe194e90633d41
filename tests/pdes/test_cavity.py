"""The stored flows in a cavity: what meets the walls, what is singular, and what is read again."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.errors import RecipeError
from pinnzoo.pdes import make_problem
from pinnzoo.references import cavity
from pinnzoo.references.bases import chebyshev
from pinnzoo.references.cavity import Cavity, Lid

SIDE = np.linspace(0.03, 0.97, 20)
RNG = np.random.default_rng(0)


def made(kind, size=6, seed=0):
    rng = np.random.default_rng(seed)
    return Cavity(Lid(kind, 0.01), rng.standard_normal((size,) * 2), rng.standard_normal((5, 5)))


def test_polynomials_are_those_of_chebyshev():
    s = np.linspace(-1, 1, 9)
    for degrees in (1, 2, 3, 17, 18, 40):
        found = jax.vmap(lambda s, n=degrees: chebyshev(s, n))(s)
        expected = np.polynomial.chebyshev.chebvander(s, degrees - 1)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", cavity.LIDS)
def test_any_coefficients_meet_the_walls_and_have_no_divergence(kind):
    flow = made(kind)
    at: Any = jax.vmap(flow.at)
    velocity: Any = jax.vmap(flow.lid.velocity)
    for points in ([0 * SIDE, SIDE], [0 * SIDE + 1, SIDE], [SIDE, 0 * SIDE]):
        np.testing.assert_allclose(at(np.stack(points, 1))[:, :2], 0, atol=1e-14)
    lid = at(np.stack([SIDE, 0 * SIDE + 1], 1))
    np.testing.assert_allclose(lid[:, 0], velocity(SIDE), atol=1e-14)
    np.testing.assert_allclose(lid[:, 1], 0, atol=1e-14)
    inside = RNG.uniform(0.1, 0.9, (20, 2))
    rates: Any = jax.vmap(jax.jacfwd(flow.at))
    slopes = rates(inside)
    np.testing.assert_allclose(slopes[:, 0, 0] + slopes[:, 1, 1], 0, atol=1e-12)
    assert np.abs(slopes[:, 0, 0]).min() > 1e-3


def test_the_corners_of_the_parabolic_lid_solve_stokes_equations_to_leading_order():
    """There the force grows as 1 / r in each of its two parts, and not in their sum."""
    lid = Lid("parabolic", 0.01)

    def force(z):
        curved = jnp.trace(jax.jacfwd(jax.jacfwd(lid.flow))(z), axis1=1, axis2=2)
        slope = jax.jacfwd(lid.flow)(z)[2]
        return jnp.stack([lid.viscosity * curved[:2] - slope, slope])

    for corner in (0.0, 1.0):
        for r in (1e-2, 1e-3, 1e-4):
            whole, slope = force(jnp.array([abs(corner - 0.6 * r), 1 - 0.8 * r]))
            np.testing.assert_allclose(np.linalg.norm(slope), 8 * lid.viscosity / r, rtol=0.1)
            assert np.linalg.norm(whole) < 2


def test_written_flow_and_its_refinement_are_read_again(tmp_path, monkeypatch):
    flow, refined = made("regularised"), made("regularised", size=8, seed=1)
    quantum = 2.0**-20
    cavity.write(tmp_path / "made.npz", flow, refined, quantum)
    monkeypatch.setattr(cavity, "DATA", tmp_path)
    for wanted in (flow, refined):
        again = cavity.read.__wrapped__("made", flow.lid, wanted is refined)
        for name in ("stream", "pressure"):
            distance = np.abs(getattr(again, name) - getattr(wanted, name)).max()
            assert 0 < distance <= quantum / 2


def test_other_reynolds_numbers_have_no_reference_and_other_lids_are_refused():
    assert make_problem("lid_driven_cavity", {"reynolds": 400.0}).reference is None
    with pytest.raises(RecipeError, match="'parabolic' and 'regularised'"):
        make_problem("lid_driven_cavity", {"lid": "flat"})
