"""Chapter 11's study: what axes that carry next to nothing do to the uniform law.

    python benchmarks/studies/idle_axes.py

Two kinds of VAE at beta 1 with 16 axes, three seeds each: fully connected ones (the zoo's recipe
``fashion-vae-16d``, trained here from seeds 0 to 2) and the zoo's conv ones. Of each, the metric is fitted to
the balls of the 12,000 bundled training images, on the axes with the largest mean KL alone, and 1,000 uniform
draws are decoded with the other axes drawn from the prior. Scores as in chapter 9, against the
reconstructions of the second thousand test images; ``ten_balls`` is the share of draws whose nearest ball is
one of the ten that get most. At ``axes`` 0 stands the aggregate posterior of all axes.

Needs no network. About fifteen minutes on two cores; resumes after a kill.
"""

import dataclasses
import functools
import warnings

import torch
from resumable import run_study

import riemvae_core as rc
from riemvae_core.models import zoo
from riemvae_core.neighbors import nearest

DRAWS, BETA, AXES, SEEDS = 1000, 1.0, (0, 1, 2, 4, 6, 8, 12, 16), (0, 1, 2)
SETTINGS = {"data": "fashion", "beta": BETA, "draws": DRAWS, "latent_dim": 16}


@functools.lru_cache(maxsize=1)
def trained(kind: str, seed: int) -> rc.VAE:
    """A model of one kind and seed."""
    if kind == "conv":
        return zoo.load(zoo.conv_name(BETA, seed))
    r = dataclasses.replace(zoo.recipe("fashion-vae-16d"), seed=seed)
    model = rc.make_model(r.kind, r.config, seed)
    images = rc.load_images(r.data).images
    rc.fit(model, images, epochs=r.epochs, batch_size=r.batch_size, lr=r.lr, seed=seed, progress=False)
    return model


@functools.lru_cache(maxsize=1)
def scene(kind: str, seed: int):
    """What all rows of a model share: its space, axes from the largest KL on, known and wanted features."""
    space = rc.latent_space(trained(kind, seed), rc.load_images("fashion").images)
    order = space.health().kl.argsort(descending=True)
    held_out = space.encode(rc.load_images("fashion", "test").images[1000:]).mu
    return space, order, features(space, space.mu), features(space, held_out)


def features(space: rc.LatentSpace, z: torch.Tensor) -> torch.Tensor:
    """Of decoded codes, in the zoo's classifier."""
    with torch.no_grad():
        return torch.cat([judge().features(space.decode(part)) for part in z.split(500)])


@functools.lru_cache(maxsize=1)
def judge():
    """The classifier whose features are compared."""
    return zoo.load("fashion-classifier")


def work(kind: str, seed: int, axes: int) -> dict[str, object]:
    """Scores of one law."""
    space, order, known, wanted = scene(kind, seed)
    kl, keep, g = space.health().kl, order[:axes], rc.make_generator(seed)
    if axes == 0:
        z, facts = rc.sample_aggregate_posterior(space.mu, space.log_var, DRAWS, g), {}
    else:
        mu, log_var = space.mu[:, keep], space.log_var[:, keep]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rc.SamplingWarning)  # "converged" stands in the results
            draws = rc.sample_uniform(rc.PosteriorMetric.fit(mu, log_var), DRAWS, g)
        z = rc.sample_prior(space.mu, DRAWS, rc.make_generator(seed + 100))
        z[:, keep] = draws.z
        most = nearest(draws.z, mu).indices[:, 0].bincount().sort(descending=True).values[:10]
        facts = {
            "least_kl": kl[keep[-1]].item(), "ten_balls": most.sum().item() / DRAWS,
            "method": draws.method, "converged": draws.converged, "ess": draws.ess,
        }  # fmt: skip
    cloud = features(space, z)
    scores = {"sampler": rc.frechet_distance(cloud, wanted), "novelty": rc.novelty(cloud, known, wanted)}
    return scores | facts


if __name__ == "__main__":
    jobs = [{"kind": k, "seed": s, "axes": a} for k in ("mlp", "conv") for s in SEEDS for a in AXES]
    run_study("idle_axes", SETTINGS, jobs, work)
