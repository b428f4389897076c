"""Chapter 4's study of shoves: the first 8 of 128 latent axes moved by +0.1 to +15, five seeds.

    python benchmarks/studies/first_eight.py

The nets are those of a caption in the first version of Shi (2025): encoder and decoder of three layers of 64
units, 128 latent axes. Four ways: ``ae``; ``pulled`` to 64 centers; ``vae``; ``snapped`` to 64 codes. The
same amount is added to each of the first 8 coordinates of every held-out image's code: as it is
(``plain``), and times the standard deviation of the training codes on that axis (``scaled``). For each
amount: the error of the decoded image against its original, and the share of foreign images (chapter 1:
farther from the nearest training image than 95% of held-out reconstructions). ``turned`` moves the code by
the scaled amount on all 128 axes with random signs, divided by four, the same length in standard deviations.
Also: the size of the standard deviations, how many axes vary by more than 0.01, of all and of the first 8,
and the error at a draw from a VAE's ball. About ten minutes on one core; results are written after every
model, and a run that was killed goes on where it was.
"""

import torch
from points_and_balls import nearest_distance
from resumable import run_study
from torch import Tensor

import riemvae_core as rc

SEEDS, EPOCHS, D, FIRST, K = range(5), 30, 128, 8, 64
AMOUNTS, WAYS = (0.0, 0.1, 0.3, 1.0, 3.0, 5.0, 10.0, 15.0), ("ae", "pulled", "vae", "snapped")
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 64, "depth": 3, "latent_dim": D, "first": FIRST,
    "n_codes": K, "beta": 1.0, "commitment": 0.25, "epochs": EPOCHS, "amounts": list(AMOUNTS),
}  # fmt: skip


def made(way: str, seed: int, train: Tensor) -> torch.nn.Module:
    """A trained model."""
    if way in ("ae", "vae"):
        model = rc.make_model(way, rc.ModelConfig(latent_dim=D, width=64, depth=3), seed)
    else:
        config = rc.VQConfig(n_codes=K, code_dim=D, snap=way == "snapped", width=64, depth=3)
        model = rc.make_model("vq", config, seed)
        model.start_codebook(train, rc.make_generator(seed))
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    return model


@torch.no_grad()
def measure(model: torch.nn.Module, train: Tensor, test: Tensor, seed: int) -> dict[str, object]:
    """The numbers of one model."""
    has_codes = isinstance(model, rc.VQVAE)
    points = model.points if has_codes else lambda x: rc.centers(model, x)

    def decode(z: Tensor) -> Tensor:
        return model.decode(model.quantize(z).z_q if has_codes and model.config.snap else z)

    z, spread = points(test), points(train).std(0)
    first = torch.zeros(D)
    first[:FIRST] = 1.0
    signs = torch.randint(2, z.shape, generator=rc.make_generator(1000 + seed)).mul(2.0).sub(1.0)
    threshold = nearest_distance(decode(z), train).quantile(0.95)
    steps = {"plain": first, "scaled": first * spread, "turned": signs * spread * (FIRST / D) ** 0.5}
    result: dict[str, object] = {
        "spread": spread.mean().item(),
        "spread_first": spread[:FIRST].mean().item(),
        "used_first": int((spread[:FIRST].square() > 0.01).sum()),
        "used": int((spread.square() > 0.01).sum()),
    }
    if isinstance(model, rc.VAE):
        noise = torch.randn(z.shape, generator=rc.make_generator(2000 + seed))
        draw = model.decode(rc.reparameterize(*model.encode(test), noise))
        result["error_at_draw"] = (draw - test).square().flatten(1).sum(-1).mean().item()
    for name, step in steps.items():
        moved = [decode(z + amount * step) for amount in AMOUNTS]
        result[name] = {
            "error": [(x - test).square().flatten(1).sum(-1).mean().item() for x in moved],
            "foreign": [(nearest_distance(x, train) > threshold).float().mean().item() for x in moved],
        }
    return result


def work(way: str, seed: int) -> dict[str, object]:
    """Train one model and measure it."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    return measure(made(way, seed, train), train, test, seed)


if __name__ == "__main__":
    run_study("first_eight", SETTINGS, [{"way": w, "seed": s} for s in SEEDS for w in WAYS], work)
