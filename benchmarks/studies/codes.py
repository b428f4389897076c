"""Chapter 4's study: centers that pull, codes that snap, and neither; 1 to 512 of them, three seeds each.

    python benchmarks/studies/codes.py

One net (an MLP, 8 dimensions, one code an image) is trained in four ways: ``pulled`` (the decoder reads the
point, which its nearest code pulls), ``snapped`` (a VQ-VAE: the decoder reads the code), ``ae`` and ``vae``.
For each trained model: the error of held-out images, how many codes are used and how evenly, how far the
points spread, the error of images decoded around their points, and the Frechet distance (features of the
zoo's classifier, 1,000 images against 1,000 held-out ones) of: reconstructions of other held-out images,
midpoints of two of their points, and draws. Draws: ``prior``, N(0, I); ``gaussian``, one Gaussian fitted to
the training points; ``uniform``, every code alike; ``histogram``, codes as often as the training images have
them; ``cells``, such a code plus the offset of a random training point from its own code. A model that snaps
moves every point to its code before it decodes. About 15 minutes on two cores; results are written after
every model, and a run that was killed goes on where it was.
"""

import torch
from resumable import run_study
from torch import Tensor

import riemvae_core as rc
from riemvae_core.models import zoo

SEEDS, CODES, EPOCHS, D, RADII = range(3), (1, 4, 16, 64, 256, 512), 12, 8, (0.0, 0.1, 0.2, 0.4, 0.8)
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "latent_dim": D,
    "beta": 1.0, "commitment": 0.25, "epochs": EPOCHS, "draws": 1000, "radii": list(RADII),
    "classifier": "fashion-classifier",
}  # fmt: skip


def made(way: str, k: int, seed: int, train: Tensor) -> torch.nn.Module:
    """A trained model."""
    net = {"width": 256, "decoder_width": 128, "depth": 3}
    if way in ("ae", "vae"):
        model = rc.make_model(way, rc.ModelConfig(latent_dim=D, **net), seed)
    else:
        config = rc.VQConfig(n_codes=k, code_dim=D, snap=way == "snapped", **net)
        model = rc.make_model("vq", config, seed)
        model.start_codebook(train, rc.make_generator(seed))
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    return model


def laws_of_codes(model: torch.nn.Module, train: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """Draws that need a codebook."""
    z, q = model.points(train), model.encode(train)
    uniform = torch.randint(len(model.codebook), (1000,), generator=generator)
    drawn = rc.histogram_prior(q.codes, len(model.codebook)).sample(1000, generator)
    offset = (z - model.codebook[q.codes])[torch.randint(len(z), (1000,), generator=generator)]
    e = model.codebook
    return {"uniform": e[uniform], "histogram": e[drawn], "cells": e[drawn] + offset}


@torch.no_grad()
def measure(model: torch.nn.Module, train: Tensor, test: Tensor, seed: int) -> dict[str, object]:
    """The numbers of one model."""
    generator, judge = rc.make_generator(1000 + seed), zoo.load("fashion-classifier")
    has_codes = isinstance(model, rc.VQVAE)
    points = model.points if has_codes else lambda x: rc.centers(model, x)

    def decode(z: Tensor) -> Tensor:
        return model.decode(model.quantize(z).z_q if has_codes and model.config.snap else z)

    z_train, z_test = points(train), points(test)
    pairs = torch.randperm(1000, generator=generator)
    draws = {
        "reconstruction": z_test[1000:],
        "midpoint": (z_test[1000:] + z_test[1000:][pairs]) / 2,
        "gaussian": rc.sample_gaussian(z_train, 1000, generator=generator),
        "prior": torch.randn(1000, D, generator=generator),
    }
    if has_codes:
        draws |= laws_of_codes(model, train, generator)
    real = judge.features(test[:1000])
    frechet = {name: rc.frechet_distance(real, judge.features(decode(z))) for name, z in draws.items()}
    noise, spread = torch.randn(z_test.shape, generator=generator), z_train.std(0)
    errors = [
        (decode(z_test + r * spread * noise) - test).square().flatten(1).sum(-1).mean().item() for r in RADII
    ]
    result = {"frechet": frechet, "error_at_radius": errors, "spread": spread.mean().item()}
    if has_codes:
        q = model.encode(train)
        result |= {"used": int(q.used), "perplexity": q.perplexity.item()}
        result["commitment"] = q.commitment.mean().item()
    return result


def work(way: str, k: int, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    return measure(made(way, k, seed, train), train, test, seed)


if __name__ == "__main__":
    jobs = [
        {"way": way, "k": k, "seed": seed}
        for seed in SEEDS
        for way, sizes in (("ae", (0,)), ("vae", (0,)), ("pulled", CODES), ("snapped", CODES))
        for k in sizes
    ]
    run_study("codes", SETTINGS, jobs, work)
