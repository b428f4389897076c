"""Trained models by name. Weights are shipped in half precision; what is not shipped is trained once and
cached.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.data import ASSETS, cache_dir, first_of_each_class, load_images, read_json
from riemvae_core.intervals import Interval, confidence_interval
from riemvae_core.models.catalogue import (
    BETAS,
    CODES,
    CONTRACT_ENCODER,
    CONV_BETAS,
    CONV_SEEDS,
    RECIPES,
    Recipe,
    beta_name,
    contract_name,
    conv_name,
    names,
    recipe,
)
from riemvae_core.models.classifier import Classifier, make_classifier
from riemvae_core.models.conditional import ConditionalVAE, make_conditional
from riemvae_core.models.files import read_tensors, save_atomically
from riemvae_core.models.noise import with_noise
from riemvae_core.models.pictures import load_pictures
from riemvae_core.models.retraining import fresh_decoder
from riemvae_core.models.training import fit
from riemvae_core.models.vae import VAE, Autoencoder, make_model
from riemvae_core.models.vqvae import VQVAE
from riemvae_core.numerics import check_finite, make_generator

__all__ = [
    "BETAS",
    "CODES",
    "CONTRACT_ENCODER",
    "CONV_BETAS",
    "CONV_SEEDS",
    "PROBES_PER_CLASS",
    "RECIPES",
    "Recipe",
    "Snapshots",
    "Study",
    "beta_name",
    "contract_name",
    "conv_name",
    "load",
    "load_pictures",
    "load_study",
    "load_weights",
    "names",
    "recipe",
    "shipped_path",
    "snapshots",
    "train",
]

#: how many test images of each class the snapshots follow
PROBES_PER_CLASS = 24


class Snapshots(NamedTuple):
    """Balls of the probe images (the first 24 test images of each class) along a training.

    Returned by ``snapshots``; ``mu`` and ``log_var`` are ``[t, n, d]``.

    Example:
        >>> from riemvae_core.models import zoo
        >>> kept = zoo.snapshots(zoo.beta_name(100.0))
        >>> kept.epochs[-1], kept.mu.shape  # 240 probe images at each epoch
        (60, torch.Size([8, 240, 2]))
    """

    epochs: tuple[int, ...]
    mu: Float[Tensor, "t n d"]
    log_var: Float[Tensor, "t n d"]


def _untrained(r: Recipe) -> nn.Module:
    if r.kind == "classifier":
        return make_classifier(r.config, r.seed)
    if r.kind == "conditional":
        return make_conditional(r.config, r.seed)
    if r.encoder:
        return fresh_decoder(with_noise(load(r.encoder), r.noise), r.seed)
    return make_model(r.kind, r.config, r.seed)


def load(
    name: str, *, progress: bool | None = None
) -> Autoencoder | VAE | ConditionalVAE | VQVAE | Classifier:
    """A trained model by name, on the CPU, in eval mode.

    Shipped weights are used when they were made by the recipe as it stands; else the model is trained
    (seconds to a few minutes on two cores) and kept in ``cache_dir()`` under the recipe's hash.

    Raises ValueError for a name that isn't in the catalogue and a file that can't be read.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model, images = zoo.load("digits-vae-2d"), rc.load_images("digits", "test").images
        >>> mean_image = rc.load_images("digits").images.mean(0)
        >>> baseline = (images - mean_image).square().sum((1, 2, 3)).mean().item()
        >>> rc.evaluate(model, images)["reconstruction"] < 0.65 * baseline
        True
    """
    return _with_weights(name, _tensors(name, progress))


def load_weights(name: str, path: Path) -> Autoencoder | VAE | ConditionalVAE | VQVAE | Classifier:
    """A model of the catalogue with the weights that lie in a file, as ``load`` gives it.

    Raises ValueError for a name that isn't in the catalogue, a file that can't be read, and weights that are
    another model's or not finite.

    Example:
        >>> from riemvae_core.models import zoo
        >>> shipped = zoo.load_weights("digits-vae-2d", zoo.shipped_path("digits-vae-2d"))
        >>> shipped.mu_head.weight.equal(zoo.load("digits-vae-2d").mu_head.weight)
        True
    """
    recipe(name)
    return _with_weights(name, read_tensors(path)[1])


def _with_weights(name: str, tensors: dict[str, Tensor]) -> nn.Module:
    r = recipe(name)
    model = _untrained(r)
    found = {k[6:]: v.float() for k, v in tensors.items() if k.startswith("model.")}
    try:
        model.load_state_dict(model.state_dict() | found if r.encoder else found)
        check_finite(**found)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"the file must hold the weights of {name}, got others ({error})") from error
    return model.eval()


def snapshots(name: str) -> Snapshots:
    """The probe images' balls at the epochs that the recipe keeps. Raises ValueError where it keeps none.

    Used in chapter 2.

    Example:
        >>> from riemvae_core.models import zoo
        >>> kept = zoo.snapshots(zoo.beta_name(100.0))
        >>> rc.kl_to_standard_normal(kept.mu, kept.log_var).mean(1)[-1].item()  # all balls are the prior
        0.00
    """
    moments = recipe(name).snapshots
    if not moments:
        with_some = ", ".join(n for n, r in RECIPES.items() if r.snapshots)
        raise ValueError(f"name must be a model with snapshots ({with_some}), got {name!r}")
    tensors = _tensors(name, None)
    return Snapshots(moments, tensors["snapshots.mu"].float(), tensors["snapshots.log_var"].float())


class Study(NamedTuple):
    """Committed results of a study in ``benchmarks/studies``: settings, one dictionary a trained model.

    Example:
        >>> from riemvae_core.models import zoo
        >>> study = zoo.Study({}, [{"d": 2, "nats": 1.0}, {"d": 2, "nats": 3.0}])
        >>> study.interval(lambda run: run["nats"], d=2).mean
        2.0
    """

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
    """The results of a study by name. Raises ValueError for a name that has none.

    Example:
        >>> from riemvae_core.models import zoo
        >>> study = zoo.load_study("packing")
        >>> len(study.runs) > 1
        True
    """
    return Study(**_committed("studies", name))


def load_benchmark(name: str) -> dict[str, dict[str, Any]]:
    """The results of a benchmark by name, ``result`` and ``machine`` of each part. Raises as a study does.

    Example:
        >>> from riemvae_core.models import zoo
        >>> rows = zoo.load_benchmark("samplers")["scale"]["result"]["rows"]
        >>> all(row["sampling_seconds"] > 0 for row in rows)
        True
    """
    return _committed("benchmarks", name)


def _committed(folder: str, name: str) -> dict[str, Any]:
    known = sorted(path.stem for path in (ASSETS / folder).glob("*.json"))
    if name not in known:
        raise ValueError(f"name must be one of {', '.join(known) or '(none)'}, got {name!r}")
    return read_json(ASSETS / folder / f"{name}.json")


def train(name: str, *, progress: bool | None = None) -> Path:
    """Train a recipe from its seed, resuming what was interrupted; the weights' file in ``cache_dir()``.

    Raises ValueError for a name that isn't in the catalogue, FloatingPointError as ``fit`` does.

    Example:
        >>> from riemvae_core.models import zoo
        >>> import os, tempfile
        >>> from unittest.mock import patch
        >>> tiny = zoo.Recipe("digits", "vae", rc.ModelConfig((1, 8, 8), width=8, depth=1), epochs=1)
        >>> with tempfile.TemporaryDirectory() as folder, patch.dict(zoo.RECIPES, tiny=tiny):
        ...     with patch.dict(os.environ, RIEMVAE_CACHE=folder):
        ...         zoo.train("tiny", progress=False).name == f"tiny-{tiny.fingerprint}.safetensors"
        True
    """
    r = recipe(name)
    target = cache_dir() / f"{name}-{r.fingerprint}.safetensors"
    checkpoint = target.with_suffix(".checkpoint")
    images, labels = load_images(r.data)
    probes = (
        first_of_each_class(load_images(r.data, "test"), PROBES_PER_CLASS).images if r.snapshots else None
    )
    model, kept = _untrained(r), {}
    partial = target.with_suffix(".snapshots")
    if checkpoint.is_file() and r.snapshots:
        told = read_tensors(checkpoint)[0].get("done", "0")
        done = int(told) if told.isdecimal() and len(told) < 10 else 0
        kept = read_tensors(partial)[1] if partial.is_file() else {}
        if any(f"{part}.{e}" not in kept for part in ("mu", "log_var") for e in r.snapshots if e <= done):
            kept = {}  # without them the end could not be written: from the beginning, then
            checkpoint.unlink()

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
        model, images, labels if r.labeled else None,
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
    """Where a model's shipped weights lie, whether or not they are there.

    Example:
        >>> from riemvae_core.models import zoo
        >>> zoo.shipped_path("digits-vae-2d").name
        'digits-vae-2d.safetensors'
    """
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
