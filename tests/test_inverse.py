"""Unknown coefficients and observations: from a problem that states them to a stored entry."""

import dataclasses
import math
import pickle
import runpy
import warnings
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.io
from flax import nnx

import pinnzoo
from pinnzoo import (
    Box,
    Observations,
    Phase,
    Problem,
    Recipe,
    Reference,
    Unknown,
    dirichlet,
    initial,
    observe,
    prescribe,
)
from pinnzoo.cards.card import entry_card
from pinnzoo.cards.summary import summarize
from pinnzoo.collocation import draw_points
from pinnzoo.diagnostics.covariance import (
    estimate_unknowns,
    estimates_at,
    field_deviation,
    sensitivity,
    told_of,
    undetermined,
)
from pinnzoo.errors import IntegrityError, PinnzooError, PointsError, RecipeError, UnknownNameError
from pinnzoo.evaluation import residual
from pinnzoo.objective import OBSERVATIONS, assemble, flatten_model
from pinnzoo.pdes import make_problem
from pinnzoo.storage.folder import EntryFolder
from pinnzoo.unknowns import Estimate, WithUnknowns, rebased, values_of, with_unknowns
from tests.oracles import small_network

RATE, LEVEL = 1.5, 0.25
POINTS = {"equation": 20}


def decay() -> Problem:
    """`u' = -rate u + level`, whose solution from 1 is known in closed form."""

    def equation(u, z):
        value, slope = u(z, "u u_t")
        return slope + u.unknowns["rate"] * value - u.unknowns["level"]

    rest = LEVEL / RATE
    return Problem(
        name="decay",
        domain=Box("t", (0.0,), (2.0,)),
        components=("u",),
        equation=equation,
        unknowns={"rate": Unknown(0.7, positive=True), "level": Unknown(0.0, -1.0, 1.0)},
        truth={"rate": RATE, "level": LEVEL},
        reference=Reference(lambda z: rest + (1 - rest) * jnp.exp(-RATE * z), "closed form"),
        evaluation_shape=(101,),
    )


DECAY = decay()


def relaxing(guess: float, end: float = 2.0, unit: float = 1.0) -> Problem:
    """`u' = -rate u` from 1, of which only the rate is unknown, counted in 1 / unit."""
    domain = Box("t", (0.0,), (end,))
    return Problem(
        name="relaxing",
        domain=domain,
        components=("u",),
        equation=lambda u, z: unit * (u(z, "u_t")[0] + u.unknowns["rate"] * u(z, "u")[0]),
        conditions=(pinnzoo.initial(domain, "u", 1.0),),
        unknowns={"rate": Unknown(guess)},
    )


def recipe(steps=25, **changes) -> Recipe:
    network = {"width": 6, "depth": 1}
    phases = (Phase("levenberg_marquardt", steps, resample_every=10),)
    made = Recipe("decay", "mlp", phases, architecture_arguments=network, points=POINTS)
    return dataclasses.replace(made, **changes)


def fitted(observations, **changes):
    return pinnzoo.train(
        recipe(**changes), problem=DECAY, observations=observations, diagnostics=False
    )


@pytest.fixture(scope="module")
def clean():
    return fitted(observe(DECAY, 30))


class TestUnknown:
    @pytest.mark.parametrize(
        "unknown",
        [
            Unknown(0.3),
            Unknown(0.3, positive=True),
            Unknown(0.3, lower=-1.0),
            Unknown(0.3, upper=2.0),
            Unknown(0.3, 0.0, 1.0),
            Unknown(-1e-8),
            Unknown(4e6),
        ],
    )
    def test_raw_is_the_inverse_of_value_and_value_keeps_the_bounds(self, unknown):
        low, high = unknown.bounds
        for value in (0.3, 0.9, 0.01):
            assert float(unknown.value(jnp.asarray(unknown.raw(value)))) == pytest.approx(value)
        for raw in (-9.0, 0.0, 9.0):
            assert low < float(unknown.value(jnp.asarray(raw))) < high

    def test_a_first_guess_far_from_one_is_a_unit_of_its_own(self):
        assert Unknown(-1e-8).value(jnp.asarray(2.0)) == pytest.approx(2e-8)
        assert [Unknown(guess).scale for guess in (0.0, 1.0, -500.0, 4e6)] == [1.0, 1.0, 1.0, 4e6]
        other = rebased(
            with_unknowns(small_network(DECAY), {"rate": Unknown(2e-8)}),
            {"rate": Unknown(2e-8)},
            {"rate": Unknown(1e-9)},
        )
        assert float(values_of(other, {"rate": Unknown(1e-9)})["rate"]) == pytest.approx(2e-8)

    def test_an_unknown_in_small_units_is_found(self):
        problem = relaxing(1e-8, end=2e9, unit=1e9)
        times = np.linspace(0.0, 2e9, 30)
        data = Observations(times[:, None], np.exp(-1.5e-9 * times))
        made = recipe(problem="relaxing")
        entry = pinnzoo.train(made, problem=problem, observations=data, diagnostics=False)
        assert entry.unknowns["rate"].value == pytest.approx(1.5e-9, rel=1e-3)

    def test_what_cannot_be_is_refused(self):
        with pytest.raises(RecipeError, match="above 0 and below inf"):
            Unknown(-1.0, positive=True)
        with pytest.raises(RecipeError, match="finite"):
            Unknown(float("nan"))
        with pytest.raises(RecipeError, match="truth of 'rate'"):
            dataclasses.replace(DECAY, truth={"rate": -1.0})
        with pytest.raises(RecipeError, match="give a name"):
            dataclasses.replace(DECAY, unknowns={"rate": 1.0})


class TestModel:
    def test_unknowns_are_parameters_beside_the_networks(self):
        network = small_network(DECAY)
        points = {"equation": np.array([[0.5], [1.7]])}
        theta, objective, to_model = assemble(DECAY, network, points)
        model = to_model(theta)
        assert isinstance(model, WithUnknowns)
        assert theta.size == flatten_model(network)[0].size + 2
        values = values_of(model, DECAY.unknowns)
        assert {name: float(v) for name, v in values.items()} == pytest.approx(
            {"rate": 0.7, "level": 0.0}
        )
        # The derivative with respect to them, by differences.
        jacobian = np.asarray(objective.jacobian(theta))
        for k in (-1, -2):
            step = jnp.zeros_like(theta).at[k].set(1e-6)
            change = objective.residual(theta + step) - objective.residual(theta - step)
            np.testing.assert_allclose(jacobian[:, k], change / 2e-6, rtol=1e-6, atol=1e-9)
            assert np.abs(jacobian[:, k]).min() > 1e-3

    def test_values_that_are_known_already_are_kept(self):
        model = with_unknowns(small_network(DECAY), DECAY.unknowns)
        assert with_unknowns(model, DECAY.unknowns) is model
        more = with_unknowns(model, {**DECAY.unknowns, "shift": Unknown(3.0)})
        assert float(more.unknowns["shift"][...][0]) == 3.0
        np.testing.assert_array_equal(more.unknowns["rate"][...], model.unknowns["rate"][...])
        assert with_unknowns(model, {}) is model.network

    def test_equation_that_asks_for_another_unknown_is_refused(self):
        broken = dataclasses.replace(DECAY, unknowns={}, truth={})
        with pytest.raises(UnknownNameError, match="term 'equation' of decay: unknown coefficient"):
            assemble(broken, small_network(broken), {"equation": np.array([[0.5]])})


