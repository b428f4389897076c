"""Codes in half precision, whose sums and counts leave its range: they are taken in single."""

import math

import properties
import pytest
import torch

from riemvae_core.codes import (
    CodebookState,
    CodePriorConfig,
    count_codes,
    ema_update,
    fsq_codes,
    fsq_quantize,
    fsq_vectors,
    histogram_prior,
    kmeans_step,
    make_code_prior,
    nearest_code,
    perplexity,
    quantize,
    reset_dead_codes,
    start_state,
)
from riemvae_core.codes.quantizer import at_least_single, check_codes

HALVES = (torch.float16, torch.bfloat16)
WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32)


@pytest.fixture(params=HALVES, ids=str)
def dtype(request):
    return request.param


def two_crowds(dtype, n=35_000):
    """n points on each of two codes, and these: more than half precision counts (65,504) in all."""
    codebook = torch.tensor([[0.0], [2.0]]).to(dtype)
    return codebook.repeat_interleave(n, 0), codebook


def test_usage_of_many_points(dtype):
    z, codebook = two_crowds(dtype)
    q = quantize(z, codebook)
    assert [at_least_single(t) for t in (dtype, torch.float64)] == [torch.float32, torch.float64]
    assert q.counts.tolist() == [35_000, 35_000]
    assert q.z_q.dtype == dtype
    for found in (
        q.perplexity,
        perplexity(torch.tensor([4e4, 4e4]).to(dtype)),
        fsq_quantize(z - 1, [4]).perplexity,
    ):
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(2.0, rel=1e-6)


@pytest.mark.parametrize("n", [20_000, 35_000, 70_000])
def test_means_of_many_points(dtype, n):
    z, codebook = two_crowds(dtype, n)
    start = codebook + torch.tensor([[-0.5], [0.5]]).to(dtype)
    moved = kmeans_step(z, start)
    state = ema_update(start_state(start), z, nearest_code(z, start), decay=0.0, smoothing=0.0)
    for found in (moved, state.codebook):
        assert found.dtype == dtype
        assert torch.equal(found, codebook)
    assert state.counts.dtype == torch.float32
    assert state.counts.tolist() == [n, n]


def test_running_counts_do_not_stall(dtype):
    """In half precision a hundredth of what is left is soon less than a digit."""
    z, codebook = two_crowds(dtype, 1000)
    state = CodebookState(codebook, torch.ones(2, dtype=dtype))
    for _ in range(800):
        state = ema_update(state, z, nearest_code(z, state.codebook), smoothing=0.0)
    assert state.counts.tolist() == pytest.approx([1000.0] * 2, rel=1e-3)
    revived = reset_dead_codes(state, z[:3], torch.rand(3).to(dtype), 1e6)
    assert revived.counts.tolist() == [1e6] * 2


def test_the_nearest_of_many_codes_in_half_precision(dtype):
    generator = torch.Generator().manual_seed(0)
    z, codebook = (4 * torch.randn(shape, generator=generator) for shape in ((32, 8, 8, 64), (512, 64)))
    z, codebook = z.to(dtype), codebook.to(dtype)
    assert torch.equal(nearest_code(z, codebook), nearest_code(z.float(), codebook.float()))
    with_grad = z.clone().requires_grad_()
    q, single = quantize(with_grad, codebook), quantize(z.float(), codebook.float())
    assert torch.equal(q.commitment, single.commitment)
    assert torch.equal(q.codebook_loss, single.codebook_loss)
    assert torch.autograd.grad(q.commitment.sum(), with_grad)[0].dtype == dtype


def test_far_points_of_half_precision_have_finite_losses():
    q = quantize(torch.full((1, 64), 60.0).half(), torch.full((1, 64), -60.0).half())
    assert q.commitment.item() == q.codebook_loss.item() == 64 * 120**2


def test_a_sum_over_a_chunk_is_no_bound_of_single_precision_either():
    """Products near 1e37, whose sum over many points is infinite, and products that are so themselves."""
    z, codebook = torch.tensor([[1.0], [-1.0]]).repeat(500, 1), torch.tensor([[-1e14], [1e14]])
    for scale in (1e22, 1e23, 1e30):
        assert nearest_code(z * scale, codebook).tolist() == [1, 0] * 500
    with pytest.raises(ValueError, match="must be below 1e150 in size, got 1e\\+200"):
        nearest_code(z.double() * 1e200, codebook.double() * 1e130)


