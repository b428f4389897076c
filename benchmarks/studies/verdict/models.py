"""The models of the study: one encoder and one decoder, from one set of first weights, under several losses.

pythae's losses are trained by the core's own loop. A Gaussian decoder of variance price/2, which is what the
core's VAE has, is the same as images and reconstructions stretched by sqrt(2/price) under pythae's loss.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

import riemvae_core as rc
from riemvae_core.models import read_tensors, save_atomically
from verdict.grid import Fit


class Trained(NamedTuple):
    """A trained model as the study uses it: ``log_var`` and ``prior`` are None where there are none."""

    encode: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    decode: Callable[[Tensor], Tensor]
    prior: rc.Balls | None
    seconds: float


class Losses(NamedTuple):
    """What the core's training loop reads; a mean over the batch, at each of its rows."""

    total: Tensor


class Foreign(nn.Module):
    """A model of pythae with the coders of a VAE of ours, as ``rc.fit`` trains it.

    pythae draws from torch's global generator: it is seeded from the noise that the loop gives, so that a run
    repeats, and left as it was.
    """

    def __init__(self, vae: rc.VAE, make: Callable[..., nn.Module], stretch: float) -> None:
        super().__init__()
        from pythae.models.base.base_utils import ModelOutput
        from pythae.models.nn import BaseDecoder, BaseEncoder

        class Encoder(BaseEncoder):
            def __init__(self) -> None:
                super().__init__()
                self.vae = vae

            def forward(self, x: Tensor) -> ModelOutput:
                mu, log_var = self.vae.encode(x / stretch)
                return ModelOutput(embedding=mu, log_covariance=log_var)

        class Decoder(BaseDecoder):
            def __init__(self) -> None:
                super().__init__()
                self.net = vae.decoder

            def forward(self, z: Tensor) -> ModelOutput:
                return ModelOutput(reconstruction=stretch * torch.sigmoid(self.net(z)))

        self.config, self.stretch = vae.config, stretch
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.model = make(Encoder(), Decoder())
        if hasattr(self.model, "pseudo_inputs"):  # VAMP's learned images are stretched like all others
            self.model.pseudo_inputs[1].max_val = stretch

    def losses(self, x: Tensor, eps: Tensor) -> Losses:
        """pythae's loss, in the units of the core's VAE."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(int(eps.flatten()[0].float().cpu().view(torch.int32)) % 2**31)
            output = self.model({"data": self.stretch * x}, epoch=1, dataset_size=len(x))
        total = output.loss * (2.0 / self.stretch**2)
        weight = getattr(self.model.model_config, "reg_weight", 0.0)
        if type(self.model).__name__ == "RAE_L2":  # pythae leaves it to its trainer's weight decay
            total = total + weight * sum(p.square().sum() for p in self.model.decoder.parameters())
        return Losses(total.reshape(()).expand(len(x)))


def _pythae(name: str, **settings) -> Callable[[rc.VAE], Callable[..., nn.Module]]:
    def of(vae: rc.VAE) -> Callable[..., nn.Module]:
        from pythae import models

        config = getattr(models, f"{name}Config" if hasattr(models, f"{name}Config") else f"{name}_Config")
        sizes = {"input_dim": vae.config.image_shape, "latent_dim": vae.config.latent_dim}
        return lambda encoder, decoder: getattr(models, name)(
            config(**sizes, **settings), encoder=encoder, decoder=decoder
        )

    return of


class Kind(NamedTuple):
    """How a model is made: pythae's loss or None for ours, whether it has balls, how much dearer KL is."""

    foreign: Callable[[rc.VAE], Callable[..., nn.Module]] | None
    balls: bool = True
    dearer: float = 1.0


MODELS = {
    "vae": Kind(None),
    "beta-vae": Kind(None, dearer=4.0),
    "vamp": Kind(_pythae("VAMP")),
    "iwae": Kind(_pythae("IWAE", number_samples=5)),
    "hvae": Kind(_pythae("HVAE")),
    "rhvae": Kind(_pythae("RHVAE")),
    "rae-l2": Kind(_pythae("RAE_L2"), balls=False),
    "rae-gp": Kind(_pythae("RAE_GP"), balls=False),
    "wae": Kind(_pythae("WAE_MMD"), balls=False),
}
#: models without KL, which no price changes
UNPRICED = frozenset(name for name, kind in MODELS.items() if not kind.balls)


