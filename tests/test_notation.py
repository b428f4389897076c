"""One name for one thing: book/symbols.yml against the core's signatures and the chapters' formulas."""

import importlib
import inspect
import pkgutil
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
from jaxtyping import AbstractArray
from pybtex.database import Entry, Person, parse_file
from riemvae_book.bibliography import AuthorYearLabels
from riemvae_book.solutions import strip_solutions
from riemvae_book.symbols import chapter_page, read_symbols

import riemvae_core

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = read_symbols(ROOT)
ENTRIES = [entry for group in SYMBOLS["groups"] for entry in group["symbols"]]
IN_CODE = [entry for entry in ENTRIES if "code" in entry]
LETTERS = {letter for letters in SYMBOLS["letters"] for letter in letters.split()}
BANNED = {
    *("logvar", "log_sigma", "log_sigma2", "logsigma", "log_covariance", "log_variance", "mus", "mean_z"),
    *("epsilon", "latent", "latents", "z_dim", "latent_size", "codebooks", "lbd", "lambda_", "kl_weight"),
}

CALLS = ("__init__", "__call__")

Signature = tuple[
    dict[str, object], object
]  # parameters (or fields) with their annotations; the returned one


def public_signatures() -> Iterator[tuple[str, Signature]]:
    """Each public function, method and class of the core by its dotted name.

    The live figures are left out: their x and y are places on a screen.
    """
    modules = [
        found
        for found in pkgutil.walk_packages(riemvae_core.__path__, "riemvae_core.")
        if not found.ispkg and ".widgets." not in found.name
    ]
    for module in (importlib.import_module(found.name) for found in modules):
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
                continue
            path = f"{module.__name__}.{name}"
            if inspect.isclass(thing):
                yield path, (dict(inspect.get_annotations(thing)), None)
                for key, member in inspect.getmembers(thing, inspect.isfunction):
                    if member.__module__ == module.__name__ and (key in CALLS or key[0] != "_"):
                        yield f"{path}.{key}", signature(member)
            elif inspect.isfunction(thing):
                yield path, signature(thing)


def signature(function: object) -> Signature:
    found = inspect.signature(function)
    return {p.name: p.annotation for p in found.parameters.values()}, found.return_annotation


