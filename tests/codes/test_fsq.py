"""Finite scalar quantization beside vector-quantize-pytorch, and as a code with an inverse."""

import math

import properties
import pytest
import torch
from vector_quantize_pytorch import FSQ

from riemvae_core.codes.fsq import fsq_bound, fsq_codes, fsq_quantize, fsq_vectors
from riemvae_core.codes.quantizer import Quantized, nearest_code

LEVELS = [(8, 5, 4), (3,), (7, 7), (8, 8, 8, 6, 5)]


def points(levels, n=400, dtype=torch.float64):
    return 2 * properties.random_tensors(1, (n, len(levels)), dtype=dtype)[0]


@pytest.mark.parametrize("levels", LEVELS)
def test_one_batch_in_vector_quantize_pytorch(levels):
    z = points(levels, dtype=torch.float32).requires_grad_()
    peer = FSQ(levels=list(levels))
    values, codes = peer(z[None])
    ours = fsq_quantize(z, levels)
    assert isinstance(ours, Quantized)
    assert torch.equal(ours.codes, codes[0].long())
    properties.close(ours.z_q, values[0], 1e-6, 1e-6)
    (mine,) = torch.autograd.grad(ours.z_q.square().sum(), z)
    (theirs,) = torch.autograd.grad(values.square().sum(), z)
    properties.close(mine, theirs, 1e-5, 1e-6)
    properties.close(fsq_vectors(ours.codes, levels), peer.indices_to_codes(codes)[0].detach(), 1e-6, 1e-6)


@pytest.mark.parametrize("levels", LEVELS[:3])
def test_every_code_has_its_vector_and_back(levels):
    k = math.prod(levels)
    codebook = fsq_vectors(torch.arange(k), levels)
    assert codebook.shape == (k, len(levels))
    assert len({tuple(row) for row in codebook.tolist()}) == k
    assert torch.equal(fsq_codes(codebook, levels), torch.arange(k))
    assert codebook.min() == -1
    assert codebook.max() <= 1


@pytest.mark.parametrize("levels", LEVELS[:3])
def test_the_quantized_point_is_the_nearest_of_the_grid_to_the_bounded(levels):
    z = points(levels)
    q = fsq_quantize(z, levels)
    width = torch.tensor([size // 2 for size in levels]).double()
    codebook = fsq_vectors(torch.arange(math.prod(levels)), levels).double()
    assert torch.equal(nearest_code(fsq_bound(z, levels), codebook * width), q.codes)


@pytest.mark.parametrize("levels", LEVELS[:3])
def test_zero_stays_and_both_ends_are_reached(levels):
    ends = torch.tensor([[-50.0], [0.0], [50.0]]).double().expand(3, len(levels))
    q = fsq_quantize(ends, levels)
    tops = torch.tensor([((size - 1) // 2) / (size // 2) for size in levels]).double()
    properties.close(fsq_bound(ends, levels)[1], torch.zeros(len(levels)).double(), 1e-12, 1e-12)
    assert torch.equal(q.z_q[0], -torch.ones(len(levels)).double())
    properties.close(q.z_q[2], tops)
    assert (q.codes[0], q.codes[2]) == (0, math.prod(levels) - 1)


def test_the_bounds_gradient_is_right_and_passes_the_rounding():
    z = points((5, 4), 10)
    properties.has_right_gradient(lambda t: fsq_bound(t, (5, 4)), z)
    leaf = z.clone().requires_grad_()
    (through,) = torch.autograd.grad(fsq_quantize(leaf, (5, 4)).z_q.sum(), leaf)
    (bound,) = torch.autograd.grad((fsq_bound(leaf, (5, 4)) / 2).sum(), leaf)
    properties.close(through, bound)


def test_usage_and_losses():
    q = fsq_quantize(points((3, 3), 5000), (3, 3))
    assert q.used == 9
    assert q.counts.sum() == 5000
    assert 1 < q.perplexity < 9
    assert not q.codebook_loss.any()
    assert not q.commitment.any()


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    z = points((5, 4))
    q = fsq_quantize(z, (5, 4))
    assert {part.device.type for part in (*q, fsq_vectors(q.codes, (5, 4)))} == {"cpu"}


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: fsq_quantize(torch.zeros(4, 3), (5, 5)), ("z", "2]", "(4, 3)")),
        (lambda: fsq_bound(torch.zeros(4, 2), (5, 2)), ("levels", "at least 3", "(5, 2)")),
        (lambda: fsq_vectors(torch.tensor([0]), ()), ("levels", "()")),
        (lambda: fsq_vectors(torch.tensor([15]), (3, 5)), ("codes", "0 to 14", "15")),
        (lambda: fsq_codes(torch.zeros(4, 1), (5, 5)), ("z", "2]", "(4, 1)")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
