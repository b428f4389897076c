"""The catalogue of the zoo: what is trained, on what, for how long, from which seed, and under which name."""

import dataclasses
import hashlib
import json

from riemvae_core.models.classifier import ClassifierConfig
from riemvae_core.models.noise import NOISES
from riemvae_core.models.vae import ModelConfig
from riemvae_core.models.vqvae import VQConfig


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long, from which seed. ``snapshots`` lists epochs whose balls are
    kept. With ``encoder``, the name of a VAE, its encoder is kept and a decoder is trained anew on ``noise``
    around its centers, as ``with_noise`` knows it.

    Example:
        >>> from riemvae_core.models import zoo
        >>> from dataclasses import replace
        >>> digits = zoo.recipe("digits-vae-2d")
        >>> (
        ...     replace(digits).fingerprint == digits.fingerprint,
        ...     replace(digits, seed=9).fingerprint == digits.fingerprint,
        ... )
        (True, False)
    """

    data: str
    kind: str
    config: ModelConfig | VQConfig | ClassifierConfig
    epochs: int = 80
    batch_size: int = 128
    lr: float = 1e-3
    seed: int = 0
    snapshots: tuple[int, ...] = ()
    encoder: str = ""
    noise: str = "ball"

    @property
    def labeled(self) -> bool:
        """Whether the model is trained on labels too."""
        return self.kind in ("classifier", "conditional")

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with anything in the recipe."""
        fields = dataclasses.asdict(self)
        if self.encoder:
            fields["encoder"] = recipe(self.encoder).fingerprint
        else:
            del fields["encoder"], fields["noise"]
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


#: the betas of the sweep on Fashion-MNIST in two dimensions (chapter 2)
BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def beta_name(beta: float) -> str:
    """The zoo's name of a model of the beta sweep: ``fashion-beta-0.3``.

    Example:
        >>> from riemvae_core.models import zoo
        >>> zoo.beta_name(0.3), zoo.recipe(zoo.beta_name(0.3)).config.beta
        ('fashion-beta-0.3', 0.3)
    """
    return f"fashion-beta-{beta:g}"


#: the betas of the 16-dimensional conv VAEs of all Fashion-MNIST (chapter 9)
CONV_BETAS = (0.01, 1.0)
#: the seeds that each of them is trained from
CONV_SEEDS = (0, 1, 2)


def conv_name(beta: float, seed: int = 0) -> str:
    """The zoo's name of a 16-dimensional conv VAE of all Fashion-MNIST: ``fashion-full-beta-1-seed-0``.

    Example:
        >>> from riemvae_core.models import zoo
        >>> zoo.conv_name(1.0), zoo.recipe(zoo.conv_name(0.01, seed=2)).seed
        ('fashion-full-beta-1-seed-0', 2)
    """
    return f"fashion-full-beta-{beta:g}-seed-{seed}"


#: the VAE whose encoder chapter 3 keeps while it trains decoders on other noise
CONTRACT_ENCODER = "fashion-vae-16d"


def contract_name(noise: str) -> str:
    """The zoo's name of a 16-dimensional VAE's decoder trained on some noise: ``fashion-vae-16d-round``.

    Example:
        >>> from riemvae_core.models import zoo
        >>> [zoo.contract_name(noise) for noise in rc.NOISES]
        ['fashion-vae-16d-ball', 'fashion-vae-16d-none', 'fashion-vae-16d-round']
    """
    return f"{CONTRACT_ENCODER}-{noise}"


#: the codebook sizes of the shipped VQ-VAEs (chapter 4)
CODES = (4, 16, 64, 256)


def _recipes() -> dict[str, Recipe]:
    """The catalogue. Decoders are narrow because the live figures carry them in the page."""
    fashion = ModelConfig(width=256, decoder_width=128, depth=3)
    digits = ModelConfig(image_shape=(1, 8, 8), width=128, decoder_width=64, depth=2, beta=0.3)
    sweep = ModelConfig(width=256, decoder_width=64, depth=3)
    moments = (0, 1, 2, 4, 8, 16, 32, 60)
    recipes = {}
    for kind in ("ae", "vae"):
        recipes[f"fashion-{kind}-2d"] = Recipe("fashion", kind, fashion)
        recipes[f"digits-{kind}-2d"] = Recipe("digits", kind, digits, epochs=300)
        recipes[f"rings-{kind}-2d"] = Recipe("rings-and-disks", kind, fashion, epochs=300)
    for beta in BETAS:
        config = dataclasses.replace(sweep, beta=beta)
        recipes[beta_name(beta)] = Recipe("fashion", "vae", config, epochs=60, snapshots=moments)
    for beta in CONV_BETAS:  # 0.01 is what Chadebec and Allassonniere (2022) train MNIST with
        config = ModelConfig(latent_dim=16, network="conv", width=32, beta=beta)
        for seed in CONV_SEEDS:
            recipes[conv_name(beta, seed)] = Recipe("fashion-full", "vae", config, epochs=12, seed=seed)
    config = ModelConfig(latent_dim=16, width=256, decoder_width=64, depth=3)
    base = recipes[CONTRACT_ENCODER] = Recipe("fashion", "vae", config, epochs=40)
    for noise in NOISES:
        recipes[contract_name(noise)] = dataclasses.replace(
            base, seed=1, encoder=CONTRACT_ENCODER, noise=noise
        )
    codes = VQConfig(width=256, decoder_width=128, depth=3)
    for k in CODES:
        recipes[f"fashion-vq-{k}"] = Recipe("fashion", "vq", dataclasses.replace(codes, n_codes=k), epochs=24)
    recipes["fashion-pulled-64"] = Recipe("fashion", "vq", dataclasses.replace(codes, snap=False), epochs=24)
    grid = VQConfig(code_dim=8, network="grid", width=32, depth=1)
    recipes["fashion-vq-grid"] = Recipe("fashion", "vq", grid, epochs=10)
    config = ModelConfig(width=80, decoder_width=64, depth=2)
    recipes["fashion-labels"] = Recipe("fashion", "conditional", config, epochs=60)
    recipes["fashion-classifier"] = Recipe(
        "fashion-full", "classifier", ClassifierConfig(), epochs=10, lr=2e-3
    )
    return recipes


#: every recipe by its name
RECIPES = _recipes()


def names() -> tuple[str, ...]:
    """The names that ``load`` knows.

    Example:
        >>> from riemvae_core.models import zoo
        >>> [name for name in zoo.names() if name.startswith("digits")]
        ['digits-ae-2d', 'digits-vae-2d']
    """
    return tuple(RECIPES)


def recipe(name: str) -> Recipe:
    """The recipe behind a name. Raises ValueError for a name that isn't in the catalogue.

    Example:
        >>> from riemvae_core.models import zoo
        >>> digits = zoo.recipe("digits-vae-2d")
        >>> digits.kind, digits.epochs, digits.config.beta
        ('vae', 300, 0.3)
    """
    if name not in list(RECIPES):
        raise ValueError(f"name must be one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]
