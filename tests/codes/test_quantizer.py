"""Nearest codes, the straight-through gradient, and usage, beside vector-quantize-pytorch."""

import math
import sys

import hypothesis
import properties
import pytest
import torch
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from vector_quantize_pytorch import VectorQuantize

from riemvae_core.codes.quantizer import (
    Quantized,
    check_codebook,
    count_codes,
    nearest_code,
    perplexity,
    quantize,
    straight_through,
)


def points_and_codebook(shape=(40, 3), k=7, dtype=torch.float64, seed=0):
    z = properties.random_tensors(1, shape, seed, dtype)[0]
    return z, properties.random_tensors(1, (k, shape[-1]), seed + 1, dtype)[0]


# --- the nearest code


@hypothesis.given(n=st.integers(1, 40), k=st.integers(1, 30), d=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_the_nearest_code_is_scipys_nearest_neighbor(n, k, d, seed):
    z, codebook = points_and_codebook((n, d), k, seed=seed)
    distances, _ = cKDTree(codebook.numpy()).query(z.numpy())
    found = (z - codebook[nearest_code(z, codebook)]).norm(dim=-1)
    properties.close(found, torch.from_numpy(distances))


@pytest.mark.parametrize("batch", [(), (5,), (2, 3, 4), (0,), (2, 0)])
def test_leading_dimensions_are_kept(batch):
    z, codebook = points_and_codebook((*batch, 3))
    codes = nearest_code(z, codebook)
    assert codes.shape == batch
    assert codes.dtype == torch.int64
    if codes.numel():
        by_hand = (z.reshape(-1, 1, 3) - codebook).square().sum(-1).argmin(-1)
        assert torch.equal(codes.flatten(), by_hand)


def test_codes_far_from_the_origin_keep_their_digits():
    """Expanding the square around the origin would lose what tells codes apart: 1e8 swallows 1."""
    generator = torch.Generator().manual_seed(0)
    z = (1e4 + torch.randn(500, 2, generator=generator)).float()
    codebook = z[:32] + 0.01 * torch.randn(32, 2, generator=generator)
    exact = torch.cdist(z.double(), codebook.double())
    found = exact.gather(1, nearest_code(z, codebook)[:, None])[:, 0]
    assert (found - exact.amin(1)).max() < 1e-5
    expanded = (codebook.square().sum(-1) - 2 * z @ codebook.T).argmin(-1)
    assert (exact.gather(1, expanded[:, None])[:, 0] - exact.amin(1)).max() > 0.1


def test_more_points_than_fit_in_memory_at_once(monkeypatch):
    z, codebook = points_and_codebook((1000, 3))
    whole = nearest_code(z, codebook)
    blocks = slice(0, 700), slice(700, 707), slice(707, 1000)
    monkeypatch.setattr(sys.modules[nearest_code.__module__], "chunks", lambda *_: blocks)
    assert torch.equal(nearest_code(z, codebook), whole)


def test_renumbering_the_codes_renumbers_what_is_found():
    z, codebook = points_and_codebook((200, 3), 12)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    assert torch.equal(order[nearest_code(z, codebook[order])], nearest_code(z, codebook))


# --- quantize


def test_quantizing_twice_changes_nothing():
    z, codebook = points_and_codebook()
    once = quantize(z, codebook)
    twice = quantize(once.z_q, codebook)
    assert isinstance(once, Quantized)
    assert torch.equal(once.z_q, codebook[once.codes])
    assert torch.equal(twice.z_q, once.z_q)
    assert torch.equal(twice.codes, once.codes)
    assert not twice.commitment.any()
    assert torch.equal(quantize(codebook, codebook).codes, torch.arange(7))


@pytest.mark.parametrize("learnable", [True, False])
@pytest.mark.parametrize("shape", [(2, 30, 4), (1, 100, 2)])
def test_one_batch_in_vector_quantize_pytorch(shape, learnable):
    z, codebook = points_and_codebook(shape, 9, torch.float32)
    z.requires_grad_()
    peer = VectorQuantize(
        dim=shape[-1], codebook_size=9, commitment_weight=1.0, threshold_ema_dead_code=0,
        learnable_codebook=learnable, ema_update=False, rotation_trick=False,
    )  # fmt: skip
    with torch.no_grad():
        peer.codebook = codebook
    values, codes, loss = peer(z)
    ours = quantize(z, codebook)
    assert torch.equal(ours.codes, codes)
    properties.close(ours.z_q, values, 1e-6, 1e-6)
    properties.close(ours.commitment.mean() / shape[-1], loss, 1e-6, 1e-6)
    target = properties.random_tensors(1, shape, 8, torch.float32)[0]
    ours_grad, peers_grad = (
        torch.autograd.grad((target * value).sum() + weight * part, z)[0]
        for value, weight, part in ((ours.z_q, 1 / z.numel(), ours.commitment.sum()), (values, 1.0, loss))
    )
    properties.close(ours_grad, peers_grad, 1e-5, 1e-6)


def test_usage_says_what_the_codes_are_used_for():
    codebook = torch.tensor([[0.0], [1.0], [2.0], [50.0]], dtype=torch.float64)
    q = quantize(torch.tensor([[0.1], [0.2], [-0.1], [0.9], [1.1], [1.8]], dtype=torch.float64), codebook)
    assert q.codes.tolist() == [0, 0, 0, 1, 1, 2]
    assert q.counts.tolist() == [3, 2, 1, 0]
    assert q.used == 3
    entropy = -sum(p * math.log(p) for p in (1 / 2, 1 / 3, 1 / 6))
    properties.close(q.perplexity, torch.tensor(math.exp(entropy), dtype=torch.float64))


# --- gradients


def test_straight_through_has_one_value_and_the_others_gradient():
    z, e, g = (t.requires_grad_() for t in properties.random_tensors(3, (6, 4)))
    out = straight_through(z, e)
    assert torch.equal(out, e)
    to_z, to_e = torch.autograd.grad((out * g.detach()).sum(), (z, e), allow_unused=True)
    assert torch.equal(to_z, g)
    assert to_e is None


def test_the_gradient_at_the_point_is_that_at_the_code_and_not_the_true_one():
    """The true function is constant around almost every point; straight-through pretends it moves along."""
    z, codebook = points_and_codebook((30, 3))
    weight = properties.random_tensors(1, (30, 3), 5)[0]

    def loss(z_q):
        return (weight * z_q).sin().sum()

    step, moved = 1e-7, properties.random_tensors(1, (30, 3), 6)[0]
    q = quantize(z, codebook)
    assert torch.equal(quantize(z + step * moved, codebook).codes, q.codes)
    finite_difference = loss(quantize(z + step * moved, codebook).z_q) - loss(q.z_q)
    assert finite_difference == 0.0
    leaf = z.clone().requires_grad_()
    (through,) = torch.autograd.grad(loss(quantize(leaf, codebook).z_q), leaf)
    code = q.z_q.clone().requires_grad_()
    (at_code,) = torch.autograd.grad(loss(code), code)
    assert torch.equal(through, at_code)
    assert through.abs().sum() > 1


def test_each_loss_moves_its_own_side():
    z, codebook = (t.requires_grad_() for t in points_and_codebook())
    q = quantize(z, codebook)
    properties.close(q.codebook_loss, q.commitment)
    assert torch.autograd.grad(q.codebook_loss.sum(), z, allow_unused=True, retain_graph=True) == (None,)
    assert torch.autograd.grad(q.commitment.sum(), codebook, allow_unused=True, retain_graph=True) == (None,)
    (to_codes,) = torch.autograd.grad(q.codebook_loss.sum(), codebook, retain_graph=True)
    (to_points,) = torch.autograd.grad(q.commitment.sum(), z)
    with torch.no_grad():
        apart = z - codebook[q.codes]
        by_hand = torch.stack([-2 * apart[q.codes == k].sum(0) for k in range(7)])
    properties.close(to_points, 2 * apart)
    properties.close(to_codes, by_hand)


# --- usage


def test_counting_codes():
    codes = torch.tensor([[0, 3, 3], [1, 3, 0]])
    assert count_codes(codes, 5).tolist() == [2, 1, 0, 3, 0]
    assert count_codes(codes[:0], 2).tolist() == [0, 0]


@hypothesis.given(counts=st.lists(st.integers(0, 50), min_size=1, max_size=20).filter(any))
def test_perplexity_lies_between_one_and_the_codes_in_use(counts):
    value = perplexity(torch.tensor(counts, dtype=torch.float64))
    assert 1 - 1e-12 <= value <= sum(c > 0 for c in counts) + 1e-9
    entropy = torch.distributions.Categorical(torch.tensor(counts, dtype=torch.float64)).entropy()
    properties.close(value, entropy.exp(), 1e-9, 1e-9)


def test_perplexity_at_its_ends():
    properties.close(perplexity(torch.full((3, 8), 2.5)), torch.full((3,), 8.0), 1e-6, 1e-6)
    properties.close(perplexity(torch.eye(4)), torch.ones(4), 1e-6, 1e-6)


# --- errors


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    z, codebook = points_and_codebook()
    q = quantize(z, codebook)
    assert {part.device.type for part in q} == {"cpu"}


def test_single_precision_agrees_with_double():
    z, codebook = points_and_codebook((100, 4))
    properties.follows_dtype(lambda z, e: quantize(z, e).commitment, z, codebook)
    properties.leaves_inputs_alone(quantize, z, codebook)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nearest_code(torch.zeros(5, 3), torch.zeros(4, 2)), ("z", "2]", "(5, 3)")),
        (lambda: quantize(torch.zeros(5, 3), torch.zeros(3)), ("codebook", "[k, d]", "(3,)")),
        (lambda: check_codebook(torch.zeros(0, 3)), ("codebook", "at least one", "(0, 3)")),
        (lambda: straight_through(torch.zeros(5, 3), torch.zeros(5, 1)), ("e", "z's shape (5, 3)", "(5, 1)")),
        (lambda: count_codes(torch.tensor([0, 4]), 4), ("codes", "0 to 3", "0 to 4")),
        (lambda: count_codes(torch.tensor([-1]), 4), ("codes", "0 to 3", "-1")),
        (lambda: perplexity(torch.zeros(4)), ("counts", "positive sum", "0.0")),
        (lambda: perplexity(torch.tensor([2.0, -1.0])), ("counts", "at least 0")),
        (lambda: quantize(torch.zeros(0, 3), torch.zeros(2, 3)), ("z", "at least one point")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
