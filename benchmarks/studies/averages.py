"""Chapter 5's second study: sum or average of the balls, on nets of the zoo.

    python benchmarks/studies/averages.py

For the convolutional VAEs (two prices, three seeds each) and five VAEs of the plane: how the volume element
of the fitted metric, a sum over balls, ranks 1,000 held-out codes, beside the decoder's, I + (2/beta) J^T J;
and how the average of the same balls does, with weights that add up to 1 and the same reach and medoids.
Controls: all balls in place of a hundred medoids; the volume element of the nearest ball alone, which needs
no weights; the encoder's own answer at the image. And how crowded the centers are when every ball is kept.
No training: about five minutes on one core; resumes after a kill.
"""

import torch
from resumable import run_study
from scipy.stats import spearmanr

import riemvae_core as rc
from riemvae_core.models import zoo
from riemvae_core.numerics import chunks

MEDOIDS, CODES = 100, 1000
SETTINGS = {"data": "fashion", "medoids": MEDOIDS, "codes": CODES}


def work(net: str, beta: float, seed: int) -> dict[str, object]:
    """Rank held-out codes by the volume elements of one net."""
    model = zoo.load(net).requires_grad_(False)
    images, held_out = (rc.load_images("fashion", split).images for split in ("train", "test"))
    parts = [model.encode(batch) for batch in images.split(1000)]
    mu, log_var = (torch.cat(part) for part in zip(*parts, strict=True))
    test = model.encode(held_out[:CODES])
    decoder = graph_volume(model, test.mu)
    fitted = {
        name: rc.PosteriorMetric.fit(mu, log_var, count, generator=rc.make_generator(seed))
        for name, count in (("all", None), ("medoids", MEDOIDS))
    }
    fields = {"encoder": -0.5 * test.log_var.sum(1)}
    fields["nearest"] = -0.5 * log_var[torch.cdist(test.mu, mu).argmin(1)].sum(1)
    for name, metric in fitted.items():
        fields[f"sum_{name}"] = metric.log_volume(test.mu)
        fields[f"average_{name}"] = average_volume(metric, test.mu)
    ranks = {name: float(spearmanr(field, decoder)[0]) for name, field in fields.items()}
    alone = -0.5 * fitted["all"].log_var.sum(1)
    crowd = torch.exp(2.0 / mu.shape[1] * (fitted["all"].log_volume(fitted["all"].mu) - alone))
    return {
        "d": mu.shape[1],
        "ranks": ranks,
        "crowd": crowd.median().item(),
        "crowd_most": crowd.max().item(),
    }


def graph_volume(model: rc.VAE, z: torch.Tensor) -> torch.Tensor:
    """Half the log determinant of I + (2/beta) J^T J."""
    parts = [rc.PullbackMetric(model.decode)(some) for some in z.split(100)]
    graph = torch.eye(z.shape[1]) + 2.0 / model.config.beta * torch.cat(parts)
    return 0.5 * torch.logdet(graph.double())


def average_volume(metric: rc.PosteriorMetric, z: torch.Tensor) -> torch.Tensor:
    """Log volume element of the weighted mean of the balls' precisions, with the metric's own weights."""
    mu, precision, z = metric.mu.double(), torch.exp(-metric.log_var.double()), z.double()
    found, offset = [], (mu.square() * precision).sum(1)
    for s in chunks(len(z), 4 * 8 * len(mu)):
        square = z[s].square() @ precision.T - 2 * z[s] @ (mu * precision).T + offset
        found.append(torch.softmax(-square / metric.rho**2, 1) @ precision)
    return 0.5 * torch.cat(found).log().sum(1)


if __name__ == "__main__":
    nets = [(zoo.conv_name(beta, seed), beta, seed) for seed in zoo.CONV_SEEDS for beta in zoo.CONV_BETAS]
    nets += [("fashion-vae-2d", 1.0, 0)] + [(zoo.beta_name(beta), beta, 0) for beta in (0.1, 0.3, 1.0, 3.0)]
    run_study("averages", SETTINGS, [{"net": n, "beta": b, "seed": s} for n, b, s in nets], work)
