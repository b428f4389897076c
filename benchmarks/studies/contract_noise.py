"""Chapter 3's first study: a contract kept and broken, with the same encoder.

    python benchmarks/studies/contract_noise.py

A VAE is trained; its encoder is frozen and three decoders are trained anew: on draws from the balls, on the
centers alone, and, as a control, on round noise of the same total size. For each: the error of held-out
images decoded t radii from their center, t = 0 to 3, along the balls' own noise (all axes, used axes alone,
unused axes alone) and along the control's. Then, with the VAE's own decoder: the terms of the second-order
expansion, and how well the decoder's derivatives foretell the radii of used axes, for images held out and
trained on. Two dimensions and two prices, five seeds. About eleven minutes on one core; results are written
after every model, and a run that was killed goes on where it was.
"""

import torch
from resumable import run_study

import riemvae_core as rc

SEEDS, EPOCHS, DECODER_EPOCHS, PROBED, DRAWS = range(5), 15, 8, 240, 4
RADII = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0)
CASES = ((2, 1.0), (16, 1.0), (16, 0.1))
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "epochs": EPOCHS,
    "decoder_epochs": DECODER_EPOCHS, "radii": list(RADII), "cases": [list(case) for case in CASES],
    "probed": PROBED, "draws": DRAWS, "used_axis": "variance of mu_k above 0.01",
}  # fmt: skip


def errors(models: dict[str, rc.VAE], test: torch.Tensor, encoder: rc.VAE, seed: int) -> dict[str, object]:
    """Mean errors by decoder and radius, along four kinds of step."""
    with torch.no_grad():
        mu, log_var = encoder.encode(test)
        round_log_var = rc.with_noise(encoder, "round").encode(test).log_var
    eps = torch.randn(mu.shape, generator=rc.make_generator(1000 + seed))
    ball, used = (0.5 * log_var).exp() * eps, mu.var(0) > 0.01
    steps = {
        "ball": ball, "used": ball * used, "unused": ball * ~used, "round": (0.5 * round_log_var).exp() * eps,
    }  # fmt: skip
    return {
        "used_axes": int(used.sum()),
        "errors": {
            name: {
                kind: rc.errors_off_center(model.decode, test, mu, step, RADII).mean(-1).tolist()
                for kind, step in steps.items()
            }
            for name, model in models.items()
        },
    }


def radii_told(model: rc.VAE, x: torch.Tensor, beta: float, seed: int) -> dict[str, object]:
    """The encoder's precisions beside what the decoder's derivatives ask for, all logarithms."""
    with torch.no_grad():
        mu, log_var = model.encode(x)
    generator = rc.make_generator(2000 + seed)
    draws = [
        rc.axis_terms(
            model.decode, x, rc.reparameterize(mu, log_var, torch.randn(mu.shape, generator=generator))
        )
        for _ in range(DRAWS)
    ]
    center = rc.axis_terms(model.decode, x, mu)
    speed, bend = (torch.stack(part).mean(0) for part in zip(*draws, strict=True))
    used = mu.var(0) > 0.01
    told = {
        name: -rc.optimal_log_var(s, beta)[:, used] for name, s in (("center", center.speed), ("ball", speed))
    }
    g = rc.PullbackMetric(model.decode)(mu)
    a = torch.eye(mu.shape[-1]) + 2 / beta * g
    angle = torch.linalg.qr(torch.randn(a.shape[-1], a.shape[-1], generator=generator)).Q
    variance = log_var.exp()
    return {
        "law": {name: law(-log_var[:, used], precision) for name, precision in told.items()},
        "expansion": {
            "speed": (variance * center.speed).sum(-1).mean().item(),
            "bend": (variance * center.bend).sum(-1).mean().item(),
            "ball_speed": (variance * speed).sum(-1).mean().item(),
            "ball_bend": (variance * bend).sum(-1).mean().item(),
        },
        "off_diagonal_nats": hadamard_gap(a).mean().item(),
        "off_diagonal_nats_turned": hadamard_gap(angle @ a @ angle.T).mean().item(),
    }


def law(found: torch.Tensor, told: torch.Tensor) -> dict[str, float]:
    """Correlation, least-squares slope and median difference of two logarithms."""
    pair = torch.stack([told.flatten(), found.flatten()])
    covariance = torch.cov(pair)
    return {
        "correlation": torch.corrcoef(pair)[0, 1].item(),
        "slope": (covariance[0, 1] / covariance[0, 0]).item(),
        "median_log_ratio": (pair[1] - pair[0]).median().item(),
    }


def hadamard_gap(a: torch.Tensor) -> torch.Tensor:
    """Half the log of (product of the diagonal over determinant): zero only for diagonal matrices."""
    return 0.5 * (a.diagonal(dim1=-2, dim2=-1).log().sum(-1) - torch.logdet(a))


def work(d: int, beta: float, seed: int) -> dict[str, object]:
    """Train one VAE and three decoders for its encoder, and measure them."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    config = rc.ModelConfig(latent_dim=d, width=256, decoder_width=128, depth=3, beta=beta)
    model = rc.make_model("vae", config, seed)
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    decoders = {
        noise: rc.retrain_decoder(
            rc.with_noise(model, noise), train, seed=100 + seed, epochs=DECODER_EPOCHS, progress=False
        )[0]
        for noise in rc.NOISES
    }
    model.requires_grad_(False)
    told = {
        name: radii_told(model, images[:PROBED], beta, seed)
        for name, images in (("train", train), ("test", test))
    }
    return errors(decoders, test, model, seed) | told


if __name__ == "__main__":
    jobs = [{"d": d, "beta": beta, "seed": seed} for seed in SEEDS for d, beta in CASES]
    run_study("contract_noise", SETTINGS, jobs, work)
