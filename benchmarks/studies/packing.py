"""Chapter 2's study: what beta does to the balls of a two-dimensional VAE, twelve values, five seeds each.

    python benchmarks/studies/packing.py

For each trained model: the parts of the loss on the images it was trained on, the moment E mu^2 + E
sigma^2 of each axis, the used axes, and the information I(x; z) that the balls carry, estimated from 4,000
draws against the aggregate posterior of all 12,000 balls. About 20 minutes on two cores; results are
written after every model, and a run that was killed goes on where it was.
"""

import torch
from resumable import run_study

import riemvae_core as rc

SEEDS, EPOCHS, DRAWS = range(5), 30, 4000
BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 100.0)
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 64, "depth": 3, "latent_dim": 2,
    "epochs": EPOCHS, "draws": DRAWS, "betas": list(BETAS), "used_axis": "variance of mu_k above 0.01",
}  # fmt: skip


@torch.no_grad()
def measure(model: torch.nn.Module, train: torch.Tensor, test: torch.Tensor, seed: int) -> dict[str, object]:
    """The numbers of one model."""
    mu, log_var = model.encode(train)
    generator = rc.make_generator(1000 + seed)
    drawn = torch.randperm(len(train), generator=generator)[:DRAWS]
    eps = torch.randn(DRAWS, mu.shape[-1], generator=generator)
    z = rc.reparameterize(mu[drawn], log_var[drawn], eps)
    log_ratio = rc.log_prob(z, mu[drawn], log_var[drawn]) - rc.log_prob_mixture(z, mu, log_var)
    return {
        "train": rc.evaluate(model, train, seed),
        "test": rc.evaluate(model, test, seed),
        "moment": (mu.square() + log_var.exp()).mean(0).tolist(),
        "variance_of_centers": mu.var(0).tolist(),
        "mean_square_radius": log_var.exp().mean(0).tolist(),
        "used_axes": int((mu.var(0) > 0.01).sum()),
        "information": log_ratio.mean().item(),
        "information_standard_error": (log_ratio.std() / DRAWS**0.5).item(),
    }


def work(beta: float, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    model = rc.make_model("vae", rc.ModelConfig(width=256, decoder_width=64, depth=3, beta=beta), seed)
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    return measure(model, train, test, seed)


if __name__ == "__main__":
    jobs = [{"beta": beta, "seed": seed} for seed in SEEDS for beta in BETAS]
    run_study("packing", SETTINGS, jobs, work)
