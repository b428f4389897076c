"""What a broken run goes on from: its weights, optimizer and generator, written whole after each epoch."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from riemvae_core.models.files import read_tensors, save_atomically


class Plan(NamedTuple):
    """The settings of a run that a checkpoint must share, and where it is kept."""

    epochs: int
    batch_size: int
    lr: float
    seed: int
    checkpoint: Path | None


def check_weights(model: nn.Module, epoch: int) -> None:
    """Raise FloatingPointError where a weight isn't finite: the last step's have no loss yet that tells."""
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise FloatingPointError(f"{name} is not finite after epoch {epoch + 1}; try a smaller lr")


def fingerprint(plan: Plan, model: nn.Module, images: Tensor, labels: Tensor | None) -> str:
    """What a checkpoint belongs to; the images enter by their shape and the bytes of at most 127 of them."""
    some = [t[:: max(1, len(t) // 64)].cpu().contiguous() for t in (images, labels) if t is not None]
    digest = hashlib.sha256(b"".join(t.view(torch.uint8).numpy().tobytes() for t in some)).hexdigest()[:12]
    settings = [plan.epochs, plan.batch_size, plan.lr, plan.seed]
    return json.dumps(
        [*settings, type(model).__name__, str(getattr(model, "config", "")), list(images.shape), digest]
    )


def save_run(plan, model, optimizer, generator, done, means, seconds, run) -> None:
    """Write all that a run needs to go on, whole or not at all."""
    tensors = {f"model.{k}": v for k, v in model.state_dict().items()}
    for i, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{i}.{slot}": value for slot, value in slots.items()}
    tensors["generator"] = generator.get_state()
    metadata = {"run": run, "done": str(done), "means": json.dumps(means), "seconds": str(seconds)}
    save_atomically(tensors, plan.checkpoint, metadata)


def resume(plan, model, optimizer, generator, run) -> tuple[int, dict[str, list[float]], float]:
    """Epochs done, means and seconds of the run in the checkpoint, put into model, optimizer and generator.

    Raises ValueError for a checkpoint of another run or a damaged one.
    """
    if plan.checkpoint is None or not plan.checkpoint.is_file():
        return 0, {}, 0.0
    metadata, tensors = read_tensors(plan.checkpoint)
    if metadata.get("run") != run:
        raise ValueError(
            f"checkpoint {plan.checkpoint.name} must be of this run ([epochs, batch_size, lr, seed, model, "
            f"config, images] = {run}), got {metadata.get('run')!s:.400}: remove it or name another file"
        )
    try:
        return _load_run(plan.epochs, tensors, metadata, model, optimizer, generator)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"checkpoint {plan.checkpoint.name} must be whole, got a damaged one ({error}): remove it"
        ) from error


def _load_run(
    epochs, tensors, metadata, model, optimizer, generator
) -> tuple[int, dict[str, list[float]], float]:
    done, seconds, means = int(metadata["done"]), float(metadata["seconds"]), json.loads(metadata["means"])
    lengths = [len([float(mean) for mean in some]) for some in means.values()]
    if not 1 <= done <= epochs or set(lengths) != {done} or not 0 <= seconds < math.inf:
        raise ValueError(f"{done} epochs, {lengths} means, {seconds} seconds")
    model.load_state_dict({k[6:]: v for k, v in tensors.items() if k.startswith("model.")})
    check_weights(model, done - 1)
    weights = dict(enumerate(p for group in optimizer.param_groups for p in group["params"]))
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, i, slot = key.split(".")
            if value.shape not in (weights[int(i)].shape, ()) or not bool(value.isfinite().all()):
                raise ValueError(f"{key} is {list(value.shape)}, or not finite")
            state.setdefault(int(i), {})[slot] = value
    optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
    generator.set_state(tensors["generator"])
    return done, means, seconds
