"""Points, codes and laws that are no numbers, codes far from the others: no wrong code in silence."""

import math

import properties
import pytest
import torch

from riemvae_core.codes import (
    CodebookState,
    HistogramPrior,
    codes_as_images,
    ema_update,
    fsq_codes,
    fsq_quantize,
    histogram_prior,
    kmeans_codebook,
    nearest_code,
    perplexity,
    quantize,
    reset_dead_codes,
    start_state,
)

Z, E = properties.random_tensors(2, (9, 3), dtype=torch.float32)
BAD = Z.clone()
BAD[4, 1] = math.nan
STATE = CodebookState(E, torch.ones(9))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: nearest_code(BAD, E), "z must be finite, got nan in row 4"),
        (lambda: nearest_code(Z, BAD), "codebook must be finite, got nan in row 4"),
        (lambda: quantize(Z / 0.0, E), "z must be finite, got -?inf in row 0"),
        (lambda: nearest_code(Z.double(), E), "codebook must be of z's dtype"),
        (lambda: start_state(BAD), "codebook must be finite"),
        (lambda: kmeans_codebook(BAD, 2), "z must be finite, got nan in row 4"),
        (lambda: ema_update(STATE, BAD, torch.zeros(9).long()), "z must be finite"),
        (
            lambda: ema_update(STATE._replace(counts=BAD[:, 1]), Z, torch.zeros(9).long()),
            "counts must be finite",
        ),
        (lambda: reset_dead_codes(STATE, Z, BAD[:, 1], 1.0), "noise must be finite, got nan in row 4"),
        (lambda: reset_dead_codes(STATE, Z, Z[:, 1], math.nan), "threshold must be a finite number"),
        (lambda: perplexity(torch.tensor([1.0, math.inf])), "counts must be finite"),
        (lambda: fsq_quantize(BAD, [3, 3, 3]), "z must be finite"),
        (lambda: fsq_codes(4 * torch.ones(1, 3), [3, 3, 3]), "z_q must lie on the levels"),
        (lambda: histogram_prior(torch.arange(3), 3, math.nan), "smoothing must be a finite number"),
        (lambda: HistogramPrior(torch.tensor([0.0, math.nan])).sample(2), "logits must be numbers"),
        (lambda: HistogramPrior(torch.tensor([-math.inf] * 2)).sample(2), "logits must be numbers"),
        (lambda: HistogramPrior(torch.zeros(2)).log_prob(torch.tensor([2])), "codes must lie in 0 to 1"),
        (lambda: codes_as_images(torch.zeros(3)), "codes must be a tensor of whole numbers"),
    ],
)
def test_what_is_no_number_gets_no_code(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("far", [1e6, 1e12, 1e30])
def test_one_far_code_costs_the_others_no_digit(far):
    codebook = properties.random_tensors(1, (40, 3), 1, torch.float32)[0]
    codebook[11] = far
    points = properties.random_tensors(1, (200, 3), 2, torch.float32)[0]
    expected = torch.cdist(points, codebook, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)
    assert torch.equal(nearest_code(points, codebook), expected)


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_codes_do_not_depend_on_the_unit(scale):
    assert torch.equal(nearest_code(Z * scale, E * scale), nearest_code(Z, E))


def test_means_of_half_precision_are_taken_in_single():
    """4,096 ones sum to 2,048 in half precision, where 2,048 + 1 is 2,048."""
    found = kmeans_codebook(torch.ones(4096, 1, dtype=torch.float16), 1)
    assert found.codebook.dtype == torch.float32
    assert found.codebook.item() == pytest.approx(1.0)