observed: Any = Observations
"""What it takes is checked at its beginning: lists are as good as arrays."""


class TestObservations:
    def test_rows_are_weighted_misfits_and_the_last_term(self):
        sigma = np.array([0.1, 0.2, 0.4])
        data = observed([[0.1], [0.5], [1.0]], [1.0, 2.0, 3.0], sigma=sigma)
        network = small_network(DECAY)
        points = {"equation": np.array([[0.5]])}
        theta, objective, _ = assemble(DECAY, network, points, {OBSERVATIONS: 4.0}, data)
        values = np.array([float(network(jnp.asarray(z))[0]) for z in data.points])
        relative = sigma**-2 / np.mean(sigma**-2)
        expected = np.sqrt(4.0 / 3 * relative) * (values - data.values[:, 0])
        rows = objective.residual(theta)[objective.slices()[OBSERVATIONS]]
        np.testing.assert_allclose(rows, expected, rtol=1e-12)
        assert np.abs(expected).min() > 0.1

    def test_each_component_is_compared_with_its_own_values(self):
        problem = pinnzoo.PROBLEMS["heat_source"]()
        data = observed([[0.2, 0.3], [0.5, 0.5]], [[1.0, 2.0], [3.0, 4.0]], ("f", "u"))
        network = small_network(problem)
        theta, objective, _ = assemble(
            problem,
            network,
            {n: cast(Any, t.region).grid((2, 2)) for n, t in problem.terms.items()},
            observations=data,
        )
        field = np.asarray(jax.vmap(problem.constrain(network))(jnp.asarray(data.points)))
        misfit = np.concatenate([field[:, 1] - [1.0, 3.0], field[:, 0] - [2.0, 4.0]]) / 2
        rows = objective.residual(theta)[objective.slices()[OBSERVATIONS]]
        np.testing.assert_allclose(rows, misfit, rtol=1e-12)

    @pytest.mark.parametrize(
        ("arguments", "match"),
        [
            (([[0.1]], [1.0, 2.0]), "one row for each"),
            (([[0.1]], [np.nan]), "NaN or infinite"),
            (([[0.1]], ["warm"]), "not all real numbers"),
            (([[0.1]], [1.0], None, -1.0), "above zero"),
            (([[0.1]], [1.0], None, [1.0, 2.0]), "standard deviations of shape"),
            (([[0.1]], [[1.0, 2.0]], ("u",)), "name each column"),
        ],
    )
    def test_what_is_no_observation_is_refused(self, arguments, match):
        with pytest.raises(PointsError, match=match):
            Observations(*arguments)

    def test_what_is_not_of_the_problem_is_refused(self):
        with pytest.raises(PointsError, match="outside"):
            observed([[5.0]], [1.0]).check(DECAY)
        with pytest.raises(UnknownNameError, match="pressure"):
            observed([[0.5]], [1.0], ("pressure",)).check(DECAY)
        with pytest.raises(PointsError, match=r"2 columns"):
            observed([[0.5]], [[1.0, 2.0]]).check(DECAY)

    def test_points_in_single_precision_may_lie_on_a_bound(self):
        wave = dataclasses.replace(DECAY, domain=Box("t", (0.0,), (0.1,)))
        end = np.array([[0.1]], np.float32)
        assert float(end[0, 0]) > 0.1
        checked = Observations(end, np.ones(1)).check(wave)
        assert checked.check(wave).points[0, 0] == end[0, 0]
        for outside in (end * np.float32(1 + 1e-5), end.astype(float) * (1 + 1e-10)):
            with pytest.raises(PointsError, match="outside"):
                Observations(outside, np.ones(1)).check(wave)

    def test_files_of_every_kind_give_the_same(self, tmp_path):
        t, u, sigma = np.array([0.1, 0.7, 1.9]), np.array([1.0, 0.5, 0.25]), np.full(3, 0.1)
        lines = [
            "time,u,sigma",
            *(
                f"{a!r},{b!r},{c!r}"
                for a, b, c in zip(*map(np.ndarray.tolist, (t, u, sigma)), strict=True)
            ),
        ]
        (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
        np.savez(tmp_path / "a.npz", time=t, u=u, sigma=sigma)
        from scipy.io import savemat

        savemat(tmp_path / "a.mat", {"time": t, "u": u, "sigma": sigma, "about": "words"})
        for name in ("a.csv", "a.npz", "a.mat"):
            read = Observations.read(tmp_path / name, DECAY, {"t": "time"})
            np.testing.assert_array_equal(read.points[:, 0], t)
            np.testing.assert_array_equal(read.values[:, 0], u)
            np.testing.assert_array_equal(read.sigma[:, 0], sigma)  # pyright: ignore
            assert read.components == ("u",)
        with pytest.raises(PointsError, match="also need t"):
            Observations.read(tmp_path / "a.csv", DECAY)
        with pytest.raises(PointsError, match="cannot be read"):
            Observations.read(tmp_path / "absent.csv", DECAY)
        with pytest.raises(PointsError, match=r"\.csv, \.npz, \.mat"):
            Observations.read(tmp_path / "a.xlsx", DECAY)

    @pytest.mark.parametrize(
        "text",
        [
            "t;u\n0.1;1\n0.7;0.5\n",
            "t\tu\n0.1\t1\n\n0.7\t0.5",
            '"t", "u"\n0.1, 1\n0.7, 0.5\n',
            "# t,u\n1e-1,1.0\n# later:\n0.7,.5  # good\n",
            '"u, warm";t;u\n"#1, a";0.1;1\nB;0.7;0.5\n',
            'sensor,u,t\nA,1,0.1\n"B, old",0.5,0.7\n',
        ],
    )
    @pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
    def test_text_of_many_programs_is_read(self, text, encoding, tmp_path):
        (tmp_path / "a.csv").write_text(text, encoding=encoding)
        read = Observations.read(tmp_path / "a.csv", DECAY)
        np.testing.assert_array_equal(read.points[:, 0], [0.1, 0.7])
        np.testing.assert_array_equal(read.values[:, 0], [1.0, 0.5])

    @pytest.mark.parametrize(
        ("content", "says"),
        [
            (b"", "it is empty"),
            (b"\n  \n", "it is empty"),
            (b"t,u\n", "no numbers"),
            (b"t,u\n0.1,1\n\n0.2\n", "line 4 has 1 columns, and the first line 2"),
            (b"t,u\n0.1,1\n0.2,NA\n", "line 3 of the file has 'NA' in the column 'u'"),
            (b"t,u\n0.1,\n", "line 2 of the file has nothing in the column 'u'"),
            (b"t,u\n0.1,1_000\n", "line 2 of the file has '1_000' in the column 'u'"),
            (b"t;u\n0,1;1\n", "a point for decimals"),
            (b"t u\n0.1 1\n", "separate them by commas"),
            (b"t,u\n0.1,nan\n", "leave these measurements out"),
            ("t,°C\n0.1,1\n".encode("latin-1"), "save it as text in UTF-8"),
        ],
    )
    def test_text_that_cannot_be_read_is_told_its_line(self, content, says, tmp_path):
        (tmp_path / "a.csv").write_bytes(content)
        with pytest.raises(PointsError, match=says):
            Observations.read(tmp_path / "a.csv", DECAY)

    def test_arrays_of_different_shapes_are_not_paired(self, tmp_path):
        times = np.linspace(0.1, 0.9, 6).reshape(2, 3)
        for values in (times.T, times.ravel(), times[0]):
            np.savez(tmp_path / "a.npz", t=times, u=values)
            with pytest.raises(PointsError, match=r"different shapes .*meshgrid"):
                Observations.read(tmp_path / "a.npz", DECAY)
        np.savez(tmp_path / "a.npz", t=times, u=2 * times)
        read = Observations.read(tmp_path / "a.npz", DECAY)
        np.testing.assert_array_equal(read.values, 2 * read.points)

    def test_arrays_that_are_not_asked_for_may_hold_anything(self, tmp_path):
        t, objects = np.array([0.1, 0.7]), np.array([{}, None], dtype=object)
        np.savez(tmp_path / "a.npz", t=t, u=t, about=objects)
        assert Observations.read(tmp_path / "a.npz", DECAY).values.shape == (2, 1)
        with pytest.raises(PointsError, match=r"'about' of an .npz file holds objects"):
            Observations.read(tmp_path / "a.npz", DECAY, {"u": "about"})

    def test_struct_of_matlab_is_told_and_others_do_not_matter(self, tmp_path):
        from scipy.io import savemat

        t = np.array([0.1, 0.7])
        savemat(tmp_path / "a.mat", {"t": t, "u": {"values": t}})
        with pytest.raises(PointsError, match=r"'u' of a .mat file is a struct"):
            Observations.read(tmp_path / "a.mat", DECAY)
        savemat(tmp_path / "a.mat", {"t": t, "u": t, "about": {"lab": "A"}})
        assert Observations.read(tmp_path / "a.mat", DECAY).values.shape == (2, 1)

    @pytest.mark.parametrize(
        "text",
        [
            "t,u,,\n0.5,1,,\n1.5,2,,\n",
            "# from the second run\nt,u\n0.5,1\n1.5,2\n",
            "# from the second run\n# t,u\n0.5,1\n1.5,2 # late\n",
            "t,sensor,u\n0.5,#5,1\n1.5,#6,2\n",
        ],
    )
    def test_files_as_people_have_them(self, tmp_path, text):
        (tmp_path / "a.csv").write_text(text)
        read = Observations.read(tmp_path / "a.csv", DECAY)
        np.testing.assert_array_equal(read.points[:, 0], [0.5, 1.5])
        np.testing.assert_array_equal(read.values[:, 0], [1.0, 2.0])

    def test_a_column_without_a_name_that_holds_something_is_refused(self, tmp_path):
        (tmp_path / "a.csv").write_text("t,u,,\n0.5,1,,\n1.5,2,,3\n")
        with pytest.raises(PinnzooError, match="name '' stands above more than one"):
            Observations.read(tmp_path / "a.csv", DECAY)

    @pytest.mark.parametrize("name", ["Sigma", "sigma_v", "std", "u_std", "u_sigma", "err"])
    def test_column_that_looks_like_standard_deviations_is_told(self, name, tmp_path):
        (tmp_path / "a.csv").write_text(f"t,u,{name}\n0.1,1,0.2\n")
        with pytest.warns(UserWarning, match=f"column '{name}' .* is not read"):
            assert Observations.read(tmp_path / "a.csv", DECAY).sigma is None
        assert Observations.read(tmp_path / "a.csv", DECAY, {"sigma": name}).sigma is not None
        read = Observations.read(tmp_path / "a.csv", DECAY, {"u": name})
        np.testing.assert_array_equal(read.values, [[0.2]])

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    @pytest.mark.parametrize("kind", ["npz", "mat"])
    def test_axes_of_a_grid_are_told_apart_by_their_lengths(self, kind, order, tmp_path):
        """As papers publish solutions: t (5, 1), x (7, 1) and u (7, 5)."""
        problem = make_problem("heat", {})
        t, x = np.linspace(0, 1, 5), np.linspace(0, 1, 7)
        table = (t[:, None] + 10 * x).transpose(order)
        columns: dict[str, Any] = {
            "t": t[:, None],
            "x": x[:, None],
            "usol": table,
            "sigma": 0.1 * table + 1,
        }
        path = tmp_path / f"grid.{kind}"
        if kind == "npz":
            np.savez(path, **columns)
        else:
            scipy.io.savemat(path, columns)
        found = Observations.read(path, problem, {"u": "usol"})
        assert found.points.shape == (35, 2)
        np.testing.assert_allclose(found.values[:, 0], found.points @ [1, 10])
        assert found.sigma is not None
        np.testing.assert_allclose(found.sigma, 0.1 * found.values + 1)

    def test_axes_of_one_length_do_not_tell_their_order(self, tmp_path):
        same = np.linspace(0, 1, 5)
        np.savez(tmp_path / "square.npz", t=same, x=same, u=np.zeros((5, 5)))
        with pytest.raises(PointsError, match="axes of different lengths may also stand"):
            Observations.read(tmp_path / "square.npz", make_problem("heat", {}))

    def test_noise_has_the_size_that_was_asked_for_and_clean_points_stay(self):
        noisy, clean = (observe(DECAY, 4000, noise=noise) for noise in (0.1, 0.0))
        np.testing.assert_array_equal(noisy.points, clean.points)
        spread = (noisy.values - clean.values).std()
        assert spread == pytest.approx(0.1 * clean.values.std(), rel=0.05)

    def test_components_of_other_units_count_alike(self):
        """A pressure in pascals left nothing to a velocity beside it."""
        rng = np.random.default_rng(0)
        small, size = rng.standard_normal((2, 50)), 1e5
        points = np.linspace(0, 1, 50)[:, None]
        table = np.stack([small[0], size * small[1]], axis=1)
        table[3, 0] = np.nan
        both = Observations(points, table, ("u", "p"))
        expected = np.nanstd(table[:, 1]) / np.nanstd(table[:, 0])
        np.testing.assert_allclose(both.roots[4:, 0] / both.roots[4:, 1], expected, rtol=1e-12)
        assert np.nanmean(both.roots**2) == pytest.approx(1, rel=1e-12)
        assert np.isnan(both.roots[3, 0])
        own = Observations(
            points, table, ("u", "p"), sigma=np.tile(np.nanstd(table, axis=0), (50, 1))
        )
        np.testing.assert_allclose(own.roots, both.roots, rtol=1e-12)
        np.testing.assert_array_equal(Observations(points, small[0], ("u",)).roots, 1.0)
        still = Observations(points, np.stack([small[0], np.full(50, 3.0)], axis=1), ("u", "p"))
        assert np.isfinite(still.roots).all()
        nothing = Observations(points, np.zeros((50, 2)), ("u", "p"))
        np.testing.assert_array_equal(nothing.roots, 1.0)

    def test_noise_relative_to_what_is_constant_is_refused(self):
        with pytest.raises(PointsError, match=r"'u' was asked for, .*relative=False"):
            observe(DECAY, 1, noise=0.5)
        one, clean = observe(DECAY, 1, noise=0.5, relative=False), observe(DECAY, 1)
        assert one.values[0, 0] != clean.values[0, 0]


class TestGaps:
    """Not every component is measured everywhere."""

    problem = pinnzoo.PROBLEMS["heat_source"]()
    velocities = observed([[0.2, 0.3], [0.5, 0.5], [0.1, 0.9]], [1.0, 2.0, 3.0], "u", 0.1)
    sources = observed([[0.5, 0.5], [0.7, 0.2]], [4.0, 5.0], "f", [0.2, 0.4])

    def test_what_was_not_measured_has_no_row(self):
        whole = Observations.joined([self.velocities, self.sources])
        assert (whole.components, whole.n) == (("u", "f"), 5)
        rows = whole.rows(self.problem)
        at = [self.problem.components.index(name) for name in "uf"]
        assert rows[:, 3].tolist() == [at[0]] * 3 + [at[1]] * 2
        assert rows[:, 2].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
        np.testing.assert_array_equal(rows[:3, :2], self.velocities.points)
        np.testing.assert_array_equal(rows[3:, :2], self.sources.points)
        sigma = np.array([0.1, 0.1, 0.1, 0.2, 0.4])
        np.testing.assert_allclose(rows[:, 4] ** 2, sigma**-2 / np.mean(sigma**-2), rtol=1e-14)
        assert whole.noise == pytest.approx(np.mean(sigma**-2) ** -0.5)

    def test_a_list_is_what_joined_makes_of_it(self):
        entry = pinnzoo.train(
            Recipe("heat_source", "mlp", (Phase("lm", 1),), points={"equation": 5}),
            observations=[self.velocities, self.sources],
            diagnostics=False,
        )
        assert entry.observations is not None
        expected = Observations.joined([self.velocities, self.sources]).values
        np.testing.assert_array_equal(entry.observations.values, expected)

    def test_an_empty_cell_of_a_file_is_not_measured(self, tmp_path):
        (tmp_path / "a.csv").write_text("x,t,u,f\n0.2,0.3,1,\n0.5,0.5,2,4\n0.7,0.2,nan,5\n")
        read = Observations.read(tmp_path / "a.csv", self.problem)
        by_name = dict(zip(read.components or (), read.values.T, strict=True))
        np.testing.assert_array_equal(by_name["u"], [1.0, 2.0, np.nan])
        np.testing.assert_array_equal(by_name["f"], [np.nan, 4.0, 5.0])
        (tmp_path / "b.csv").write_text("x,t,u\n0.2,0.3,1\n0.5,0.5,\n")
        with pytest.raises(PointsError, match="line 3 of the file has nothing in the column 'u'"):
            Observations.read(tmp_path / "b.csv", self.problem)

    def test_one_number_holds_for_all_values(self, tmp_path):
        np.savez(tmp_path / "a.npz", t=0.5, x=[[0.1, 0.2, 0.3]], u=[[1.0, 2.0, 3.0]], sigma=[0.1])
        read = Observations.read(tmp_path / "a.npz", self.problem)
        at = self.problem.coords.index("t")
        assert read.points[:, at].tolist() == [0.5] * 3
        assert read.sigma is not None
        assert read.sigma.ravel().tolist() == [0.1] * 3

    def test_they_are_kept_in_a_file(self):
        whole = Observations.joined([self.velocities, self.sources])
        again = Observations.from_arrays(whole.to_arrays())
        for name in ("points", "values", "sigma"):
            np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))

    def test_masked_values_were_not_measured(self):
        values = np.ma.masked_array([[1.0, 2.0], [3.0, 9.0]], [[False, False], [False, True]])
        assert np.isnan(observed([[0.1, 0.1], [0.2, 0.2]], values, ("u", "f")).values[1, 1])

    @pytest.mark.parametrize(
        ("values", "sigma", "match"),
        [
            ([[1.0, np.nan], [2.0, np.nan]], None, "1 of 2 columns of values without any value"),
            ([[1.0, 2.0], [np.nan, np.nan]], None, "1 of 2 points and 0"),
            ([[1.0, np.inf], [2.0, 3.0]], None, "1 of 4 values of the observations are infinite"),
            ([[1.0, 2.0], [3.0, np.nan]], [[0.1, np.nan], [0.1, 0.1]], "1 of 3 values were given"),
        ],
    )
    def test_what_says_nothing_is_refused(self, values, sigma, match):
        with pytest.raises(PointsError, match=match):
            observed([[0.1, 0.1], [0.2, 0.2]], values, ("u", "f"), sigma)

    @pytest.mark.parametrize(
        ("sets", "match"),
        [
            ([], "of nothing were"),
            ([velocities, 1.0], "of Observations, float were"),
            ([velocities, observed([[0.1, 0.1]], [1.0])], "without the names"),
            ([velocities, observed([[0.1]], [1.0], "f")], "of 1 and 2 coordinates"),
            ([velocities, observed([[0.1, 0.1]], [1.0], "f")], "1 of 2 sets"),
        ],
    )
    def test_what_cannot_be_joined_is_told(self, sets, match):
        with pytest.raises(PointsError, match=match):
            Observations.joined(sets)


