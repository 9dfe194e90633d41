"""Layers that diffusion makes of jumps and kinks solve their equations and begin as they should."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from pinnzoo import Field
from pinnzoo.architectures import make_architecture
from pinnzoo.architectures.corners import Angle, Corner, Wedge, read
from pinnzoo.errors import RecipeError

COMMON: dict[str, Any] = {"place": 0.2, "size": 1.3, "diffusion": 0.3, "begin": 0.1, "rate": -0.4}
LENGTH = 1.5
WALLS = {
    "wall_value": Corner("wall_value", **COMMON),
    "wall with a flow": Corner("wall_value", velocity=0.7, **COMMON),
    "wall against a flow": Corner("wall_value", velocity=-0.7, **COMMON),
    "wall_flux": Corner("wall_flux", **COMMON),
    "upper wall": Corner("wall_flux", inwards=-1, **COMMON),
    "wall_rate": Corner("wall_rate", **COMMON),
}
INSIDE = {
    "jump": Corner("jump", velocity=0.7, **COMMON),
    "kink": Corner("kink", velocity=0.7, **COMMON),
}
PERIODIC = {
    name: dataclasses.replace(each, period=LENGTH, last=1.1) for name, each in INSIDE.items()
}
ALL = [*WALLS.values(), *INSIDE.values(), *PERIODIC.values()]


def as_field(corner):
    return Field(lambda z: corner(z)[None], ("u",), "tx")


def at(corner, times, places):
    return np.asarray(jax.vmap(corner)(jnp.stack(jnp.broadcast_arrays(times, places), axis=1)))


@pytest.mark.parametrize("corner", ALL, ids=str)
def test_it_solves_its_equation(corner):
    field = as_field(corner)

    def residual(z):
        u, u_t, u_x, u_xx = field(z, "u u_t u_x u_xx")
        return u_t + corner.velocity * u_x - corner.diffusion * u_xx - corner.rate * u, u_t

    points = np.random.default_rng(0).random((200, 2)) * [1.0, LENGTH * corner.inwards] + [
        0.11,
        0.2,
    ]
    left, scale = map(np.asarray, jax.vmap(residual)(points))
    assert np.abs(left / (1 + np.abs(scale))).max() < 1e-13


@pytest.mark.parametrize("corner", WALLS.values(), ids=WALLS)
def test_a_wall_is_left_by_nothing_at_first(corner):
    inside = corner.place + corner.inwards * jnp.array([1e-9, 0.1, 1.0])
    np.testing.assert_array_equal(at(corner, corner.begin, inside), 0.0)
    wall = jnp.array([1.0, corner.place])
    value, slope = as_field(corner)(wall, "u u_x")
    grown = corner.size * math.exp(corner.rate * 0.9)
    told = {
        "wall_value": value,
        "wall_flux": -corner.inwards * slope,
        "wall_rate": value / 0.9,
    }[corner.kind]
    assert float(told) == pytest.approx(grown, rel=1e-13)


@pytest.mark.parametrize("corners", [INSIDE, PERIODIC], ids=["inside", "periodic"])
def test_breaks_are_as_large_as_they_should_be(corners):
    for kind, corner in corners.items():
        h = 1e-4
        places = corner.place + h * jnp.array([-2.0, -1.0, 1.0, 2.0])
        a, b, c, d = at(corner, corner.begin, places)
        if kind == "jump":
            assert (2 * c - d) - (2 * b - a) == pytest.approx(corner.size, rel=1e-7)
        else:
            assert (d - c) / h - (b - a) / h == pytest.approx(corner.size, rel=1e-3)
        # The first values are the limit of later ones.
        places = corner.place + jnp.array([0.1, 0.7, 1.1])
        early = at(corner, corner.begin + 1e-12, places)
        np.testing.assert_allclose(early, at(corner, corner.begin, places), rtol=0, atol=1e-10)


@pytest.mark.parametrize("corner", PERIODIC.values(), ids=PERIODIC)
def test_a_period_later_it_is_the_same(corner):
    places = jnp.linspace(0.2, 0.2 + LENGTH, 7)
    for time in (0.3, 1.1):
        one, other = at(corner, time, places), at(corner, time, places + LENGTH)
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)
        slopes = [
            float(as_field(corner)(jnp.array([time, x]), "u_x")[0]) for x in (0.2, 0.2 + LENGTH)
        ]
        assert slopes[0] == pytest.approx(slopes[1], abs=1e-13)


def test_without_diffusion_to_speak_of_it_is_finite():
    for corner in ALL:
        speed = 0.0 if corner.kind == "wall_value" else corner.velocity
        thin = dataclasses.replace(corner, diffusion=1e-12, velocity=speed)
        for z in ([0.1, 0.2], [0.1, 0.9], [0.5, 0.2], [1.1, 1.0]):
            assert np.isfinite(as_field(thin)(jnp.array(z), "u u_t u_x u_xx")).all()


ANGLES = [
    Angle(
        power, 0.5, 2.0, 1.3, inwards=-1, scale=2.0, other_scale=3.0, axis=axis, other_axis=1 - axis
    )
    for power in (0, 1, 2)
    for axis in (0, 1)
]


@pytest.mark.parametrize("angle", ANGLES, ids=str)
def test_an_angle_solves_its_equation_and_meets_its_sides(angle):
    field = Field(lambda z: angle(z)[None], ("u",), "xy")
    first, second = "xy"[angle.axis], "xy"[angle.other_axis]
    names = f"u u_{first}{first} u_{second}{second} u_{first}"

    def looked_at(along, aside):
        z = jnp.zeros(2).at[angle.axis].set(0.5 - along).at[angle.other_axis].set(2.0 + aside)
        return jnp.stack(field(z, names))

    rng = np.random.default_rng(0)
    inside = np.asarray(jax.vmap(looked_at)(*rng.uniform(0.1, 1.0, (2, 100))))
    np.testing.assert_allclose(4.0 * inside[:, 1] + 9.0 * inside[:, 2], 0.0, rtol=0, atol=1e-12)
    places = jnp.linspace(0.1, 1.0, 5)
    first_side = np.asarray(jax.vmap(looked_at, (0, None))(places, 0.0))
    np.testing.assert_allclose(first_side[:, 0], 0.0, rtol=0, atol=1e-15)
    other_side = np.asarray(jax.vmap(looked_at, (None, 0))(0.0, places))
    # The value, the slope per √a towards the inside, and the second derivative per b.
    told = {0: other_side[:, 0], 1: -2.0 * other_side[:, 3], 2: 9.0 * other_side[:, 2]}
    wanted = {0: math.pi / 2, 1: math.pi / 2, 2: -math.pi}
    np.testing.assert_allclose(told[angle.power], 1.3 * wanted[angle.power], rtol=1e-12)
    assert np.isfinite(looked_at(0.0, 0.0)).all()
    assert float(looked_at(0.0, 0.0)[0]) == 0.0


WEDGES = [
    Wedge(power, 0.5, 2.0, 0.3, angle, flux=flux, logarithm=logarithm, scale=2.0, other_scale=3.0)
    for power, angle, logarithm in [(2 / 3, 4.7, 0), (0.5, 3.1, 0), (2.0, 1.5, 1), (0.0, 1.5, 1)]
    for flux in (0, 1)
]


@pytest.mark.parametrize("wedge", WEDGES, ids=str)
def test_a_wedge_solves_its_equation_and_has_no_value_or_flux_on_its_first_edge(wedge):
    field = Field(lambda z: wedge(z)[None], ("u",), "xy")

    def looked_at(radius, angle):
        z = jnp.stack([0.5 + 2.0 * radius * jnp.cos(angle), 2.0 + 3.0 * radius * jnp.sin(angle)])
        u, u_x, u_y, u_xx, u_yy = field(z, "u u_x u_y u_xx u_yy")
        # Along the normal, in units in which the equation is Laplace's.
        slope = -math.sin(0.3) * 2.0 * u_x + math.cos(0.3) * 3.0 * u_y
        return u, slope, 4.0 * u_xx + 9.0 * u_yy

    rng = np.random.default_rng(0)
    inside = rng.uniform(0.1, 1.0, 100), rng.uniform(0.3, 0.3 + wedge.angle, 100)
    np.testing.assert_allclose(jax.vmap(looked_at)(*inside)[2], 0.0, rtol=0, atol=1e-11)
    radii = np.linspace(0.1, 1.0, 7)
    edge = jax.vmap(looked_at, (0, None))(radii, 0.3)
    np.testing.assert_allclose(edge[wedge.flux], 0.0, rtol=0, atol=1e-13)
    assert np.isfinite(looked_at(jnp.array(0.0), 0.3)).all()
    # No line through the domain is one where it jumps.
    turns = 0.3 + wedge.angle * np.linspace(0, 1, 500)
    values = np.asarray(jax.vmap(looked_at, (None, 0))(jnp.array(0.7), turns)[0])
    assert np.abs(np.diff(values)).max() < 0.05


def test_a_wedge_fades_where_the_domain_goes_on():
    wedge = dataclasses.replace(WEDGES[0], radius=0.4)
    z = jnp.array([0.5 + 2.0, 2.0])
    assert abs(float(wedge(z))) < 1e-16
    near = jnp.array([0.5 + 0.02, 2.0])
    assert float(wedge(near)) == pytest.approx(float(WEDGES[0](near)), rel=1e-4)


def test_a_text_says_all_of_it():
    for corner in [*ALL, *ANGLES, *WEDGES]:
        assert read(str(corner)) == corner
    assert str(Corner("jump", 0.5, 1.0, 0.1)) == "jump place=0.5 size=1.0 diffusion=0.1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "jump",
        "bend place=0 size=1 diffusion=1",
        "jump place=0 size=1 diffusion=0",
        "jump place=0 size=1 diffusion=-1",
        "jump place=0 size=nan diffusion=1",
        "jump place=0 size=1 diffusion=1 speed=1",
        "jump place=0 size=1 diffusion=1 component=0.5",
        "jump place=0 size=1 diffusion=1 place=0 place",
        "kink place=0 size=1 diffusion=1 period=0.1 last=10",
        "kink place=0 size=1 diffusion=1 period=-1",
        "angle power=3 place=0 other=0 size=1",
        "angle power=1 place=0 other=0 size=inf",
        "angle power=1 place=0 other=0 size=1 scale=0",
        "angle place=0 other=0 size=1",
        "wedge power=0.5 place=0 other=0 first=0 angle=3",
        7,
    ],
)
def test_another_text_is_refused(text):
    with pytest.raises(RecipeError, match="give"):
        make_architecture(
            "mlp", {"corners": [text]}, m=1, lower=(0, 0), upper=(1, 1), dtype="float64", seed=0
        )


@pytest.mark.parametrize("corners", ["jump place=0.5 size=1 diffusion=0.1", 3])
def test_what_is_no_list_is_refused(corners):
    with pytest.raises(RecipeError, match="give a list of texts"):
        make_architecture(
            "mlp", {"corners": corners}, m=1, lower=(0, 0), upper=(1, 1), dtype="float64", seed=0
        )


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("mlp", {}), ("siren", {}), ("tangent_mlp", {}), ("tangent_mlp", {"omega": 3.0, "depth": 1})],
)
def test_networks_have_them_beside_what_is_trained(name, arguments):
    def drawn(**more):
        return make_architecture(
            name,
            {**arguments, **more},
            m=2,
            lower=(0, 0),
            upper=(1, 1),
            dtype="float64",
            seed=0,
        )

    corner = dataclasses.replace(INSIDE["kink"], component=1)
    plain: Any = drawn()
    added: Any = drawn(corners=[str(corner)])
    z = jnp.array([0.7, 0.4])
    np.testing.assert_allclose(added(z) - plain(z), [0.0, float(corner(z))], rtol=0, atol=1e-15)
    with pytest.raises(RecipeError, match="component"):
        drawn(corners=[str(dataclasses.replace(corner, component=2))])


@pytest.mark.parametrize("name", ["mlp", "siren"])
def test_networks_train_the_amplitudes_of_wedges(name):
    def drawn(wedges, m=2):
        given = {"wedges": wedges} if wedges else {}
        return make_architecture(
            name, given, m=m, lower=(0, 0), upper=(1, 3), dtype="float64", seed=0
        )

    plain: Any = drawn([])
    added: Any = drawn([str(each) for each in WEDGES[:3]])
    z = jnp.array([0.7, 1.4])
    np.testing.assert_array_equal(added(z), plain(z))
    amplitudes = np.arange(6.0).reshape(3, 2)
    added.wedges.amplitudes[...] = jnp.asarray(amplitudes)
    wanted = np.array([float(each(z)) for each in WEDGES[:3]]) @ amplitudes
    np.testing.assert_allclose(added(z) - plain(z), wanted, rtol=1e-13)
    counts = [
        sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))
        for model in (plain, added)
    ]
    assert counts[1] == counts[0] + 6


@pytest.mark.parametrize(
    "wedges",
    [
        3,
        "wedge power=1 place=0 other=0 first=0 angle=1",
        ["wedge power=1 place=0 other=0 first=0 angle=7"],
        ["wedge power=-1 place=0 other=0 first=0 angle=1"],
        ["wedge power=1 place=0 other=0 first=0 angle=1 scale=0"],
        ["jump place=0.5 size=1 diffusion=0.1"],
    ],
)
def test_what_is_no_wedge_is_refused(wedges):
    with pytest.raises(RecipeError, match="give"):
        make_architecture(
            "mlp", {"wedges": wedges}, m=1, lower=(0, 0), upper=(1, 1), dtype="float64", seed=0
        )


def test_products_have_none():
    with pytest.raises(RecipeError, match="products have none"):
        make_architecture(
            "tangent_mlp",
            {"rank": 2, "corners": [str(INSIDE["jump"])]},
            m=1,
            lower=(0, 0),
            upper=(1, 1),
            dtype="float64",
            seed=0,
        )
