"""Scores of samples against closed forms, trusted libraries, hand-made cases and laws."""

import numpy as np
import prdc
import properties
import pytest
import torch
from scipy.linalg import sqrtm

from riemvae_core.scores import generation as scores
from riemvae_core.scores.generation import DensityCoverage, PrecisionRecall, SamplerDistance


def two_sets(n=120, m=90, f=5, dtype=torch.float64):
    a, b = properties.random_tensors(1, (n + m, f), dtype=dtype)[0].split([n, m])
    stretch = torch.linspace(0.3, 2.0, f, dtype=dtype, device="cpu")
    return a * stretch, 0.8 * b + 0.4


def rotation(f, seed=5):
    return torch.linalg.qr(properties.random_tensors(1, (f, f), seed)[0]).Q


def with_moments(n, mean, covariance, seed=0):
    """A set whose sample mean and covariance are exactly these."""
    eps = properties.random_tensors(1, (n, len(mean)), seed)[0]
    eps = eps - eps.mean(0)
    white = eps @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(eps.T))).T
    values, vectors = torch.linalg.eigh(covariance)
    return mean + white @ (vectors * values.clamp_min(0).sqrt()).T


def tensor(*rows):
    return torch.tensor(rows, dtype=torch.float64, device="cpu")


# --- Frechet distance


def test_frechet_of_gaussians_that_commute_is_the_distance_of_means_and_deviations():
    mean_a, mean_b, s_a, s_b = properties.random_tensors(4, (6,))
    q = rotation(6)
    a = with_moments(50, mean_a, (q * s_a.square()) @ q.T)
    b = with_moments(70, mean_b, (q * s_b.square()) @ q.T, seed=1)
    expected = (mean_a - mean_b).square().sum() + (s_a.abs() - s_b.abs()).square().sum()
    assert scores.frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-10)


def test_frechet_is_the_formula_with_scipys_matrix_root():
    a, b = two_sets()
    s_a, s_b = np.cov(a.numpy().T), np.cov(b.numpy().T)
    root = np.real(sqrtm(s_a @ s_b))
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum().item() + np.trace(s_a + s_b - 2.0 * root)
    assert scores.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(4, 5), (4, 200), (200, 4)])
def test_fewer_rows_than_features_are_no_trouble(n, m):
    """Singular covariances, by the eigenvalues of the data's own small matrices."""
    a, b = (x.repeat(1, 8) for x in two_sets(n, m))
    x, y = ((s - s.mean(0)) / (len(s) - 1) ** 0.5 for s in (a, b))
    shared = torch.linalg.svdvals(x @ y.T).sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + x.square().sum() + y.square().sum() - 2 * shared
    assert scores.frechet_distance(a, b) == pytest.approx(expected.item(), rel=1e-12)
    assert scores.frechet_distance(a, a) == pytest.approx(0.0, abs=1e-12)


def test_frechet_obeys_the_laws_of_a_distance_between_laws():
    a, b = two_sets()
    value = scores.frechet_distance(a, b)
    assert value > 0.1
    assert scores.frechet_distance(b, a) == pytest.approx(value, rel=1e-12)
    q = rotation(5)
    assert scores.frechet_distance(a @ q + 3.0, b @ q + 3.0) == pytest.approx(value, rel=1e-12)
    assert scores.frechet_distance(2.0 * a, 2.0 * b) == pytest.approx(4.0 * value, rel=1e-12)
    assert scores.frechet_distance(a, a.flip(0)) == pytest.approx(0.0, abs=1e-12)
    assert scores.frechet_distance(a, a + 0.5) == pytest.approx(5 * 0.25, rel=1e-10)


def test_single_precision_comes_in_and_float64_is_worked_in():
    a, b = two_sets(dtype=torch.float32)
    assert scores.frechet_distance(a, b) == scores.frechet_distance(a.double(), b.double())


def test_the_bias_of_frechet_falls_as_one_over_n():
    """Two samples of one law: moments are off by 1 / sqrt n, and the distance is of second order in that."""
    means = []
    for n in (200, 800):
        pairs = (properties.random_tensors(2, (n, 4), seed) for seed in range(40))
        means.append(np.mean([scores.frechet_distance(a, b) for a, b in pairs]))
    assert means[0] / means[1] == pytest.approx(4.0, rel=0.2)


