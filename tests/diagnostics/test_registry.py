import dataclasses
import json
from importlib.metadata import EntryPoint

import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo import diagnostics
from pinnzoo.cards import words
from pinnzoo.diagnostics import DIAGNOSTICS, Diagnostic, DiagnosticError, Study
from pinnzoo.diagnostics.registry import RESERVED, flatten_block
from pinnzoo.errors import PinnzooError, RegistrationError, UnknownNameError
from pinnzoo.measure import check_diagnostics
from pinnzoo.pdes import make_problem
from pinnzoo.storage.metrics import BLOCKS
from tests.diagnostics.oracles import moved, points_of, small


@pytest.fixture(autouse=True)
def own_table(monkeypatch):
    monkeypatch.setattr("pinnzoo.diagnostics.registry.DIAGNOSTICS", table := dict(DIAGNOSTICS))
    monkeypatch.setitem(globals(), "DIAGNOSTICS", table)
    monkeypatch.setattr("pinnzoo.registry._titles", {})


@pytest.fixture(scope="module")
def study():
    problem = make_problem("burgers", {})
    problem = dataclasses.replace(problem, conditions=problem.conditions[:1])
    at = small(terms=2)
    points = points_of(problem, 12, seed=3)
    thetas = np.stack([np.asarray(at.theta), moved(at.theta)])
    return Study(problem, at.objective, np.array([0, 5]), thetas, points, points["equation"][:2])


def mean_residual(study):
    values = np.asarray(study.objective.residual(jnp.asarray(study.final)))
    return {"mean": float(np.abs(values).mean())}


def giving(value):
    def given(study):
        return value

    return given


def test_a_diagnostic_of_ones_own_is_a_block_beside_the_others(study):
    assert diagnostics.register_diagnostic(mean_residual) is mean_residual
    blocks = diagnostics.compute_blocks(study)
    assert list(blocks) == ["ntk", "residual_hessian", "loss_hessian", "mean_residual"]
    residual = np.asarray(study.objective.residual(jnp.asarray(study.final)))
    assert blocks["mean_residual"] == {"version": 1, "mean": np.abs(residual).mean()}
    assert json.loads(json.dumps(blocks, allow_nan=False)) == blocks


def test_built_in_blocks_are_those_of_the_report(study):
    blocks = diagnostics.compute_blocks(study)
    wanted = diagnostics.report(
        study.objective, study.initial, study.final, study.ntk, study.hessian_points
    )
    assert blocks == {name: {"version": 1, **block} for name, block in wanted.items()}


def test_only_the_named_diagnostics_are_computed(study):
    diagnostics.register_diagnostic(mean_residual, title="Residual", version=3)
    blocks = diagnostics.compute_blocks(study, ["mean_residual"])
    assert list(blocks) == ["mean_residual"]
    assert blocks["mean_residual"]["version"] == 3
    with pytest.raises(UnknownNameError, match="mean_residual"):
        diagnostics.compute_blocks(study, ["mean_residul"])


def test_kernels_are_computed_once_for_all_diagnostics(study):
    assert study.ntk is study.ntk
    assert study.ntk.steps.tolist() == [0, 5]
    diagnostics.register_diagnostic(giving({"norm": study.ntk.norms()[-1]}), name="norm")
    block = diagnostics.compute_blocks(study, ["norm"])["norm"]
    assert block["norm"] == study.ntk.norms()[-1]
    assert type(block["norm"]) is float


def test_another_diagnostic_of_the_same_name_is_refused_and_the_same_again_is_not():
    diagnostics.register_diagnostic(mean_residual)
    diagnostics.register_diagnostic(mean_residual)
    own = Diagnostic("own", "Own", 1, mean_residual, flatten_block)
    assert diagnostics.register_diagnostic(own) is own
    diagnostics.register_diagnostic(own)
    diagnostics.register_diagnostic(DIAGNOSTICS["ntk"])
    for name in ("mean_residual", "own", "ntk"):
        with pytest.raises(RegistrationError, match="has taken: give another with name="):
            diagnostics.register_diagnostic(giving({}), name=name)
    with pytest.raises(DiagnosticError, match="give it alone"):
        diagnostics.register_diagnostic(own, title="Other")


def test_an_edited_diagnostic_takes_the_place_of_its_older_self():
    for value in (1.0, 2.0):
        # What a cell of a notebook does that is executed again.
        diagnostics.register_diagnostic(giving({"value": value}), name="edited", version=int(value))
    assert DIAGNOSTICS["edited"].version == 2
    assert DIAGNOSTICS["edited"].compute(None) == {"value": 2.0}  # pyright: ignore


def test_the_title_of_an_own_diagnostic_is_known_wherever_names_are_written():
    diagnostics.register_diagnostic(mean_residual, title="Mean of |r|")
    assert words.title("mean_residual") == "Mean of |r|"
    assert words.title("ntk") == words.TITLES["ntk"]


@pytest.mark.parametrize("name", ["", "two words", "<lambda>", 3, "loss", "format"])
def test_names_that_cannot_be_a_key_are_refused(name):
    with pytest.raises(RegistrationError, match="name="):
        diagnostics.register_diagnostic(mean_residual, name=name)
    assert "loss" in RESERVED


def test_blocks_that_are_no_diagnostics_keep_their_names():
    own = {name for name, _ in BLOCKS} - set(DIAGNOSTICS)
    assert "weighting" in own
    assert own <= RESERVED


