"""Chapter 5's study: what the metric of posterior balls has to do with the decoder's pullback, five seeds.

    python benchmarks/studies/metric.py

For VAEs of 2 and 16 latent axes: how well a ball's precisions agree with the pullback at its center, what the
diagonal leaves out, how far balls overlap, and (in the plane) what both metrics say of gaps between codes.
Axes differ more than images do, so the agreement is also taken after each axis has lost its mean; gaps are
more frequent at the rim of the cloud, so each is held against places as far from the origin. About five
minutes on two cores; resumes after a kill.
"""

import math
import warnings

import torch
from resumable import run_study
from scipy.stats import spearmanr

import riemvae_core as rc
from riemvae_core.metrics import choose_medoids, matched_rho

SEEDS, DIMENSIONS, EPOCHS, MEDOIDS, BETA = range(5), (2, 16), 30, 100, 1.0
GAP, DISK, RING = 0.15, 2.5, 0.25
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "beta": BETA,
    "epochs": EPOCHS, "medoids": MEDOIDS, "gap": GAP, "disk": DISK, "ring": RING, "used_above": 0.01,
}  # fmt: skip


def work(d: int, seed: int) -> dict[str, object]:
    """Train one VAE and compare the two metrics."""
    images, test = (rc.load_images("fashion", split).images for split in ("train", "test"))
    config = rc.ModelConfig(latent_dim=d, width=256, decoder_width=128, depth=3, beta=BETA)
    model = rc.make_model("vae", config, seed)
    rc.fit(model, images, epochs=EPOCHS, seed=seed, progress=False)
    model.eval()
    with torch.no_grad():
        balls, held_out = model.encode(images), model.encode(test)
    used = balls.mu.var(0) > 0.01
    graph = graph_metric(model, held_out.mu)
    diagonal = graph.diagonal(dim1=-2, dim2=-1).log()
    sides = torch.stack([-held_out.log_var[:, used], diagonal[:, used]])
    pair, within = sides.flatten(1), (sides - sides.mean(1, keepdim=True)).flatten(1)
    metrics = {
        name: rc.PosteriorMetric.fit(*balls, count, generator=rc.make_generator(seed))
        for name, count in (("all", None), ("medoids", MEDOIDS))
    }
    volume = 0.5 * torch.logdet(graph)
    few = torch.randperm(len(images), generator=rc.make_generator(seed))[:MEDOIDS]
    result = {
        "used_axes": int(used.sum()),
        "link_correlation": torch.corrcoef(pair)[0, 1].item(),
        "link_within": torch.corrcoef(within)[0, 1].item(),
        "link_ratio": (pair[0] - pair[1]).exp().median().item(),
        "left_out": (0.5 * diagonal.sum(1) - volume).mean().item(),
        "rank_correlation": float(spearmanr(metrics["medoids"].log_volume(held_out.mu), volume)[0]),
        "rho_medoids": metrics["medoids"].rho,
        "rho_first": matched_rho(*balls, torch.arange(MEDOIDS)),
        "rho_random": matched_rho(*balls, few.sort().values),
        "distance_medoids": nearest(balls.mu, choose_medoids(balls.mu, MEDOIDS, rc.make_generator(seed))),
        "distance_first": nearest(balls.mu, torch.arange(MEDOIDS)),
        "distance_random": nearest(balls.mu, few),
    }
    for name, metric in metrics.items():
        result[f"crowd_{name}"] = crowd(metric).median().item()
        result[f"excess_{name}"] = excess(metric, seed)
    return result | (gaps(model, metrics["medoids"], balls.mu) if d == 2 else {})


def graph_metric(model: rc.VAE, z: torch.Tensor) -> torch.Tensor:
    """I + (2/beta) J^T J, the pullback by z -> (z, sqrt(2/beta) g(z))."""
    with torch.no_grad():
        return torch.eye(z.shape[1]) + 2.0 / BETA * rc.PullbackMetric(model.decode)(z)


def nearest(mu: torch.Tensor, keep: torch.Tensor) -> float:
    """Mean distance from a code to the nearest one that is kept."""
    return torch.cdist(mu, mu[keep]).amin(1).mean().item()


def crowd(metric: rc.PosteriorMetric) -> torch.Tensor:
    """How many balls like its own would have to coincide to give the volume element found at each center."""
    alone = -0.5 * metric.log_var.sum(1)
    return torch.exp(2.0 / metric.mu.shape[1] * (metric.log_volume(metric.mu) - alone))


def excess(metric: rc.PosteriorMetric, seed: int) -> float:
    """Log of the volume over that of as many separate balls, nats."""
    k, d = metric.mu.shape
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a sampler that did not converge is no result
        draws = rc.sample_uniform(metric, 500, rc.make_generator(seed))
    return draws.log_volume - math.log(k) - 0.5 * d * math.log(2.0 * math.pi * metric.rho**2 / d)


def gaps(model: rc.VAE, metric: rc.PosteriorMetric, mu: torch.Tensor) -> dict[str, float]:
    """Mean log volume of both metrics in the gaps between codes, over that of the rest of their ring."""
    steps = torch.linspace(-DISK, DISK, 81)
    places = torch.cartesian_prod(steps, steps)
    places = places[places.norm(dim=1) < DISK]
    gap, ring = torch.cdist(places, mu).amin(1) > GAP, (places.norm(dim=1) / RING).long()
    fields = {
        "posterior": metric.log_volume(places),
        "pullback": 0.5 * torch.logdet(graph_metric(model, places)),
    }
    result = {"gap_share": gap.float().mean().item()}
    for name, field in fields.items():
        beside = ring[~gap].bincount(field[~gap]) / ring[~gap].bincount()
        result[f"gap_{name}"] = (field - beside[ring])[gap].mean().item()
    return result


if __name__ == "__main__":
    run_study("metric", SETTINGS, [{"d": d, "seed": s} for s in SEEDS for d in DIMENSIONS], work)