@pytest.mark.parametrize("function", [ema_update, reset_dead_codes])
def test_points_beyond_the_codebooks_numbers_are_named(function):
    z = torch.tensor([[1.0], [1e39]]).double()
    for codebook, largest in ((torch.zeros(1, 1), 1e39), (torch.zeros(1, 1).half(), 1e5)):
        z[1] = largest
        more = (torch.zeros(2).long(),) if function is ema_update else (torch.rand(2), 2.0)
        with pytest.raises(ValueError, match=f"z must be within the range of {codebook.dtype}.*in row 1"):
            function(start_state(codebook), z, *more)


# --- finite scalar quantization


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
@pytest.mark.parametrize("size", [3, 4, 255, 256, 1001, 1003, 2048, 4001, 2**20])
def test_levels_are_told_apart_or_refused(dtype, size):
    z = torch.linspace(-12, 12, 1001)[:, None].to(dtype)
    most = {torch.bfloat16: 256, torch.float16: 2048, torch.float32: 2**24}[dtype]
    if size > most:
        remedy = rf"must be at most {most:,} an axis for z of {dtype}.*got \({size},\): take z.float\(\)"
        with pytest.raises(ValueError, match=f"levels {remedy}"):
            fsq_quantize(z, [size])
        return
    q = fsq_quantize(z, [size])
    assert q.z_q.dtype == dtype
    assert (q.codes[0], q.codes[-1]) == (0, size - 1)
    assert torch.equal(q.codes, fsq_quantize(z.float(), [size]).codes)
    every = torch.arange(0, size, max(1, size // 3000))
    assert torch.equal(fsq_codes(fsq_vectors(every, [size]).to(dtype), [size]), every)


def test_more_codes_than_can_be_counted():
    for levels, words in (([2**20] * 2, r"\(1048576, 1048576\)"), ([3] * 20, "20 axes of up to 3")):
        with pytest.raises(ValueError, match=f"levels must make at most 268,435,456 codes .*{words}"):
            fsq_quantize(torch.zeros(1, len(levels)), levels)
        last = math.prod(levels) - 1  # a code's number needs no count
        assert fsq_codes(fsq_vectors(torch.tensor([last]), levels), levels).item() == last
    for call in (
        lambda: fsq_codes(torch.zeros(1, 4), [2**20] * 4),
        lambda: fsq_vectors(torch.tensor([0]), [2**20] * 4),
        lambda: fsq_quantize(torch.zeros(1, 4), [2**20] * 4),
    ):
        with pytest.raises(ValueError, match=r"levels must make fewer than 2\*\*63 codes"):
            call()
    with pytest.raises(
        ValueError, match="k must be at most 268,435,456 codes to be counted, got 1,099,511,627"
    ):
        count_codes(torch.tensor([0]), 2**40)


def test_codes_are_checked_without_a_count():
    check_codes(torch.tensor([0, 2**40 - 1]), 2**40)
    with pytest.raises(ValueError, match="codes must lie in 0 to 1, got 0 to 2"):
        check_codes(torch.tensor([0, 2]), 2)


# --- laws of codes of any whole dtype


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("whole", WHOLE)
def test_laws_take_codes_of_any_whole_dtype(whole):
    codes = torch.tensor([[[0, 5], [119, 3]], [[7, 7], [0, 1]]])
    law, net = histogram_prior(codes, 120), make_code_prior(CodePriorConfig(120, (2, 2), 4), seed=0)
    for prior in (law, net):
        properties.close(prior.log_prob(codes.to(whole)), prior.log_prob(codes))
    properties.close(histogram_prior(codes.to(whole), 120).log_share, law.log_share)
    large = make_code_prior(CodePriorConfig(256, (), 4), seed=0)  # "no code yet" has number 256
    properties.close(large.log_prob(torch.tensor([255, 0]).byte()), large.log_prob(torch.tensor([255, 0])))
    assert torch.equal(fsq_vectors(codes.to(whole), [12, 10]), fsq_vectors(codes, [12, 10]))
