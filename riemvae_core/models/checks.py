"""What training asks of a model, of images and of labels, seen to before a weight is touched."""

import inspect
import math

import torch
from torch import Tensor, nn

from riemvae_core.numerics import check_floats, check_images, check_number, check_unit_range

LOSSES = "losses(x, eps), or losses(x, labels), that returns a NamedTuple of one number an image with a total"


def check_sizes(config, **more: int) -> None:
    """Raise ValueError unless a config's sizes are whole numbers of at least 1, its depth of at least 0."""
    shape = config.image_shape
    if not isinstance(shape, tuple) or len(shape) != 3:
        raise ValueError(f"image_shape must be (c, h, w), a tuple of three sizes, got {shape!r}")
    sides = {f"image_shape's {side}": size for side, size in zip("chw", shape, strict=True)}
    if (narrow := getattr(config, "decoder_width", None)) is not None:
        more["decoder_width"] = narrow
    check_number(1, whole=True, width=config.width, **sides, **more)
    check_number(0, whole=True, depth=getattr(config, "depth", 0))


def check_image_shape(x: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless x holds floating numbers as images of that shape, [n, *shape]."""
    check_floats(x=x)
    if x.ndim != 4 or tuple(x.shape[1:]) != shape:
        raise ValueError(f"x must be [n, {', '.join(map(str, shape))}], got {list(x.shape)}")


def check_trainable(model: nn.Module, labels: Tensor | None) -> None:
    """Raise ValueError unless a model has what ``fit`` and ``evaluate`` use, and takes labels if any came."""
    name = type(model).__name__
    if not isinstance(model, nn.Module) or not callable(getattr(model, "losses", None)):
        raise ValueError(f"model must be an nn.Module with a method {LOSSES}, got {name} without it")
    second = _second_argument(model.losses)
    if labels is None and second in ("labels", "y", "target", "targets"):
        raise ValueError(f"labels must be given to {name}, whose losses take {second}, got None")
    both = getattr(model, "takes_labels_and_noise", False)
    if labels is None and both:
        raise ValueError(f"labels must be given to {name}, whose losses take them beside the noise, got None")
    if labels is not None and not both and second in ("eps", "noise"):
        raise ValueError(f"labels must be None for {name}, whose losses take {second} and no labels")
    size = getattr(getattr(model, "config", None), "latent_dim", None)
    if (labels is None or both) and not (isinstance(size, int) and size >= 0):
        raise ValueError(
            f"model must have config.latent_dim, how many numbers of noise its losses take an image, got "
            f"{name} with {size!r}: labels= trains without noise"
        )
    if not any(p.is_floating_point() for p in model.parameters()):
        raise ValueError(f"model must have parameters to train, got {name} without any")
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not value.is_meta and not bool(value.isfinite().all()):
            raise ValueError(f"model must have finite weights, got others in {key}: make or load it anew")


def _second_argument(losses) -> str:
    try:
        names = list(inspect.signature(losses).parameters)
    except (TypeError, ValueError):  # a callable that says nothing of itself
        return ""
    return names[1] if len(names) > 1 else ""


def ready_images(model: nn.Module, images: Tensor) -> Tensor:
    """The images in the model's dtype, once they are seen to be finite and what its likelihood can price.

    Raises ValueError with the first bad row.
    """
    config, dtype = (
        getattr(model, "config", None),
        next(p.dtype for p in model.parameters() if p.is_floating_point()),
    )
    check_floats(images=images)
    shape = getattr(config, "image_shape", None)
    if shape is not None and images.ndim == 4 and tuple(images.shape[1:]) != tuple(shape):
        raise ValueError(f"images must be [n, {', '.join(map(str, shape))}], got {list(images.shape)}")
    images = images.to(dtype)  # before the numbers are looked at: some are too large for single precision
    check_images(images)
    if getattr(config, "likelihood", None) == "bernoulli":
        check_unit_range("the probabilities that likelihood 'bernoulli' means", images=images)
    elif getattr(config, "linear_output", True) is False:
        check_unit_range("all that a decoder with linear_output=False reaches", images=images)
    return images


def check_labels(model: nn.Module, images: Tensor, labels: Tensor | None) -> None:
    """Raise ValueError unless labels are int64, one an image, and within ``config.n_classes``."""
    if labels is None:
        return
    if not isinstance(labels, Tensor) or labels.dtype != torch.int64:
        came = labels.dtype if isinstance(labels, Tensor) else type(labels).__name__
        raise ValueError(
            f"labels must be a tensor of torch.int64, got {came}: torch.as_tensor(labels).long()"
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"labels must be [{len(images)}], one an image, got {list(labels.shape)}")
    classes = getattr(getattr(model, "config", None), "n_classes", getattr(model, "n_labels", math.inf))
    bad = ((labels < 0) | (labels >= classes)).nonzero().flatten()
    if len(bad) and classes < math.inf:
        row = int(bad[0])
        raise ValueError(
            f"labels must lie in 0 to {classes - 1}, got {int(labels[row])} in row {row} "
            f"({len(bad)} rows hold such)"
        )


def check_losses(losses: object, n: int) -> None:
    """Raise ValueError unless losses are a NamedTuple of tensors ``[n]`` with a field ``total``."""
    fields = getattr(losses, "_asdict", dict)()
    wrong = {k: list(v.shape) if isinstance(v, Tensor) else type(v).__name__ for k, v in fields.items()}
    wrong = {k: came for k, came in wrong.items() if came != [n]}
    if "total" not in fields or wrong:
        came = wrong or (f"fields {', '.join(fields)}" if fields else type(losses).__name__)
        raise ValueError(f"model must have {LOSSES}, [{n}] for this batch and not their mean, got {came}")
