"""What people hand over as data, in batches: tensors, arrays, loaders, datasets, dicts; with conditions."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from riemvae_core.numerics import check_number, chunks
from riemvae_core.space.conditions import Condition, as_input, check_rows, each, parts, rows
from riemvae_core.space.outputs import say
from riemvae_core.space.tensors import as_tensor

Data = Tensor | np.ndarray | Mapping | Iterable[Any] | Dataset  # in the forms that ``batches`` takes
UNSIGNED = (torch.uint8, torch.uint16, torch.uint32, torch.uint64)
# what a second input is called where a loader's pairs may hold it
LABELS = ("y", "label", "labels", "c", "cond", "condition", "class_labels", "target", "targets")


def batches(
    data: Data,
    batch_size: int,
    condition: Any = None,
    key: str | int | None = None,
    needs: tuple[str, ...] = (),
    may: str = "",
    spare: Condition | None = None,
    plain: bool = False,
) -> Iterator[tuple[Tensor, Condition | None]]:
    """Items in batches of at most ``batch_size``, in their order, each with its rows of the condition.

    data: a tensor or array ``[n, ...]``; a dict of such; an iterable of these or of tuples that begin with
    one, as a DataLoader's batches do; a map-style Dataset, whose items are single ones. ``key`` names the
    entry of a dict (or the place in a tuple) that is the item itself. condition: as ``as_condition`` gives
    it, with the name of an entry in place of a tensor where each batch brings its own; where it is None and
    ``needs`` are the inputs that the model can't do without, these are what follows in a batch's tuple; where
    it may take labels, as the input ``may``, a tuple that seems to hold them is refused. ``spare`` is one row
    for all, for batches that bring none. ``plain``: a batch without entries is the items, whatever the key.

    Raises ValueError for anything else, and for a condition of another number of rows.
    """
    check_number(1, whole=True, batch_size=batch_size)
    own = {k: v for k, v in parts(condition).items() if isinstance(v, Tensor)}
    start = 0
    for batch in _raw(data, batch_size, _most(own)):
        x = _checked(batch if plain and not _has_entries(batch) else _entry(batch, key), batch)
        if isinstance(data, IterableDataset) and x.ndim == 3:
            raise ValueError(
                f"data must say whether these are items or batches, got {say(data)} of {list(x.shape)}: pass "
                "DataLoader(data, batch_size=256) for items, DataLoader(data, batch_size=None) for batches"
            )
        stop = start + len(x)
        check_rows({k: part for k, part in own.items() if len(part) < stop}, stop)
        brings = isinstance(batch, tuple | list) and len(batch) > len(needs) > 0
        if condition is None and spare is not None and not brings:
            c = spare
        elif condition is None and needs:
            c = _following(batch, needs, len(x), key)
        elif condition is None and may:
            c = _refuse_pairs(batch, may, len(x))
        else:
            c = each(lambda part, s=(start, stop), b=batch: _rows(part, *s, b), condition)
        for s in chunks(len(x), 1, batch_size):
            yield x[s], rows(c, s.start, s.stop)
        start = stop
    if start:
        check_rows(own, start)


def _most(own: dict[str, Tensor]) -> int:
    """The largest number of rows that a condition names one by one."""
    return max((len(part) for part in own.values()), default=1)


def _raw(data: Any, batch_size: int, n_rows: int) -> Iterator[Any]:
    """The batches as they come."""
    if isinstance(data, Dataset) and not isinstance(data, IterableDataset):
        data = DataLoader(data, batch_size)
    if isinstance(data, Tensor | Mapping) or hasattr(data, "__array__"):
        yield data
        return
    several = isinstance(data, tuple | list) and all(_is_array(part) for part in data)
    labels = several and isinstance(data, list) and any(part.ndim == 1 for part in data)
    if several and (labels or isinstance(data, tuple)) and len({tuple(part.shape[1:]) for part in data}) > 1:
        raise ValueError(
            f"data must be items, or batches of them in a list, got {say(data)}: pass "
            "rc.latent_space(model, data[0], condition=data[1]) where these are items and labels"
        )
    if several and len(data) > 1:
        shapes = {tuple(part.shape) for part in data}
        axes = {len(shape) for shape in shapes}
        if axes == {1} or (axes == {3} and len(shapes) == 1):
            one = "np" if isinstance(data[0], np.ndarray) else "torch"
            whole = "concatenate" if one == "np" else "cat"
            raise ValueError(
                f"data must say whether these are items or batches, got a {type(data).__name__} of "
                f"{len(data)} {list(data[0].shape)}: pass {one}.stack(data) for items (padded to one length "
                f"where they differ), {one}.{whole}(data) for batches"
            )
    if isinstance(data, str | bytes) or not isinstance(data, Iterable):
        raise ValueError(f"data must be a tensor or array [n, ...], or an iterable of them, got {say(data)}")
    if isinstance(data, DataLoader):
        _notice_shuffling(data, n_rows)
    seen, source = 0, iter(data)
    while True:
        try:
            batch = next(source)
        except StopIteration:
            return
        except Exception as error:
            error.add_note(f"This came from the data itself, at batch {seen} (counted from 0).")
            raise
        seen += 1
        yield batch


def is_shuffled(data: Any) -> bool:
    """Whether a DataLoader gives its items in another order than its dataset's, as far as can be seen."""
    if not isinstance(data, DataLoader):
        return False
    samplers = (data.sampler, getattr(data.batch_sampler, "sampler", None))
    kinds = RandomSampler, SubsetRandomSampler, WeightedRandomSampler
    if any(isinstance(s, kinds) or getattr(s, "shuffle", False) is True for s in samplers):
        return True
    known = BatchSampler, SequentialSampler
    source = data.sampler if data.batch_sampler is None else data.batch_sampler
    named = all(isinstance(s, known) for s in (source, *samplers) if s is not None)
    if named or not isinstance(source, Iterable) or isinstance(data.dataset, IterableDataset):
        return False
    with torch.random.fork_rng(devices=[]):  # one of the caller's own: does it say the same twice?
        first, second = (list(islice(iter(source), 64)) for _ in range(2))
    return bool(second) and first != second