@pytest.mark.parametrize(("wrong", "sigma"), [(0, None), (2, None), (2, 0.01)])
def test_values_far_off_from_all_others_are_told(wrong, sigma):
    data = observe(DECAY, 40, noise=0.01, relative=False)
    values = data.values.copy()
    values[[5, 20][:wrong]] += 0.8
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted(Observations(data.points, values, sigma=sigma))
    off = [str(each.message) for each in told if "typical deviations" in str(each.message)]
    assert len(off) == (wrong > 0)
    if wrong:
        assert off[0].startswith("2 of 40 observations of 'u' are off")


class TestSensitivity:
    def test_equals_the_sandwich_of_the_normal_equations(self):
        rng = np.random.default_rng(0)
        jacobian, noisy = rng.normal(size=(40, 6)), slice(25, 40)
        inverse = np.linalg.inv(jacobian.T @ jacobian)
        own = inverse @ jacobian[noisy].T
        found = sensitivity(jacobian, np.array([1, 4]), noisy)
        np.testing.assert_allclose(found.covariance, (own @ own.T)[np.ix_([1, 4], [1, 4])])
        left = (np.eye(40) - jacobian @ inverse @ jacobian.T)[noisy, noisy]
        assert found.freedom == pytest.approx(np.sum(left**2))

    def test_directions_that_nothing_sees_do_no_harm(self):
        rng = np.random.default_rng(1)
        jacobian, noisy = rng.normal(size=(40, 6)), slice(20, 40)
        expected = sensitivity(jacobian, np.array([0]), noisy)
        more = np.hstack([jacobian, jacobian[:, 1:3], 1e-13 * rng.normal(size=(40, 2))])
        found = sensitivity(more, np.array([0]), noisy)
        np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-9)
        assert found.freedom == pytest.approx(expected.freedom)

    def test_what_no_row_fixes_has_an_infinite_variance(self):
        rng = np.random.default_rng(1)
        jacobian, noisy = rng.normal(size=(40, 6)), slice(20, 40)
        expected = sensitivity(jacobian, np.array([0]), noisy)
        # One that no row reads, one that network columns can do as well, two of which only the
        # sum is read.
        idle, replaced = np.zeros((40, 1)), jacobian[:, 1:2] - 3 * jacobian[:, 4:5]
        for more, open_ in (([idle], [1]), ([replaced], [1]), ([idle + 1.0, idle + 2.0], [1, 2])):
            wanted = np.array([0, *range(6, 6 + len(more))])
            found = sensitivity(np.hstack([jacobian, *more]), wanted, noisy)
            assert np.isinf(np.diagonal(found.covariance)).nonzero()[0].tolist() == open_
        few = sensitivity(np.ones((1, 2)), np.array([0, 1]), slice(0, 1))
        assert np.isinf(np.diagonal(few.covariance)).all()
        found = sensitivity(np.hstack([jacobian, idle]), np.array([0, 6]), noisy)
        np.testing.assert_allclose(found.covariance[0, 0], expected.covariance[0, 0], rtol=1e-9)

    def test_agrees_with_many_draws_of_noise(self):
        """Of a straight line, where the network is one number and both coefficients are linear."""
        rng = np.random.default_rng(2)
        x = np.linspace(0, 1, 12)
        jacobian = np.stack([np.ones(12), x], axis=1)
        found = sensitivity(jacobian, np.array([1]), slice(0, 12))
        noise = 0.3 * rng.standard_normal((20_000, 12))
        slopes = np.linalg.lstsq(jacobian, noise.T, rcond=None)[0][1]
        assert slopes.std() == pytest.approx(0.3 * np.sqrt(found.covariance[0, 0]), rel=0.03)


