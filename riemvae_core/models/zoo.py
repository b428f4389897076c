"""Trained models by name. Weights are shipped in half precision; what is not shipped is trained once and
cached.

``python -m riemvae_core.models.zoo`` trains every recipe again from its seed, resumes what was interrupted,
and says how close each comes to the weights that are shipped. ``--ship`` replaces those; names narrow the
work.
"""

import argparse
import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.data import ASSETS, cache_dir, first_of_each_class, load_images
from riemvae_core.models.classifier import Classifier, ClassifierConfig, make_classifier
from riemvae_core.models.files import read_tensors, save_atomically
from riemvae_core.models.noise import NOISES, with_noise
from riemvae_core.models.training import evaluate, fit, fresh_decoder
from riemvae_core.models.vae import VAE, VQVAE, Autoencoder, ModelConfig, VQConfig, make_model
from riemvae_core.numerics import Interval, confidence_interval, make_generator

PROBES_PER_CLASS = 24


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What is trained, on what, for how long, from which seed. ``snapshots`` lists epochs whose balls are
    kept. With ``encoder``, the name of a VAE, its encoder is kept and a decoder is trained anew on ``noise``
    around its centers, as ``with_noise`` knows it.
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
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that change with anything in the recipe."""
        fields = dataclasses.asdict(self)
        if self.encoder:
            fields["encoder"] = recipe(self.encoder).fingerprint
        else:
            del fields["encoder"], fields["noise"]
        text = json.dumps(fields, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


class Snapshots(NamedTuple):
    """Balls of the probe images (the first 24 test images of each class) along a training."""

    epochs: tuple[int, ...]
    mu: Float[Tensor, "t n d"]
    log_var: Float[Tensor, "t n d"]


BETAS = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)


def beta_name(beta: float) -> str:
    """The zoo's name of a model of the beta sweep: ``fashion-beta-0.3``."""
    return f"fashion-beta-{beta:g}"


CONV_BETAS, CONV_SEEDS = (0.01, 1.0), (0, 1, 2)


def conv_name(beta: float, seed: int = 0) -> str:
    """The zoo's name of a 16-dimensional conv VAE of all Fashion-MNIST: ``fashion-full-beta-1-seed-0``."""
    return f"fashion-full-beta-{beta:g}-seed-{seed}"


CONTRACT_ENCODER = "fashion-vae-16d"


def contract_name(noise: str) -> str:
    """The zoo's name of a 16-dimensional VAE's decoder trained on some noise: ``fashion-vae-16d-round``."""
    return f"{CONTRACT_ENCODER}-{noise}"


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
    recipes["fashion-classifier"] = Recipe(
        "fashion-full", "classifier", ClassifierConfig(), epochs=10, lr=2e-3
    )
    return recipes


RECIPES = _recipes()


def names() -> tuple[str, ...]:
    """The names that ``load`` knows."""
    return tuple(RECIPES)


def recipe(name: str) -> Recipe:
    """The recipe behind a name. Raises ValueError for a name that isn't in the catalogue."""
    if name not in RECIPES:
        raise ValueError(f"name must be one of {', '.join(RECIPES)}, got {name!r}")
    return RECIPES[name]


def _untrained(r: Recipe) -> nn.Module:
    if r.kind == "classifier":
        return make_classifier(r.config, r.seed)
    if r.encoder:
        return fresh_decoder(with_noise(load(r.encoder), r.noise), r.seed)
    return make_model(r.kind, r.config, r.seed)


def load(name: str, *, progress: bool | None = None) -> Autoencoder | VAE | VQVAE | Classifier:
    """A trained model by name, on the CPU, in eval mode.

    Shipped weights are used when they were made by the recipe as it stands; else the model is trained
    (seconds to a few minutes on two cores) and kept in ``cache_dir()`` under the recipe's hash.
    """
    return _with_weights(recipe(name), _tensors(name, progress))


def _with_weights(r: Recipe, tensors: dict[str, Tensor]) -> nn.Module:
    model = _untrained(r)
    found = {k[6:]: v.float() for k, v in tensors.items() if k.startswith("model.")}
    model.load_state_dict(model.state_dict() | found if r.encoder else found)
    return model.eval()


def snapshots(name: str) -> Snapshots:
    """The probe images' balls at the epochs that the recipe keeps. Raises ValueError where it keeps none."""
    moments = recipe(name).snapshots
    if not moments:
        with_some = ", ".join(n for n, r in RECIPES.items() if r.snapshots)
        raise ValueError(f"name must be a model with snapshots ({with_some}), got {name!r}")
    tensors = _tensors(name, None)
    return Snapshots(moments, tensors["snapshots.mu"].float(), tensors["snapshots.log_var"].float())


