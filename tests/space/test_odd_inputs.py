"""Loaders, conditions and returned values as people have them: read right, or named with a remedy."""

import math

import numpy as np
import properties
import pytest
import torch
from strangers import LabelVAE, encode_pixels, seeded
from torch.distributions import MultivariateNormal, Normal
from torch.utils.data import DataLoader, IterableDataset, Sampler, TensorDataset

import riemvae_core as rc
from riemvae_core.models.conditional import make_conditional
from riemvae_core.space.conditions import as_input
from riemvae_core.space.inputs import is_shuffled

DIGITS = rc.load_images("digits")
X, Y = DIGITS.images[:40].double(), DIGITS.labels[:40]
pytestmark = pytest.mark.usefixtures("no_hook")


def decode(z):
    return z @ torch.ones(3, 64).to(z)


class InOwnOrder(Sampler):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(torch.randperm(40).tolist() if self.rows is None else self.rows)

    def __len__(self):
        return 40


class Items(IterableDataset):
    def __iter__(self):
        return iter(X)


def test_a_sampler_of_the_users_own_that_draws_is_noticed():
    before = torch.get_rng_state()
    assert is_shuffled(DataLoader(X, 8, sampler=InOwnOrder(None)))
    assert torch.equal(torch.get_rng_state(), before)
    assert not is_shuffled(DataLoader(X, 8, sampler=InOwnOrder(range(39, -1, -1))))
    assert not is_shuffled(DataLoader(X, 8))
    assert not is_shuffled(DataLoader(Items(), 8))
    with pytest.raises(ValueError, match="a DataLoader that shuffles"):
        rc.latent_space(seeded(LabelVAE), DataLoader(X, 8, sampler=InOwnOrder(None)), Y)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (tuple(X), "got a tuple of 40 [1, 8, 8]: pass torch.stack(data)"),
        ([X, Y], "latent_space(model, data[0], condition=data[1])"),
        (Items(), "DataLoader(data, batch_size=256) for items"),
        ({0: X}, "one of 0, got None"),
    ],
)
def test_what_may_be_items_or_batches_is_asked_for(data, words):
    with pytest.raises(ValueError, match="must") as caught:
        rc.latent_space((encode_pixels, decode), data)
    properties.message_names(caught.value, words)


def test_keys_of_any_kind_name_the_items_and_what_follows_is_the_rest():
    space = rc.latent_space((encode_pixels, decode), {0: X, 1: Y}, key=0)
    properties.close(space.mu, encode_pixels(X)[0])
    swapped = rc.latent_space(seeded(LabelVAE), DataLoader(TensorDataset(Y, X), 16), key=1)
    properties.close(swapped.mu, rc.latent_space(seeded(LabelVAE), X, Y).mu)


def test_one_input_keeps_numbers_and_widens_whole_ones():
    for given, dtype in ((Y.byte(), torch.int64), (Y > 3, torch.bool), (Y.float(), torch.float32)):
        assert as_input(given).dtype == dtype
    with pytest.raises(ValueError, match="condition must hold no NaN, got one in row 0"):
        as_input(math.nan)


def test_nan_in_a_condition_is_named_by_its_row_and_infinity_passes(tmp_path):
    c = torch.zeros(40, 1).double()
    c[5] = -math.inf
    pair = (lambda x, c: encode_pixels(x), lambda z, c: decode(z))
    space = rc.latent_space(pair, X, c)
    c[7] = math.nan
    for given in (c, (c,), {"c": c}, c.numpy()):
        with pytest.raises(ValueError, match=r"condition must hold no NaN, got one in row 7 of a tensor"):
            rc.latent_space(pair, X, given)
    with pytest.raises(ValueError, match="condition must hold no NaN, got one in row 7"):
        rc.latent_space(pair, DataLoader(TensorDataset(X, c), 40))
    with pytest.raises(ValueError, match="condition must hold no NaN, got one in row 0"):
        space.decode(space.mu[:2], c[7:9])
    object.__setattr__(space, "condition", c)
    with pytest.raises(ValueError, match="condition 0 must not be NaN, got 1 of it"):
        space.save(tmp_path / "space")
    assert list(tmp_path.iterdir()) == []


def test_labels_that_no_image_can_have_are_named_by_their_row():
    model = make_conditional(rc.ModelConfig((1, 8, 8), width=8, depth=1), 0)
    x, y = X.float(), Y.clone()
    for dtype in (torch.uint8, torch.int32):
        assert torch.equal(model.encode(x, y.to(dtype)).mu, model.encode(x, y).mu)
    y[33] = 10
    with pytest.raises(ValueError, match=r"y must lie in 0 to 9, got 10 in row 33 \(1 rows"):
        rc.latent_space(model, x, y)
    y[33] = -1
    with pytest.raises(ValueError, match="got -1 in row 33"):
        model.decode(torch.zeros(40, 2), y)
    for wrong, came in ((Y.double(), "float64"), (Y[:3], r"\[3\] of"), (Y.numpy(), "ndarray")):
        with pytest.raises(
            ValueError, match=f"y must be .40. whole numbers, one label an image, got .*{came}"
        ):
            model.encode(x, wrong)


