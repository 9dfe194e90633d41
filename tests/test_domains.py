import numpy as np
import pytest

from pinnzoo.domains import SAMPLERS, Box, Surface, residual_adaptive, sample
from pinnzoo.errors import PinnzooError, PointsError, UnknownNameError

BOX = Box("txy", (0.0, -1.0, 2.0), (1.0, 3.0, 2.5))


def test_box_knows_its_axes_by_letter():
    assert (BOX.d, BOX.axis("x"), BOX.bounds("y"), BOX.length("x")) == (3, 1, (2.0, 2.5), 4.0)


def test_face_is_the_box_with_one_coordinate_fixed():
    face = BOX.face("x", 3)
    assert face.bounds("x") == (3.0, 3.0)
    assert face.bounds("t") == BOX.bounds("t")
    assert face.bounds("y") == BOX.bounds("y")


@pytest.mark.parametrize("coord", ["q", "", "tx", "X"])
def test_coordinates_that_do_not_exist_are_refused(coord):
    with pytest.raises(UnknownNameError, match="coordinate"):
        BOX.axis(coord)


@pytest.mark.parametrize(
    ("coords", "lower", "upper"),
    [("tx", (0.0,), (1.0, 1.0)), ("t", (0.0, 0.0), (1.0, 1.0)), ("tx", (0.0, 1.0), (1.0, 0.0))],
)
def test_boxes_that_make_no_sense_are_refused(coords, lower, upper):
    with pytest.raises(PointsError):
        Box(coords, lower, upper)


def test_grid_is_the_tensor_product_with_the_last_coordinate_fastest():
    grid = BOX.grid((2, 3, 2))
    expected = [(t, x, y) for t in (0.0, 1.0) for x in (-1.0, 1.0, 3.0) for y in (2.0, 2.5)]
    np.testing.assert_array_equal(grid, expected)
    with pytest.raises(PointsError):
        BOX.grid((2, 3))


def test_contains_allows_rounding_and_no_more():
    inside = np.array([[0.5, 0.0, 2.2], [1.0 + 1e-15, 3.0, 2.0]])
    outside = np.array([[1.01, 0.0, 2.2], [0.5, -1.001, 2.2], [0.5, 0.0, 2.6]])
    np.testing.assert_array_equal(BOX.contains(np.vstack([inside, outside])), [1, 1, 0, 0, 0])


@pytest.mark.parametrize("method", SAMPLERS)
@pytest.mark.parametrize("n", [1, 7, 64])
def test_samples_lie_in_the_box_and_repeat_with_the_seed(method, n):
    points = sample(BOX, n, method, np.random.default_rng(3))
    assert points.shape == (n, 3)
    assert points.dtype == np.float64
    assert np.all((points >= BOX.lower) & (points <= BOX.upper))
    np.testing.assert_array_equal(points, sample(BOX, n, method, np.random.default_rng(3)))
    assert not np.array_equal(points, sample(BOX, n, method, np.random.default_rng(4)))


@pytest.mark.parametrize("method", SAMPLERS)
def test_samples_on_a_face_are_exactly_on_it_and_spread_along_it(method):
    points = sample(BOX.face("x", 0.1 + 0.2), 64, method, np.random.default_rng(0))
    assert np.all(points[:, 1] == 0.1 + 0.2)
    for axis in (0, 2):
        covered = np.ptp(points[:, axis]) / (BOX.upper[axis] - BOX.lower[axis])
        assert covered > 0.8


@pytest.mark.parametrize("method", SAMPLERS)
def test_a_box_of_one_point_gives_that_point(method):
    corner = Box("tx", (0.25, 2.0), (0.25, 2.0))
    points = sample(corner, 3, method, np.random.default_rng(0))
    np.testing.assert_array_equal(points, [[0.25, 2.0]] * 3)


@pytest.mark.parametrize("method", ["latin_hypercube", "sobol"])
def test_stratified_samplers_put_one_point_into_every_stratum(method):
    n = 32
    unit = (sample(BOX, n, method, np.random.default_rng(1)) - BOX.lower) / (
        np.array(BOX.upper) - BOX.lower
    )
    for axis in range(3):
        strata = np.sort(np.floor(n * unit[:, axis]))
        np.testing.assert_array_equal(strata, np.arange(n))


def test_samplers_refuse_what_they_cannot_do():
    rng = np.random.default_rng(0)
    with pytest.raises(UnknownNameError, match="sobol"):
        sample(BOX, 4, "sobl", rng)
    with pytest.raises(PointsError):
        sample(BOX, 0, "uniform", rng)
    assert issubclass(PointsError, PinnzooError)


