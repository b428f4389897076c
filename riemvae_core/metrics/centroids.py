r"""Which balls stand for all of them, and how far the metric they draw should reach."""

import math
from numbers import Integral

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.numerics import check_finite, chunks, source_of

# medoids are looked for among at most so many points, whose matrix of distances holds 100 MB
SUBSET = 5000


def _distances(a: Float[Tensor, "m d"], b: Float[Tensor, "k d"]) -> Float[Tensor, "m k"]:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")


def choose_medoids(
    mu: Float[Tensor, "n d"], n_centroids: int | None, generator: torch.Generator | None = None
) -> Int[Tensor, " k"]:
    r"""The rows of mu, in rising order, whose points keep $\sum_j\min_i\|\mu_j-\mu_i\|$ small.

    All rows for None. Otherwise k-medoids by FasterPAM (Schubert and Rousseeuw, 2021; the package
    `kmedoids`) on the Euclidean distances within a random subset of at most 5000 points, or 2 k if that is
    more, as CLARA does (Kaufman and Rousseeuw, 1990). Raises ValueError unless 1 <= n_centroids <= n, and
    ImportError if medoids are asked for and the package is missing.

    Example:
        >>> from riemvae_core.metrics import choose_medoids
        >>> mu = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0]])
        >>> choose_medoids(mu, 2, rc.make_generator(0))
        tensor([1, 4])
    """
    check_finite(mu=mu)
    n = len(mu)
    if n_centroids is None or (n_centroids == n and n_centroids is not True):
        return torch.arange(n, device=mu.device)
    source = source_of(generator)
    if not isinstance(n_centroids, Integral) or isinstance(n_centroids, bool) or not 1 <= n_centroids <= n:
        raise ValueError(f"n_centroids must be None or an integer from 1 to {n}, got {n_centroids!r}")
    try:
        import kmedoids
    except ImportError as error:
        raise ImportError(
            "n_centroids needs the package kmedoids: pip install 'riemvae-core[medoids]'"
        ) from error
    order = torch.randperm(n, generator=generator, device=source).to(mu.device)
    subset = order[: max(SUBSET, 2 * n_centroids)]
    points = mu.detach()[subset].float()
    seed = int(torch.randint(2**31, (), generator=generator, device=source))
    found = kmedoids.fasterpam(
        _distances(points, points).cpu().numpy(), int(n_centroids), init="random", random_state=seed, n_cpu=1
    )
    medoids = torch.tensor([int(i) for i in found.medoids], device=mu.device)
    return subset[medoids].sort().values


def matched_rho(mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"], keep: Int[Tensor, " k"]) -> float:
    r"""The rho at which the balls kept reach as far as all posteriors do, $\rho^2=\mathbb E\,m_i(z)^2$.

    The mean is over the posteriors j and their draws z, i is the centroid nearest to $\mu_j$, and $m_i$
    the Mahalanobis distance in its own units: $m_i(\mu_j)^2+\sum_k\sigma_{jk}^2/\sigma_{ik}^2$. A ball
    that is alone has the uniform law $N(\mu_i,(\rho^2/d)\Sigma_i)$, for which $\mathbb E\,m_i^2=\rho^2$: the
    two sides match. In radii; $\sqrt d$ if all balls are kept. Derived in chapter 5.

    Example:
        >>> from riemvae_core.metrics import matched_rho
        >>> mu, log_var = torch.tensor([[0.0], [2.0]]), torch.zeros(2, 1)
        >>> matched_rho(mu, log_var, torch.tensor([0])) ** 2  # the mean of 0 + 1 and 4 + 1
        3.00
    """
    check_finite(mu=mu, log_var=log_var)
    n, d = mu.shape
    if len(keep) == n:
        return math.sqrt(d)
    owner = torch.cat(
        [_distances(mu[s], mu[keep]).argmin(1) for s in chunks(n, len(keep) * mu.element_size())]
    )
    owner[keep] = torch.arange(len(keep), device=mu.device)
    center, precision = mu[keep][owner], torch.exp(-log_var[keep][owner])
    squared = ((mu - center).square() + torch.exp(log_var)) * precision
    return math.sqrt(squared.sum(1).mean().item())


def nearest_neighbor_rho(centroids: Float[Tensor, "k d"]) -> float:
    r"""The largest distance from a centroid to the nearest other one, $\max_i\min_{j\ne i}\|\mu_j-\mu_i\|$.

    In the unit of z. The rule of the code released with Chadebec and Allassonniere (2022), which leaves the
    last centroid out; here all count. Raises ValueError for fewer than two centroids, or if all of them lie
    in pairs or more on one point.

    Example:
        >>> from riemvae_core.metrics import nearest_neighbor_rho
        >>> nearest_neighbor_rho(torch.tensor([[0.0], [1.0], [5.0]]))
        4.00
    """
    check_finite(centroids=centroids)
    if len(centroids) < 2:
        raise ValueError(f"rho='paper' needs at least 2 centroids, got {len(centroids)}")
    largest = 0.0
    for s in chunks(len(centroids), len(centroids) * centroids.element_size()):
        distances = _distances(centroids[s], centroids)
        rows = torch.arange(distances.shape[0], device=centroids.device)
        distances[rows, rows + s.start] = math.inf
        largest = max(largest, distances.amin(1).max().item())
    if largest == 0.0:
        raise ValueError("rho='paper' needs centroids apart from each other, got each of them twice")
    return largest