def _notice_shuffling(data: DataLoader, n_rows: int) -> None:
    if n_rows > 1 and is_shuffled(data):
        raise ValueError(
            "data must come in the order of condition's rows, got a DataLoader that shuffles: make it with "
            "shuffle=False, or let its batches bring the condition"
        )


def _is_array(thing: Any) -> bool:
    return isinstance(thing, Tensor | np.ndarray)


def _has_entries(batch: Any) -> bool:
    """Whether a key can name a part of a batch: not of a tensor, an array or what numpy reads as one."""
    return isinstance(batch, Mapping | np.recarray) or not hasattr(batch, "__array__")


def _entry(batch: Any, key: str | int | None, name: str = "key") -> Any:
    """The part of a batch that a key names; without one a tuple's first, and what is no tuple itself."""
    if isinstance(key, str):
        found = batch.get(key) if isinstance(batch, Mapping) else None
        if not isinstance(batch, Mapping) and (not _is_array(batch) or isinstance(batch, np.recarray)):
            found = getattr(batch, key, None)  # of an array these are no entries: shape, T, data
        if found is None:
            raise ValueError(f"{name} must name an entry of the batches, got {key!r} for {say(batch)}")
        return found
    if isinstance(batch, Mapping):
        if key in batch:
            return batch[key]
        there = ", ".join(repr(k) for k in batch) or "none"
        raise ValueError(
            f"{name} must name the entry of a dict that holds the items, one of {there}, got {key!r}"
        )
    if isinstance(batch, tuple | list) and batch and not all(isinstance(p, int | float) for p in batch):
        at = 0 if key is None else key
        if not -len(batch) <= at < len(batch):
            raise ValueError(f"{name} must be a place in the batches, got {key} for {say(batch)}")
        return batch[at]
    if key is not None:
        raise ValueError(f"{name} must be None for batches without entries, got {key!r} for {say(batch)}")
    return batch


def _checked(x: Any, batch: Any) -> Tensor:
    if not _is_array(x) and not hasattr(x, "__array__"):
        raise ValueError(
            "data must be a tensor or array [n, ...], or an iterable of these, of tuples that begin with one "
            f"or of dicts (with key=...), got {say(batch)}"
        )
    x = as_tensor(x, "data")
    if x.dtype in UNSIGNED:
        raise ValueError(
            "data must be numbers in the range that the model was trained on, got unsigned integers, "
            f"{say(x)}: images want data.float() / 255 (for bytes and a range of 0 to 1), tokens data.long()"
        )
    if x.ndim < 2:
        raise ValueError(f"data must be [n, ...] with at least one axis beside n, got {say(x)}")
    return x


def _following(batch: Any, needs: tuple[str, ...], n: int, key: str | int | None) -> Condition:
    """The parts of a batch beside its items, the first or those at ``key``, which the model needs."""
    rest = list(batch) if isinstance(batch, tuple | list) and not isinstance(key, str) else []
    if rest:
        rest.pop(0 if key is None else key)
    n_parts = len(rest)
    if n_parts < len(needs):
        hint = ", such as the name of an entry" if isinstance(batch, Mapping) else ""
        raise ValueError(
            f"condition must be given, since the model needs {', '.join(needs)}: one row an item or one for "
            f"all{hint}, or batches (x, {', '.join(needs)}), got None and {say(batch)}"
        )
    found = tuple(_one_each(part, n, batch) for part in rest[: len(needs)])
    return found if len(found) > 1 else found[0]


def _refuse_pairs(batch: Any, may: str, n: int) -> None:
    """Raise ValueError for a batch that holds what could be the labels of a model that may take them."""
    if (
        isinstance(batch, tuple | list)
        and len(batch) > 1
        and may in LABELS
        and np.shape(batch[1])[:1] == (n,)
    ):
        raise ValueError(
            f"condition must be given, since the model may take {may} and the batches hold what could be it: "
            f"pass condition={may} with all its rows, or data without it, got None and {say(batch)}"
        )


def _rows(part: Tensor | str, start: int, stop: int, batch: Any) -> Tensor:
    if isinstance(part, str):
        return _one_each(_entry(batch, part, "condition"), stop - start, batch)
    return rows(part, start, stop)


def _one_each(part: Any, n: int, batch: Any) -> Tensor:
    x = as_input(part)
    if x.shape[:1] != (n,):
        raise ValueError(f"condition must have one row an item, {n} in this batch, got {say(batch)}")
    return x
