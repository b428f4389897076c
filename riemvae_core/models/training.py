"""One ``fit`` for every chapter: the loop that a reader sees is the loop that runs on several devices."""

import math
import os
import time
from collections.abc import Callable
from numbers import Real
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from safetensors.torch import load, save
from torch import Tensor, nn
from tqdm.auto import tqdm

from riemvae_core.models.checkpoints import Plan, check_weights, fingerprint, resume, save_run
from riemvae_core.models.checks import check_labels, check_losses, check_trainable, ready_images
from riemvae_core.numerics import check_number, chunks, make_generator, standard_normal, with_own_gradients


class History(NamedTuple):
    """Mean of each loss part over each epoch, as trained; seconds of training; epochs done.

    Returned by ``fit``; ``losses`` maps a part's name to ``[epochs]``, in the units of the model's losses.

    Example:
        >>> images = rc.load_images("digits").images[:256]
        >>> model = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=16, depth=1), seed=0)
        >>> history = rc.fit(model, images, epochs=2, progress=False)
        >>> history.epochs, sorted(history.losses)
        (2, ['barrier', 'pull', 'reconstruction', 'total'])
    """

    losses: dict[str, Tensor]
    seconds: float
    epochs: int


Callback = Callable[[int, nn.Module, dict[str, float]], bool | None]


@with_own_gradients
def fit(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"] | None = None,
    *,
    epochs: int,
    batch_size: int = 128,
    lr: float = 1e-3,
    seed: int = 0,
    accelerator: str | None = None,
    devices: int = 1,
    precision: str = "32-true",
    strategy: str = "auto",
    checkpoint: Path | str | None = None,
    callback: Callback | None = None,
    progress: bool | None = None,
) -> History:
    """Train a model whose ``losses(x, eps)`` gives a NamedTuple of per-image losses with a field ``total``.

    Any ``nn.Module`` with that method and ``config.latent_dim``, the length of an image's noise, can be
    trained. With ``labels`` no noise is drawn, and the losses are ``losses(x, labels)``; of a
    ``ConditionalVAE``, which takes both, ``losses(x, eps, labels)``. Images are cast to the dtype of the
    model's weights.
    Adam with a cosine decay of the step size to zero. Epochs are shuffled and noise is drawn on the CPU from
    ``seed``, and each of several devices takes its share of every batch, so the result depends on the seed
    alone and not on how many devices work on it (up to rounding).

    ``accelerator`` is Lightning's name of a device (``cpu``, ``cuda``, ``mps``) and by default the one the
    model lives on; the model comes back to where it was. ``checkpoint`` names a file that is written whole
    after every epoch: a run that was killed goes on from it and ends with the weights of an unbroken one.
    ``callback(epoch, model, means)`` runs after every epoch and ends the training by returning True.
    ``progress`` draws a bar, by default everywhere but in a build of the book.

    Raises ValueError for bad arguments, among them images that aren't finite, of another shape than
    ``config.image_shape`` or beyond what the likelihood prices (the message names the first), or a checkpoint
    of another run; FloatingPointError when a loss or weight is not finite (the message names the step and the
    part). After any error, KeyboardInterrupt too, the model has the weights from before; what a broken run
    has learned is in its ``checkpoint``.

    Example:
        >>> images = rc.load_images("digits").images[:256]
        >>> model = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=16, depth=1), seed=0)
        >>> history = rc.fit(model, images, epochs=2, lr=0.01, progress=False)
        >>> (history.losses["total"][1] < history.losses["total"][0]).item()
        True
    """
    check_number(1, whole=True, epochs=epochs, batch_size=batch_size, devices=devices)
    if not isinstance(lr, Real) or not 0 < lr <= 1e30:
        raise ValueError(f"lr must be positive and at most 1e30, got {lr!r}")
    if callback is not None and not callable(callback):
        raise ValueError(f"callback must be None or callable, got {type(callback).__name__}")
    make_generator(seed)
    check_trainable(model, labels)
    if not any(p.requires_grad for p in model.parameters()):
        raise ValueError(f"model must have a parameter that requires_grad, got {type(model).__name__} frozen")
    images = ready_images(model, images)
    check_labels(model, images, labels)
    if checkpoint and (not isinstance(checkpoint, str | os.PathLike) or Path(checkpoint).is_dir()):
        raise ValueError(f"checkpoint must be None or the path of a file, got {checkpoint!r}")
    if devices > 1 and batch_size % devices:
        raise ValueError(f"batch_size must be a multiple of devices ({devices}), got {batch_size}")
    home = next(model.parameters()).device
    plan = Plan(epochs, batch_size, lr, seed, Path(checkpoint) if checkpoint else None)
    from lightning_fabric import Fabric  # slow to import, so only when something is trained

    show = progress if progress is not None else "RIEMVAE_BOOK" not in os.environ
    fabric = Fabric(
        accelerator=accelerator or home.type, devices=devices, precision=precision, strategy=strategy
    )
    before = {k: v.clone() for k, v in model.state_dict().items()}
    try:
        means, seconds, done, weights = fabric.launch(_train, model, images, labels, plan, callback, show)
    except BaseException:  # a KeyboardInterrupt may come in the middle of a step
        model.to(home).load_state_dict(before)
        raise
    finally:
        model.to(home).eval()
    model.load_state_dict(load(weights))
    return History({k: torch.tensor(v, device="cpu") for k, v in means.items()}, seconds, done)


