"""Chapter 3's second study: pull, barrier and noise, each on and off, in a VAE of two dimensions; five seeds.

    python benchmarks/studies/contract_parts.py

For each of the eight: the parts of its loss, the size of the cloud of centers and of the balls, the error of
held-out images decoded from their center and 0.2 of the cloud's standard deviations away, how far the decoder
moves for a step of one such deviation, how even the centers lie (coefficient of variation of the distance to
the nearest neighbor), how much of the plane is far from every code, and the share of foreign images among
draws from the prior and from a Gaussian fitted to the codes (both as in chapter 1's studies). About seven
minutes on two cores; results are written after every model, and a run that was killed goes on where it was.
"""

import torch
from points_and_balls import nearest_distance
from resumable import run_study

import riemvae_core as rc

SEEDS, EPOCHS, FAR, STEP = range(5), 12, 0.2, 0.2
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "latent_dim": 2,
    "beta": 1.0, "epochs": EPOCHS, "draws": 1000, "far": FAR, "step": STEP,
}  # fmt: skip


def variation(distance: torch.Tensor) -> float:
    """Standard deviation over mean."""
    return (distance.std() / distance.mean()).item()


@torch.no_grad()
def measure(model: rc.VAE, train: torch.Tensor, test: torch.Tensor, seed: int) -> dict[str, object]:
    """The numbers of one model."""

    def error(z: torch.Tensor) -> float:
        return (model.decode(z) - test).square().flatten(1).sum(-1).mean().item()

    generator = rc.make_generator(1000 + seed)
    z_train, z_test = rc.centers(model, train), rc.centers(model, test)
    mean, spread = z_train.mean(0), z_train.std(0)
    noise = torch.randn(z_test.shape, generator=generator)
    steps = torch.linspace(-2.5, 2.5, 61)
    to_code = torch.cdist(torch.cartesian_prod(steps, steps), (z_train - mean) / spread).amin(1)
    between = torch.cdist(z_test / spread, z_test / spread).fill_diagonal_(torch.inf)
    radii = (0.5 * model.encode(test).log_var).exp()
    in_radii = torch.stack([((z_test - z) / r).norm(dim=-1) for z, r in zip(z_test, radii, strict=True)])
    speed = rc.PullbackMetric(model.decode)(z_test).diagonal(dim1=-2, dim2=-1)
    factor = torch.linalg.cholesky(torch.cov(z_train.T) + 1e-6 * torch.eye(2))
    threshold = nearest_distance(model.decode(z_test), train).quantile(0.95)
    draws = torch.randn(1000, 2, generator=generator)
    laws = {"prior": draws, "gaussian": mean + draws @ factor.T}
    return {
        "train": rc.evaluate(model, train, seed),
        "spread": spread.tolist(),
        "moment": (z_train.square().mean(0) + model.encode(train).log_var.exp().mean(0)).tolist(),
        "median_radius": radii.median().item(),
        "median_relative_radius": (radii / spread).median().item(),
        "error": error(z_test),
        "error_moved": error(z_test + STEP * spread * noise),
        "speed": (speed * spread.square()).sum(-1).median().item(),
        "variation": variation(between.amin(1)),
        "variation_in_radii": variation(in_radii.fill_diagonal_(torch.inf).amin(1)),
        "far_share": (to_code >= FAR).float().mean().item(),
        "foreign": {
            name: (nearest_distance(model.decode(z), train) > threshold).float().mean().item()
            for name, z in laws.items()
        },
    }


def work(pull: bool, barrier: bool, noise: bool, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    config = rc.ModelConfig(
        width=256, decoder_width=128, depth=3, pull=float(pull), barrier=float(barrier), noise=noise
    )
    model = rc.make_model("vae", config, seed)
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    return measure(model, train, test, seed)


if __name__ == "__main__":
    switches = (False, True)
    jobs = [
        {"pull": pull, "barrier": barrier, "noise": noise, "seed": seed}
        for seed in SEEDS for pull in switches for barrier in switches for noise in switches
    ]  # fmt: skip
    run_study("contract_parts", SETTINGS, jobs, work)
