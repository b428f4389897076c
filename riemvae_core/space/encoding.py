"""All of a data set through a model's encoder, batch by batch; and what is a code, what an image."""

import warnings
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor

from riemvae_core.balls import Balls
from riemvae_core.space.adapters import Adapter
from riemvae_core.space.conditions import Condition, alike, as_condition, each, one_row, parts
from riemvae_core.space.inputs import Data, batches, is_shuffled
from riemvae_core.space.outputs import Found, say
from riemvae_core.space.tensors import as_tensor

ABOVE_ONE = 1.05  # second moment from which radii that all exceed 1 are no collapse: see ``warn_of_sigma``


class Encoded(NamedTuple):
    """mu and log_var ``[n, ...]`` of all items in the model's own axes, an item's shape, the condition.

    ``named`` unless only the order says which of the two is mu; ``strays`` where the first items, encoded
    twice, got other balls.
    """

    mu: Tensor
    log_var: Tensor
    item_shape: tuple[int, ...]
    condition: Condition | None
    named: bool
    strays: bool = False


@torch.no_grad()
def encode_all(
    adapter: Adapter,
    data: Data,
    batch_size: int,
    condition: Any = None,
    key: str | int | None = None,
    item_shape: tuple[int, ...] | None = None,
    spare: Condition | None = None,
    twice: bool = False,
    plain: bool = False,
) -> Encoded:
    """The balls of all items; see ``batches`` for data, condition, key, spare and plain.

    ``twice``: the first batch is encoded again, to see whether chance has a part in its balls.

    Raises ValueError for items of another shape than ``item_shape``, or than the first ones, and for none.
    """
    found, brought, start, some, strays = [], [], 0, None, False
    inputs = batches(data, batch_size, condition, key, adapter.needs, adapter.may_need, spare, plain)
    with adapter.at_rest():
        for x, c in inputs:
            item_shape = item_shape or tuple(x.shape[1:])
            if tuple(x.shape[1:]) != item_shape:
                wanted = ", ".join(map(str, item_shape))
                raise ValueError(
                    f"data must all be [n, {wanted}], got a batch {list(x.shape)} at item {start}"
                    + (
                        " (pad what is shorter, and pass lengths or a mask as condition)"
                        if x.ndim == 2
                        else ""
                    )
                )
            if not found:
                adapter.check_condition(c)
            found.append(adapter.balls(x, c, start, some))
            if twice and some is None:
                strays = _strays(found[0], adapter.balls(x, c, start, some))
            some = x if some is None else some
            brought.append(list(parts(c).values()))
            start += len(x)
    if not found:
        raise ValueError("data must hold at least one item, got none")
    if condition is None or any(isinstance(part, str) for part in parts(condition).values()):
        rows = iter([torch.cat(part) for part in zip(*brought, strict=True)])
        condition = each(lambda _: next(rows), c)
    mu, log_var = (torch.cat([ball[k] for ball in found]) for k in (0, 1))
    return Encoded(mu, log_var, item_shape, condition, all(ball.named for ball in found), strays)


def encode_more(space: Any, x: Data, condition: Any) -> Balls:
    """The balls ``[n, d]`` of further items in a space, of the shape of its own."""
    adapter, own = space._model(), space.condition
    given, spare = as_condition(condition), None
    if given is None:  # what data don't bring is the space's own, if that is one for all
        spare = one_row(own) if adapter.encodes_with(own) else each(lambda part: part[:1], own)
        if spare is None and (not adapter.needs or isinstance(x, Tensor)):
            alike(own, None, None, "an item")
    elif not any(isinstance(part, str) for part in parts(given).values()):
        given = alike(own, condition, None, "an item")
    # a key says where items lie in batches with entries; only a tuple may be one such batch, or several
    plain = not isinstance(x, tuple) or isinstance(space.key, str)
    found = encode_all(adapter, x, space.batch_size, given, space.key, space.image_shape, spare, plain=plain)
    left = slice(None) if space.axes is None else space.axes
    return Balls(found.mu.flatten(1)[:, left], found.log_var.flatten(1)[:, left])


def _strays(first: Found, again: Found) -> bool:
    """Whether a center moved by a tenth of its radius, and by more than rounding would."""
    moved, radius = (again.mu - first.mu).abs(), torch.exp(0.5 * first.log_var)
    return bool((moved > 0.1 * radius + 1e-4 * first.mu.abs()).any())


