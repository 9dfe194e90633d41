"""Compiling beside other work: each program once, failures where they are waited for."""

import dataclasses
import importlib
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pinnzoo.diagnostics import Study, begin_blocks, compute_blocks
from pinnzoo.diagnostics import _programs as programs
from pinnzoo.pdes import make_problem
from tests.diagnostics.oracles import moved, points_of, small

X = jnp.arange(3.0)


def fresh():
    return jax.jit(lambda x: x * 2 + 1)


def test_what_was_begun_is_waited_for_and_not_compiled_again(monkeypatch):
    lowered, program, told = [], fresh(), []
    begin = programs.Compilation
    monkeypatch.setattr(programs, "Compilation", lambda low: (lowered.append(low), begin(low))[1])
    programs.begin_compiling(program, X)
    programs.begin_compiling(program, X)
    programs.compile_for(program, X, tick=told.append, text="waiting")
    assert len(lowered) == 1
    assert "waiting" in told
    assert not programs._begun
    programs.begin_compiling(program, jnp.arange(4.0))
    assert len(lowered) == 2
    programs.compile_for(program, jnp.arange(4.0), tick=told.append, text="waiting")


def test_the_caller_is_told_meanwhile_and_gets_the_failure(monkeypatch):
    release, told = threading.Event(), []

    class Lowered:
        def compile(self):
            release.wait(10)
            raise MemoryError("too large")

    def tick(text):
        told.append(text)
        if len(told) == 3:
            release.set()

    monkeypatch.setattr(programs, "POLL", 0.01)
    with pytest.raises(MemoryError, match="too large"):
        programs._wait(programs.Compilation(Lowered()), tick, "compiling")
    assert len(told) >= 3


def test_what_diagnostics_begin_is_what_they_wait_for(monkeypatch):
    """Nothing is left over: what was begun with other shapes would be compiled for nobody."""
    # A function of the package has the module's name.
    module = importlib.import_module("pinnzoo.diagnostics.report")
    monkeypatch.setattr(module, "DENSE_LIMIT", 0)
    at, problem = small(terms=2), make_problem("burgers", {})
    problem = dataclasses.replace(problem, conditions=problem.conditions[:1])
    points = points_of(problem, 12, seed=3)
    thetas = np.stack([np.asarray(at.theta), moved(at.theta)])
    study = Study(problem, at.objective, np.array([0, 5]), thetas, points, points["equation"][:2])
    made = []
    begin = programs.Compilation
    monkeypatch.setattr(programs, "Compilation", lambda low: (made.append(low), begin(low))[1])
    begin_blocks(study, ["ntk", "residual_hessian", "loss_hessian"])
    # The Jacobian of each of the two terms, and a program for each kind of Hessian.
    assert len(programs._begun) == len(made) == 4
    compute_blocks(study, ["ntk", "residual_hessian", "loss_hessian"])
    assert not programs._begun