class TestWhatIsNotFound:
    """Values that something else than the observations decides have no standard error."""

    def fitted(self, unknowns, factor):
        """`u' = -k u`, of which `factor` computes k from the unknowns."""
        problem = dataclasses.replace(
            DECAY,
            equation=lambda u, z: u(z, "u_t")[0] + factor(u.unknowns) * u(z, "u")[0],
            unknowns=unknowns,
            truth={},
            reference=None,
        )
        times = np.linspace(0, 2, 30)
        noise = 0.01 * np.random.default_rng(0).standard_normal(30)
        data = Observations(times[:, None], np.exp(-1.5 * times) + noise, sigma=np.full(30, 0.01))
        return pinnzoo.train(recipe(), problem=problem, observations=data, diagnostics=False)

    def test_two_of_which_only_the_product_counts(self):
        with pytest.warns(UserWarning, match="'a' is not determined .* 'b' is not determined"):
            entry = self.fitted({"a": Unknown(0.5), "b": Unknown(1.0)}, lambda k: k["a"] * k["b"])
        assert all(np.isnan(each.standard_error) for each in entry.unknowns.values())

    def test_one_that_no_equation_reads(self):
        with pytest.warns(UserWarning, match="unknown 'idle' is not determined"):
            entry = self.fitted({"a": Unknown(0.5), "idle": Unknown(1.0)}, lambda k: k["a"])
        assert np.isnan(entry.unknowns["idle"].standard_error)
        assert 0 < entry.unknowns["a"].standard_error < 0.1
        assert "is not determined" in entry.metrics["unknowns"]["remarks"]["idle"]

    def alone(self, problem, steps=15):
        """What a training without observations says of the unknown `k`."""
        made = Recipe(
            problem.name,
            "mlp",
            (Phase("lm", steps),),
            architecture_arguments={"width": 6, "depth": 1},
            points={"equation": 60, "conditions": 10},
        )
        entry = pinnzoo.train(made, problem=problem, diagnostics=False)
        assert np.isnan(entry.unknowns["k"].standard_error)
        return entry

    @pytest.mark.parametrize("unknown", [Unknown(0.1), Unknown(0.1, 0.0), Unknown(0.1, 0.05, 1.0)])
    def test_one_of_which_nothing_was_measured(self, unknown):
        box = Box("tx", (0, 0), (1, 1))
        walls = [dirichlet(box, "u", "x", side) for side in ("left", "right")]
        problem = Problem(
            name="conducting",
            domain=box,
            components=("u",),
            equation=lambda u, z: u(z, "u_t")[0] - u.unknowns["k"] * u(z, "u_xx")[0],
            conditions=(initial(box, "u", lambda x: jnp.sin(jnp.pi * x)), *walls),
            unknowns={"k": unknown},
        )
        with pytest.warns(UserWarning, match="'k' is not determined .* give observations, or a"):
            entry = self.alone(problem)
        assert "is not determined" in entry.metrics["unknowns"]["remarks"]["k"]
        # The state at the end determines it.
        end = prescribe(box.face("t", 1.0), "u", lambda z: 0.4 * jnp.sin(jnp.pi * z[1]), "end")
        known = dataclasses.replace(problem, conditions=(*problem.conditions, end))
        assert self.alone(known).unknowns["k"].value == pytest.approx(0.0928, rel=0.02)

    def test_an_eigenvalue_is_determined_by_a_norm_of_its_solution(self):
        box = Box("x", (0,), (1,))
        walls = [dirichlet(box, "u", "x", side) for side in ("left", "right")]
        norm = prescribe(box.face("x", 0.0), "u_x", 1.0, "norm")
        problem = Problem(
            name="string",
            domain=box,
            components=("u",),
            equation=lambda u, z: u(z, "u_xx")[0] + u.unknowns["k"] * u(z, "u")[0],
            conditions=(*walls, norm),
            unknowns={"k": Unknown(8.0)},
        )
        entry = self.alone(problem, 30)
        assert entry.unknowns["k"].value == pytest.approx(np.pi**2, rel=1e-3)
        assert "remarks" not in entry.metrics["unknowns"]
        with pytest.warns(UserWarning, match="'k' is not determined"):
            self.alone(dataclasses.replace(problem, conditions=tuple(walls)), 30)

    def test_two_that_make_up_for_each_other(self):
        rng = np.random.default_rng(0)
        columns = rng.standard_normal((50, 3))
        jacobian = np.column_stack([columns, columns[:, 1], 1e-9 * columns[:, 2]])
        wanted = np.array([0, 1, 3, 4])
        assert undetermined(jacobian, wanted).tolist() == [False, True, True, True]

    def test_one_that_runs_into_its_bound(self):
        # With the coefficient at its bound the observations are not met either.
        with (
            pytest.warns(UserWarning, match="unknown 'a' is at its upper bound 1"),
            pytest.warns(UserWarning, match="observations are off from the solution"),
        ):
            entry = self.fitted({"a": Unknown(0.5, 0.0, 1.0)}, lambda k: k["a"])
        assert np.isnan(entry.unknowns["a"].standard_error)