def test_what_is_no_function_and_versions_that_are_no_number_are_refused():
    with pytest.raises(DiagnosticError, match="function of a Study"):
        diagnostics.register_diagnostic(3)  # pyright: ignore
    for version in (0, True, "1"):
        with pytest.raises(DiagnosticError, match="version"):
            diagnostics.register_diagnostic(mean_residual, version=version)  # pyright: ignore


def test_numbers_of_numpy_and_jax_become_those_of_python(study):
    given = {
        "f": np.float32(0.5),
        "i": np.int64(3),
        "j": jnp.asarray(2.0),
        "list": (np.float64(1.0), [np.arange(2)]),
        "text": "yes",
        "there is none": None,
    }
    diagnostics.register_diagnostic(giving(given), name="mixed")
    block = diagnostics.compute_blocks(study, ["mixed"])["mixed"]
    wanted = {"f": 0.5, "i": 3, "j": 2.0, "list": [1.0, [[0, 1]]]}
    wanted |= {"text": "yes", "there is none": None}
    assert block == {"version": 1, **wanted}
    assert json.loads(json.dumps(block)) == block


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"a": {"b": float("nan")}}, r"own\.a\.b is nan"),
        ({"a": [1.0, np.inf]}, r"own\.a\[1\] is inf"),
        ({"a": np.array([np.nan])}, r"own\.a\[0\] is nan"),
        ({"a": object()}, "type object"),
        ({"a": 1j}, "type complex"),
        ({1: 2.0}, "keys must be strings"),
        ({"version": 2}, "'version'"),
        (3.0, "returned a float"),
    ],
)
def test_blocks_that_json_cannot_hold_are_refused_by_their_place(study, given, message):
    diagnostics.register_diagnostic(giving(given), name="own")
    with pytest.raises(DiagnosticError, match=message):
        diagnostics.compute_blocks(study, ["own"])


def test_a_diagnostic_that_fails_is_named_and_one_that_is_interrupted_is_not_caught(study):
    def broken(study):
        return {"mean": 1 / 0}

    def interrupted(study):
        raise KeyboardInterrupt

    diagnostics.register_diagnostic(broken)
    diagnostics.register_diagnostic(interrupted)
    with pytest.raises(PinnzooError, match="'broken' failed with ZeroDivisionError"):
        diagnostics.compute_blocks(study, ["broken"])
    with pytest.raises(KeyboardInterrupt):
        diagnostics.compute_blocks(study, ["interrupted"])


def test_rows_are_the_numbers_of_the_block():
    block = {
        "version": 1,
        "mean": 2.0,
        "at_end": {"norms": [1.0, 3.0], "kind": "x"},
        "m": [[1], [2]],
    }
    assert flatten_block(block) == [
        ("mean", 2.0),
        ("at end norms", 1.0, 3.0),
        ("at end kind", "x"),
        ("m 1", 1),
        ("m 2", 2),
    ]
    assert DIAGNOSTICS["ntk"].rows is flatten_block


def test_what_is_on_demand_is_computed_by_name_only(study):
    def slow(study):
        return {"steps": int(study.steps[-1])}

    diagnostics.register_diagnostic(slow, on_demand=True)
    assert DIAGNOSTICS["slow"].on_demand
    assert "slow" not in diagnostics.compute_blocks(study)
    assert diagnostics.compute_blocks(study, ["slow"])["slow"]["version"] == 1
    with pytest.raises(DiagnosticError, match="on_demand"):
        diagnostics.register_diagnostic(DIAGNOSTICS["ntk"], on_demand=True)


def offer(monkeypatch, **places):
    """Let installed packages offer diagnostics, each at one place or at several."""
    points = {
        name: [EntryPoint(name, each, "pinnzoo.diagnostics") for each in np.atleast_1d(at).tolist()]
        for name, at in places.items()
    }
    monkeypatch.setattr("pinnzoo.registry._offered", lambda _: points)


HERE = "tests.diagnostics.test_registry"


def test_a_function_that_a_package_offers_is_a_diagnostic_on_demand(study, monkeypatch):
    offer(monkeypatch, growth=f"{HERE}:mean_residual")
    blocks = diagnostics.compute_blocks(study, ["growth"])
    assert blocks["growth"]["mean"] > 0
    assert check_diagnostics(["growth"]) == ["growth"]
    # It is in the table now, and training goes on without it.
    assert "growth" not in check_diagnostics(None)
    assert DIAGNOSTICS["growth"].title == "Growth"


READY = Diagnostic("ready", "Ready", 3, mean_residual, flatten_block)


def test_a_whole_diagnostic_that_a_package_offers_keeps_its_version(study, monkeypatch):
    offer(monkeypatch, ready=f"{HERE}:READY")
    assert diagnostics.compute_blocks(study, ["ready"])["ready"]["version"] == 3


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("no_such_module:mean", "cannot be used .ModuleNotFoundError"),
        (f"{HERE}:HERE", "cannot be used .DiagnosticError"),
        ("tests.diagnostics.without_licence:mean", "cannot be used .SystemExit: no licence"),
        ([f"{HERE}:mean_residual", "other:mean"], "and by 'tests.diagnostics.test_registry:mean"),
    ],
)
def test_a_package_whose_offer_is_of_no_use_is_named(place, said, monkeypatch):
    offer(monkeypatch, growth=place)
    with pytest.raises(RegistrationError, match=said):
        check_diagnostics(["growth"])
    assert "growth" not in DIAGNOSTICS


def test_what_is_offered_as_a_problem_is_a_function(monkeypatch):
    offer(monkeypatch, melting=f"{HERE}:HERE")
    with pytest.raises(RegistrationError, match="it is of the type str, no function"):
        make_problem("melting", {})
