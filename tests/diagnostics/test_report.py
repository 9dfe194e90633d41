import json

import numpy as np
import pytest

from pinnzoo import diagnostics
from pinnzoo.pdes import make_problem
from tests.diagnostics.oracles import dense_loss_hessian, moved, points_of, small


@pytest.fixture(scope="module")
def parts():
    at = small(terms=2)
    theta, objective, final = np.asarray(at.theta), at.objective, moved(at.theta)
    points = points_of(make_problem("burgers", {}), 12, seed=3)
    points = {name: points[name] for name in ("equation", "initial")}
    snapshots = diagnostics.ntk_snapshots(objective, [0, 5], np.stack([theta, final]), points)
    where = points["equation"][:2]
    return theta, final, objective, snapshots, where


@pytest.fixture(scope="module")
def report(parts):
    theta, final, objective, snapshots, where = parts
    return diagnostics.report(objective, theta, final, snapshots, where)


def test_report_survives_json_unchanged(report):
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert set(report) == {"ntk", "residual_hessian", "loss_hessian"}


def test_reported_ntk_is_that_of_first_and_last_snapshot(report, parts):
    snapshots = parts[3]
    ntk = report["ntk"]
    assert ntk["points"] == {"equation": 12, "initial": 6}
    assert set(ntk["drift"]) == {"all", "equation", "initial"}
    for norm in ("spectral", "frobenius"):
        assert ntk["drift"]["all"][norm] == snapshots.drift(norm)[-1] > 0
        assert ntk["drift"]["initial"][norm] == snapshots.drift(norm, "initial")[-1] > 0
    for when, index in (("initial", 0), ("final", 1)):
        values = np.linalg.eigvalsh(snapshots.kernels[index])[::-1]
        assert ntk[when]["norm"] == pytest.approx(values[0], rel=1e-12)
        assert ntk[when]["effective_rank"] == snapshots.effective_rank()[index]
        np.testing.assert_allclose(ntk[when]["eigenvalues"], values[:10], rtol=1e-6)
    assert ntk["initial"] != ntk["final"]


def test_reported_hessians_are_those_at_both_ends(report, parts):
    theta, final, objective, _, where = parts
    for when, at in (("initial", theta), ("final", final)):
        values = np.linalg.eigvalsh(dense_loss_hessian(objective, at))
        wanted = {"largest": values[-1], "smallest": values[0], "trace": values.sum()}
        # It was formed, so that nothing is uncertain.
        exact = {"smallest_error": 0.0, "trace_error": 0.0}
        assert report["loss_hessian"][when] == pytest.approx(wanted | exact, rel=1e-8)
        magnitude = diagnostics.residual_hessian_norms(objective, at, where)
        assert report["residual_hessian"][when] == {
            "mean": magnitude.mean,
            "max": magnitude.max,
            "sparsity": magnitude.sparsity,
        }
    assert report["residual_hessian"]["points"] == 2
    assert report["residual_hessian"]["initial"] != report["residual_hessian"]["final"]


def test_errors_of_a_hessian_that_was_not_formed_are_stated(parts):
    theta, final, objective, ntk, where = parts
    made = diagnostics.report(objective, theta, final, ntk, where, dense_limit=3)
    exact = np.linalg.eigvalsh(dense_loss_hessian(objective, final))
    told = made["loss_hessian"]["final"]
    assert told["trace_error"] > 0
    assert abs(told["trace"] - exact.sum()) < 5 * told["trace_error"]
    assert told["smallest"] > exact[0] - 1e-12 * exact[-1]
    assert np.abs(exact - told["smallest"]).min() <= told["smallest_error"] + 1e-12 * exact[-1]