def test_value_that_nothing_moves_away_from_its_bound_is_told_to_be_there():
    values = {"rate": Estimate(0.0, np.inf), "level": Estimate(0.5, np.inf)}
    told = told_of(DECAY, values)
    assert told["rate"] == "is at its lower bound 0"
    assert told["level"].startswith("is not determined")


@pytest.mark.parametrize("sigma", [None, 0.05])
def test_one_value_does_not_say_how_noisy_it_is(sigma):
    """One unknown meets it, whatever it is, so that nothing is left of the noise."""
    problem = relaxing(1.0)
    data = Observations(np.array([[1.0]]), np.array([0.25]), sigma=sigma)
    made = recipe(problem="relaxing")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        entry = pinnzoo.train(made, problem=problem, observations=data, diagnostics=False)
    (rate,) = entry.unknowns.values()
    assert rate.value == pytest.approx(-np.log(0.25), rel=0.01)
    if sigma is None:
        assert math.isnan(rate.standard_error)
        assert "not known without sigma" in entry.metrics["unknowns"]["remarks"]["rate"]
        assert any("not known without sigma" in str(each.message) for each in told)
    else:
        assert rate.standard_error == pytest.approx(sigma / 0.25, rel=0.05)


@pytest.mark.parametrize(
    ("unknown", "found", "words"),
    [
        (Unknown(1.0, positive=True), Estimate(0.7, 90.0), "may be off by 90"),
        (Unknown(1.0, positive=True), Estimate(1e-6, 0.01), "at its lower bound 0"),
        (Unknown(1.0), Estimate(0.2, 3.0), "may be off by 3"),
        (Unknown(1.0), Estimate(0.2, 0.3), None),
        (Unknown(0.0), Estimate(1e-3, 0.01), None),
    ],
)
def test_a_value_within_its_own_error_is_hardly_determined(unknown, found, words):
    problem = dataclasses.replace(DECAY, unknowns={"rate": unknown, "level": Unknown(0.0)})
    told = told_of(problem, {"rate": found})
    assert words in told["rate"] if words else not told


