"""Chapter 3's third study: simpler things that would show the same.

    python benchmarks/studies/contract_controls.py

``shapes``, sixteen axes, two prices, three seeds: decoders trained anew on an encoder's own balls, on round
noise, and on *one* ellipsoid shared by all images (on each axis the root mean square of the training images'
radii), tested at draws of each kind. If the shared one does as well on the own balls, the decoder has learned
which axes matter and little else. ``bends``, shipped VAEs of the plane: do radii follow an image's own bend?
What the log precision has beyond the speed's share, against bend over speed, both averaged over the ball; the
control takes the bend towards *another* image. ``few``, the shipped VAE of the plane: decoders trained on the
centers, and on the balls, of 200 images alone. With so few, how many draws have another image's center near,
and does the decoder of centers break? About five minutes on one core; results are written after every model,
and a run that was killed goes on where it was.
"""

import copy

import torch
from resumable import run_study
from torch import Tensor

import riemvae_core as rc
from riemvae_core.models import zoo

SEEDS, EPOCHS, DECODER_EPOCHS, PROBED, DRAWS, FEW = range(3), 15, 8, 500, 16, 200
SMALL, RESAMPLED = 0.3, 1000
RADII = (0.0, 0.5, 1.0, 1.5, 2.0)
PLANES = (zoo.beta_name(0.1), zoo.beta_name(0.3), "fashion-vae-2d", zoo.beta_name(3.0))
SETTINGS = {
    "data": "fashion", "network": "mlp", "width": 256, "decoder_width": 128, "depth": 3, "epochs": EPOCHS,
    "latent_dim": 16, "decoder_epochs": DECODER_EPOCHS, "radii": list(RADII),
    "probed": PROBED, "draws": DRAWS, "few": FEW, "near": 0.5,
    "small_share": SMALL, "resampled": RESAMPLED,
}  # fmt: skip


def with_shared_noise(model: rc.VAE, images: Tensor) -> rc.VAE:
    """A copy whose balls all have one shape: on each axis the mean squared radius over the images."""
    with torch.no_grad():
        mean = model.encode(images).log_var.exp().mean(0).log()
    copied = copy.deepcopy(model)
    copied.log_var_head.weight.data.zero_()
    copied.log_var_head.bias.data.copy_(mean)
    return copied


def retrained(model: rc.VAE, images: Tensor, seed: int) -> rc.VAE:
    """A fresh decoder for a frozen encoder."""
    return rc.retrain_decoder(model, images, seed=100 + seed, epochs=DECODER_EPOCHS, progress=False)[0]


def errors(decoders: dict[str, rc.VAE], x: Tensor, noises: dict[str, rc.VAE], seed: int) -> dict[str, object]:
    """Mean errors by decoder, kind of step and radius."""
    with torch.no_grad():
        balls = {name: model.encode(x) for name, model in noises.items()}
    eps = torch.randn(balls["ball"].mu.shape, generator=rc.make_generator(1000 + seed))
    return {
        decoder: {
            noise: rc.errors_off_center(
                model.decode, x, ball.mu, torch.exp(0.5 * ball.log_var) * eps, RADII
            ).mean(-1).tolist()
            for noise, ball in balls.items()
        }
        for decoder, model in decoders.items()
    }  # fmt: skip


def shapes(beta: float, seed: int) -> dict[str, object]:
    """Own balls, one shared ellipsoid, round noise: each decoder at draws of each."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    config = rc.ModelConfig(latent_dim=16, width=256, decoder_width=128, depth=3, beta=beta)
    model = rc.make_model("vae", config, seed)
    rc.fit(model, train, epochs=EPOCHS, seed=seed, progress=False)
    model.requires_grad_(False)
    noises = {
        "ball": model, "shared": with_shared_noise(model, train), "round": rc.with_noise(model, "round")
    }  # fmt: skip
    decoders = {name: retrained(noisy, train, seed) for name, noisy in noises.items()}
    return {"errors": errors(decoders, test, noises, seed)}


def slope(share: Tensor, residual: Tensor) -> Tensor:
    """Least-squares slope where the share is small, so that the law's log(1 + share) is nearly the share."""
    small = share.abs() < SMALL
    covariance = torch.cov(torch.stack([share[small], residual[small]]))
    return covariance[0, 1] / covariance[0, 0]