def make(fit: Fit, image_shape: tuple[int, int, int]) -> nn.Module:
    """The model of a fit with its first weights. Raises ValueError for an unknown name."""
    if fit.model not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {fit.model!r}")
    kind = MODELS[fit.model]
    beta = fit.price * kind.dearer if kind.balls else 1.0
    config = rc.ModelConfig(
        image_shape, latent_dim=fit.latent_dim, network=fit.network, width=fit.width, beta=beta
    )
    vae = rc.make_model("vae", config, fit.seed)
    if kind.foreign is None:
        return vae
    return Foreign(vae, kind.foreign(vae), (2.0 / beta) ** 0.5 if kind.balls else 1.0)


def _in_batches(function: Callable[[Tensor], Tensor], rows: Tensor, home: torch.device) -> Tensor:
    return torch.cat([function(batch.to(home)).cpu() for batch in rows.split(2000)])


class Best:
    """A callback of ``rc.fit`` that keeps the weights with the least held-out loss of LOOKS looks.

    What the second paper's experiments do as well; without it, models of a hundred images are those that
    know them by heart.
    """

    LOOKS, MOST = 20, 2000  # of images, so that looking costs little

    def __init__(self, held_out: Tensor, fit: Fit, epochs: int) -> None:
        self.held_out, self.every = held_out[: self.MOST], max(1, epochs // self.LOOKS)
        self.eps = rc.standard_normal(
            (len(self.held_out), fit.latent_dim), self.held_out, rc.make_generator(fit.seed)
        )
        self.epochs, self.best_after, self.loss, self.state = epochs, 0, math.inf, {}

    def __call__(self, done: int, model: nn.Module, means: Any) -> None:
        """Look at the model after every so many epochs, and the last."""
        if done % self.every and done != self.epochs:
            return
        home, was = next(model.parameters()).device, model.training
        model.eval()
        batches = zip(self.held_out.split(500), self.eps.split(500), strict=True)
        loss = sum(float(model.losses(x.to(home), eps.to(home)).total.detach().sum()) for x, eps in batches)
        model.train(was)
        if loss < self.loss:
            self.best_after, self.loss = done, loss
            self.state = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def train(fit: Fit, images: Tensor, held_out: Tensor, weights: Path) -> Trained:
    """Train the model of a fit on images, or load it from the file ``weights`` where that is there.

    Its weights are the ``Best`` ones for ``held_out``. Raises as ``rc.fit`` does, and whatever pythae raises.
    """
    model = make(fit, tuple(images.shape[1:]))
    if weights.is_file():
        metadata, tensors = read_tensors(weights)
        model.load_state_dict(tensors, strict=False)
        seconds = float(metadata["seconds"])
    else:
        batch = min(fit.batch_size, len(images))
        epochs = max(1, round(fit.steps * batch / len(images)))
        model.to(rc.default_device())
        best = Best(held_out, fit, epochs)
        settings = {"batch_size": batch, "seed": fit.seed, "callback": best, "progress": False}
        seconds = rc.fit(model, images, epochs=epochs, **settings).seconds
        weights.parent.mkdir(parents=True, exist_ok=True)
        model.cpu().load_state_dict(best.state, strict=False)
        save_atomically(dict(model.state_dict()), weights, {"seconds": repr(seconds)})
    home = rc.default_device()
    model.to(home).eval().requires_grad_(False)
    vae, has_balls = getattr(model, "model", model), MODELS[fit.model].balls
    if isinstance(model, Foreign):
        vae = vae.encoder.vae

    def encode(x: Tensor) -> tuple[Tensor, Tensor | None]:
        both = _in_batches(lambda some: torch.cat(vae.encode(some), 1), x, home)
        mu, log_var = both.chunk(2, 1)
        return mu, log_var if has_balls else None

    prior = None
    if hasattr(getattr(model, "model", None), "pseudo_inputs"):
        own = model.model.pseudo_inputs(model.model.idle_input.to(home)) / model.stretch
        prior = rc.Balls(*encode(own.reshape(-1, *images.shape[1:])))
    return Trained(encode, lambda z: _in_batches(vae.decode, z, home), prior, seconds)
