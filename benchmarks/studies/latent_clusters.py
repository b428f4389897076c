r"""A use: do the balls know which images belong together? Clusters and neighbors of codes, against labels.

    python benchmarks/studies/latent_clusters.py

Asked: VAEs of 16 axes, five small ones trained here and the zoo's six (convolutions, all of Fashion-MNIST,
two prices, three seeds each); 1,000 test images, which no training saw. Distances between their codes:
Euclid's; ``radii``, by the mean of both balls' precisions; ``averaged``, by the mean, at both codes, of the
metric $\bar G=\sum_iw_i\Sigma_i^{-1}$, w the softmax of $-m_i^2/d$ over 3,000 training balls; ``graph`` of
some, shortest ways over the ten nearest codes of each, which is what a geodesic between images can be without
a decoder. Nulls: units of each ``axis``' deviation; ``ellipsoid``, radii that all images share; ``shuffled
radii``, each image with the ball of another; ``pixels``.

Scores, which need labels that nothing before them has seen: adjusted Rand index and adjusted mutual
information of ten medoids (the best of three starts by its own sum of distances); retrieval, the share of
the ten nearest other codes with the image's label (a graph's nearest are those it is made of). Paired
differences, 95% intervals over seeds.
What would count: radii, averaged or a graph of radii above Euclid and above all nulls that lack their shapes,
with intervals above 0 for all three kinds of model. About three minutes on one core; resumes after a kill.
"""

import time

import kmedoids
import torch
from resumable import run_study
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score
from torch import Tensor
from uses import BATCH, table, trained

import riemvae_core as rc
from riemvae_core.models import zoo

SEEDS, STEPS, TRAIN, TEST, CLUSTERS, STARTS, NEAR = range(5), 1500, 3000, 1000, 10, 3, 10
CONFIG = {"latent_dim": 16, "network": "mlp", "width": 256, "decoder_width": 64, "depth": 3}
SETTINGS = {
    "by": ["model"], "data": "fashion", "vae": CONFIG, "vae_steps": STEPS, "batch_size": BATCH,
    "training_balls": TRAIN, "test_images": TEST, "clusters": CLUSTERS, "starts": STARTS, "neighbors": NEAR,
}  # fmt: skip


def by_precision(mu: Tensor, precision: Tensor) -> Tensor:
    """Distances by the mean of both codes' precisions, one an axis."""
    own = precision * mu
    squares = (own * mu).sum(1)[:, None] - 2.0 * own @ mu.T + precision @ mu.square().T
    return (0.5 * (squares + squares.T)).clamp_min(0.0).sqrt().fill_diagonal_(0.0)


def in_radii(mu: Tensor, balls: rc.Balls) -> Tensor:
    """Squares of the distances of codes from balls, in the radii of these, ``[n, k]``."""
    precision = torch.exp(-balls.log_var)
    scaled = precision * balls.mu
    return mu.square() @ precision.T - 2.0 * mu @ scaled.T + (scaled * balls.mu).sum(1)


def averaged(mu: Tensor, balls: rc.Balls) -> Tensor:
    """The mean precision of the balls about each code."""
    return torch.softmax(-in_radii(mu, balls) / mu.shape[1], dim=1) @ torch.exp(-balls.log_var)


def over_graph(distances: Tensor) -> Tensor:
    """Shortest ways over each code's nearest; those that none joins are beyond the farthest."""
    near = distances.topk(NEAR + 1, largest=False).indices
    rows = torch.arange(len(near))[:, None].expand_as(near)
    edges = distances[rows, near].flatten().numpy()
    graph = csr_matrix((edges, (rows.flatten().numpy(), near.flatten().numpy())), distances.shape)
    ways = torch.from_numpy(dijkstra(graph, directed=False))
    far = ways[ways.isfinite()].max()
    return torch.where(ways.isfinite(), ways, far + distances)


def scored(distances: Tensor, labels: Tensor, seed: int) -> tuple[float, float, float]:
    """Rand index, mutual information, retrieval."""
    matrix = distances.numpy()
    starts = [kmedoids.fasterpam(matrix, CLUSTERS, random_state=seed + 100 * i) for i in range(STARTS)]
    found = min(starts, key=lambda start: start.loss).labels
    near = distances.clone().fill_diagonal_(torch.inf).topk(NEAR, largest=False).indices
    same = (labels[near] == labels[:, None]).double().mean().item()
    return adjusted_rand_score(labels, found), adjusted_mutual_info_score(labels, found), same


def work(model: str, seed: int) -> dict[str, object]:
    """Score every distance between codes of test images, of one model."""
    began, data, test = time.process_time(), rc.load_images("fashion"), rc.load_images("fashion", "test")
    images, labels = test.images[:TEST], test.labels[:TEST]
    vae = (
        trained(data.images, seed, STEPS, **CONFIG) if model == "small" else zoo.load(f"{model}-seed-{seed}")
    )
    with torch.no_grad():
        balls, (mu, log_var) = (
            rc.Balls(*(part.double() for part in vae.encode(x))) for x in (data.images[:TRAIN], images)
        )
    other = log_var[torch.randperm(len(mu), generator=rc.make_generator(seed))]
    shared = balls.log_var.exp().mean(0).rsqrt()
    pixels = images.flatten(1).double()
    distances = {
        "euclid": torch.cdist(mu, mu),
        "axis": torch.cdist(mu / balls.mu.std(0), mu / balls.mu.std(0)),
        "ellipsoid": torch.cdist(mu * shared, mu * shared),
        "shuffled radii": by_precision(mu, torch.exp(-other)),
        "pixels": torch.cdist(pixels, pixels),
        "radii": by_precision(mu, torch.exp(-log_var)),
        "averaged": by_precision(mu, averaged(mu, balls)),
    }
    distances |= {
        f"graph of {name}": over_graph(distances[name]) for name in ("euclid", "ellipsoid", "radii")
    }
    found = {name: scored(d, labels, seed) for name, d in distances.items()}
    names = ("rand", "information", "retrieval")
    scores = {score: {k: v[i] for k, v in found.items()} for i, score in enumerate(names)}
    return scores | {"seconds": time.process_time() - began, "torch": torch.__version__}


if __name__ == "__main__":
    jobs = [{"model": "small", "seed": seed} for seed in SEEDS]
    zoos = [zoo.conv_name(beta).rpartition("-seed-")[0] for beta in zoo.CONV_BETAS]
    jobs += [{"model": name, "seed": seed} for name in zoos for seed in zoo.CONV_SEEDS]
    run_study("latent_clusters", SETTINGS, jobs, work)
    print(table("latent_clusters", "euclid"))
