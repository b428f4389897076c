"""Every public name has an example in its docstring; `make test` runs the examples themselves as doctests."""

import importlib
import inspect
from pathlib import Path

import pytest
from riemvae_book.names import GROUND, PACKAGE, Names

import riemvae_core

ROOT = Path(__file__).resolve().parents[1]
NAMES = Names(ROOT)
CALLABLE = {path: one for path, one in NAMES.all.items() if one.kind != "data"}


def test_the_names_read_from_the_source_are_those_that_python_finds():
    """What doors list, and what modules offered whole define, by import and by reading."""
    found = set()
    for room in NAMES.rooms:
        if room != GROUND:
            door = importlib.import_module(f"{PACKAGE}.{room}")
            found |= {
                id(getattr(door, name))
                for name in door.__all__
                if f"{door.__name__}.{name}" not in NAMES.offered
            }
    for module in map(importlib.import_module, [*NAMES.offered, *NAMES.ground]):
        listed = getattr(module, "__all__", None) or [
            name
            for name, thing in vars(module).items()
            if getattr(thing, "__module__", "") == module.__name__
            and not name.startswith("_")
            and name != "main"
        ]
        found |= {id(getattr(module, name)) for name in listed}
    read = {
        id(getattr(importlib.import_module(p.rpartition(".")[0]), one.short)) for p, one in NAMES.all.items()
    }
    assert read == found
    assert len(NAMES.all) > 150


@pytest.mark.parametrize("path", CALLABLE)
def test_a_public_name_has_an_example(path):
    where, _, name = path.rpartition(".")
    doc = inspect.getdoc(getattr(importlib.import_module(where), name))
    assert "Example:" in doc.split("\n"), f"{path} has no example"
    assert ">>> " in doc.partition("Example:\n")[2]


@pytest.mark.parametrize(
    "one", [one for one in NAMES.all.values() if one.kind == "data"], ids=lambda one: one.path
)
def test_a_public_value_says_what_it_is(one):
    assert one.doc, f"{one.path} has no comment (#: above it)"


@pytest.mark.parametrize("one", CALLABLE.values(), ids=lambda one: one.path)
def test_a_reader_reaches_a_name_as_the_reference_says(one):
    """`rc.zoo.load` and the like give the thing itself."""
    head, _, rest = one.import_path.partition(".")
    thing = riemvae_core
    if head == PACKAGE:
        thing, rest = importlib.import_module(one.path.rpartition(".")[0]), one.short
    for part in rest.split("."):
        thing = getattr(thing, part)
    assert thing is getattr(importlib.import_module(one.path.rpartition(".")[0]), one.short)
