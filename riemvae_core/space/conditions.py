"""A model's further inputs, such as labels, lengths or masks: one row an item, or one row for all."""

import inspect
from collections.abc import Callable, Mapping
from math import prod
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from riemvae_core.space.outputs import say
from riemvae_core.space.tensors import as_tensor

# one further input, several by their order, or several by their names; each [n, *row] or [1, *row]
Condition = Tensor | tuple[Tensor, ...] | dict[str, Tensor]


class Inputs(NamedTuple):
    """What a function takes beside its first input: names by order, those that it needs, those by keyword.

    ``any_order`` and ``any_name`` where it takes all (``*args``, ``**kwargs``, or a signature unknown).
    """

    names: tuple[str, ...]
    needs: tuple[str, ...]
    keywords: frozenset[str]
    any_order: bool
    any_name: bool

    def hand(self, condition: Condition | None) -> tuple[tuple[Tensor, ...], dict[str, Tensor]]:
        """A condition as the further arguments of a call; nothing where the function takes none."""
        if condition is None:
            return (), {}
        if isinstance(condition, Mapping):
            taken = {k: v for k, v in condition.items() if self.any_name or k in self.keywords}
            return (), taken
        given = condition if isinstance(condition, tuple) else (condition,)
        return (given if self.any_order or self.names else ()), {}

    def missing(self, condition: Any) -> list[str]:
        """The inputs that a call with the condition would lack."""
        given, named = self.hand(condition)
        there = {*self.names[: len(given)], *named}
        return [name for name in self.needs if name not in there]


def inputs_of(function: Callable[..., Any]) -> Inputs:
    """What a callable takes beside its first input; of a module, what its forward takes.

    A parameter with a default other than None, such as diffusers' ``return_dict=True``, is a setting and ends
    what may be a condition.
    """
    try:
        signature = inspect.signature(function.forward if isinstance(function, nn.Module) else function)
    except (TypeError, ValueError):
        return Inputs((), (), frozenset(), True, True)
    kinds = inspect.Parameter
    parameters = list(signature.parameters.values())
    ordered = [p for p in parameters if p.kind in (kinds.POSITIONAL_ONLY, kinds.POSITIONAL_OR_KEYWORD)][1:]
    alone = [p for p in parameters if p.kind is kinds.KEYWORD_ONLY]
    free = [p.default is kinds.empty or p.default is None for p in ordered]
    settings = free.index(False) if False in free else len(ordered)
    return Inputs(
        tuple(p.name for p in ordered[:settings]),
        tuple(p.name for p in (*ordered, *alone) if p.default is kinds.empty),
        frozenset(p.name for p in (*ordered, *alone) if p.kind is not kinds.POSITIONAL_ONLY),
        any(p.kind is kinds.VAR_POSITIONAL for p in parameters) and settings == len(ordered),
        any(p.kind is kinds.VAR_KEYWORD for p in parameters),
    )


def check_handed(condition: Condition | None, encode: Inputs, decode: Inputs) -> None:
    """Raise ValueError unless each input that encode and decode need is there, and each there is taken."""
    for name, takes in (("encode", encode), ("decode", decode)):
        missing = takes.missing(condition)
        if missing:
            raise ValueError(
                f"condition must be given, since the model's {name} needs {', '.join(missing)}: one row an "
                "item or one for all, as a tensor, a tuple of them by their order or a dict by their names, "
                f"got {_say(condition)}"
            )
    if condition is None:
        return
    if isinstance(condition, Mapping):
        known = encode.keywords | decode.keywords
        wrong = [k for k in condition if not (encode.any_name or decode.any_name or k in known)]
        if wrong or not condition:
            raise ValueError(
                "condition must hold inputs that encode or decode takes, "
                f"{', '.join(sorted(known)) or 'none'}, got {', '.join(map(str, wrong)) or 'none'}"
            )
        return
    n = len(condition) if isinstance(condition, tuple) else 1
    if not any(takes.any_order or takes.names for takes in (encode, decode)):
        raise ValueError(
            f"condition must be None where neither encode nor decode takes a second input, got "
            f"{_say(condition)}"
        )
    for name, takes in (("encode", encode), ("decode", decode)):
        if takes.names and len(takes.names) < n and not takes.any_order:
            raise ValueError(
                f"condition must hold at most {len(takes.names)} inputs by their order, {name}'s "
                f"{', '.join(takes.names)}, or a dict by their names, got {n}"
            )


def each(function: Callable[[Any], Any], condition: Any) -> Any:
    """The function applied to each input of a condition, in the same form."""
    if isinstance(condition, Mapping):
        return {name: function(part) for name, part in condition.items()}
    if isinstance(condition, tuple):
        return tuple(map(function, condition))
    return None if condition is None else function(condition)