def law_of(x):
    mu, log_var = encode_pixels(x)
    return mu, (0.5 * log_var).exp()


def test_a_law_under_any_name_is_read_and_no_radius_hides_one():
    for name in ("q", "z_dist", "something"):
        space = rc.latent_space((lambda x, n=name: {n: Normal(*law_of(x)), "kl": 0.0}, decode), X)
        properties.close(space.log_var, encode_pixels(X)[1])

    def correlated(x):
        return {
            "mu": encode_pixels(x)[0],
            "law": MultivariateNormal(encode_pixels(x)[0], torch.eye(3).double()),
        }

    for radius in (None, 0.1):
        with pytest.raises(ValueError, match="got MultivariateNormal, whose axes may be correlated"):
            rc.latent_space((correlated, decode), X, radius=radius)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda x: tuple(part.numpy() for part in encode_pixels(x)), "torch.from_numpy(mu)"),
        (lambda x: {"mu": encode_pixels(x)[0].numpy()}, "torch.from_numpy(mu)"),
    ],
)
def test_arrays_from_an_encoder_are_named(returned, words):
    with pytest.raises(ValueError, match="encode must return a pair") as caught:
        rc.latent_space((returned, decode), X)
    properties.message_names(caught.value, words)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda z: (z, z), "lambda z: model.decode(z)[0]"),
        (lambda z: z.numpy(), "torch.from_numpy(x)"),
        (lambda z: z[:, :0], "a tensor [2, 0]"),
    ],
)
def test_parts_arrays_and_nothing_from_a_decoder_are_named(returned, words):
    with pytest.raises(ValueError, match="decode must return one tensor") as caught:
        rc.latent_space((encode_pixels, returned), X)
    properties.message_names(caught.value, words)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ((X > 0.5), "pass data.float()"),
        ((X > 0.5).long(), "pass data.float()"),
        (X + 0j, "view_as_real(data)"),
    ],
)
def test_numbers_of_a_kind_the_model_does_not_take_bring_a_note(data, words):
    with pytest.raises(RuntimeError) as caught:
        rc.latent_space(seeded(LabelVAE), data, Y)
    assert words in caught.value.__notes__[0]


def test_paths_of_files_are_paths(tmp_path):
    space = rc.latent_space((encode_pixels, decode), X)
    for wrong in (None, 3, "", tmp_path.open):
        with pytest.raises(ValueError, match="path must be the path of a file, got"):
            space.save(wrong)
        with pytest.raises(ValueError, match="path must be the path of a file, got"):
            rc.load_space(wrong)
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder can't be written: it is no file, and stays as it is"):
        space.save(tmp_path / "folder")
    assert (tmp_path / "folder").is_dir()


def test_another_model_is_named_before_its_condition(tmp_path):
    model = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=8, depth=1), 0)
    rc.latent_space(model, X.float()).save(tmp_path / "space")
    with pytest.raises(ValueError, match="model must be the one that made the space"):
        rc.load_space(tmp_path / "space", seeded(LabelVAE))


@pytest.mark.parametrize("seed", [0, "0", np.random.default_rng(0)])
def test_a_seed_in_place_of_a_generator_is_named(seed):
    space = rc.latent_space((encode_pixels, decode), X)
    for call in (
        lambda: space.sample_uniform(5, seed),
        lambda: space.health(seed),
        lambda: rc.sample_prior(space.mu, 5, seed),
        lambda: rc.PosteriorMetric.fit(space.mu, space.log_var, 5, generator=seed),
    ):
        with pytest.raises(
            ValueError, match=r"generator must be a torch.Generator, as rc.make_generator\(0\)"
        ):
            call()


def test_counts_may_come_from_numpy_but_are_whole():
    space = rc.latent_space((encode_pixels, decode), X, batch_size=np.int64(16), n_centroids=np.int64(30))
    assert len(space.sample_uniform(np.int64(3), rc.make_generator(0)).z) == 3
    for wrong in (True, 2.0, 0):
        with pytest.raises(ValueError, match="n must be a whole number of at least 1"):
            space.sample_uniform(wrong)
        with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1"):
            rc.latent_space((encode_pixels, decode), X, batch_size=wrong)
        with pytest.raises(ValueError, match="n_centroids must be None or an integer from 1 to 40"):
            rc.latent_space((encode_pixels, decode), X, n_centroids=wrong)
    with pytest.raises(ValueError, match=r"metric must map points .* got NoneType"):
        rc.sample_uniform(None, 3)