def warn_of_order(data: Data) -> None:
    """Warn where the rows of what was encoded are in an order of their own."""
    if is_shuffled(data):
        warnings.warn(
            "data is a DataLoader that shuffles: rows of mu and log_var follow the order in which it gave "
            "them, not its dataset's; make it with shuffle=False to know which item is which",
            stacklevel=3,
        )


def warn_of_chance(encoded: Encoded, images: Tensor, again: Tensor) -> None:
    """Warn where items had other balls the second time, or codes other images: chance outlives eval mode."""
    moved = (again.double() - images.double()).abs().max() if images.numel() else 0.0
    for strays, what, sample in (
        (encoded.strays, "encode gave other balls for the same items", "mu"),
        (bool(moved > 1e-3 * images.abs().max()), "decode gave other images for the same codes", "a mean"),
    ):
        if strays:
            warnings.warn(
                f"{what}: it draws at random in eval mode (F.dropout without training=self.training, or a "
                f"sample in the place of {sample}), or calls what isn't in eval mode",
                stacklevel=3,
            )


def warn_of_sigma(encoded: Encoded) -> None:
    r"""Warn where what came second in a pair without names looks like deviations.

    At rest $\mathbb E\mu^2+\mathbb E\sigma^2=1$ on each axis (chapter 2), so radii that all exceed 1 are at
    most a collapse's, and then the moment is 1.
    """
    mu, log_var = encoded.mu.flatten(1), encoded.log_var.flatten(1)
    if encoded.named or not bool((log_var >= 0).all() and (log_var > 0).any()):
        return
    if bool((mu.square() + log_var.exp()).mean(0).max() > ABOVE_ONE):
        warnings.warn(
            "encode returned a pair whose second part is never negative, so no ball has a radius below "
            "1 as a log variance: if it is sigma, return 2 * sigma.log() in its place, and if it is sigma "
            "squared, its log(); if it is log_var, return {'mu': mu, 'log_var': log_var}",
            stacklevel=3,
        )


def end_codes(
    name: str,
    x: Any,
    d: int,
    image_shape: tuple[int, ...],
    code_shape: tuple[int, ...] | None,
    kind: str | None,
) -> tuple[Tensor, str, tuple[int, ...]]:
    """What an end of a path is: the tensor, ``images`` or ``codes``, and its batch axes.

    Codes end in d, or in ``code_shape``; ``kind`` is what the caller says. Raises ValueError where shapes
    alone allow both, and where they allow neither.
    """
    x = as_tensor(x, name)
    forms = {"images": _batch_of(x, image_shape), "codes": _batch_of(x, (d,))}
    if forms["codes"] is None and code_shape is not None:
        forms["codes"] = _batch_of(x, code_shape)
    if kind is not None:
        forms = {kind: forms[kind]}
    there = [form for form, batch in forms.items() if batch is not None]
    if len(there) == 1:
        return x, there[0], forms[there[0]]
    codes = f"codes [*batch, {d}]"
    if code_shape not in (None, (d,)):
        codes += f" or [*batch, {', '.join(map(str, code_shape))}]"
    images = f"images [*batch, {', '.join(map(str, image_shape))}]"
    if there:
        raise ValueError(
            f"{name} must say what it is where its shape fits both {images} and {codes}: pass images=True or "
            f"codes=True, got {list(x.shape)}"
        )
    wanted = f"{images} or {codes}" if kind is None else images if kind == "images" else codes
    raise ValueError(f"{name} must be {wanted}, got {say(x)}")


def _batch_of(x: Tensor, shape: tuple[int, ...]) -> tuple[int, ...] | None:
    """The leading axes of a tensor that ends in a shape."""
    axes = len(shape)
    if x.ndim < axes or (axes and tuple(x.shape[-axes:]) != shape):
        return None
    return tuple(x.shape[: x.ndim - axes])


def flat_codes(z: Tensor, d: int, code_shape: tuple[int, ...] | None) -> Tensor:
    """Codes ``[*batch, d]`` of codes in that shape, or in the model's own, ``[*batch, *code_shape]``.

    Raises ValueError for any other shape.
    """
    if not z.is_floating_point():
        raise ValueError(f"z must be floating numbers, got {say(z)}")
    if z.shape[-1:] == (d,):
        return z
    batch = None if code_shape is None else _batch_of(z, code_shape)
    if batch is None:
        own = "" if code_shape in (None, (d,)) else f" or [*batch, {', '.join(map(str, code_shape))}]"
        raise ValueError(f"z must be [*batch, {d}]{own}, got {tuple(z.shape)}")
    return z.reshape(*batch, prod(code_shape))