# --- precision and recall, density and coverage


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("blend", [0.0, 1.0])
def test_all_four_are_those_of_the_authors_package(k, blend):
    real, fake = two_sets()
    fake = fake + blend
    theirs = prdc.compute_prdc(real.numpy(), fake.numpy(), nearest_k=k)
    ours = scores.precision_recall(real, fake, k), scores.density_coverage(real, fake, k)
    assert isinstance(ours[0], PrecisionRecall)
    assert isinstance(ours[1], DensityCoverage)
    assert 0.0 < ours[0].precision < 1.0
    for found in ours:
        for name, value in found._asdict().items():
            assert value == pytest.approx(theirs[name], abs=1e-12), name


def test_four_on_a_line_by_hand():
    """Real at 0, 1, 3, 7 with k = 1: radii 1, 1, 2, 4. Fakes at 0.5, 4.5, 20: radii 4, 4, 15.5."""
    real, fake = tensor([0.0], [1.0], [3.0], [7.0]), tensor([0.5], [4.5], [20.0])
    found = scores.precision_recall(real, fake, k=1)
    assert isinstance(found, PrecisionRecall)
    assert found == pytest.approx((2 / 3, 1.0))
    # 0.5 lies in the balls of 0 and 1, 4.5 in those of 3 and 7, 20 in none
    found = scores.density_coverage(real, fake, k=1)
    assert isinstance(found, DensityCoverage)
    assert found == pytest.approx((4 / 3, 1.0))
    assert scores.density_coverage(real, fake[:1], k=1) == pytest.approx((2.0, 0.5))


def test_a_copier_wins_and_a_far_sample_loses():
    real, _ = two_sets()
    assert scores.precision_recall(real, real) == PrecisionRecall(1.0, 1.0)
    assert scores.density_coverage(real, real).coverage == 1.0
    assert scores.precision_recall(real, real + 100.0) == PrecisionRecall(0.0, 0.0)
    assert scores.density_coverage(real, real + 100.0) == DensityCoverage(0.0, 0.0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [1, 3])
def test_a_copiers_density_is_one_and_the_kth_neighbors_share(k, dtype):
    """Each ball holds its center, and its k nearest, the last of them on the surface."""
    for seed in range(5):
        real = properties.random_tensors(1, (300, 8), seed, dtype)[0] + seed
        assert scores.density_coverage(real, real, k).density == pytest.approx(1 + 1 / k, rel=1e-12)
        assert scores.sampler_distance(real, real, k).density == pytest.approx(1 + 1 / k, rel=1e-12)


def test_the_corners_of_a_square_lie_on_each_others_balls():
    square = tensor([0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0])
    assert scores.density_coverage(square, square, 1) == DensityCoverage(3.0, 1.0)
    assert scores.precision_recall(square, square + tensor([1.0, 0.0]), 1) == PrecisionRecall(1.0, 1.0)


