"""Nearest neighbors against scikit-learn, whatever the sizes of the blocks."""

import properties
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from riemvae_core import neighbors
from riemvae_core.neighbors import Neighbors, count_containing, first_rows, nearest


def clouds(n=60, m=90, f=7, dtype=torch.float64):
    x, y = properties.random_tensors(1, (n + m, f), dtype=dtype)[0].split([n, m])
    return 3.0 * x + 100.0, 2.0 * y + 101.0


@pytest.mark.parametrize("block_bytes", [1, 5000, 2**24])
@pytest.mark.parametrize("fold", [1, 4, 32])
@pytest.mark.parametrize("k", [1, 3, 20, 90])
def test_neighbors_are_scikit_learns(monkeypatch, block_bytes, fold, k):
    """Blocks of one row, of several, and of all; 90 distances in 1, 4 or 32 rows (in 1 for large k)."""
    monkeypatch.setattr(neighbors, "BLOCK_BYTES", block_bytes)
    monkeypatch.setattr(neighbors, "FOLD", fold)
    x, y = clouds()
    distances, indices = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(y).kneighbors(x)
    found = nearest(x, y, k)
    assert isinstance(found, Neighbors)
    properties.close(found.distances, torch.from_numpy(distances))
    assert torch.equal(found.indices, torch.from_numpy(indices))


@pytest.mark.parametrize("block_bytes", [1, 5000, 2**24])
def test_counts_are_those_of_all_pairs(monkeypatch, block_bytes):
    monkeypatch.setattr(neighbors, "BLOCK_BYTES", block_bytes)
    x, y = clouds()
    radii = nearest(y, y, 12).distances[:, 11]
    expected = (torch.cdist(x, y) <= radii).sum(1)
    assert 0 < expected.max() < 90
    assert torch.equal(count_containing(x, y, radii), expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("block_bytes", [5000, 2**24])
def test_balls_are_closed_where_distances_tie_with_radii(monkeypatch, block_bytes, dtype):
    """Bits and whole numbers, whose squares are exact, against all pairs."""
    monkeypatch.setattr(neighbors, "BLOCK_BYTES", block_bytes)
    for high, f in ((2, 12), (5, 3)):
        generator = torch.Generator().manual_seed(f)
        x, y = torch.randint(high, (190, f), generator=generator).to(dtype).split([100, 90])
        radii = nearest(y, y, 4).distances[:, 3]
        squares = (x[:, None] - y).square().sum(2)
        inside = squares <= radii.square().round()
        assert (squares == radii.square().round()).sum() > 100
        assert torch.equal(count_containing(x, y, radii), inside.sum(1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("many", [0.1, 1.0])
def test_where_all_distances_tie_each_ball_holds_all_points(monkeypatch, dtype, many):
    """Rows of zeros and a single one: doubtful pairs one by one, or all pairs of a block at once."""
    monkeypatch.setattr(neighbors, "MANY", many)
    y = 0.3 * torch.eye(40, dtype=dtype, device="cpu")
    radii = nearest(y, y, 2).distances[:, 1]
    assert count_containing(y, y, radii).tolist() == [40] * 40
    assert count_containing(y, y, 0.999 * radii).tolist() == [1] * 40


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e14])
def test_a_ball_that_reaches_to_a_neighbor_holds_it(dtype, unit):
    """A row far out, or one set alone beyond single precision, leaves the other's radii as they are."""
    y = unit * (clouds()[1].to(dtype) - 100.0)
    y[0] *= 1e5
    radii = nearest(y, y, 4).distances[:, 3]
    assert count_containing(y, y, radii).sum() == 4 * len(y)
    more = torch.cat([y, y.new_full((1, y.shape[1]), 1e20 * unit)])
    assert torch.equal(count_containing(more, y, radii)[:-1], count_containing(y, y, radii))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_ball_whose_squared_radius_is_beyond_all_numbers_holds_all_points(dtype):
    x, y = clouds(dtype=dtype)
    radii = torch.full((90,), torch.finfo(dtype).max / 2, dtype=dtype, device="cpu")
    assert (count_containing(x, y, radii) == 90).all()


def test_a_distance_has_the_same_bits_wherever_it_is_asked_for():
    for f in (1, 3, 64, 40_000):
        x, y = clouds(4, 5, f, torch.float32)
        whole = neighbors._apart(x, y)
        assert torch.equal(whole, neighbors._apart(y, x).T)
        alone = [[neighbors._apart(a[None, None], b[None, None]).item() for b in y] for a in x]
        assert whole.tolist() == alone
        assert torch.equal(nearest(x, y, 5).distances, whole.sort(1).values.float())


def test_single_precision_far_from_the_origin_keeps_its_digits():
    x, y = clouds(dtype=torch.float32)
    found, exact = nearest(x, y, 3), nearest(x.double(), y.double(), 3)
    assert found.distances.dtype == torch.float32
    assert torch.equal(found.indices, exact.indices)
    properties.close(found.distances.double(), exact.distances, rtol=1e-5, atol=0.0)


def test_a_copy_is_at_distance_zero_and_a_point_is_its_own_nearest():
    x, y = clouds(dtype=torch.float32)
    assert nearest(y[:20], y).distances.abs().max() == 0.0
    assert torch.equal(nearest(y, y, 2).indices[:, 0], torch.arange(len(y), device="cpu"))
    properties.leaves_inputs_alone(lambda a, b: nearest(a, b, 2), x, y)


def test_each_row_is_led_to_the_first_that_equals_it():
    """Against a search through all earlier rows."""
    rows = torch.randint(3, (200, 3), generator=torch.Generator().manual_seed(0)).double()
    kept = rows.tolist()
    assert first_rows(rows).tolist() == [kept.index(row) for row in kept]
    properties.leaves_inputs_alone(first_rows, rows)


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    x, y = clouds()
    found = nearest(x, y, 2)
    assert {t.device.type for t in (*found, count_containing(x, y, y[:, 0]))} == {"cpu"}


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x, y: nearest(x, y[:, :3]), ("points", "[60, 7]", "[90, 3]")),
        (lambda x, y: nearest(x[0], y), ("points", "[7]")),
        (lambda x, y: nearest(x, y.float()), ("dtype", "float64", "float32")),
        (lambda x, y: nearest(x, y, 0), ("k", "90", "got 0")),
        (lambda x, y: nearest(x, y, 91), ("k", "90", "got 91")),
        (lambda x, y: count_containing(x, y, x[:, 0]), ("radii", "[90]", "[60]")),
        (lambda x, y: count_containing(x, y[:, :2], y[:, 0]), ("others", "[90, 2]")),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call(*clouds())
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize(
    "count",
    [lambda x: nearest(x, x, 2), lambda x: count_containing(x, x, x.new_ones(len(x))), first_rows],
    ids=["nearest", "count_containing", "first_rows"],
)
def test_nothing_is_kept_for_a_gradient(count):
    """Codes straight from an encoder carry a graph; a search through all of them must not grow it."""

    def refuse(kept):
        raise AssertionError("a tensor was kept for a gradient")

    x = clouds()[0].requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(refuse, refuse):
        count(x)
