"""Signatures to be read: a tensor's annotation is its shape, a type of the core leads to its entry."""

import inspect
import re
import types
import typing
from collections.abc import Callable
from importlib import import_module
from typing import Any

from docutils import nodes
from jaxtyping import AbstractArray
from sphinx import addnodes

from .names import Names, short

SHAPE = re.compile(r"(['\"])\[(?P<shape>.*)\]\1")
PLAIN = re.compile(
    r"(collections\.abc|typing|builtins|pathlib|contextlib|riemvae_core[\w.]*|torch(?=\.Tensor))\."
)
TORCH = re.compile(
    r"torch\.(?:(?P<nn>nn\.)[\w.]*|[\w.]+)\.(?=\w+$)"
)  # where it keeps what it offers further up
PARAMETERS = re.compile(r"<dl>\n((?:<dd><em class=\"sig-param\">.*</dd>\n)+)</dl>")


class Signatures:
    """Writes the signature of a function or class as text that Sphinx's Python domain can parse.

    A shape stands in it as a string with brackets of its own, which `show_shapes` takes off again, because
    `*batch, d` is no Python that the domain reads.
    """

    def __init__(self, names: Names):
        self.names = names
        self.paths = {(one.home, one.short): one.path for one in names.all.values()}
        values = [one for one in names.all.values() if one.kind == "data"]
        made = [(getattr(import_module(one.home), one.short), one.path) for one in values]
        self.aliases = {
            short(path).lower(): (value, path) for value, path in made if typing.get_origin(value) is not None
        }

    def of(self, what: str, thing: Any) -> tuple[str, str] | None:
        """Arguments and what is returned, as Sphinx takes them; None where Python knows no signature."""
        if inspect.isclass(thing) and issubclass(thing, BaseException):
            return "", ""
        try:
            found = inspect.signature(thing)
        except (TypeError, ValueError):
            return None
        parameters = [p for p in found.parameters.values() if not (what == "method" and p.name == "self")]
        parts = []
        for p in parameters:
            if p.kind is p.KEYWORD_ONLY and "*" not in parts and not any(q.startswith("*") for q in parts):
                parts.append("*")
            star = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
            note = "" if p.annotation is p.empty else f": {self.argument(p)}"
            default = "" if p.default is p.empty else f" = {self.default(p.default)}"
            parts.append(f"{star}{p.name}{note}{default}")
        returned = found.return_annotation
        shown = "" if returned is found.empty or inspect.isclass(thing) else self.annotation(returned)
        return f"({', '.join(parts)})", shown

    def argument(self, p: inspect.Parameter) -> str:
        """What a parameter takes; `metric` of the type `Metric` is shown by that name."""
        alias, path = self.aliases.get(p.name, (None, ""))
        optional = typing.get_args(p.annotation) if alias is not None and p.default is None else ()
        if alias is not None and (p.annotation == alias or alias in optional):
            return f"~{path} | None" if optional else f"~{path}"
        return self.annotation(p.annotation)

    def default(self, value: Any) -> str:
        if isinstance(value, float | int | str | bool | tuple | list | dict | None):
            return repr(value)
        return getattr(value, "__name__", "...")

    def annotation(self, note: Any) -> str:
        if note is None or note is types.NoneType:
            return "None"
        if isinstance(note, str):
            return f"~{self.names.bare[note].path}" if note in self.names.bare else note
        if inspect.isclass(note) and issubclass(note, AbstractArray):
            return self.tensor(note)
        origin, inner = typing.get_origin(note), typing.get_args(note)
        if origin in (typing.Union, types.UnionType):
            return " | ".join(self.annotation(one) for one in inner)
        if origin is typing.Literal:
            return f"Literal[{', '.join(map(repr, inner))}]"
        if origin is Callable and len(inner) == 2:
            taken = "..." if inner[0] is ... else f"[{', '.join(map(self.annotation, inner[0]))}]"
            return f"Callable[{taken}, {self.annotation(inner[1])}]"
        if origin is not None:
            parts = ("..." if one is ... else self.annotation(one) for one in inner)
            return f"{self.annotation(origin)}[{', '.join(parts)}]"
        if inspect.isclass(note):
            path = self.paths.get((note.__module__, note.__name__))
            return f"~{path}" if path else self.foreign(f"{note.__module__}.{note.__qualname__}")
        return self.foreign(str(note))

    def foreign(self, text: str) -> str:
        """A type of another library as code writes it: `Tensor`, `torch.Generator`, `nn.Module`, `Path`."""
        return PLAIN.sub("", TORCH.sub(lambda found: found["nn"] or "torch.", text))

    def tensor(self, note: type[AbstractArray]) -> str:
        """`Tensor[*batch, d]`, `IntTensor[n]`, `BoolTensor[d]`: the kind of numbers and the shape."""
        kind = note.dtype.__name__
        array = self.annotation(note.array_type)
        shape = ", ".join(note.dim_str.replace("#", "").split())
        return f"{'' if kind in ('Float', 'Shaped') else kind}{array}['[{shape}]']"


def show_shapes(signature: addnodes.desc_signature) -> None:
    """Take the marks off the shapes of a parsed signature."""
    for text in list(signature.findall(nodes.Text)):
        marked = SHAPE.fullmatch(text.astext())
        if marked:
            holder = text.parent
            shown = addnodes.desc_sig_name("", marked["shape"])
            (holder if isinstance(holder, addnodes.desc_sig_literal_string) else text).replace_self(shown)


def spans_for_parameters(body: str) -> str:
    """A page with the lines of long signatures as spans: Sphinx makes them a list without terms."""

    def spans(found: re.Match) -> str:
        lines = found[1].replace("<dd>", '<span class="rv-parameter">').replace("</dd>", "</span>")
        return lines.strip("\n")

    return PARAMETERS.sub(spans, body)