def test_observations_that_are_not_met_at_all_are_told():
    data = observe(DECAY, 20)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted(data, steps=1, weights={OBSERVATIONS: 1e-12})
    assert any("not met at all" in str(each.message) for each in told)


def test_windows_are_joined_where_unknowns_are_estimated():
    """Otherwise later windows know nothing of the first, and errors are too large."""
    network = {"width": 6, "depth": 1, "windows": 2, "tangent": False}
    data = observe(DECAY, 30, noise=0.01)
    made = recipe(architecture="tangent_mlp", architecture_arguments=network)
    entry = pinnzoo.train(made, problem=DECAY, observations=data, diagnostics=False)
    whole = fitted(data)
    for name, found in entry.unknowns.items():
        assert found.value == pytest.approx(whole.unknowns[name].value, abs=0.05)
        ratio = found.standard_error / whole.unknowns[name].standard_error
        assert 0.5 < ratio < 2.0


@pytest.mark.parametrize("sigma", [0.001, 0.05])
def test_a_deviation_that_the_observations_contradict_is_told(sigma):
    data = observe(DECAY, 30, noise=0.05, relative=False)
    data = Observations(data.points, data.values, sigma=sigma)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        fitted(data)
    assert any("look at its unit" in str(each.message) for each in told) == (sigma < 0.01)


class TestFieldDeviation:
    def assembled(self, sigma=None):
        network = small_network(DECAY)
        data = observed(np.linspace(0, 2, 25)[:, None], np.cos(np.linspace(0, 1, 25)), sigma=sigma)
        points = {"equation": np.linspace(0.05, 1.95, 15)[:, None]}
        return assemble(DECAY, network, points, {OBSERVATIONS: 0.5}, data), data

    def test_equals_the_spread_of_many_linear_fits(self):
        made, data = self.assembled(sigma=0.1)
        grid = np.linspace(0, 2, 7)[:, None]
        found, noise = field_deviation(made.objective, made.field, made.theta, grid, data)
        assert noise == 0.1
        rng = np.random.default_rng(0)
        jacobian = np.asarray(made.objective.jacobian(made.theta))
        rows = np.zeros((len(jacobian), 5000))
        own = made.objective.slices()[OBSERVATIONS]
        rows[own] = 0.1 * np.sqrt(0.5 / data.n) * rng.standard_normal((data.n, 5000))
        slopes = jax.vmap(jax.jacobian(made.field), (None, 0))(made.theta, jnp.asarray(grid))
        moved = np.asarray(slopes)[:, 0] @ np.linalg.lstsq(jacobian, rows, rcond=1e-9)[0]
        np.testing.assert_allclose(found[:, 0], moved.std(axis=1), rtol=0.05)

    def test_noise_that_is_not_known_is_estimated_from_what_is_left(self):
        made, data = self.assembled()
        _, noise = field_deviation(made.objective, made.field, made.theta, data.points, data)
        _, expected = estimates_at(DECAY, made.to_model(made.theta), made.objective, made.theta)
        assert noise == pytest.approx(expected, rel=1e-3)