def shapes(annotation: object) -> Iterator[str]:
    """The shapes that an annotation allows; `scalar` for a number."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for one in typing.get_args(annotation):
            yield from shapes(one)
    elif inspect.isclass(annotation) and issubclass(annotation, AbstractArray):
        yield " ".join(annotation.dim_str.replace("#", "").split())
    elif annotation in (int, float):
        yield "scalar"


def is_case_of(shape: str, general: str) -> bool:
    """Whether `shape` is `general` with any dimensions for `*batch` and perhaps numbers for letters.

    The places of a grid are leading dimensions like those of a batch.
    """
    here, there = [one for one in shape.split() if one != "*places"], general.split()
    if there[0] == "*batch":
        there = there[1:]
        batch = here[: max(0, len(here) - len(there))]
        if batch != ["*batch"] and "*" in "".join(batch):
            return False
        here = here[len(batch) :]
    return len(here) == len(there) and all(a == b or a.isdigit() for a, b in zip(here, there, strict=True))


SIGNATURES = dict(public_signatures())


def test_the_table_is_complete_and_without_doubles():
    names = [entry["code"] for entry in IN_CODE]
    assert len(names) == len(set(names))
    assert len(names) > 12
    assert len({entry["symbol"] for entry in ENTRIES}) == len(ENTRIES)
    for entry in ENTRIES:
        assert entry.keys() >= {"symbol", "meaning", "first"}, entry
        assert ("code" in entry) == ("shape" in entry), entry
        assert entry["meaning"].endswith("."), entry


@pytest.mark.parametrize(("shape", "general", "expected"), [
    ("*batch d", "*batch d", True), ("n d", "*batch d", True), ("t n d", "*batch d", True),
    ("d", "*batch d", True), ("*batch n", "*batch d", False), ("n", "*batch", True),
    ("*batch d", "n d", False), ("n d", "n", False), ("*batch d", "*batch", False), ("", "*batch d", False),
    ("n *places d", "*batch d", True), ("*places d", "*batch d", True), ("n *places", "*batch d", False),
    ("n 2", "*batch d", True), ("*batch d", "d", False),
])  # fmt: skip
def test_what_counts_as_a_case_of_a_shape(shape, general, expected):
    assert is_case_of(shape, general) is expected


@pytest.mark.parametrize("entry", IN_CODE, ids=lambda entry: entry["code"])
def test_each_code_name_is_in_the_core_with_its_shape(entry):
    name, _, arguments = entry["code"].rstrip(")").partition("(")
    if arguments:
        kind, _, method = name.partition(".")
        ending = f"Metric.{method or '__call__'}" if kind == "metric" else f".{name}"
        called = {path: s for path, s in SIGNATURES.items() if path.endswith(ending)}
        # a metric's log_volume(z) is not the ball's log_volume(log_var): methods count where no function does
        called = {path: s for path, s in called.items() if path.split(".")[-2].islower()} or called
        assert called, f"no public function of riemvae_core is called {name}"
        for path, (parameters, _) in called.items():
            given = [p for p in parameters if p not in ("self", "condition", "y")]  # and what a model is told
            assert given == arguments.split(", "), path
        assert entry["shape"] in {shape for _, returned in called.values() for shape in shapes(returned)}
        return
    found = {path: list(shapes(s[0][name])) for path, s in SIGNATURES.items() if name in s[0]}
    found = {path: some for path, some in found.items() if some}
    assert found, f"no public signature of riemvae_core has an annotated {name}"
    for path, some in found.items():
        assert any(is_case_of(shape, entry["shape"]) for shape in some), (
            f"{path} has {name} with shape {some}"
        )


@pytest.mark.parametrize("path", SIGNATURES)
def test_no_signature_uses_another_name_for_a_symbol(path):
    parameters, _ = SIGNATURES[path]
    assert not BANNED & {*parameters, path.split(".")[-1]}


@pytest.mark.parametrize("path", SIGNATURES)
def test_shapes_use_the_letters_of_the_table(path):
    parameters, returned = SIGNATURES[path]
    used = {
        letter
        for one in (*parameters.values(), returned)
        for shape in shapes(one)
        for letter in shape.split()
    }
    assert {one for one in used if not one.isdigit()} <= LETTERS | {"scalar"}


# formulas

CODE = re.compile(r"^(`{3,})\{code-cell\}.*?^\1$", re.S | re.M)
MATH = re.compile(r"\$\$(.+?)\$\$|\$([^$]+?)\$|^`{3,}\{math\}(.+?)^`{3,}", re.S | re.M)


def formulas(text: str) -> list[str]:
    """What stands between dollars and in math blocks of a page, code left out."""
    return ["".join(found) for found in MATH.findall(CODE.sub("", strip_solutions(text)))]


def plain(formula: str) -> str:
    """A formula without spaces, sizes of brackets and indices of images and axes, for comparing."""
    formula = re.sub(r"\\(?:big|Big|bigg|left|right|,|;|!|:)(?![a-z])[lr]?|[\s{}]", "", formula)
    return re.sub(r"_(?:ik|jk|i|j|k)(?![a-z])", "", formula)


def chapter_text(number: int) -> str:
    return (ROOT / f"{chapter_page(ROOT, number)}.md").read_text(encoding="utf8")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["symbol"])
def test_each_symbol_is_used_in_the_chapter_that_the_table_names(entry):
    used = [plain(formula) for formula in formulas(chapter_text(entry["first"]))]
    assert any(plain(entry["symbol"]) in formula for formula in used)


def test_a_chapter_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"first must be the number of a chapter in chapters/, got 7"):
        chapter_page(tmp_path, 7)


# the bibliography's labels


def labels_of(entries: list[Entry]) -> list[str]:
    return list(AuthorYearLabels().format_labels(entries))


def test_the_bibliography_calls_works_as_the_text_does():
    entries = parse_file(ROOT / "book" / "references.bib").entries
    named = dict(zip(entries, labels_of(list(entries.values())), strict=True))
    assert named["kingma2014"] == "Kingma and Welling 2014"
    assert named["rezende2014"] == "Rezende et al. 2014"
    assert named["vandenoord2017"] == "van den Oord et al. 2017"
    assert len(set(named.values())) == len(named)
    for key, entry in entries.items():
        assert {"title", "year"} <= {field.lower() for field in entry.fields}, key
        assert key.endswith(entry.fields["year"]), key


def test_works_of_the_same_name_and_year_get_letters():
    author = {"author": [Person("Shannon, Claude E.")]}
    entries = [Entry("article", {"title": title, "year": "1948"}, author) for title in "AB"]
    assert labels_of(entries) == ["Shannon 1948a", "Shannon 1948b"]
