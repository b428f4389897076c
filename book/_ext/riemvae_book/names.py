"""The core's public names, read from its source: what the reference must hold, known without importing it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from .modules import Module, argument_names, class_parts

PACKAGE = "riemvae_core"
GROUND = "ground"
COMMAND = "main"  # what `python -m` runs: a command of the shell, not a name for readers
INSTANCES = {"metric": "PosteriorMetric", "space": "LatentSpace"}  # as the book's code calls them
SPELLED = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.\w+)*)(?P<call>\(.*\))?")
EXAMPLE = re.compile(r"^Examples?:\s*$", re.M)


def short(path: str) -> str:
    """The last part of a dotted path."""
    return path.rpartition(".")[2]


@dataclass(frozen=True)
class Name:
    """A public name: where it is documented (`path`) and made (`home`), and what it says of itself."""

    path: str  # riemvae_core.balls.kl_pull
    home: str  # riemvae_core.balls.gaussians
    room: str
    kind: str  # function, class or data
    doc: str
    line: int
    import_path: str  # rc.kl_pull, as a reader writes it
    part_of: str = ""  # the module that the room offers whole, where it comes from one
    methods: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    value: str = ""

    @property
    def short(self) -> str:
        return short(self.path)

    @property
    def has_example(self) -> bool:
        found = EXAMPLE.search(self.doc)
        return bool(found) and ">>>" in self.doc[found.end() :]


@dataclass
class Names:
    """All public names of the core at `root`, and what each of the book's spellings of them means."""

    root: Path
    modules: dict[str, Module] = field(default_factory=dict)

    def module(self, dotted: str) -> Module:
        if dotted not in self.modules:
            self.modules[dotted] = Module(self.root, dotted)
        return self.modules[dotted]

    def is_module(self, dotted: str) -> bool:
        base = self.root.joinpath(*dotted.split("."))
        return base.with_suffix(".py").is_file() or (base / "__init__.py").is_file()

    @cached_property
    def rooms(self) -> list[str]:
        """The rooms that have a door with a list, and the ground."""
        doors = sorted(p.parent.name for p in (self.root / PACKAGE).glob("*/__init__.py"))
        return [*(r for r in doors if "__all__" in self.module(f"{PACKAGE}.{r}").made), GROUND]

    @cached_property
    def ground(self) -> list[str]:
        """Modules that stand beside the rooms."""
        files = sorted(path.stem for path in (self.root / PACKAGE).glob("*.py"))
        return [f"{PACKAGE}.{stem}" for stem in files if not stem.startswith("__")]

    @cached_property
    def offered(self) -> dict[str, str]:
        """Modules that rooms offer whole, by their dotted names, and the room of each."""
        found = {}
        for room in self.rooms[:-1]:
            door = self.module(f"{PACKAGE}.{room}")
            for name in door.literal("__all__"):
                source, original = door.imported.get(name, ("", ""))
                if source == door.dotted and self.is_module(f"{source}.{original}"):
                    found[f"{source}.{original}"] = room
        return found

    def public(self, dotted: str) -> list[str]:
        """The names of a module that has no door: those it lists, else its public functions and classes."""
        module = self.module(dotted)
        if "__all__" in module.made:
            return module.literal("__all__")
        kinds = ast.FunctionDef | ast.ClassDef
        made = {name: node for name, node in module.made.items() if isinstance(node, kinds)}
        return [name for name in made if not name.startswith("_") and name != COMMAND]

    def find(self, dotted: str, name: str) -> tuple[Module, ast.stmt]:
        """The file that makes what `dotted` knows as `name`, and where."""
        module = self.module(dotted)
        if name in module.made:
            return module, module.made[name]
        if name not in module.imported:
            raise ValueError(f"{dotted} must define or import {name}, which it lists")
        return self.find(*module.imported[name])

    @cached_property
    def all(self) -> dict[str, Name]:
        """Every public name by its path, room after room, in the order of the files."""
        found: dict[str, Name] = {}
        for room in self.rooms:
            known = {(one.home, one.short) for one in found.values()}
            here = [one for one in self.of_room(room) if (one.home, one.short) not in known]
            found |= {one.path: one for one in here}
        return found

    def of_room(self, room: str) -> Iterator[Name]:
        wholes = self.ground if room == GROUND else [m for m, where in self.offered.items() if where == room]
        door = f"{PACKAGE}.{room}"
        known: set[tuple[str, str]] = set()
        if room != GROUND:
            listed = [name for name in self.module(door).literal("__all__") if f"{door}.{name}" not in wholes]
            mine = [self.read(room, door, name, "") for name in listed]
            homes = [home for home, _ in self.module(door).imported.values()]
            yield from sorted(mine, key=lambda one: (homes.index(one.home), one.line))
            known = {(one.home, one.short) for one in mine}
        for whole in wholes:
            for name in self.public(whole):
                one = self.read(room, whole, name, whole)
                if (one.home, one.short) not in known:
                    yield one

    def read(self, room: str, where: str, name: str, part_of: str) -> Name:
        module, node = self.find(where, name)
        path = f"{where}.{name}"
        told = {"path": path, "home": module.dotted, "room": room, "line": node.lineno, "part_of": part_of}
        told["import_path"] = self.import_path(path)
        if isinstance(node, ast.FunctionDef):
            arguments = argument_names(node)
            return Name(**told, kind="function", doc=ast.get_docstring(node) or "", parameters=arguments)
        if isinstance(node, ast.ClassDef):
            methods, parameters = class_parts(node)
            doc = ast.get_docstring(node) or ""
            return Name(**told, kind="class", doc=doc, methods=methods, parameters=parameters)
        alone = not (isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple))
        value = node.value if alone else node.value.elts[[t.id for t in node.targets[0].elts].index(name)]
        return Name(**told, kind="data", doc=module.comment_above(node), value=ast.unparse(value))

    def import_path(self, path: str) -> str:
        """How a reader writes a name: through `rc` where it is there, else with the whole path."""
        top = self.module(PACKAGE)
        where, _, name = path.rpartition(".")
        if name in (top.literal("__all__") or ()) and self.find(PACKAGE, name) == self.find(where, name):
            return f"rc.{name}"
        for short, module in (top.literal("_MODULES") or {}).items():
            if where == f"{PACKAGE}.{module}":
                return f"rc.{short}.{name}"
        return path

    # what a spelling means

    @cached_property
    def spellings(self) -> dict[str, str]:
        """Each dotted spelling of a name, method or module, without doubt, and the path it means."""
        found: dict[str, str] = {}
        for one in self.all.values():
            tails = {one.path, f"{one.home}.{one.short}", one.import_path}
            tails.add(f"{one.room}.{one.short}")
            if one.part_of:
                tails.add(f"{one.part_of.rpartition('.')[2]}.{one.short}")
            for tail in sorted(tails):
                for spelled in {tail, tail.replace(f"{PACKAGE}.", "rc.", 1)}:
                    found.setdefault(spelled, one.path)
                    for method in one.methods:
                        found.setdefault(f"{spelled}.{method}", f"{one.path}.{method}")
        doors = [f"{PACKAGE}.{room}" for room in self.rooms[:-1]]
        for module in [*doors, *self.offered, *self.ground]:
            found |= {module: module, module.replace(PACKAGE, "rc", 1): module}
        for short, module in (self.module(PACKAGE).literal("_MODULES") or {}).items():
            found[f"rc.{short}"] = f"{PACKAGE}.{module}"
        return {spelled: path for spelled, path in found.items() if "." in spelled}

    @cached_property
    def bare(self) -> dict[str, Name]:
        """Names without a dot; where two share one, the one that `rc` has, else the first."""
        found: dict[str, Name] = {}
        for one in sorted(self.all.values(), key=lambda one: one.import_path.count(".") != 1):
            found.setdefault(one.short, one)
        return found

    @cached_property
    def only_methods(self) -> dict[str, str]:
        """Methods of long names that one class alone has: their paths."""
        every = [(m, f"{one.path}.{m}") for one in self.all.values() for m in one.methods if "_" in m[1:-1]]
        names = [method for method, _ in every]
        return {m: path for m, path in every if names.count(m) == 1 and not m.startswith("__")}

    def entry(self, path: str) -> Name | None:
        """The name under which a path is documented: itself, or the class of a method."""
        return self.all.get(path) or self.all.get(path.rpartition(".")[0])

    def meaning(self, text: str, scope: str = "") -> str | None:
        """The path that code in a sentence means, or None. `scope` is the entry that the sentence is part of.

        Outside of entries a single lower-case word is a word of the sentence's own: `prior`, `fit`.
        """
        whole = SPELLED.fullmatch(text)
        if not whole:
            return None
        name, here = whole["name"], self.entry(scope)
        head, _, tail = name.partition(".")
        if tail:
            owner = self.bare.get(INSTANCES.get(head, head))
            if owner is not None and tail in owner.methods:
                return f"{owner.path}.{tail}"
            if name in self.spellings:
                return self.spellings[name]
            return self.only_methods.get(tail) if head not in ("torch", "rc", PACKAGE) else None
        if here is not None:
            if name in here.methods and f"{here.path}.{name}" != scope:
                return f"{here.path}.{name}"
            siblings = [one for one in self.all.values() if one.home == here.home and one.short == name]
            if siblings and siblings[0].path != scope:
                return siblings[0].path
            if name in here.parameters or (name in self.bare and self.bare[name].path == scope):
                return None
        elif not ("_" in name or name[0].isupper() or whole["call"]):
            return None
        return self.bare[name].path if name in self.bare else None
