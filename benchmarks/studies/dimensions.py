"""Chapter 1's pictures: what autoencoder and VAE restore and draw in 2, 8, 32 dimensions, three seeds each.

    python benchmarks/studies/dimensions.py

Chapter 0's nets (two hidden layers of 128), trained for 1,500 steps. The score of ``points_and_balls.py``
holds each model to its own standard. Here all are held to one: the Frechet distance to the 2,000 held-out
images in the features of the zoo's classifier, of

- ``reconstruction``: the held-out images through the model, the bound;
- ``prior``: 2,000 draws from N(0, I), which an autoencoder was never asked to be ready for;
- ``gaussian``: 2,000 draws from a Gaussian with the mean and covariance of the model's training codes, its
  fair control (codes of a VAE are draws from its balls, since these are what its decoder was shown).

``error`` is the squared error of the held-out images. The pictures of seed 0 that the chapter shows (ten a
row) lie beside the numbers, in ``dimensions.npz``. About five minutes on one core.
"""

import numpy as np
import torch
from resumable import run_study
from torch import Tensor

import riemvae_core as rc
from riemvae_core.data import ASSETS
from riemvae_core.models import zoo

SEEDS, DIMENSIONS, DRAWS, SHOWN = range(3), (2, 8, 32), 2000, 10
WIDTH, DEPTH, EPOCHS, BATCH = 128, 2, 16, 128  # 16 times 94 batches are 1,504 steps
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": WIDTH, "depth": DEPTH, "beta": 1.0,
    "epochs": EPOCHS, "batch_size": BATCH, "draws": DRAWS,
}  # fmt: skip
PICTURES = ASSETS / "studies" / "dimensions.npz"


def gaussian_like(codes: Tensor, noise: Tensor) -> Tensor:
    """Noise turned into draws from the Gaussian with the mean and covariance of the codes."""
    jitter = 1e-6 * torch.eye(codes.shape[-1])
    return codes.mean(0) + noise @ torch.linalg.cholesky(torch.cov(codes.T) + jitter).T


def keep_pictures(name: str, images: Tensor) -> None:
    """Add a row of pictures to the file beside the numbers, a byte a pixel."""
    kept = dict(np.load(PICTURES)) if PICTURES.is_file() else {}
    kept[name] = (255 * images[:SHOWN, 0]).round().byte().numpy()
    np.savez_compressed(PICTURES, **kept)


@torch.no_grad()
def measure(model: torch.nn.Module, name: str, seed: int) -> dict[str, object]:
    """Error and distances of one model; the pictures of seed 0 are kept."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test")
    generator, judge = rc.make_generator(1000 + seed), zoo.load("fashion-classifier")
    codes, noise = rc.centers(model, train), torch.randn(DRAWS, model.config.latent_dim, generator=generator)
    if name.startswith("vae"):
        mu, log_var = model.encode(train)
        codes = rc.reparameterize(mu, log_var, torch.randn(mu.shape, generator=generator))
    rows = {
        "reconstruction": model.decode(rc.centers(model, test.images)),
        "prior": model.decode(noise),
        "gaussian": model.decode(gaussian_like(codes, noise)),
    }
    real = judge.features(test.images)
    if seed == SEEDS[0]:
        shown = rc.first_of_each_class(test, 1).images
        keep_pictures("images", shown)
        for row, images in (rows | {"reconstruction": model.decode(rc.centers(model, shown))}).items():
            keep_pictures(f"{name}-{row}", images)
    return {
        "error": (rows["reconstruction"] - test.images).square().sum((1, 2, 3)).mean().item(),
        "frechet": {row: rc.frechet_distance(real, judge.features(images)) for row, images in rows.items()},
    }


def work(d: int, kind: str, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train = rc.load_images("fashion").images
    model = rc.make_model(kind, rc.ModelConfig(latent_dim=d, width=WIDTH, depth=DEPTH), seed)
    rc.fit(model, train, epochs=EPOCHS, batch_size=BATCH, seed=seed, progress=False)
    return measure(model, f"{kind}-{d}", seed)


if __name__ == "__main__":
    jobs = [
        {"d": d, "kind": kind, "seed": seed} for seed in SEEDS for d in DIMENSIONS for kind in ("ae", "vae")
    ]
    run_study("dimensions", SETTINGS, jobs, work)
