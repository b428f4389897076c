"""Models with codes: losses, what learns the codebook, grids and levels."""

import dataclasses

import properties
import pytest
import torch
from vq_cases import DIGITS, GRID, LEVELS, SMALL, small

from riemvae_core.codes import (
    Quantized,
    ema_update,
    nearest_code,
    perplexity,
    quantize,
    start_state,
)
from riemvae_core.models import vqvae
from riemvae_core.models.coders import Coder, check_likelihood
from riemvae_core.models.training import evaluate, fit
from riemvae_core.models.vae import centers, make_model
from riemvae_core.models.vqvae import VQConfig, VQLosses
from riemvae_core.numerics import make_generator


@pytest.fixture
def batch():
    """Twelve images and a draw of noise for each number that a small model reads."""
    return DIGITS[:12], properties.random_tensors(1, (12, 3), dtype=torch.float32)[0]


def test_the_losses_are_the_definition(batch):
    x, _ = batch
    model = small(commitment=0.7, learning="gradient")
    losses, z = model.losses(x), model.points(x)
    apart = (z[:, None] - model.codebook).square().sum(-1)
    codes = apart.argmin(-1)
    reconstruction = (x - torch.sigmoid(model.logits(model.codebook[codes]))).square().sum((1, 2, 3))
    assert isinstance(model, Coder)
    assert isinstance(losses, VQLosses)
    properties.close(losses.reconstruction, reconstruction, 1e-5, 1e-5)
    properties.close(losses.commitment, apart.amin(-1), 1e-4, 1e-6)
    properties.close(losses.codebook_loss, losses.commitment)
    properties.close(losses.total, reconstruction + 1.7 * apart.amin(-1), 1e-5, 1e-5)
    assert (losses.used == len(codes.unique())).all()
    shares = codes.bincount() / 12
    properties.close(losses.perplexity[0], torch.special.entr(shares).sum().exp(), 1e-5, 1e-5)
    by_averages = small(commitment=0.7).losses(x)
    properties.close(by_averages.total, reconstruction + 0.7 * apart.amin(-1), 1e-5, 1e-5)


def test_the_two_ways_differ_in_what_the_decoder_reads(batch):
    x, _ = batch
    snapped, pulled = small(), small(snap=False)
    z = snapped.points(x)
    assert torch.equal(pulled.points(x), z)
    assert torch.equal(snapped.locate(x), snapped.codebook[nearest_code(z, snapped.codebook)])
    assert torch.equal(pulled.locate(x), z)
    assert torch.equal(centers(pulled, x), z)
    assert torch.equal(centers(snapped, x), snapped.encode(x).z_q)
    properties.close(pulled.losses(x).reconstruction, pulled.reconstruction_loss(x, z))
    assert torch.equal(pulled.losses(x).commitment, snapped.losses(x).commitment)
    assert not torch.equal(pulled.losses(x).reconstruction, snapped.losses(x).reconstruction)


def test_encoding_tells_all_of_the_codes(batch):
    x, _ = batch
    model = small()
    q = model.encode(x)
    assert isinstance(q, Quantized)
    ours = model.quantize(model.points(x))
    oracle = quantize(model.points(x), model.codebook)
    for part in Quantized._fields:
        assert torch.equal(getattr(q, part), getattr(ours, part))
        assert torch.equal(getattr(q, part), getattr(oracle, part))
    assert model.decode(model.codebook).shape == (5, 1, 8, 8)


def test_the_gradient_of_the_image_passes_the_codes_straight(batch):
    x, _ = batch
    model = small(commitment=0.0)
    model.losses(x).total.sum().backward()
    to_head = model.mu_head.bias.grad.clone()
    code = model.locate(x).detach().requires_grad_()
    (at_code,) = torch.autograd.grad(model.reconstruction_loss(x, code).sum(), code)
    properties.close(to_head, at_code.sum(0), 1e-5, 1e-6)


