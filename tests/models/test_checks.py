"""The helpers that doors share: what they let through, what they name, and which row comes first."""

import math

import numpy as np
import pytest
import torch
from training_cases import DIGITS, same_weights, small

from riemvae_core.codes import quantizer
from riemvae_core.models import checkpoints, checks
from riemvae_core.numerics import check_finite, check_floats, check_number, check_unit_range

pytestmark = pytest.mark.usefixtures("no_hook")


def test_finite_numbers_pass_even_where_their_sum_is_not():
    check_finite(x=torch.full((4, 3), 3e38), half=torch.full((9,), 6e4, dtype=torch.float16))
    check_finite(none=torch.zeros(0, 3), one=torch.tensor(1.0), meta=torch.zeros(2, device="meta"))
    check_finite(graph=torch.ones(3, requires_grad=True))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (torch.tensor(math.nan), "got nan in row 0"),
        (torch.tensor([0.0, -math.inf, math.nan]), "got -inf in row 1 \\(2 of 3 rows"),
        (torch.tensor([[math.inf, -math.inf], [0.0, 1.0]]), "got inf in row 0 \\(1 of 2 rows"),
        (torch.arange(3), "floating numbers, got torch.int64: take x.float"),
        (torch.zeros(2, dtype=torch.complex64), "floating numbers, got torch.complex64"),
        (np.zeros(3), "floating numbers, got ndarray: torch.as_tensor"),
        (None, "floating numbers, got NoneType"),
    ],
)
def test_what_is_not_finite_is_named(x, words):
    with pytest.raises(ValueError, match=f"x must be .*{words}"):
        check_finite(fine=torch.zeros(2), x=x)
    if torch.is_tensor(x) and x.is_floating_point():
        check_floats(x=x)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        ([0.2, 1.1], r"got 1.1 in row 1 .*x.clamp\(0, 1\)"),
        ([0.2, -1.0], r"got -1 in row 1 .*x.add\(1\) / 2"),
        ([254.0, 1.0], "got 254 in row 0 .*x / 255"),
    ],
)
def test_what_is_beyond_0_to_1_is_named(x, words):
    check_unit_range("as shares do", x=torch.tensor([0.0, 1.0, math.nan, 1.0 + 1e-7]))
    with pytest.raises(ValueError, match=rf"x must lie in \[0, 1\], as shares do, {words}"):
        check_unit_range("as shares do", x=torch.tensor(x))


@pytest.mark.parametrize("value", [0, 2.5, "3", None, True, math.nan, math.inf, 2**63, np.float32(2.5)])
def test_a_whole_number_is_one_that_fits(value):
    check_number(1, whole=True, k=3, n=np.int64(1))
    with pytest.raises(ValueError, match="k must be a whole number of at least 1, got"):
        check_number(1, whole=True, k=value)


@pytest.mark.parametrize("value", [-0.1, "3", None, True, math.nan, math.inf, torch.tensor(1.0)])
def test_a_number_is_finite(value):
    check_number(0.0, beta=0.0, other=np.float32(2.5), third=7)
    with pytest.raises(ValueError, match=r"beta must be a finite number of at least 0\.0, got"):
        check_number(0.0, beta=value)


@pytest.mark.parametrize("codes", [torch.zeros(3), torch.zeros(3, dtype=torch.bool), [0, 1]])
def test_codes_are_whole(codes):
    quantizer.check_whole(torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="codes must be a tensor of whole numbers"):
        quantizer.check_whole(codes)


def test_what_a_model_needs_is_checked_part_by_part():
    model = small()
    checks.check_sizes(model.config, latent_dim=2)
    checks.check_trainable(model, None)
    checks.check_labels(model, DIGITS, torch.zeros(200, dtype=torch.int64))
    checks.check_losses(model.losses(DIGITS[:3], torch.zeros(3, 2)), 3)
    assert checks.ready_images(model, DIGITS.double()).dtype == torch.float32
    with pytest.raises(ValueError, match=r"got \{'total': \[3\], 'reconstruction': \[3\]"):
        checks.check_losses(model.losses(DIGITS[:3], torch.zeros(3, 2)), 4)


def test_images_of_another_shape_are_named():
    checks.check_image_shape(torch.zeros(0, 1, 4, 5), (1, 4, 5))
    for wrong in (torch.zeros(2, 1, 5, 4), torch.zeros(1, 4, 5)):
        with pytest.raises(ValueError, match=r"x must be \[n, 1, 4, 5\], got \["):
            checks.check_image_shape(wrong, (1, 4, 5))


def test_a_run_comes_back_as_it_was_saved(tmp_path):
    plan = checkpoints.Plan(4, 32, 1e-3, 0, tmp_path / "run")
    model, other = small(), small(beta=2.0)
    run = checkpoints.fingerprint(plan, model, DIGITS, None)
    assert run != checkpoints.fingerprint(plan, other, DIGITS, None)
    model.mu_head.weight.data.fill_(0.5)
    optimizer, generator = torch.optim.Adam(model.parameters()), torch.Generator().manual_seed(3)
    checkpoints.save_run(plan, model, optimizer, generator, 2, {"total": [3.0, 2.0]}, 1.5, run)
    fresh, later = small(), torch.Generator()
    found = checkpoints.resume(plan, fresh, torch.optim.Adam(fresh.parameters()), later, run)
    assert found == (2, {"total": [3.0, 2.0]}, 1.5)
    assert same_weights(fresh, model)
    assert torch.equal(later.get_state(), generator.get_state())
    checkpoints.check_weights(fresh, 0)
    fresh.mu_head.bias.data[0] = math.inf
    with pytest.raises(FloatingPointError, match=r"mu_head\.bias is not finite after epoch 1"):
        checkpoints.check_weights(fresh, 0)
