"""Chapter 1's study: autoencoder and VAE, the same net on the same images, in 2, 8 and 32 dimensions, five
seeds each.

    python benchmarks/studies/points_and_balls.py

For each trained model: the parts of the loss on the images it was trained on, the used axes (variance of the
codes above 0.01), the error of held-out images decoded from their code and from around it, and the share of
decoded draws that are foreign. A decoded image is foreign when it lies further from its nearest
training image than 95% of the reconstructions of held-out images do, so 5% is what a perfect sampler
scores. About 15 minutes on two cores; results are written after every model, and a run that was killed
goes on where it was.
"""

import torch
from resumable import run_study

import riemvae_core as rc

SEEDS, DIMENSIONS, EPOCHS = range(5), (2, 8, 32), 30
RADII = (0.0, 0.05, 0.1, 0.2, 0.4, 0.8)
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3,
    "beta": 1.0, "epochs": EPOCHS, "draws": 1000, "radii": list(RADII),
}  # fmt: skip


def nearest_distance(images: torch.Tensor, train: torch.Tensor) -> torch.Tensor:
    """RMS pixel difference to the nearest training image, one value an image."""
    return torch.cdist(images.flatten(1), train.flatten(1)).amin(1) / train[0].numel() ** 0.5


@torch.no_grad()
def measure(model: torch.nn.Module, train: torch.Tensor, test: torch.Tensor, seed: int) -> dict[str, object]:
    """The numbers of one model. Codes of a VAE are its balls' centers."""

    def error(z: torch.Tensor) -> float:
        return (model.decode(z) - test).square().flatten(1).sum(-1).mean().item()

    generator = rc.make_generator(1000 + seed)
    z_train, z_test = rc.centers(model, train), rc.centers(model, test)
    spread, d = z_train.std(0), z_train.shape[-1]
    threshold = nearest_distance(model.decode(z_test), train).quantile(0.95)
    factor = torch.linalg.cholesky(torch.cov(z_train.T) + 1e-6 * torch.eye(d))
    draws = {
        "prior": torch.randn(1000, d, generator=generator),
        "gaussian": z_train.mean(0) + torch.randn(1000, d, generator=generator) @ factor.T,
    }
    foreign = {
        name: (nearest_distance(model.decode(z), train) > threshold).float().mean().item()
        for name, z in draws.items()
    }
    noise = torch.randn(z_test.shape, generator=generator)
    return {
        "train": rc.evaluate(model, train, seed),
        "used_axes": int((spread.square() > 0.01).sum()),
        "foreign": foreign,
        "error_at_radius": [error(z_test + r * spread * noise) for r in RADII],
    }


def work(d: int, kind: str, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    model = rc.make_model(kind, rc.ModelConfig(latent_dim=d, width=256, decoder_width=128, depth=3), seed)
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    return measure(model, train, test, seed)


if __name__ == "__main__":
    jobs = [
        {"d": d, "kind": kind, "seed": seed} for seed in SEEDS for d in DIMENSIONS for kind in ("ae", "vae")
    ]
    run_study("points_and_balls", SETTINGS, jobs, work)
