"""Which law of the codes gives the images that a trained VAE can give; chapter 11 reads its scores.

    python benchmarks/studies/generation.py

Six conv VAEs of the zoo (16 dimensions, all of Fashion-MNIST, two betas, three seeds) each decode 5,000 codes
of each law. Scores are taken in the features of the zoo's classifier, against the first half of the test
images and against these images' own reconstructions (``sampler``: the decoder's blur is in both sets, so only
the law of the codes is judged). ``novelty`` says how often a sample lies further from every training
reconstruction than a held-out reconstruction does: 1/2 is ideal, a copier has 0. Reconstructions of the other
half of the test images are the bound; draws from these images' balls are what an aggregate posterior can
reach.

Needs the full set (``load_images`` says where from). About twenty minutes on two cores with the shipped
weights; resumes after a kill, and writes the table to ``benchmarks/results/generation.txt`` at the end.
"""

import functools
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from resumable import run_study
from torch import Tensor

import riemvae_core as rc
from riemvae_core.models import zoo

N, LAM, MEDOIDS = 5000, 0.01, 100  # lambda and centroids as in the code released for MNIST
SETTINGS = {
    "data": "fashion-full", "network": "conv", "width": 32, "latent_dim": 16, "epochs": 12, "draws": N,
    "classifier": "fashion-classifier", "released": {"lam": LAM, "centroids": MEDOIDS, "rho": "paper"},
}  # fmt: skip


class Space(NamedTuple):
    """One trained model and what all its rows share."""

    model: rc.VAE
    beta: float
    seed: int
    train: rc.Balls
    other_half: rc.Balls
    real: Tensor
    reference: Tensor
    train_features: Tensor


class Draws(NamedTuple):
    """Codes, and what their sampler says of itself."""

    z: Tensor
    facts: dict[str, Any]


@functools.lru_cache(maxsize=1)
def judge():
    """The classifier whose features are compared."""
    return zoo.load("fashion-classifier")


def decoded(model: rc.VAE, z: Tensor) -> Tensor:
    """Features of decoded codes."""
    return torch.cat([judge().features(model.decode(batch)) for batch in z.split(2000)])


def encoded(model: rc.VAE, images: Tensor) -> rc.Balls:
    """The balls of images."""
    parts = [model.encode(batch) for batch in images.split(2000)]
    return rc.Balls(torch.cat([p.mu for p in parts]), torch.cat([p.log_var for p in parts]))


@functools.lru_cache(maxsize=1)
@torch.no_grad()
def space_of(beta: float, seed: int) -> Space:
    """Load a model and encode both splits."""
    model = zoo.load(zoo.conv_name(beta, seed))
    train = encoded(model, rc.load_images("fashion-full").images)
    test = rc.load_images("fashion-full", "test").images
    reference, other = encoded(model, test[:N]), encoded(model, test[N:])
    return Space(
        model=model,
        beta=beta,
        seed=seed,
        train=train,
        other_half=other,
        real=judge().features(test[:N]),
        reference=decoded(model, reference.mu),
        train_features=decoded(model, train.mu),
    )


def uniform(space: Space, centroids: int | None, **settings: Any) -> Draws:
    """The uniform law of a metric fitted to the training balls."""
    generator = rc.make_generator(space.seed)
    metric = rc.PosteriorMetric.fit(*space.train, n_centroids=centroids, generator=generator, **settings)
    draws = rc.sample_uniform(metric, N, generator)
    facts = draws._asdict() | {"rho": metric.rho, "lam": metric.lam, "tau": metric.tau}
    del facts["z"]
    return Draws(draws.z, facts)


@functools.lru_cache(maxsize=4)
def released(beta: float, seed: int, steps: int) -> Draws:
    """Where the published sampler's chains end, and how far they went along each axis."""
    space, generator = space_of(beta, seed), rc.make_generator(seed)
    metric = rc.PosteriorMetric.fit(
        *space.train, n_centroids=MEDOIDS, generator=generator, rho="paper", lam=LAM
    )
    draws = rc.sample_as_released(metric, space.train.mu, N, generator, steps=steps)
    moved = (draws.z - draws.start).square().mean(0).sqrt()
    return Draws(draws.z, {"acceptance": draws.acceptance, "moved": moved.tolist(), "rho": metric.rho})