def test_residual_adaptive_points_are_candidates_without_repetition():
    rng = np.random.default_rng(0)
    candidates = sample(BOX, 200, "uniform", rng)
    chosen = residual_adaptive(candidates, np.abs(candidates[:, 0]), 50, rng)
    rows = {tuple(row) for row in candidates}
    assert len({tuple(row) for row in chosen}) == 50
    assert all(tuple(row) in rows for row in chosen)


def test_residual_adaptive_frequencies_follow_the_rad_density():
    """One draw of one point, many times: the frequency is the density of Eq. 2 itself."""
    residual = np.array([0.0, 1.0, 2.0, 5.0])
    candidates = np.arange(4.0)[:, None]
    rng = np.random.default_rng(0)
    draws = 4000
    counts = np.zeros(4)
    for _ in range(draws):
        counts[int(residual_adaptive(candidates, residual, 1, rng, exponent=2.0)[0, 0])] += 1
    density = residual**2 / np.mean(residual**2) + 1
    density /= density.sum()
    deviation = np.sqrt(density * (1 - density) / draws)
    assert np.all(np.abs(counts / draws - density) < 4 * deviation)


def test_residual_adaptive_is_uniform_where_the_residual_vanishes():
    candidates = np.arange(10.0)[:, None]
    chosen = residual_adaptive(candidates, np.zeros(10), 10, np.random.default_rng(0))
    np.testing.assert_array_equal(chosen, candidates)
    with pytest.raises(PointsError):
        residual_adaptive(candidates, np.zeros(10), 11, np.random.default_rng(0))


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_residual_adaptive_points_are_none_at_which_the_residual_is_no_number(broken):
    candidates, residual = np.arange(100.0)[:, None], np.full(100, 1e-3)
    residual[7], residual[50] = broken, 5.0
    rng = np.random.default_rng(0)
    for _ in range(20):
        chosen = residual_adaptive(candidates, residual, 20, rng)[:, 0]
        # The spike is picked as ever: its neighbours of no number do not make the rest uniform.
        assert 50.0 in chosen
        assert 7.0 not in chosen
    residual[:85] = broken
    with pytest.raises(
        PointsError, match=r"85 of which the residual is NaN or infinite, .*\[0\.0\]"
    ):
        residual_adaptive(candidates, residual, 20, rng)


SIDES = BOX.boundary("xy")


def test_boundary_in_space_is_the_four_faces_that_fix_x_or_y():
    fixed = [("x", -1.0), ("x", 3.0), ("y", 2.0), ("y", 2.5)]
    assert SIDES.faces == tuple(BOX.face(*where) for where in fixed)
    assert (SIDES.lower, SIDES.upper) == (BOX.lower, BOX.upper)


@pytest.mark.parametrize("method", SAMPLERS)
@pytest.mark.parametrize("n", [1, 7, 64])
def test_samples_of_a_surface_lie_exactly_on_its_faces(method, n):
    points = sample(SIDES, n, method, np.random.default_rng(3))
    assert points.shape == (n, 3)
    assert BOX.contains(points, slack=0).all()
    on = [face.contains(points, slack=0) for face in SIDES.faces]
    np.testing.assert_array_equal(np.sum(on, axis=0), 1)
    np.testing.assert_array_equal(points, sample(SIDES, n, method, np.random.default_rng(3)))


def test_faces_get_points_by_their_size_and_evenly():
    points = sample(SIDES, 4096, "sobol", np.random.default_rng(0))
    for face, share in zip(SIDES.faces, np.array([0.5, 0.5, 4.0, 4.0]) / 9, strict=True):
        on = points[face.contains(points, slack=0)]
        np.testing.assert_allclose(len(on) / len(points), share, atol=2 / 4096)
        free = np.subtract(face.upper, face.lower) > 0
        unit = np.sort((on - face.lower)[:, free] / np.subtract(face.upper, face.lower)[free], 0)
        even = (np.arange(len(on)) + 0.5) / len(on)
        assert np.abs(unit - even[:, None]).max() < 0.02


def test_perimeter_is_covered_without_gaps():
    """In 2D, Latin hypercube samples of a boundary are one per equal piece of its length."""
    square = Box("xy", (0.0, 0.0), (1.0, 3.0))
    points = sample(square.boundary("xy"), 80, "latin_hypercube", np.random.default_rng(0))
    left = np.sort(points[points[:, 0] == 0][:, 1])
    np.testing.assert_array_equal(np.floor(left * 10), np.arange(30))


@pytest.mark.parametrize("faces", [(), (BOX, BOX.face("x", 3.0)), Box("x", (0,), (1,)).boundary])
def test_surfaces_that_cannot_be_sampled_are_refused(faces):
    with pytest.raises(PointsError, match=r"free coordinates|single points"):
        faces("x") if callable(faces) else Surface(faces)