def parts(condition: Any) -> dict[str, Any]:
    """The inputs of a condition by name: ``0``, ``1`` by their order."""
    if condition is None:
        return {}
    if isinstance(condition, Mapping):
        return {str(name): part for name, part in condition.items()}
    several = condition if isinstance(condition, tuple) else (condition,)
    return {str(k): part for k, part in enumerate(several)}


def as_condition(given: Any) -> Any:
    """What a caller gave as tensors ``[n, *row]``, a single number as ``[1]``; names of entries stay.

    Whole numbers come in int64, as embeddings and one-hot codes want them.
    """
    if isinstance(given, tuple) and hasattr(given, "_asdict"):
        given = given._asdict()
    return each(lambda part: part if isinstance(part, str) else _as_rows(part), given)


def _as_rows(part: Any) -> Tensor:
    x = as_input(part)
    return x if x.ndim else x[None]


def as_input(part: Any) -> Tensor:
    """One input of a condition as a tensor, whole numbers in int64. Raises ValueError for NaN, by its row.

    Infinity passes: masks are made of it.
    """
    x = as_tensor(part, "condition")
    if x.is_floating_point() or x.is_complex():
        if bool((bad := x.isnan()).any()):
            row = int(bad.reshape(len(x) if x.ndim else 1, -1).any(1).nonzero()[0])
            raise ValueError(f"condition must hold no NaN, got one in row {row} of {say(x)}")
        return x
    return x if x.dtype == torch.bool else x.long()


def rows(condition: Condition | None, start: int, stop: int) -> Condition | None:
    """The rows from start to stop; one row for all is repeated."""

    def some(part: Tensor) -> Tensor:
        if len(part) == 1:
            return part.expand(stop - start, *part.shape[1:]).contiguous()
        return part[start:stop]

    return each(some, condition)


def check_rows(given: Mapping[str, Tensor], n: int) -> None:
    """Raise ValueError unless each input has n rows, or one."""
    for name, part in given.items():
        if len(part) not in (1, n):
            raise ValueError(
                f"condition must have one row an item, [{n}, ...] for {n} items, or one for all, got "
                f"{say(part)}" + (f" as {name}" if len(given) > 1 else "")
            )


def one_row(condition: Condition | None) -> Condition | None:
    """The one row ``[1, *row]`` of a condition whose rows are all the same, else None."""
    if all(bool((part == part[:1]).all()) for part in parts(condition).values()):
        return each(lambda part: part[:1], condition)
    return None


def alike(own: Condition | None, given: Any, batch: tuple[int, ...] | None, item: str) -> Condition | None:
    """A condition for items of a space, in the form and the dtypes of the space's own.

    given: one row for all, or one an item, ``[*batch, *row]``, which comes back as ``[m, *row]``; None takes
    the space's own where that is the same for all its items. Where ``batch`` is None the number of items is
    not known yet. Raises ValueError where it isn't that.
    """
    if own is None or given is None:
        if own is given is None or (given is None and one_row(own) is not None):
            return one_row(own)
        wanted = (
            "None in a space made without one" if own is None else f"given, one row for all or one {item}"
        )
        which = "" if own is None else ", since this space's own differ among its items"
        raise ValueError(f"condition must be {wanted}{which}, got {_say(given)}")
    given = given._asdict() if hasattr(given, "_asdict") else given
    form = parts(own)
    there = parts(given)
    if type(given) is not type(own) and (isinstance(own, tuple | dict) or isinstance(given, tuple | dict)):
        there = {}
    if set(there) != set(form):
        raise ValueError(f"condition must be, as the space's own, {_say(own)}, got {_say(given)}")
    found = {name: _alike(form[name], there[name], batch, item) for name in form}
    if isinstance(own, tuple):
        return tuple(found.values())
    return {name: found[str(name)] for name in own} if isinstance(own, dict) else found["0"]


def _alike(own: Tensor, given: Any, batch: tuple[int, ...] | None, item: str) -> Tensor:
    x, row = as_input(given), tuple(own.shape[1:])
    if x.is_complex() != own.is_complex() or (x.is_floating_point() and not own.is_floating_point()):
        raise ValueError(f"condition must be of the space's own dtype {own.dtype}, got {say(x)}")
    x, shape = x.to(own), tuple(x.shape)
    if shape in (row, (1, *row)):
        return x.reshape(1, *row)
    if batch is None and shape[1:] == row:
        return x
    if batch is not None and shape in ((*batch, *row), (prod(batch), *row)):
        return x.reshape(prod(batch), *row)
    many = "n" if batch is None else ", ".join(map(str, batch))
    raise ValueError(
        f"condition must be one row {list(row)} for all, or one {item}, "
        f"[{', '.join(map(str, (*((many,) if many else ()), *row)))}], got {list(shape)}"
    )


def _say(condition: Any) -> str:
    if isinstance(condition, Mapping):
        return f"a dict with {', '.join(f'{k}: {_say(v)}' for k, v in condition.items()) or 'nothing'}"
    return "None" if condition is None else repr(condition) if isinstance(condition, str) else say(condition)
