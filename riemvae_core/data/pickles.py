"""Pickles of lists, strings and byte arrays, read without unpickling: nothing that they name is ever called.

``pickle`` itself, even with a list of what it may import, takes 64 GB for a memo that one opcode asks for,
and NumPy builds arrays of objects on whatever addresses the bytes hold.
"""

import pickletools
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

OPCODES = 2**18  # a batch of CIFAR-10 has 50,000
_RECONSTRUCT = {f"numpy.{core}.multiarray _reconstruct" for core in ("core", "_core")}
_NAMES = {*_RECONSTRUCT, "numpy ndarray", "numpy dtype"}
_VALUES = {
    *("BININT", "BININT1", "BININT2", "LONG1"),
    *("SHORT_BINSTRING", "BINSTRING", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES"),
}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
_SHORT_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


@dataclass
class Named:
    """What a pickle names, with the arguments and the state that it would be given."""

    name: str
    arguments: Any = None
    state: Any = None


def read_pickle(raw: bytes) -> Any:
    """The value of a pickle as Python 2 and 3 wrote it up to protocol 3, a ``Named`` for each object in it.

    Raises an exception of some kind where it is damaged, holds more than numbers in lists, dictionaries and
    arrays, or takes more than 2^18 steps.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}

    def take(n: int) -> list[Any]:
        if not 0 <= n <= len(stack) - (marks[-1] if marks else 0):
            raise ValueError("it takes more than there is")
        taken = stack[len(stack) - n :]
        del stack[len(stack) - n :]
        return taken

    def take_to_mark() -> list[Any]:
        return take(len(stack) - marks.pop())

    for opcode, argument, _ in islice(pickletools.genops(raw), OPCODES):
        name = opcode.name
        if name in _VALUES:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            stack.append(_EMPTY[name]())
        elif name in _SHORT_TUPLES:
            stack.append(tuple(take(_SHORT_TUPLES[name])))
        elif name == "MARK":
            marks.append(len(stack))
        elif name == "TUPLE":
            stack.append(tuple(take_to_mark()))
        elif name in ("APPEND", "APPENDS"):
            items = take(1) if name == "APPEND" else take_to_mark()
            _of(list, stack[-1]).extend(items)
        elif name in ("SETITEM", "SETITEMS"):
            items = take(2) if name == "SETITEM" else take_to_mark()
            pairs = zip(items[::2], items[1::2], strict=True)
            _of(dict, stack[-1]).update((_of(str, key), value) for key, value in pairs)
        elif name in ("BINPUT", "LONG_BINPUT"):
            memo[argument] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET"):
            stack.append(memo[argument])
        elif name == "GLOBAL":
            if argument not in _NAMES:
                raise ValueError(f"{argument.replace(' ', '.', 1):.80} has no place in it")
            stack.append(Named(argument))
        elif name == "REDUCE":
            called, arguments = take(2)
            stack.append(Named(_of(Named, called).name, arguments))
        elif name == "BUILD":
            (state,) = take(1)
            _of(Named, stack[-1]).state = state
        elif name == "STOP":
            return stack[-1]
        elif name != "PROTO":
            raise ValueError(f"the opcode {name} has no place in it")
    raise ValueError(f"it has no end within {OPCODES:,} steps")


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"it must hold a {kind.__name__} where a {type(value).__name__} is")
    return value


def byte_array(found: Any) -> np.ndarray:
    """The array of bytes that NumPy would have made of it. Raises an exception for anything else."""
    if not isinstance(found, Named) or found.name not in _RECONSTRUCT:
        raise TypeError("data must be an array")
    _, shape, dtype, by_columns, raw = found.state
    if not isinstance(dtype, Named) or dtype.arguments[0] != "u1":
        kind = dtype.arguments[0] if isinstance(dtype, Named) and dtype.arguments else dtype
        raise TypeError(f"data must be bytes, got an array of {kind!s:.20}")
    if not isinstance(shape, tuple) or any(type(n) is not int or n < 0 for n in shape):
        raise TypeError("data must have sides")
    whole = np.frombuffer(raw.encode("latin1") if isinstance(raw, str) else raw, np.uint8)
    return whole.reshape(shape, order="F" if by_columns else "C")