# --- what learns the codebook


def test_averages_move_the_codebook_in_training_and_only_there(batch):
    x, eps = batch
    model = small(dead_share=0.0, decay=0.8)
    before, counts = model.codebook.clone(), model.counts.clone()
    model.losses(x, eps)
    assert torch.equal(model.codebook, before)
    model.train()
    z = model.points(x).detach()
    expected = ema_update(start_state(before), z, nearest_code(z, before), decay=0.8)
    losses = model.losses(x, eps)
    properties.close(model.codebook, expected.codebook, 1e-6, 1e-6)
    properties.close(model.counts, expected.counts, 1e-6, 1e-6)
    assert not torch.equal(model.counts, counts)
    properties.close(losses.perplexity[0], perplexity(expected.counts), 1e-6, 1e-6)
    assert not model.codebook.requires_grad


def test_the_gradient_moves_the_codebook_where_it_is_to(batch):
    x, eps = batch
    model = small(learning="gradient", dead_share=0.0).train()
    before = model.codebook.detach().clone()
    losses = model.losses(x, eps)
    assert torch.equal(model.codebook, before)
    losses.total.sum().backward()
    z = model.points(x).detach()
    codes = nearest_code(z, before)
    by_hand = torch.stack([2 * (before[k] - z[codes == k]).sum(0) for k in range(5)])
    properties.close(model.codebook.grad, by_hand, 1e-4, 1e-6)


@pytest.mark.parametrize("learning", vqvae.LEARNING)
def test_noise_decides_where_dead_codes_are_put(batch, learning):
    x, eps = batch
    model = small(learning=learning, dead_share=0.5).train()
    with torch.no_grad():
        model.codebook[1:3] = 1e3
        model.counts[1:3] = 0.0
    z = model.points(x).detach()
    losses = model.losses(x, eps)
    torch.autograd.backward(losses.total.sum())
    assert torch.equal(model.codebook[1:3], z[eps[:, 0].topk(2).indices])
    assert losses.used[0] == 3  # a revived code is in use once it has won points
    properties.close(
        model.counts[1:3], model.counts.new_full((2,), 0.5 * (model.counts.sum() / 5).item()), 0.3, 0.0
    )


@pytest.mark.usefixtures("no_hook")
def test_without_resets_dead_codes_stay_dead_and_are_told():
    """Codes that start far from all points: without resets they are never used again."""
    alive, dead = small(), small(dead_share=0.0)
    for model in (alive, dead):
        with torch.no_grad():
            model.codebook[2:] = 1e3
    settings = {"epochs": 20, "batch_size": 20, "progress": False}
    histories = [fit(model, DIGITS[:200], **settings) for model in (alive, dead)]
    used, perplexities = ([h.losses[part][-1].item() for h in histories] for part in ("used", "perplexity"))
    assert used[0] == 5
    assert used[1] <= 2
    assert perplexities[0] > 2.5 > perplexities[1]
    assert evaluate(dead, DIGITS[:200])["used"] <= 2


def test_kmeans_starts_the_codebook():
    plain, started = small(spread=False), small()
    assert plain.codebook.abs().max() <= 1 / 5
    z = plain.points(DIGITS[:300])
    assert torch.equal(started.points(DIGITS[:300]), z)
    assert quantize(z, plain.codebook).commitment.mean() > quantize(z, started.codebook).commitment.mean()
    found = plain.start_codebook(DIGITS[:300], make_generator(0))
    assert torch.equal(plain.codebook, found.codebook)
    assert torch.equal(plain.codebook, started.codebook)
    assert torch.equal(plain.counts, torch.ones(5))


# --- the grid and the levels


