"""Where the uniform law of all training balls puts its draws: what an earlier chapter 9 took for crowds.

    python benchmarks/studies/crowds.py

For the zoo's three conv VAEs at beta 0.01 the metric is fitted to all balls of the first 12,000 training
images, or of all 60,000; of 1,000 uniform draws: the share whose nearest ball belongs to each class, and the
share that falls to the ten balls that get most. Needs the full set. About ten minutes on two cores; resumes
after a kill.
"""

import warnings

import torch
from generation import encoded
from resumable import run_study

import riemvae_core as rc
from riemvae_core.models import zoo
from riemvae_core.neighbors import nearest

DRAWS, BETA = 1000, 0.01
SETTINGS = {"data": "fashion-full", "beta": BETA, "draws": DRAWS}


def work(seed: int, balls: int) -> dict[str, object]:
    """Draw from the uniform law of the first balls and see whose they are."""
    data, model = rc.load_images("fashion-full", limit=balls), zoo.load(zoo.conv_name(BETA, seed))
    with torch.no_grad():
        mu, log_var = encoded(model, data.images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rc.SamplingWarning)  # "converged" stands in the results
        draws = rc.sample_uniform(rc.PosteriorMetric.fit(mu, log_var), DRAWS, rc.make_generator(seed))
    owner = nearest(draws.z, mu).indices[:, 0]
    most = owner.bincount().sort(descending=True).values[:10]
    return {
        "classes": (data.labels[owner].bincount(minlength=10) / DRAWS).tolist(),
        "ten_balls": most.sum().item() / DRAWS,
        "method": draws.method,
        "converged": draws.converged,
        "ess": draws.ess,
    }


if __name__ == "__main__":
    jobs = [{"seed": seed, "balls": balls} for seed in zoo.CONV_SEEDS for balls in (12000, 60000)]
    run_study("crowds", SETTINGS, jobs, work)