def plus_noise(space: Space) -> Draws:
    """Training means with plain Gaussian noise, as large on each axis as the published chains move."""
    generator = rc.make_generator(100 + space.seed)
    moved = torch.tensor(released(space.beta, space.seed, 100).facts["moved"])
    start = space.train.mu[torch.randperm(len(space.train.mu), generator=generator)[:N]]
    return Draws(start + moved * rc.standard_normal(start.shape, start, generator), {})


def plain(sampler: Callable[..., Tensor], balls: bool = False, **settings: Any) -> Callable[[Space], Draws]:
    """A baseline that sees the centers of the training balls, or the balls."""

    def draw(space: Space) -> Draws:
        known = {"log_var": space.train.log_var} if balls else {}
        generator = rc.make_generator(space.seed)
        return Draws(sampler(space.train.mu, n=N, generator=generator, **known, **settings), {})

    return draw


LAWS: dict[str, Callable[[Space], Draws]] = {
    "held-out reconstructions": lambda space: Draws(space.other_half.mu, {}),
    "held-out balls": lambda space: Draws(
        rc.sample_aggregate_posterior(*space.other_half, N, rc.make_generator(space.seed)), {}
    ),
    "prior": plain(rc.sample_prior),
    "gaussian": plain(rc.sample_gaussian, balls=True),
    "mixture of 10": plain(rc.sample_mixture),
    "mixture of 10, balls": plain(rc.sample_mixture, balls=True),
    "aggregate posterior": plain(rc.sample_aggregate_posterior, balls=True),
    "two-stage": plain(rc.sample_two_stage, balls=True),
    "uniform, 100 medoids": lambda space: uniform(space, MEDOIDS),
    "uniform, 100 medoids, released rho, lambda": lambda space: uniform(space, MEDOIDS, rho="paper", lam=LAM),
    "uniform, 1,000 medoids": lambda space: uniform(space, 1000),
    "uniform, all points": lambda space: uniform(space, None),
    "as released": lambda space: released(space.beta, space.seed, 100),
    "as released, zero steps": lambda space: released(space.beta, space.seed, 0),
    "as released, 1,000 steps": lambda space: released(space.beta, space.seed, 1000),
    "training means plus noise": plus_noise,
}


@torch.no_grad()
def work(beta: float, seed: int, law: str) -> dict[str, Any]:
    """Draw, decode and score one law of one model."""
    space = space_of(beta, seed)
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.simplefilter("ignore", rc.SamplingWarning)  # "converged" stands in the results
        began = time.perf_counter()
        draws = LAWS[law](space)
        seconds = time.perf_counter() - began
    fake = decoded(space.model, draws.z.detach())
    return {
        "seconds": seconds,
        "frechet": rc.frechet_distance(fake, space.real),
        **rc.precision_recall(space.real, fake)._asdict(),
        **rc.density_coverage(space.real, fake)._asdict(),
        "sampler": rc.sampler_distance(fake, space.reference)._asdict(),
        "novelty": rc.novelty(fake, space.train_features, space.reference),
        "facts": draws.facts,
    }


def table() -> str:
    """The means over seeds with their 95% intervals, one line a law."""
    study, lines = zoo.load_study("generation"), []
    names = list(dict.fromkeys(run["law"] for run in study.runs))
    columns = {
        "frechet": lambda run: run["frechet"],
        "precision": lambda run: run["precision"],
        "recall": lambda run: run["recall"],
        "sampler": lambda run: run["sampler"]["frechet"],
        "coverage": lambda run: run["sampler"]["coverage"],
        "novelty": lambda run: run["novelty"],
    }
    for beta in dict.fromkeys(run["beta"] for run in study.runs):
        lines.append(f"beta = {beta:g}".ljust(46) + "".join(name.rjust(24) for name in columns))
        for law in names:
            cells = [f"{study.interval(get, beta=beta, law=law):.2f}" for get in columns.values()]
            lines.append(law.ljust(46) + "".join(cell.rjust(24) for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    jobs = [
        {"beta": beta, "seed": seed, "law": law}
        for beta in zoo.CONV_BETAS
        for seed in zoo.CONV_SEEDS
        for law in LAWS
    ]
    run_study("generation", SETTINGS, jobs, work)
    target = Path(__file__).parents[1] / "results" / "generation.txt"
    target.write_text(table() + "\n")
    print(target.read_text())