def bends(name: str, seed: int) -> dict[str, object]:
    """How far held-out radii follow each image's own bend, and what another image's bend would say.

    ``low`` and ``high`` bound 95% of the slopes when the images are drawn again with replacement; ``law`` is
    the slope of radii that obey the law exactly, ``small`` the part of images and axes that is looked at.
    """
    model, x = zoo.load(name), rc.load_images("fashion", "test").images[:PROBED]
    generator, beta = rc.make_generator(2000 + seed), model.config.beta
    with torch.no_grad():
        mu, log_var = model.encode(x)
    terms: dict[str, list[rc.AxisTerms]] = {"own": [], "other": []}
    for _ in range(DRAWS):
        z = rc.reparameterize(mu, log_var, torch.randn(mu.shape, generator=generator))
        for whose, target in (("own", x), ("other", x.roll(1, 0))):
            terms[whose].append(rc.axis_terms(model.decode, target, z))
    speed = torch.stack([t.speed for t in terms["own"]]).mean(0)
    residual = -log_var - torch.log1p(2 / beta * speed)
    rows = torch.randint(len(x), (RESAMPLED, len(x)), generator=generator)
    out = {}
    for whose, found in terms.items():
        share = -torch.stack([t.bend for t in found]).mean(0) / (speed + beta / 2)
        slopes = torch.stack([slope(share[some], residual[some]) for some in rows])
        low, high = torch.quantile(slopes, torch.tensor([0.025, 0.975])).tolist()
        out[whose] = {"slope": slope(share, residual).item(), "low": low, "high": high}
        out[whose] |= {"law": slope(share, torch.log1p(share.clamp(min=-SMALL))).item()}
        out[whose] |= {"small": (share.abs() < SMALL).float().mean().item()}
    return out


def few(seed: int) -> dict[str, object]:
    """Decoders of 200 images alone, shown as often as all are."""
    train, test = rc.load_images("fashion").images, rc.load_images("fashion", "test").images
    model = zoo.load("fashion-vae-2d")
    some = train[torch.randperm(len(train), generator=rc.make_generator(seed))[:FEW]]
    shown = some.repeat(len(train) // FEW, 1, 1, 1)
    decoders = {noise: retrained(rc.with_noise(model, noise), shown, seed) for noise in ("ball", "none")}
    with torch.no_grad():
        mu, log_var = model.encode(some)
    draw = rc.reparameterize(mu, log_var, torch.randn(mu.shape, generator=rc.make_generator(3000 + seed)))
    away = ((mu - draw[:, None]).square() / log_var[:, None].exp()).mean(-1)
    return {
        "alone": (away.fill_diagonal_(torch.inf).amin(1) > 0.5**2).float().mean().item(),
        "seen": errors(decoders, some, {"ball": model}, seed),
        "test": errors(decoders, test, {"ball": model}, seed),
    }


def work(part: str, model: str, beta: float, seed: int) -> dict[str, object]:
    """One part of the study."""
    if part == "shapes":
        return shapes(beta, seed)
    return bends(model, seed) if part == "bends" else few(seed)


if __name__ == "__main__":
    jobs = [
        {"part": "bends", "model": name, "beta": zoo.recipe(name).config.beta, "seed": 0} for name in PLANES
    ]
    jobs += [{"part": "few", "model": "fashion-vae-2d", "beta": 1.0, "seed": seed} for seed in SEEDS]
    jobs += [
        {"part": "shapes", "model": "trained here", "beta": beta, "seed": seed}
        for beta in (1.0, 0.1) for seed in SEEDS
    ]  # fmt: skip
    run_study("contract_controls", SETTINGS, jobs, work)