class Study(NamedTuple):
    """Committed results of a study in ``benchmarks/studies``: settings, one dictionary a trained model."""

    settings: dict[str, Any]
    runs: list[dict[str, Any]]

    def interval(self, value: Callable[[dict[str, Any]], float], **job: Any) -> Interval:
        """Mean of ``value(run)`` over the runs of a job (its seeds), with the 95% interval.

        ``job`` names the entries that a run must have: ``interval(value, d=2, kind="ae")``. Raises ValueError
        when fewer than two runs have them.
        """
        chosen = [run for run in self.runs if all(run.get(k) == v for k, v in job.items())]
        if len(chosen) < 2:
            raise ValueError(f"job must match at least 2 runs, got {len(chosen)} for {job}")
        return confidence_interval([float(value(run)) for run in chosen])


def load_study(name: str) -> Study:
    """The results of a study by name. Raises ValueError for a name that has none."""
    return Study(**_committed("studies", name))


def load_benchmark(name: str) -> dict[str, dict[str, Any]]:
    """The results of a benchmark by name, ``result`` and ``machine`` of each part. Raises as a study does."""
    return _committed("benchmarks", name)


def _committed(folder: str, name: str) -> dict[str, Any]:
    known = sorted(path.stem for path in (ASSETS / folder).glob("*.json"))
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known) or '(none)'}, got {name!r}")
    return json.loads((ASSETS / folder / f"{name}.json").read_text())


def train(name: str, *, progress: bool | None = None) -> Path:
    """Train a recipe from its seed, resuming what was interrupted; the weights' file in ``cache_dir()``."""
    r = recipe(name)
    target = cache_dir() / f"{name}-{r.fingerprint}.safetensors"
    checkpoint = target.with_suffix(".checkpoint")
    images, labels = load_images(r.data)
    probes = (
        first_of_each_class(load_images(r.data, "test"), PROBES_PER_CLASS).images if r.snapshots else None
    )
    model, kept = _untrained(r), {}
    partial = target.with_suffix(".snapshots")
    if checkpoint.is_file() and partial.is_file():
        kept = read_tensors(partial)[1]

    def keep(epoch: int, net: nn.Module, _means: dict[str, float]) -> None:
        if epoch in r.snapshots:
            net.eval()
            with torch.no_grad():
                kept[f"mu.{epoch}"], kept[f"log_var.{epoch}"] = net.encode(probes)
            net.train()
            save_atomically(kept, partial, {})

    if not checkpoint.is_file():
        keep(0, model, {})
        if r.kind == "vq":
            model.start_codebook(images, make_generator(r.seed))
    fit(
        model, images, labels if r.kind == "classifier" else None,
        epochs=r.epochs, batch_size=r.batch_size, lr=r.lr, seed=r.seed,
        checkpoint=checkpoint, callback=keep, progress=progress,
    )  # fmt: skip
    trained = "decoder." if r.encoder else ""
    tensors = {f"model.{k}": v.half() for k, v in model.state_dict().items() if k.startswith(trained)}
    for part in ("mu", "log_var") if r.snapshots else ():
        tensors[f"snapshots.{part}"] = torch.stack([kept[f"{part}.{e}"] for e in r.snapshots]).half()
    save_atomically(tensors, target, {"recipe": r.fingerprint})
    for leftover in (checkpoint, partial):
        leftover.unlink(missing_ok=True)
    return target


def shipped_path(name: str) -> Path:
    """Where a model's shipped weights lie, whether or not they are there."""
    return ASSETS / "zoo" / f"{name}.safetensors"


def _tensors(name: str, progress: bool | None) -> dict[str, Tensor]:
    fingerprint = recipe(name).fingerprint
    cached = cache_dir() / f"{name}-{fingerprint}.safetensors"
    for path in (shipped_path(name), cached):
        if path.is_file():
            metadata, tensors = read_tensors(path)
            if metadata.get("recipe") == fingerprint:
                return tensors
    return read_tensors(train(name, progress=progress))[1]


def _held_out(r: Recipe, weights: Path) -> str:
    """The loss of a file's weights on the recipe's test images; for a classifier its accuracy too."""
    model, test = _with_weights(r, read_tensors(weights)[1]), load_images(r.data, "test")
    losses = evaluate(model, test.images, labels=test.labels if r.kind == "classifier" else None)
    accuracy = f" (accuracy {1 - losses['error']:.2%})" if "error" in losses else ""
    return f"{losses['total']:.4f}{accuracy}"


def main(arguments: list[str] | None = None) -> None:
    """Train recipes again and compare them with what is shipped."""
    parser = argparse.ArgumentParser(prog="python -m riemvae_core.models.zoo", description=__doc__)
    parser.add_argument("names", nargs="*", help="models to train (all of them by default)")
    parser.add_argument("--ship", action="store_true", help="replace the shipped weights")
    chosen = parser.parse_args(arguments)
    for name in chosen.names or names():
        path, target = train(name), shipped_path(name)
        line = f"{name}: held-out loss {_held_out(recipe(name), path)}"
        if target.is_file():
            line += f", shipped {_held_out(recipe(name), target)}"
        print(line, flush=True)
        if chosen.ship:
            metadata, tensors = read_tensors(path)
            save_atomically(tensors, target, metadata)
            path.unlink()


if __name__ == "__main__":
    main()
