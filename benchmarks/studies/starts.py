"""Chapter 8's second study: how often a search for a shortest path ends at a longer one, and says so.

    python benchmarks/studies/starts.py

Sixty pairs of held-out images in the chapter's plane and metric, a hundred balls and a background that
doesn't fade. Each path is searched twice: from the core's own starts, a straight line and a walk over a grid,
and once more with a walk over the balls' centers beside them. How much longer than the better of the two the
first is, pair by pair, and which searches said that they had converged. About five minutes on one core;
resumes after a kill.
"""

import torch
from resumable import run_study

import riemvae_core as rc
from riemvae_core.models import zoo

BATCHES, PAIRS, MEDOIDS = range(4), 15, 100
SETTINGS = {"data": "fashion", "model": "fashion-vae-2d", "medoids": MEDOIDS, "pairs": PAIRS}
SOLVERS = {"geodesic": rc.geodesic, "low_cost": rc.low_cost_path}


@torch.no_grad()
def work(path: str, batch: int) -> dict[str, object]:
    """Search a batch of pairs twice."""
    vae = zoo.load(SETTINGS["model"])
    balls, test = (vae.encode(rc.load_images("fashion", split).images) for split in ("train", "test"))
    fitted = rc.PosteriorMetric.fit(*balls, MEDOIDS, generator=rc.make_generator(0))
    mu, log_var = fitted.mu.double(), fitted.log_var.double()
    metric = rc.PosteriorMetric(mu, log_var, fitted.rho, fitted.lam, tau=0.0)
    a, b = test.mu[2 * PAIRS * batch :][: 2 * PAIRS].double().split(PAIRS)
    own, guided = (SOLVERS[path](metric, a, b, **more) for more in ({}, {"nodes": mu}))
    best = torch.minimum(own.length, guided.length)
    return {
        "excess": (own.length / best - 1).tolist(),
        "converged": own.converged.tolist(),
        "excess_guided": (guided.length / best - 1).tolist(),
        "converged_guided": guided.converged.tolist(),
    }


if __name__ == "__main__":
    jobs = [{"path": path, "batch": batch} for path in SOLVERS for batch in BATCHES]
    run_study("starts", SETTINGS, jobs, work)
