"""How a codebook learns, beside scikit-learn's k-means and the moving averages of vector-quantize-pytorch."""

import warnings
from itertools import pairwise

import properties
import pytest
import torch
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.exceptions import ConvergenceWarning
from vector_quantize_pytorch import VectorQuantize

from riemvae_core.codes.codebooks import (
    CodebookState,
    KMeans,
    dead_codes,
    ema_update,
    kmeans_codebook,
    kmeans_step,
    reset_dead_codes,
    smooth_counts,
    start_state,
    sum_by_code,
)
from riemvae_core.codes.quantizer import nearest_code, quantize
from riemvae_core.numerics import make_generator


def blobs(n=300, k=6, d=3, dtype=torch.float64):
    """Points around k places, and a codebook that starts on k of the points."""
    places, noise = properties.random_tensors(1, (k, d), 1)[0], properties.random_tensors(1, (n, d), 2)[0]
    z = (4 * places[torch.arange(n, device="cpu") % k] + noise).to(dtype)
    return z, z[:k].clone()


def distortion(z, codebook):
    return quantize(z, codebook).commitment.mean()


# --- k-means


def test_a_step_is_scikit_learns():
    z, codebook = blobs()
    peer = SklearnKMeans(6, init=codebook.numpy(), n_init=1, max_iter=1, algorithm="lloyd", tol=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(z.numpy())
    properties.close(kmeans_step(z, codebook), torch.from_numpy(peer.cluster_centers_))


def test_steps_never_raise_the_distortion_and_end_where_nothing_moves():
    z, codebook = blobs()
    values = [distortion(z, codebook)]
    for _ in range(30):
        codebook = kmeans_step(z, codebook)
        values.append(distortion(z, codebook))
    assert all(b <= a + 1e-12 for a, b in pairwise(values))
    assert torch.equal(kmeans_step(z, codebook), codebook)


def test_a_code_without_points_stays():
    z, codebook = blobs()
    codebook[2] = 1e3
    moved = kmeans_step(z, codebook)
    assert torch.equal(moved[2], codebook[2])
    assert not torch.equal(moved[0], codebook[0])


def test_a_step_is_a_gradient_step_on_the_codebook_loss():
    r"""The gradient is $2 n_k e_k - 2\sum z$: with the step size $1/(2n_k)$ the code lands on the mean."""
    z, codebook = blobs()
    q = quantize(z, codebook.requires_grad_())
    (gradient,) = torch.autograd.grad(q.codebook_loss.sum(), codebook)
    by_gradient = (codebook - gradient / (2 * q.counts[:, None])).detach()
    properties.close(kmeans_step(z, codebook.detach()), by_gradient)


def test_kmeans_is_as_good_as_scikit_learns():
    z, _ = blobs()
    found = kmeans_codebook(z, 6, make_generator(0))
    peer = SklearnKMeans(6, n_init=10, random_state=0).fit(z.numpy())
    assert isinstance(found, KMeans)
    assert found.converged
    properties.close(found.distortion, distortion(z, found.codebook))
    assert found.distortion * len(z) <= 1.05 * peer.inertia_
    again = kmeans_codebook(z, 6, make_generator(0))
    assert torch.equal(again.codebook, found.codebook)
    assert not torch.equal(kmeans_codebook(z, 6, make_generator(1)).codebook, found.codebook)


def test_kmeans_at_its_ends():
    z, _ = blobs(40)
    properties.close(kmeans_codebook(z, 1).codebook[0], z.mean(0))
    assert kmeans_codebook(z, 40).distortion < 1e-20
    cut = kmeans_codebook(z, 6, make_generator(0), max_steps=1)
    assert cut.steps == 1
    assert not cut.converged
    assert kmeans_codebook(z.reshape(4, 10, 3).float(), 6, make_generator(0)).codebook.dtype == torch.float32


# --- moving averages


def test_moving_averages_are_those_of_vector_quantize_pytorch():
    z, codebook = blobs(dtype=torch.float32)
    codebook[4] = 40.0  # nobody's
    peer = VectorQuantize(dim=3, codebook_size=6, decay=0.9, threshold_ema_dead_code=0)
    with torch.no_grad():
        peer.codebook = codebook
        peer._codebook.embed_avg.copy_(codebook[None])
    state = start_state(codebook)
    for batch in z.split(60):
        peer(batch[None])
        state = ema_update(state, batch, nearest_code(batch, state.codebook), decay=0.9)
        properties.close(state.codebook, peer.codebook, 1e-5, 1e-5)
        properties.close(state.counts, peer._codebook.cluster_size[0], 1e-6, 1e-6)


def test_moving_averages_that_forget_all_are_a_step_of_kmeans():
    z, codebook = blobs()
    state = ema_update(start_state(codebook), z, nearest_code(z, codebook), decay=0.0, smoothing=0.0)
    properties.close(state.codebook, kmeans_step(z, codebook))
    assert state.counts.sum() == len(z)


def test_moving_averages_are_the_average_with_weights_that_decay():
    """Written out: the start with weight 0.8^3, the batches with 0.2 * 0.8^2, 0.2 * 0.8 and 0.2."""
    z, codebook = blobs(90, k=1)
    state = start_state(codebook)
    for batch in z.split(30):
        state = ema_update(state, batch, torch.zeros(30, dtype=torch.int64), decay=0.8, smoothing=0.0)
    weights = torch.tensor([0.8**3] + [0.2 * 0.8**2] * 30 + [0.2 * 0.8] * 30 + [0.2] * 30)
    points = torch.cat([codebook, z])
    properties.close(state.counts, weights.double().sum()[None], 1e-6, 1e-6)
    average = (weights[:, None].double() * points).sum(0) / weights.double().sum()
    properties.close(state.codebook[0], average, 1e-6, 1e-6)


def test_without_points_a_code_stays_until_smoothing_outweighs_its_count():
    z, codebook = blobs()
    codes = torch.zeros(len(z), dtype=torch.int64)
    state = start_state(codebook)
    for _ in range(20):
        state = ema_update(state, z, codes, decay=0.9)
    properties.close(state.codebook[1:], codebook[1:], 1e-3, 1e-3)
    for _ in range(300):
        state = ema_update(state, z, codes, decay=0.9)
    assert state.codebook[1:].norm(dim=-1).max() < 1e-3 * codebook[1:].norm(dim=-1).min()


def test_smoothed_counts_keep_their_total_and_are_never_zero():
    counts = torch.tensor([0.0, 3.0, 7.0], dtype=torch.float64)
    smoothed = smooth_counts(counts, 0.5)
    properties.close(smoothed, (counts + 0.5) / 11.5 * 10)
    properties.close(smoothed.sum(), counts.sum())
    assert (smoothed > 0).all()


def test_sums_are_those_of_a_loop():
    z, codebook = blobs()
    codes = nearest_code(z, codebook)
    by_hand = torch.stack([z[codes == k].sum(0) for k in range(8)])
    properties.close(sum_by_code(z, codes, 8), by_hand)
    properties.close(sum_by_code(z.reshape(3, 100, 3), codes.reshape(3, 100), 8), by_hand)


# --- dead codes


def test_dead_codes_land_on_the_points_that_chance_picks():
    z, codebook = blobs()
    state = CodebookState(codebook, torch.tensor([5.0, 0.1, 3.0, 0.0, 2.0, 0.5]).double())
    assert dead_codes(state.counts, 0.5).tolist() == [False, True, False, True, False, False]
    noise = torch.rand(len(z), generator=make_generator(0), dtype=torch.float64)
    fresh = reset_dead_codes(state, z, noise, 0.5)
    assert isinstance(fresh, CodebookState)
    alive = ~dead_codes(state.counts, 0.5)
    assert torch.equal(fresh.codebook[alive], codebook[alive])
    assert torch.equal(fresh.counts, state.counts.clamp(min=0.5))
    assert torch.equal(fresh.codebook[~alive], z[noise.argsort(descending=True)[:2]])
    assert state.counts[3] == 0.0


def test_resets_revive_a_codebook_that_nobody_uses():
    z, codebook = blobs()
    far = codebook.clone()
    far[1:] = 1e3  # one code takes all
    plain = revived = start_state(far)
    generator = make_generator(0)
    for batch in 10 * z.split(60):
        plain, revived = (
            ema_update(s, batch, nearest_code(batch, s.codebook), decay=0.9) for s in (plain, revived)
        )
        noise = torch.rand(60, generator=generator, dtype=torch.float64)
        revived = reset_dead_codes(revived, batch, noise, 1.0)
    assert quantize(z, plain.codebook).used == 1
    assert quantize(z, revived.codebook).used == 6
    assert distortion(z, revived.codebook) < 0.5 * distortion(z, plain.codebook)


def test_more_dead_codes_than_points_wait_for_the_next_batch():
    z, codebook = blobs()
    fresh = reset_dead_codes(CodebookState(codebook, torch.zeros(6).double()), z[:2], z[:2, 0], 1.0)
    assert fresh.counts.tolist() == [1, 1, 0, 0, 0, 0]
    assert torch.equal(fresh.codebook[2:], codebook[2:])


def test_chance_decides_evenly():
    z = torch.arange(4.0)[:, None]
    state = CodebookState(torch.zeros(1, 1), torch.zeros(1))
    generator = make_generator(0)
    hits = torch.stack(
        [reset_dead_codes(state, z, torch.rand(4, generator=generator), 1.0).codebook for _ in range(2000)]
    )
    counts = torch.bincount(hits.flatten().long(), minlength=4)
    assert (counts - 500).square().sum() / 500 < 16.3  # chi-square with 3 degrees of freedom, 99.9%


# --- errors


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    z, codebook = blobs()[0], properties.random_tensors(1, (6, 3))[0]
    state = ema_update(start_state(codebook), z, nearest_code(z, codebook))
    state = reset_dead_codes(state, z, z[:, 0], 3.0)
    found = kmeans_codebook(z, 3)
    assert {t.device.type for t in (*state, found.codebook, found.distortion)} == {"cpu"}


Z, CODES = torch.zeros(5, 3), torch.zeros(5, dtype=torch.int64)
STATE = start_state(torch.zeros(2, 3))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: start_state(torch.zeros(3)), ("codebook", "[k, d]", "(3,)")),
        (lambda: kmeans_step(Z, torch.zeros(4, 2)), ("z", "2]", "(5, 3)")),
        (lambda: kmeans_codebook(Z, 6), ("k", "number of points", "6", "[5, 3]")),
        (lambda: kmeans_codebook(Z, 0), ("k", "from 1", "0")),
        (lambda: kmeans_codebook(Z, 2, max_steps=0), ("max_steps", "at least 1")),
        (lambda: kmeans_codebook(torch.tensor(1.0), 1), ("k", "[]")),
        (lambda: sum_by_code(Z, CODES[:4], 2), ("codes", "(5,)", "(4,)")),
        (lambda: ema_update(STATE, torch.zeros(5, 2), CODES), ("z", "3]", "(5, 2)")),
        (lambda: ema_update(STATE, Z, CODES + 2), ("codes", "0 to 1", "2")),
        (lambda: ema_update(STATE, Z, CODES, decay=1.0), ("decay", "[0, 1)", "1.0")),
        (lambda: ema_update(STATE, Z, CODES, smoothing=-1.0), ("smoothing", "at least 0", "-1.0")),
        (lambda: reset_dead_codes(STATE, Z, torch.zeros(4), 1.0), ("noise", "[n]", "[4]")),
        (lambda: reset_dead_codes(STATE, torch.zeros(5, 2), Z[:, 0], 1.0), ("z", "3]", "(5, 2)")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
