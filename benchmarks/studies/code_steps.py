"""Chapter 4's control: do decoders bear steps along the cloud, or across it where no code lies?

    PYTHONPATH=. python benchmarks/studies/code_steps.py

The models of the study ``codes`` (autoencoder, VAE, points that 1, 64 or 512 centers pull; the same seeds),
trained again. Each held-out image is decoded from its point and from a step off it, of RADIUS deviations on
every axis, in two ways: ``axes``, each axis by itself, as ``codes`` does, which leaves the cloud where axes
are correlated; ``cloud``, with the covariance of the codes. About 5 minutes of one core.
"""

import torch
from codes import EPOCHS, SEEDS, made
from resumable import run_study

import riemvae_core as rc

RADIUS, ARMS = 0.8, (("ae", 0), ("vae", 0), ("pulled", 1), ("pulled", 64), ("pulled", 512))
SETTINGS = {"data": "fashion", "epochs": EPOCHS, "radius": RADIUS, "models": "codes"}


@torch.no_grad()
def work(way: str, k: int, seed: int) -> dict[str, float]:
    """Train one model; squared errors of held-out images without a step and after either."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    with torch.enable_grad():
        model = made(way, k, seed, train)
    points = model.points if isinstance(model, rc.VQVAE) else lambda x: rc.centers(model, x)
    cloud, z = points(train), points(test)
    noise = torch.randn(z.shape, generator=rc.make_generator(1000 + seed))
    root = torch.linalg.cholesky(torch.cov(cloud.T.double())).to(z)
    steps = {"none": 0.0 * noise, "axes": cloud.std(0) * noise, "cloud": noise @ root.T}
    correlation = torch.linalg.eigvalsh(torch.corrcoef(cloud.T.double()))
    errors = {
        name: (model.decode(z + RADIUS * step) - test).square().flatten(1).sum(-1).mean().item()
        for name, step in steps.items()
    }
    return errors | {"least_correlation": correlation[0].item()}


if __name__ == "__main__":
    jobs = [{"way": way, "k": k, "seed": seed} for seed in SEEDS for way, k in ARMS]
    run_study("code_steps", SETTINGS, jobs, work)