class TestTraining:
    def test_clean_data_give_the_coefficients(self, clean):
        assert clean.metrics["relative_l2_error"] < 1e-4
        assert clean.unknowns["rate"].value == pytest.approx(RATE, rel=1e-3)
        assert clean.unknowns["level"].value == pytest.approx(LEVEL, rel=1e-3)
        block = clean.metrics["unknowns"]
        assert block["truth"] == {"rate": RATE, "level": LEVEL}
        assert block["values"]["rate"] == clean.unknowns["rate"].value

    def test_standard_errors_agree_with_draws_of_noise(self, clean):
        before = clean.observations
        noise = 0.01
        found = []
        for seed in range(12):
            drawn = np.random.default_rng(seed).standard_normal(before.values.shape)
            data = Observations(before.points, before.values + noise * drawn)
            tuned = pinnzoo.finetune(
                clean,
                steps=8,
                observations=data,
                points=POINTS,
                resample_every=0,
                adaptive=False,
                diagnostics=False,
            )
            found.append((tuned.unknowns["rate"], tuned.metrics["unknowns"]["noise"]))
        values = np.array([estimate.value for estimate, _ in found])
        stated = np.mean([estimate.standard_error for estimate, _ in found])
        # Of 12 draws the spread itself is known to 20 %.
        assert 0.5 < values.std(ddof=1) / stated < 2.0
        assert np.mean([level for _, level in found]) == pytest.approx(noise, rel=0.3)
        assert np.sum(np.abs(values - RATE) < 2 * stated) >= 9

    def test_entry_keeps_observations_and_loads_alone(self, clean, tmp_path):
        stored = clean.save(tmp_path / "entry")
        assert "observations.npz" in EntryFolder.open(stored).manifest["files"]
        read: Any = pinnzoo.load(str(stored), problem=DECAY)
        assert read.unknowns == clean.unknowns
        np.testing.assert_array_equal(read.observations.values, clean.observations.values)
        again = pickle.loads(pickle.dumps(pinnzoo.load(str(stored), problem=DECAY).observations))
        np.testing.assert_array_equal(again.points, clean.observations.points)
        points = np.array([[0.3], [1.2]])
        np.testing.assert_allclose(read.residual(points), clean.residual(points), atol=1e-12)
        assert np.abs(read.residual(points)).max() < 1e-2
        card = entry_card(summarize(EntryFolder.open(stored)), DECAY)
        assert f"| rate | {clean.unknowns['rate'].value:.8g} |" in card

    def test_changed_observations_are_noticed(self, clean, tmp_path):
        from pinnzoo.storage.arrays import pack
        from pinnzoo.storage.folder import record

        stored = clean.save(tmp_path / "entry")
        file = stored / "observations.npz"
        file.write_bytes(pack({"points": np.zeros((2, 1))}))
        with pytest.raises(IntegrityError):
            pinnzoo.load(str(stored), problem=DECAY, verify="all")
        assert record(file.read_bytes())

    def test_points_are_never_drawn_anew_and_other_observations_do_not_resume(self, tmp_path):
        data = observe(DECAY, 9)
        run: dict[str, Any] = dict(
            problem=DECAY, observations=data, diagnostics=False, workdir=tmp_path / "run"
        )
        phases = (Phase("levenberg_marquardt", 4, resample_every=2, adaptive=True),)
        entry = pinnzoo.train(recipe(phases=phases), **run)
        kept = np.load(tmp_path / "run" / "state.npz")["points/observations"]
        np.testing.assert_array_equal(kept, data.rows(DECAY))
        assert pinnzoo.train(recipe(phases=phases), **run).unknowns == entry.unknowns
        other: Any = observe(DECAY, 9, seed=1)
        with pytest.raises(RecipeError, match="other observations"):
            pinnzoo.train(recipe(phases=phases), **{**run, "observations": other})

    # They are far from the end after so few steps.
    @pytest.mark.filterwarnings("ignore:the unknown .rate. is not determined")
    @pytest.mark.parametrize("optimizer", ["adam", "lbfgs", "soap", "ssbroyden"])
    def test_other_optimizers_train_unknowns_too(self, optimizer):
        entry = fitted(observe(DECAY, 10), phases=(Phase(optimizer, 3),))
        assert entry.unknowns["rate"].value != pytest.approx(0.7, rel=1e-9)

    @pytest.mark.usefixtures("small_diagnostics")
    def test_diagnostics_and_weights_know_the_observations(self, clean):
        done = clean.diagnosed(["ntk", "loss_hessian"])
        assert set(done.ntk.terms) == {"equation"}
        assert done.observations is clean.observations
        louder = recipe(weights={OBSERVATIONS: 9.0})
        trace = dataclasses.replace(clean, recipe=louder).diagnosed(["loss_hessian"]).metrics
        assert trace["loss_hessian"]["final"] != done.metrics["loss_hessian"]["final"]
        with pytest.raises(RecipeError, match="weights for"):
            pinnzoo.train(
                recipe(phases=(Phase("lm", 1, weights={OBSERVATIONS: 2.0}),)), problem=DECAY
            )

    def test_what_was_frozen_is_no_part_of_the_fit(self):
        noisy = observe(DECAY, 30, noise=0.05, seed=1)
        lm = "levenberg_marquardt"

        def both(*frozen):
            phases = tuple(Phase(lm, 3, freeze=each) for each in frozen)
            return fitted(noisy, phases=phases)

        with pytest.warns(UserWarning, match="'rate' was frozen in all phases"):
            kept = both(("unknowns.rate",), ("unknowns.rate", "network.output"))
        assert kept.unknowns["rate"].value == pytest.approx(0.7)
        assert np.isnan(kept.unknowns["rate"].standard_error)
        assert kept.metrics["unknowns"]["remarks"] == {"rate": "was frozen in all phases"}
        assert kept.unknowns["level"].standard_error > 0
        with pytest.warns(UserWarning, match="'rate' was frozen in all phases, and 'level' was"):
            all_kept = both(("unknowns",))
        assert all_kept.metrics["unknowns"]["noise"] > 0
        # One that a phase trained is not frozen.
        assert both(("unknowns",), ("network.hidden",)).unknowns["rate"].standard_error > 0
        stiff = both(("network",))
        points = draw_points(DECAY, POINTS, "sobol", 0, 0)
        theta, objective, _ = assemble(DECAY, stiff.model, points, observations=noisy)
        jacobian = np.asarray(jax.jacrev(objective.residual)(theta))[:, -2:]
        inverse = np.linalg.pinv(jacobian)[:, objective.slices()[OBSERVATIONS]]
        scale = float(next(t.scale for t in objective.terms if t.name == OBSERVATIONS))
        noise = stiff.metrics["unknowns"]["noise"]
        errors = noise * scale * np.sqrt(np.diagonal(inverse @ inverse.T))
        level, rate = (stiff.unknowns[name] for name in ("level", "rate"))
        # The raw number of a positive unknown is its logarithm, of one with bounds a logistic.
        slopes = [(1 - level.value**2) / 2, rate.value]
        found = [level.standard_error, rate.standard_error]
        np.testing.assert_allclose(found, errors * slopes, rtol=1e-6)

    def test_it_goes_on_without_what_was_measured(self):
        before = fitted(observe(DECAY, 30, noise=0.05, seed=1))
        with pytest.warns(UserWarning, match="observation"):
            after = pinnzoo.finetune(
                before, steps=1, problem=DECAY, observations=[], diagnostics=False
            )
        assert after.observations is None

    @pytest.mark.parametrize("freeze", ["network", "network.hidden", "unknowns.level"])
    def test_what_was_frozen_later_was_fitted_before(self, freeze):
        before = fitted(observe(DECAY, 30, noise=0.05, seed=1))
        options: Any = {"freeze": freeze, "diagnostics": False}
        if freeze == "unknowns.level":
            with pytest.warns(UserWarning, match="'level' was frozen in all phases"):
                after = pinnzoo.finetune(before, "lm", 2, problem=DECAY, **options)
        else:
            after = pinnzoo.finetune(before, "lm", 2, problem=DECAY, **options)
        errors = [entry.unknowns["rate"].standard_error for entry in (before, after)]
        assert errors[1] == pytest.approx(errors[0], rel=0.2)

    def test_without_observations_there_are_values_but_no_standard_errors(self):
        found, noise = estimate_unknowns(
            DECAY, with_unknowns(small_network(DECAY), DECAY.unknowns), None, {}
        )
        assert np.isnan(found["rate"].standard_error)
        assert noise is None
        blind = dataclasses.replace(DECAY, truth={})
        with pytest.raises(PinnzooError, match="rate"):
            residual(blind, lambda z: z, [[0.5]])


STRESS = Problem(
    name="stress",
    domain=Box("x", (0,), (1,)),
    components=("sigma", "u"),
    equation=lambda u, z: u(z, "sigma_x")[0] - u(z, "u")[0],
)


def test_a_component_called_sigma_is_no_standard_deviation(tmp_path):
    file = tmp_path / "stress.csv"
    file.write_text("x,sigma\n0.1,-2\n0.2,20\n")
    read = Observations.read(file, STRESS)
    assert read.sigma is None
    assert read.values.ravel().tolist() == [-2, 20]
    file.write_text("x,sigma,std\n0.1,-2,0.5\n0.2,20,0.25\n")
    read = Observations.read(file, STRESS)
    assert read.sigma is not None
    assert read.sigma.ravel().tolist() == [0.5, 0.25]


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e300])
def test_standard_deviations_of_any_size_weigh_values(unit):
    points, values = np.array([[0.1], [0.2]]), np.array([[1.0], [2.0]])
    measured = Observations(points, values, ("u",), unit * np.array([1.0, 2.0]))
    # Weights 1 and 1/4 in the mean.
    assert measured.noise == pytest.approx(unit * np.sqrt(2 / (1 + 1 / 4)), rel=1e-12)
    np.testing.assert_allclose(measured.rows(STRESS)[:, -1] ** 2, [1.6, 0.4], rtol=1e-12)


def test_each_component_may_have_a_column_of_standard_deviations(tmp_path):
    file = tmp_path / "flow.csv"

    def read(text, columns=None):
        file.write_text(text)
        return Observations.read(file, STRESS, columns).sigma

    found = read("x,sigma,u,std_u,std_sigma\n0.1,1,2,0.3,0.4\n0.2,,3,0.5,\n")
    np.testing.assert_array_equal(found, [[0.4, 0.3], [np.nan, 0.5]])
    found = read("x,sigma,u,e,f\n0.1,1,2,0.3,0.4\n", {"std_u": "e", "std_sigma": "f"})
    np.testing.assert_array_equal(found, [[0.4, 0.3]])
    np.testing.assert_array_equal(read("x,u,std_u\n0.1,1,0.3\n"), [[0.3]])
    one_of_two = "x,sigma,u,std_u\n0.1,1,2,0.3\n"
    with pytest.raises(PinnzooError, match=r"'std_u' .* one for each \(std_sigma, std_u\)"):
        read(one_of_two)
    with pytest.raises(PinnzooError, match="'std', 'std_u' for the components"):
        read("x,u,std,std_u\n0.1,1,2,0.3\n")