def test_features_that_are_bits_are_counted_exactly():
    """Squared distances of bits are whole numbers, in which all four are defined without rounding."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randint(2, (400, 20), generator=generator).float().split(200)

    def squares(a, b):
        return (a[:, None] - b).square().sum(2)

    own, other, apart = (squares(a, b) for a, b in ((real, real), (fake, fake), (fake, real)))
    for k in (1, 3):
        inside, among = apart <= own.sort(1).values[:, k], other.sort(1).values[:, k] >= apart.T
        expected = [x.any(1).double().mean().item() for x in (inside, among)]
        assert scores.precision_recall(real, fake, k) == pytest.approx(expected)
        expected = inside.sum().item() / 200 / k, inside.any(0).double().mean().item()
        assert scores.density_coverage(real, fake, k) == pytest.approx(expected)


def test_one_image_over_and_over_is_precise_and_covers_nothing():
    real, _ = two_sets()
    fake = real[:1].repeat(50, 1)
    assert scores.precision_recall(real, fake).precision == 1.0
    assert scores.precision_recall(real, fake).recall <= 1 / len(real)
    assert scores.density_coverage(real, fake).coverage < 0.2


def test_the_same_law_has_density_one_and_the_coverage_of_chance():
    """Naeem et al. (2020), section 3.3: the chance that none of the k nearest others is real."""
    real, fake = properties.random_tensors(2, (4000, 3))
    found = scores.density_coverage(real, fake, k=5)
    assert found.density == pytest.approx(1.0, abs=0.05)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.01)


@pytest.mark.parametrize("score", [scores.precision_recall, scores.density_coverage])
def test_neither_rotation_nor_scale_changes_what_is_near(score):
    real, fake = two_sets()
    q = rotation(5)
    assert score(7.0 * real @ q - 2.0, 7.0 * fake @ q - 2.0) == score(real, fake)
    properties.leaves_inputs_alone(score, real, fake)


# --- the sampler's own scores


def test_the_sampler_distance_is_its_three_parts():
    reconstructions, fake = two_sets()
    found = scores.sampler_distance(fake, reconstructions, k=4)
    assert isinstance(found, SamplerDistance)
    assert found.frechet == scores.frechet_distance(fake, reconstructions)
    assert found[1:] == scores.density_coverage(reconstructions, fake, k=4)


def test_blur_cancels_for_a_perfect_sampler():
    """A decoder that loses an axis: far from the images, near to what it makes of them."""
    images, drawn = properties.random_tensors(2, (3000, 4))
    blur = tensor([1.0, 1.0, 1.0, 0.0])
    assert scores.frechet_distance(drawn * blur, images) > 0.9
    found = scores.sampler_distance(drawn * blur, images * blur)
    assert found.frechet < 0.02
    assert found.density == pytest.approx(1.0, abs=0.06)
    assert found.coverage == pytest.approx(1 - 2**-5, abs=0.015)


def test_novelty_by_hand():
    """Distances to the training set: 1, 3, 5 drawn and 1, 2 unseen; above 1 + 4, ties 1 of 6 pairs."""
    train, unseen = tensor([0.0, 0.0], [50.0, 0.0]), tensor([0.0, 1.0], [52.0, 0.0])
    fake = tensor([1.0, 0.0], [0.0, -3.0], [50.0, 5.0])
    assert scores.novelty(fake, train, unseen) == pytest.approx((0.5 + 4) / 6)


def test_novelty_is_scipys_mann_whitney():
    from scipy.stats import mannwhitneyu

    train, fake, unseen = two_sets(200)[0], *two_sets(60, 80)
    distances = [torch.cdist(x, train).amin(1).numpy() for x in (fake, unseen)]
    expected = mannwhitneyu(*distances).statistic / (len(fake) * len(unseen))
    assert scores.novelty(fake, train, unseen) == pytest.approx(expected, abs=1e-12)


def test_a_copier_is_not_novel_unseen_images_are_half_and_strangers_wholly():
    train, unseen, fake = properties.random_tensors(3, (2000, 6), dtype=torch.float32)
    assert scores.novelty(train[:500], train, unseen) == 0.0
    assert scores.novelty(unseen, train, unseen) == 0.5
    assert scores.novelty(fake, train, unseen) == pytest.approx(0.5, abs=0.03)
    assert scores.novelty(fake + 100.0, train, unseen) == 1.0


# --- errors


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda a, b: scores.frechet_distance(a, b[:, :2]), ("one, other", "(120, 5), (90, 2)")),
        (lambda a, b: scores.frechet_distance(a[:1], b), ("n at least 2", "(1, 5)")),
        (lambda a, b: scores.precision_recall(a, b[:3]), ("real, fake", "at least 4", "(3, 5)")),
        (lambda a, b: scores.precision_recall(a, b, k=0), ("k", "got 0")),
        (lambda a, b: scores.density_coverage(a[:5], b), ("real", "at least 6", "(5, 5)")),
        (lambda a, b: scores.density_coverage(a, b[:, :1]), ("fake, real", "(90, 1), (120, 5)")),
        (lambda a, b: scores.density_coverage(a, b, k=-1), ("k", "got -1")),
        (lambda a, b: scores.sampler_distance(a, b[0]), ("heldout_reconstructions", "(5,)")),
        (lambda a, b: scores.novelty(a, b, b[:0]), ("heldout_reconstructions", "(0, 5)")),
        (lambda a, b: scores.novelty(a[:, :2], b, b), ("fake", "(120, 2)")),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call(*two_sets())
    properties.message_names(caught.value, *words)
