"""A key says where items lie in batches that have entries: what has none is the items themselves."""

import properties
import pytest
import torch
from strangers import LabelVAE, encode_pixels, seeded
from torch.utils.data import DataLoader, TensorDataset

import riemvae_core as rc

DIGITS = rc.load_images("digits")
X, Y = DIGITS.images[:60].double(), DIGITS.labels[:60]
pytestmark = pytest.mark.usefixtures("no_hook")


def decode(z):
    return (z @ torch.ones(3, 64).to(z)).reshape(-1, 1, 8, 8)


PAIR = (encode_pixels, decode)
PARTS = (0, 20, 40)
# "T" and "shape" are attributes of any tensor, and no entries of one
KEYED = {
    "im": [{"im": X[i : i + 20], "y": Y[i : i + 20]} for i in PARTS],
    "T": [{"T": X[i : i + 20]} for i in PARTS],
    "shape": [{"shape": X[i : i + 20]} for i in PARTS],
    0: [(X[i : i + 20], Y[i : i + 20]) for i in PARTS],
    1: [(Y[i : i + 20], X[i : i + 20]) for i in PARTS],
    -1: DataLoader(TensorDataset(Y, X), 20),
}


class Reading:
    """What numpy can read as an array, as a frame is."""

    def __array__(self, dtype=None, copy=None):
        return X[:4].numpy()


ITEMS = (
    X[:4],
    X[:4].numpy(),
    [X[:2], X[2:4]],
    [X[:2].numpy(), X[2:4].numpy()],
    Reading(),
    DataLoader(X[:4], 2),
)


@pytest.mark.parametrize("key", KEYED)
def test_items_without_entries_need_no_key(key, tmp_path):
    space = rc.latent_space(PAIR, KEYED[key], key=key)
    properties.close(space.mu, encode_pixels(X)[0])
    space.save(tmp_path / "space")
    for same in (space, rc.load_space(tmp_path / "space", PAIR), space.on_axes([0, 1, 2])):
        assert same.key == key
        properties.close(same.encode(KEYED[key]).mu, space.mu)
        for items in ITEMS:
            properties.close(same.encode(items).mu, encode_pixels(X[:4])[0])


@pytest.mark.parametrize("key", ["im", 0])
def test_paths_and_laws_of_a_space_with_a_key_take_images(key):
    space = rc.latent_space(PAIR, KEYED[key], key=key)
    for path in (space.geodesic, space.low_cost_path, space.shortest_decoded):
        properties.close(path(X[0], X[1], 5).curve[[0, -1]], encode_pixels(X[:2])[0])
    held = X + properties.random_tensors(1, X.shape)[0] / 9
    entries = {"im": held} if key == "im" else (held, Y)
    tables = [
        space.compare_laws(data, "pixels", kinds=["prior", "gaussian"], repeats=2, folds=2)
        for data in (held, [entries])
    ]
    assert tables[0].row("gaussian").distance == tables[1].row("gaussian").distance


def test_conditions_of_a_space_with_a_key():
    model = seeded(LabelVAE)
    space = rc.latent_space(model, KEYED["im"], condition="y", key="im")
    properties.close(space.mu, model.encode(X, Y)[0])
    properties.close(space.encode(X[:4], Y[:4]).mu, space.mu[:4])
    properties.close(space.encode(KEYED["im"], "y").mu, space.mu)
    properties.close(
        space.geodesic(X[0], X[1], 4, condition=Y[:1]).curve[0], space.encode(X[:1], Y[:1]).mu[0]
    )
    for name in ("y", "T", "data"):  # a tensor has no entries that could be a condition
        with pytest.raises(ValueError, match=f"condition must name an entry of the batches, got '{name}'"):
            space.encode(X[:4], name)
    swapped = rc.latent_space(model, KEYED[1], key=1)
    properties.close(swapped.encode(X[:4], Y[:4]).mu, space.mu[:4])


def test_what_a_key_does_not_name_is_still_refused():
    """A space is made by a key that names something, and a tuple may be one batch or several."""
    for key, words in (
        ("im", "must name an entry"),
        ("T", "must name an entry"),
        (1, "must be None for batches"),
    ):
        with pytest.raises(ValueError, match=f"key {words}"):
            rc.latent_space(PAIR, X, key=key)
    with pytest.raises(ValueError, match="key must name an entry of the batches, got 'im'"):
        rc.latent_space(PAIR, KEYED["im"], key="im").encode([(X, Y)])
    with pytest.raises(ValueError, match="key must be None for batches without entries, got 1"):
        rc.latent_space(PAIR, [(X, X + 1)], key=1).encode((X, X + 1))