def test_a_grid_stores_a_code_in_each_place(batch):
    x, _ = batch
    model = small(GRID)
    q, losses = model.encode(x), model.losses(x)
    assert model.config.grid == (2, 2)
    assert model.config.latent_dim == 16
    assert q.codes.shape == (12, 2, 2)
    assert q.z_q.shape == (12, 2, 2, 4)
    assert model.decode(q.z_q).shape == (12, 1, 8, 8)
    assert model.decode(q.z_q.reshape(3, 4, 2, 2, 4)).shape == (3, 4, 1, 8, 8)
    properties.close(losses.commitment, q.commitment.sum((1, 2)), 1e-5, 1e-6)
    properties.close(model.decode(model.codebook[q.codes]), model.decode(q.z_q), 1e-5, 1e-6)


def test_changing_one_code_changes_its_surroundings():
    config = dataclasses.replace(GRID, image_shape=(1, 32, 32))
    model = make_model("vq", config, 0).eval()
    z = torch.randn(1, 8, 8, 4, generator=make_generator(0))
    other = z.clone()
    other[0, 0, 0] += 1.0
    changed = (model.decode(z) - model.decode(other))[0, 0].abs() > 1e-6  # tiles may share their rounding
    assert changed[:4, :4].all()
    assert not changed[16:].any()
    assert not changed[:, 16:].any()


def test_levels_need_no_codebook_that_learns(batch):
    x, eps = batch
    model = small(LEVELS).train()
    before = model.codebook.clone()
    losses = model.losses(x, eps)
    assert torch.equal(losses.total, losses.reconstruction)
    assert torch.equal(model.codebook, before)
    assert model.counts.sum() < 60
    q = model.encode(x)
    properties.close(q.z_q, model.codebook[q.codes])
    with pytest.raises(ValueError, match=r"levels must be \(\) .* got \(5, 4, 3\)"):
        model.start_codebook(x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_models_follow_the_dtype_they_are_given(dtype, batch):
    x, eps = (t.to(dtype) for t in batch)
    model = small().to(dtype).train()
    assert {part.dtype for part in model.losses(x, eps)} == {dtype}


@pytest.mark.usefixtures("meta_while_training")
@pytest.mark.parametrize("config", [SMALL, GRID, LEVELS])
def test_nothing_is_made_on_a_default_device(config):
    model = small(config, spread=False)
    fit(model, DIGITS[:64], epochs=1, batch_size=32, progress=False)
    assert {v.device.type for v in model.state_dict().values()} == {"cpu"}
    assert evaluate(model, DIGITS[:64])["total"] > 0
    if not config.levels:
        assert model.start_codebook(DIGITS[:200]).codebook.device.type == "cpu"


X = torch.zeros(2, 1, 8, 8)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: VQConfig(learning="sgd"), ("learning", "ema, gradient", "'sgd'")),
        (lambda: VQConfig(levels=(5, 5)), ("n_codes", "25 and 2", "64 and 2")),
        (lambda: VQConfig(n_codes=0), ("n_codes", "at least 1", "got 0")),
        (lambda: VQConfig(decay=1.0), ("decay", "[0, 1)", "1.0")),
        (lambda: VQConfig(commitment=-0.1), ("commitment", "at least 0", "-0.1")),
        (lambda: VQConfig(likelihood="laplace"), ("likelihood", "'laplace'")),
        (lambda: check_likelihood("bernoulli", True), ("linear_output", "False", "got True")),
        (lambda: small().points(torch.zeros(2, 1, 8, 9)), ("x", "[n, 1, 8, 8]", "[2, 1, 8, 9]")),
        (lambda: small().decode(torch.zeros(2, 4)), ("z", "3 coordinates", "[2, 4]")),
        (lambda: small(GRID).decode(torch.zeros(2, 4)), ("z", "2 x 2 x 4 coordinates", "[2, 4]")),
        (lambda: small().train().losses(X), ("eps", "[2, 3]", "None")),
        (lambda: small().train().losses(X, torch.zeros(2, 2)), ("eps", "[2, 3]", "[2, 2]")),
        (lambda: small().start_codebook(X), ("k", "number of points", "5")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