def test_a_column_of_a_file_is_read_as_one_quantity(tmp_path):
    heat = make_problem("heat", {})
    file = tmp_path / "table.csv"
    file.write_text("t,x,sigma\n0.1,0.2,3\n0.2,0.4,4\n")
    read = Observations.read(file, heat, {"u": "sigma"})
    assert read.sigma is None
    assert read.values.ravel().tolist() == [3, 4]
    two = dataclasses.replace(heat, components=("u", "v"), conditions=(), reference=None)
    file.write_text("t,x,v\n0.1,0.2,3\n0.2,0.4,4\n")
    assert Observations.read(file, two, {"u": "v"}).components == ("u",)
    file.write_text("t,x,v,u\n0.1,0.2,3,4\n")
    exchanged = Observations.read(file, two, {"u": "v", "v": "u"})
    assert exchanged.values.tolist() == [[3, 4]]
    for columns, says in (
        ({"x": "t"}, "leaves none for 't'"),
        ({"u": "v", "v": "v"}, "named for 'u' and for 'v'"),
    ):
        with pytest.raises(PointsError, match=says):
            Observations.read(file, two, columns)


class Table:
    """What a data frame does that is asked of one here."""

    def __init__(self, **columns):
        self.data, self.columns = columns, list(columns)

    def __getitem__(self, names):
        return Table(**{name: self.data[name] for name in names})

    def __array__(self, dtype=None, copy=None):
        return np.stack([np.asarray(column, float) for column in self.data.values()], axis=1)


def test_columns_of_a_data_frame_are_its_components():
    table: Any = Table(v=[1.0, 2.0], u=[10.0, 20.0])
    points = np.array([[0.1], [0.2]])
    named = Observations(points, table)
    assert named.components == ("v", "u")
    ordered = Observations(points, table, components=("u", "v"))
    assert ordered.values.tolist() == [[10, 1], [20, 2]]
    other: Any = Table(first=[1.0, 2.0])
    renamed = Observations(points, other, components=("u",))
    assert renamed.components == ("u",)
    with pytest.raises(PointsError, match="name the columns as the components"):
        Observations(points, table, components=("u", "w"))


def test_standard_deviations_in_a_data_frame_go_by_its_names():
    table: Any = Table(v=[1.0, 2.0], u=[10.0, 20.0])
    sigma: Any = Table(v=[0.1, 0.2], u=[0.01, 0.02], w=[1.0, 1.0])
    points = np.array([[0.1], [0.2]])
    by_components = Observations(points, table, ("u", "v"), sigma).sigma
    assert by_components is not None
    assert by_components.tolist() == [[0.01, 0.1], [0.02, 0.2]]
    by_values = Observations(points, table, None, sigma[["u", "v"]]).sigma
    assert by_values is not None
    assert by_values.tolist() == [[0.1, 0.01], [0.2, 0.02]]
    one: Any = Table(deviation=[0.1, 0.2])
    assert Observations(points, table, None, one).sigma.tolist() == [[0.1, 0.1], [0.2, 0.2]]  # pyright: ignore
    other: Any = Table(v=[0.1, 0.2], w=[0.1, 0.2])
    for values in (table, np.ones((2, 2))):
        with pytest.raises(PointsError, match="name both alike"):
            Observations(points, values, None, other)


def test_a_network_of_ones_own_needs_values_of_the_unknowns():
    found = {"rate": 1.25, "level": 0.5}

    def made(model, **options):
        return pinnzoo.Entry.from_model(
            DECAY, model, architecture="bare", points=POINTS, diagnostics=False, **options
        )

    model = small_network(DECAY)
    for given, says in (
        ({}, "without a value of 'rate', 'level' was given"),
        ({"rate": 1.0}, "without a value of 'level' was given"),
        (found | {"rat": 1.0}, "of the unknown 'rat' was given"),
        (found | {"rate": -1.0}, "give one above 0"),
    ):
        with pytest.raises(RecipeError, match=says):
            made(model, unknowns=given)
    blind = pytest.warns(UserWarning, match="'rate' is not determined")
    with blind:
        entry = made(model, unknowns=found)
    assert {name: each.value for name, each in entry.unknowns.items()} == pytest.approx(found)
    # The network of `assemble` holds them.
    theta, _, to_model = assemble(DECAY, model, {"equation": np.array([[0.5]])})
    with blind:
        entry = made(to_model(theta))
    assert entry.unknowns["rate"].value == pytest.approx(0.7)


def test_an_entry_with_unknowns_is_named_after_the_network_inside():
    class MyNet(nnx.Module):
        def __init__(self):
            self.inside = small_network(DECAY)

        def __call__(self, z):
            return self.inside(z)  # pyright: ignore[reportCallIssue]

    with pytest.warns(UserWarning, match="'rate' is not determined"):
        entry = pinnzoo.Entry.from_model(
            DECAY,
            MyNet(),
            unknowns={"rate": 1.25, "level": 0.5},
            points=POINTS,
            diagnostics=False,
        )
    assert entry.recipe.architecture == "my_net"


@pytest.mark.parametrize("raw", [-1e4, 1e4])
def test_an_unknown_that_the_data_would_have_infinite_has_derivatives(raw):
    """Of its inverse and its square, as of a capacity that growth has not come near to yet."""
    positive = Unknown(1.0, positive=True)
    for function in (lambda k: 1 / k, lambda k: k**2):
        value, slope = jax.value_and_grad(lambda r, f=function: f(positive.value(r)))(raw)
        assert np.isfinite(value)
        assert slope == 0


# --- the wake, whose period is read off the measurements

INVERSE = runpy.run_path(str(Path(__file__).parent.parent / "scripts" / "inverse_problems.py"))


def test_the_period_of_what_is_measured_at_scattered_points_is_found():
    points = np.random.default_rng(0).uniform((0, 1, -1), (9, 3, 1), (400, 3))
    angle = 2 * np.pi * points[:, 0] / 3.7
    values = points[:, 1] * np.cos(angle) - points[:, 2] ** 2 * np.sin(angle) + points[:, 1]
    data = Observations(points, values)
    assert INVERSE["measured_period"](data, 2.0, 9.0) == pytest.approx(3.7, abs=1e-4)


def test_the_recipe_of_the_wake_states_the_period_that_was_measured():
    case = INVERSE["CASES"]["cylinder_wake_inverse"]
    found = INVERSE["measured_period"](INVERSE["observations"](case, 0), 5.5, 6.5)
    assert case.recipe.problem_arguments == {"period": pytest.approx(found, abs=1e-3)}


def test_networks_of_the_wake_see_the_phase_beside_the_time():
    plain, told = (make_problem("cylinder_wake_inverse", a) for a in ({}, {"period": 2.5}))
    assert (plain.network_inputs, told.network_inputs) == (3, 5)
    place = jnp.array([0.7, 3.0, 1.0])
    seen, later = (np.asarray(told.constrain(lambda i: i)(place.at[0].add(t))) for t in (0.0, 5.0))
    np.testing.assert_allclose(later[3:], seen[3:], atol=1e-12)
    assert later[0] != seen[0]
    np.testing.assert_allclose(np.hypot(*seen[3:]), 1.0)
    with pytest.raises(RecipeError, match="period"):
        make_problem("cylinder_wake_inverse", {"period": -1.0})
