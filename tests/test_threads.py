import importlib
import threading

import jax.numpy as jnp
import numpy as np
import pytest
from threadpoolctl import threadpool_info

from pinnzoo import _threads
from pinnzoo._threads import WORTH_THREADS, one_thread, threads_for
from pinnzoo.optimizers import levenberg_marquardt
from tests.diagnostics.oracles import moved, small


def counts():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    """The tests' own setting is one."""
    libraries = _threads._controller().lib_controllers
    before = [library.num_threads for library in libraries]

    def put(numbers):
        for library, number in zip(libraries, numbers, strict=True):
            library.set_num_threads(number)
            # Or nobody else may set it while this thread lives.
            library.clear_controlling_thread(force=True)

    put([2] * len(libraries))
    yield
    assert counts() == {2}
    put(before)


def test_small_work_has_one_thread_and_large_work_all():
    with threads_for(WORTH_THREADS):
        assert counts() == {2}
    with threads_for(WORTH_THREADS / 2):
        assert counts() == {1}
    assert counts() == {2}


def overlap(work):
    """Call `work(pause)` in another Python thread: `one_thread` here ends while it pauses."""
    inside, leave = threading.Event(), threading.Event()

    def pause():
        inside.set()
        leave.wait(10)

    thread = threading.Thread(target=work, args=(pause,))
    with one_thread():
        thread.start()
        assert inside.wait(10)
    leave.set()
    thread.join()


def test_two_python_threads_leave_the_setting_as_it_was():
    """Restored by the first of two that overlap, it would stay at one for ever."""

    def other(pause):
        with one_thread():
            pause()

    overlap(other)
    assert counts() == {2}
    with one_thread(), one_thread():
        assert counts() == {1}


def test_large_calls_have_all_threads_inside_of_one_thread():
    with one_thread():
        with threads_for(WORTH_THREADS), threads_for(WORTH_THREADS):
            assert counts() == {2}
        assert counts() == {1}


def test_a_large_call_that_outlives_the_first_python_thread_leaves_the_setting_as_it_was():
    """What it found when it began, one thread, is not what is to be set back."""
    seen = []

    def other(pause):
        with one_thread():
            with threads_for(WORTH_THREADS):
                seen.append(counts())
                pause()
            seen.append(counts())

    overlap(other)
    assert seen == [{2}, {1}]
    assert counts() == {2}
    with one_thread():
        assert counts() == {1}


def test_a_failure_gives_the_threads_back():
    with pytest.raises(ValueError, match="broken"), one_thread():
        raise ValueError("broken")
    assert counts() == {2}


def test_step_of_a_small_problem_has_one_thread(monkeypatch):
    seen = []
    home = importlib.import_module("pinnzoo.optimizers.levenberg_marquardt")
    original = home.damped_system

    def watched(*arguments, **options):
        seen.append(counts())
        return original(*arguments, **options)

    monkeypatch.setattr(home, "damped_system", watched)
    assembly = small(terms=1)
    theta = jnp.asarray(moved(assembly.theta, 0.1))
    optimizer = levenberg_marquardt()
    state = optimizer.init(assembly.objective, theta)
    new, _, _ = optimizer.step(assembly.objective, theta, state)
    assert seen == [{1}]
    assert not np.array_equal(new, theta)