class _Losses(nn.Module):
    """The losses as a forward pass, which is where Fabric changes precision and gathers gradients."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        return self.model.losses(x, *given)


def _draws_noise(model: nn.Module, labels: Tensor | None) -> bool:
    """Whether ``losses`` takes noise: always without labels, with them where a model asks for both."""
    return labels is None or getattr(model, "takes_labels_and_noise", False)


def _train(
    fabric: "lightning_fabric.Fabric",
    model: nn.Module,
    images: Tensor,
    labels: Tensor | None,
    plan: Plan,
    callback: Callback | None,
    progress: bool,
):
    """The loop. Everything that differs between one device and many is Fabric's."""
    n, steps_an_epoch = len(images), math.ceil(len(images) / plan.batch_size)
    generator = make_generator(plan.seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=plan.lr)
    wrapped, optimizer = fabric.setup(_Losses(model), optimizer)
    run = fingerprint(plan, model, images, labels) if plan.checkpoint else ""
    images = fabric.to_device(images)
    done, means, seconds = resume(plan, model, optimizer, generator, run)
    bar = tqdm(
        total=plan.epochs * steps_an_epoch,
        initial=done * steps_an_epoch,
        disable=not progress or not fabric.is_global_zero,
        unit="step",
    )
    share = slice(fabric.global_rank, None, fabric.world_size)
    for epoch in range(done, plan.epochs):
        began, sums, seen = time.perf_counter(), {}, 0
        wrapped.train()
        order = torch.randperm(n, generator=generator, device="cpu")
        for step, batch in enumerate(order.split(plan.batch_size), start=epoch * steps_an_epoch):
            # batches divide evenly among devices: the last one drops at most devices - 1 images
            batch = batch[: len(batch) // fabric.world_size * fabric.world_size]
            if len(batch) == 0:
                continue
            given = []
            if _draws_noise(model, labels):
                given += [standard_normal((len(batch), model.config.latent_dim), images, generator)[share]]
            if labels is not None:
                given += [labels[batch[share].to(labels.device)].to(images.device)]
            for group in optimizer.param_groups:
                group["lr"] = plan.lr * 0.5 * (1 + math.cos(math.pi * step / (plan.epochs * steps_an_epoch)))
            losses = _priced(wrapped, images[batch[share].to(images.device)], given, step, epoch)
            parts = {name: part.mean() for name, part in losses._asdict().items()}
            _check_finite(parts, step, epoch)
            optimizer.zero_grad()
            fabric.backward(parts["total"])
            optimizer.step()
            for name, part in parts.items():
                sums[name] = sums.get(name, 0.0) + part.item() * len(batch)
            seen += len(batch)
            bar.update()
            bar.set_postfix({k: f"{v.item():.1f}" for k, v in parts.items()}, refresh=False)
        epoch_means = {
            name: fabric.all_reduce(torch.tensor(total / seen, device="cpu"), reduce_op="mean").item()
            for name, total in sums.items()
        }
        for name, value in epoch_means.items():
            means.setdefault(name, []).append(value)
        check_weights(model, epoch)
        seconds += time.perf_counter() - began
        done = epoch + 1
        # before the checkpoint: what a callback keeps is then never behind a run that was killed in between
        stop = fabric.broadcast(callback is not None and callback(done, model, epoch_means))
        if plan.checkpoint and fabric.is_global_zero:
            save_run(plan, model, optimizer, generator, done, means, seconds, run)
        if stop:
            break
    bar.close()
    # as bytes: what a process hands over must outlive it, and shared tensors do not
    weights = {k: v.detach().clone().contiguous() for k, v in model.state_dict().items()}
    return means, seconds, done, save(weights)


def _priced(wrapped: nn.Module, x: Tensor, given: list[Tensor], step: int, epoch: int) -> tuple[Tensor, ...]:
    try:
        losses = wrapped(x, *given)
    except FloatingPointError as error:  # a model may look at its own numbers
        raise FloatingPointError(f"{error} at step {step} (epoch {epoch + 1}); try a smaller lr") from error
    check_losses(losses, len(x))
    return losses


def _check_finite(parts: dict[str, Tensor], step: int, epoch: int) -> None:
    if torch.isfinite(parts["total"]):
        return
    name = next((k for k, v in parts.items() if k != "total" and not torch.isfinite(v)), "total")
    raise FloatingPointError(
        f"{name} is {parts[name].item()} at step {step} (epoch {epoch + 1}); try a smaller lr"
    )


@torch.no_grad()
def evaluate(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    seed: int = 0,
    labels: Int64[Tensor, " n"] | None = None,
) -> dict[str, float]:
    """Mean of each loss part over images that were not trained on, in eval mode, with noise from ``seed``.

    With ``labels`` no noise is drawn, as in ``fit``. The model's own mode is restored.

    Used in chapter 2. Raises ValueError as ``fit`` does for its model, images and labels.

    Example:
        >>> images = rc.load_images("digits").images[:256]
        >>> model = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=16, depth=1), seed=0)
        >>> means = rc.evaluate(model, images)
        >>> means["total"] - (means["reconstruction"] + means["pull"] + means["barrier"])  # beta is 1
        0.00
    """
    check_trainable(model, labels)
    images = ready_images(model, images)
    check_labels(model, images, labels)
    was_training, device = model.training, next(model.parameters()).device
    given = [] if labels is None else [labels]
    if _draws_noise(model, labels):
        noise = standard_normal((len(images), model.config.latent_dim), images, make_generator(seed))
        given = [noise, *given]
    sums: dict[str, float] = {}
    model.eval()
    try:
        for s in chunks(len(images), 64 * images[0].numel() * images.element_size()):
            some = (part[s].to(device) for part in (images, *given))
            losses = model.losses(*some)
            check_losses(losses, s.stop - s.start)
            for name, part in losses._asdict().items():
                sums[name] = sums.get(name, 0.0) + part.sum().item()
    finally:
        model.train(was_training)
    return {name: total / len(images) for name, total in sums.items()}
