"""Where the uniform law of all training balls puts its draws: what an earlier chapter 9 took for crowds.

    python benchmarks/studies/crowds.py

For the zoo's three conv VAEs at beta 0.01 the metric is fitted to all balls of the first 12,000 training
images, of all 60,000, or of those of them that repeat no earlier one (study `duplicates`); of 1,000 uniform
draws: the share whose nearest ball belongs to each class, and the share that falls to the ten balls that get
most. Of these ten, how far the nearest other image is, in root mean squared gray levels, beside the same of
1,000 images at random. Needs the full set. About twenty minutes on two cores; resumes after a kill.
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


def nearest_other(images: torch.Tensor, rows: torch.Tensor) -> float:
    """The median distance of some images to their nearest other one, in RMS gray levels."""
    flat = images.flatten(1)
    return nearest(flat[rows], flat, 2).distances[:, 1].median().item() / flat.shape[1] ** 0.5


def work(seed: int, balls: int, repeats: str) -> dict[str, object]:
    """Draw from the uniform law of the first balls and see whose they are."""
    data, model = rc.load_images("fashion-full", limit=balls), zoo.load(zoo.conv_name(BETA, seed))
    rows = torch.arange(balls)
    if repeats == "dropped":
        rows = rows[~torch.isin(rows, torch.tensor(zoo.load_study("duplicates").runs[0]["repeated"]))]
    images, labels = data.images[rows], data.labels[rows]
    with torch.no_grad():
        mu, log_var = encoded(model, images)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rc.SamplingWarning)  # "converged" stands in the results
        draws = rc.sample_uniform(rc.PosteriorMetric.fit(mu, log_var), DRAWS, rc.make_generator(seed))
    owner = nearest(draws.z, mu).indices[:, 0]
    ten = owner.bincount().sort(descending=True)
    some = torch.randperm(len(images), generator=rc.make_generator(seed))[:1000]
    return {
        "classes": (labels[owner].bincount(minlength=10) / DRAWS).tolist(),
        "ten_balls": ten.values[:10].sum().item() / DRAWS,
        "ten_apart": nearest_other(images, ten.indices[:10]),
        "all_apart": nearest_other(images, some),
        "method": draws.method,
        "converged": draws.converged,
        "ess": draws.ess,
    }


if __name__ == "__main__":
    kinds = ((12000, "kept"), (60000, "kept"), (60000, "dropped"))
    jobs = [{"seed": seed, "balls": n, "repeats": kept} for n, kept in kinds for seed in zoo.CONV_SEEDS]
    run_study("crowds", SETTINGS, jobs, work)
