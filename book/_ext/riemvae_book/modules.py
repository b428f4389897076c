"""Files of the core as their source says: what they make, what they import, what stands above a value."""

import ast
from functools import cached_property
from pathlib import Path


class Module:
    """A parsed file of the core."""

    def __init__(self, root: Path, dotted: str):
        base = root.joinpath(*dotted.split("."))
        self.dotted, self.is_package = dotted, (base / "__init__.py").is_file()
        self.file = base / "__init__.py" if self.is_package else base.with_suffix(".py")
        self.text = self.file.read_text(encoding="utf8")
        self.tree = ast.parse(self.text)
        self.doc = ast.get_docstring(self.tree) or ""

    @cached_property
    def made(self) -> dict[str, ast.stmt]:
        """What the file defines: functions, classes and values by name."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found[node.name] = node
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    for one in target.elts if isinstance(target, ast.Tuple) else [target]:
                        if isinstance(one, ast.Name):
                            found[one.id] = node
        return found

    @cached_property
    def imported(self) -> dict[str, tuple[str, str]]:
        """What the file takes from others: name -> (module, its name there)."""
        return {
            (one.asname or one.name): (node.module or "", one.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom)
            for one in node.names
        }

    def literal(self, name: str) -> list | dict | None:
        node = self.made.get(name)
        return ast.literal_eval(node.value) if isinstance(node, ast.Assign) else None

    def comment_above(self, node: ast.stmt) -> str:
        """The `#:` lines that stand above a value."""
        lines, at = [], node.lineno - 2
        source = self.text.split("\n")
        while at >= 0 and source[at].startswith("#:"):
            lines.insert(0, source[at].removeprefix("#:").strip())
            at -= 1
        return "\n".join(lines)


def is_property(node: ast.FunctionDef) -> bool:
    return any(isinstance(one, ast.Name) and one.id.endswith("property") for one in node.decorator_list)


def argument_names(node: ast.FunctionDef) -> tuple[str, ...]:
    a = node.args
    every = [*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg))]
    return tuple(one.arg for one in every if one.arg not in ("self", "cls"))


def class_parts(node: ast.ClassDef) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A class's public methods, and its fields and the arguments that make one."""
    methods, parameters = [], []
    for one in node.body:
        if isinstance(one, ast.FunctionDef):
            if one.name == "__init__":
                parameters += argument_names(one)
            elif one.name == "__call__" or one.name[0] != "_":
                methods.append(one.name)
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            parameters.append(one.target.id)
    return tuple(methods), tuple(parameters)
