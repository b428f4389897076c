"""Devices, generators, chunks."""

import properties
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from riemvae_core import numerics


def test_default_device_is_the_fastest_one_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert numerics.default_device() == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert numerics.default_device() == torch.device("mps")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert numerics.default_device() == torch.device("cuda")


def test_generator_repeats_itself_and_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    a, b, c = (torch.rand(5, generator=numerics.make_generator(seed)) for seed in (3, 3, 4))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("seed", [-1, 0.5, "one"])
def test_generator_wants_a_seed(seed):
    with pytest.raises(ValueError, match="seed must be an integer of at least 0") as caught:
        numerics.make_generator(seed)
    properties.message_names(caught.value, repr(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_standard_normal_follows_its_model(dtype):
    like = torch.zeros(1, dtype=dtype)
    draws = numerics.standard_normal((2, 3), like, numerics.make_generator(0))
    assert draws.shape == (2, 3)
    assert draws.dtype == dtype
    assert torch.equal(draws, torch.randn(2, 3, dtype=dtype, generator=numerics.make_generator(0)))


def test_standard_normal_has_the_moments_of_its_name():
    n = 100_000
    draws = numerics.standard_normal((n,), torch.zeros(1).double(), numerics.make_generator(7))
    # the sample's moments 1 to 4 have variances 1, 2, 15, 96 over n under N(0, 1); five standard deviations
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(draws.pow(power).mean().item() - moment) < 5 * (variance / n) ** 0.5


def test_standard_normal_without_a_generator_uses_the_global_one():
    state = torch.get_rng_state()
    a = numerics.standard_normal((4,), torch.zeros(1))
    torch.set_rng_state(state)
    assert torch.equal(a, torch.randn(4))


@given(st.integers(0, 300), st.integers(1, 50), st.integers(1, 400))
def test_chunks_cover_the_range_once_within_the_budget(n, bytes_each, budget):
    slices = list(numerics.chunks(n, bytes_each, budget))
    assert [i for s in slices for i in range(n)[s]] == list(range(n))
    assert all((s.stop - s.start) * bytes_each <= max(budget, bytes_each) for s in slices)


@pytest.mark.parametrize("bad", [(-1, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_chunks_refuses_nonsense(bad):
    with pytest.raises(ValueError, match="n must be at least 0 and bytes_each and budget positive") as caught:
        list(numerics.chunks(*bad))
    properties.message_names(caught.value, *bad)


def test_uniform_draws_are_uniform_and_a_seed_means_the_same_on_every_device():
    like = torch.zeros(1, dtype=torch.float64, device="cpu")
    draws = numerics.standard_uniform((2000,), like, numerics.make_generator(0))
    assert draws.dtype == torch.float64
    assert kstest(draws, "uniform").pvalue > 1e-3
    assert torch.equal(draws, numerics.standard_uniform((2000,), like, numerics.make_generator(0)))
    assert numerics.standard_uniform((2,), torch.zeros(1, device="meta")).device.type == "meta"


@pytest.mark.parametrize("shape", [(), (3,), (2, 1)])
def test_points_of_a_wrong_dimension_are_named(shape):
    numerics.check_points(torch.zeros(0, 2), 2)
    with pytest.raises(ValueError, match=r"z must be \[\*batch, 2\]") as caught:
        numerics.check_points(torch.zeros(shape), 2)
    properties.message_names(caught.value, shape)


def test_seeded_weights_are_drawn_on_the_cpu_and_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    drawn = []
    for seed in (0, 0, 1):
        with torch.device("meta"), numerics.seeded_weights(seed):
            drawn.append(torch.nn.Linear(3, 2).weight.detach())
    assert torch.equal(torch.get_rng_state(), before)
    assert drawn[0].device.type == "cpu"
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_images_of_a_wrong_shape_are_named():
    numerics.check_images(torch.zeros(2, 1, 4, 5))
    for wrong in (torch.zeros(0, 1, 4, 5), torch.zeros(1, 4, 5)):
        with pytest.raises(ValueError, match=r"images must be \[n, c, h, w\] with n at least 1, got \["):
            numerics.check_images(wrong)


def test_numbers_that_a_dtype_cannot_hold_are_named():
    x = torch.tensor([[0.0, 1.0], [2.0, -7e4], [7e4, 0.0]])
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        numerics.check_held(dtype, x=x)
    numerics.check_held(torch.float16, sum_alone_overflows=torch.full((9,), 6e4), empty=x[:0])
    with pytest.raises(
        ValueError, match=r"x must be within the range of torch.float16, 65504, got -70000 in row 1"
    ):
        numerics.check_held(torch.float16, x=x)
