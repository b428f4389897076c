"""A letter means one thing: formulas of the book and of the core's docstrings against book/symbols.yml."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from riemvae_book.symbols import SHOWN, main, read_symbols, show, symbols_shown

ROOT = Path(__file__).resolve().parents[1]
SYMBOLS = read_symbols(ROOT)
ENTRIES = [entry for group in SYMBOLS["groups"] for entry in group["symbols"]]
LOCAL = SYMBOLS["local"]

# exams are no pages: each question says what its letters are
EXAMS = set((ROOT / "book" / "instructors" / "exams").glob("*.md"))
PAGES = sorted({*(ROOT / "chapters").glob("*.md"), *(ROOT / "book").glob("**/*.md")} - EXAMS)
MODULES = sorted((ROOT / "riemvae_core").rglob("*.py"))

CODE = re.compile(r"^(`{3,})\{code-cell\}.*?^\1$", re.S | re.M)
MATH = re.compile(r"\$\$(.+?)\$\$|(?<![\\`])\$([^$]+?)\$", re.S)
WORDS = re.compile(
    r"\\(?:text|mathrm|operatorname|begin|end)\*?\{[^}]*\}|\\(?:[bB]igg?|left|right)[lr]?(?![a-z])|\{[\w.]+:[^}]*\}"
)
FONT = re.compile(r"\\(mathcal|mathbb|mathsf|hat)\s*(?:\{([A-Za-z]+)\}|([A-Za-z]))")
GREEK = re.compile(
    r"(?:var)?(?:alpha|beta|gamma|delta|epsilon|zeta|eta|theta|iota|kappa|lambda|mu|nu|xi|pi|rho|sigma|tau"
    r"|upsilon|phi|chi|psi|omega)|ell|Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Upsilon|Phi|Psi|Omega"
)
LETTER = re.compile(r"\\(?:(mathcal|mathbb|mathsf|hat)\s+([A-Za-z])|([A-Za-z]+)|.)|([A-Za-z])")


def occurrences(formula: str) -> Iterator[tuple[str, str]]:
    r"""Each letter of a formula, ``k``, ``\mu`` or ``\mathcal V``, and the character that follows it."""
    formula = WORDS.sub(" ", formula)
    formula = FONT.sub(lambda m: "".join(rf"\{m[1]} {one} " for one in m[2] or m[3]), formula)
    for found in LETTER.finditer(formula):
        font, styled, command, plain = found.groups()
        after = formula[found.end() :].lstrip(" }'")[:1]
        if styled:
            yield rf"\{font} {styled}", after
        elif command and GREEK.fullmatch(command):
            yield rf"\{command}", after
        elif plain:
            yield plain, after


def letters(formula: str) -> set[str]:
    return {letter for letter, _ in occurrences(formula)}


def formulas(page: Path) -> list[str]:
    """The formulas of a page: of its prose, and of the captions and labels in its code cells."""
    text = SHOWN.sub("", page.read_text(encoding="utf8"))
    return ["".join(found) for found in MATH.findall(mathematics(text))]


def mathematics(text: str) -> str:
    """A page's text, its code cells reduced to the lines and strings with a formula in them."""
    kept = re.compile(r'^      .*\$.*\$.*$|r?"[^"\n]*\$[^"\n]*\$[^"\n]*"', re.M)
    return CODE.sub(lambda cell: "\n".join(kept.findall(cell[0])), text)


def docstrings(module: Path) -> list[str]:
    """The formulas in the docstrings of a module."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    nodes = (
        node for node in ast.walk(ast.parse(module.read_text(encoding="utf8"))) if isinstance(node, kinds)
    )
    texts = (ast.get_docstring(node) or "" for node in nodes)
    return ["".join(found) for text in texts for found in MATH.findall(text)]


def source(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


USED = {source(page): formulas(page) for page in PAGES} | {source(one): docstrings(one) for one in MODULES}
USED = {path: found for path, found in USED.items() if found}

# what stands for one letter: the letters of `i j` and `O o` are two
OTHERS = {
    one for symbols in (SYMBOLS["indices"], SYMBOLS["others"]) for row in symbols for one in letters(row)
}
ATOM = re.compile(r"(\\[A-Za-z]+ )?(\\[A-Za-z]+|[A-Za-z])(_\S+|\^[\d*]+)*(\(.*\))?")
ROWS = defaultdict(list)  # the rows of the table about one letter
for row in ENTRIES:
    if ATOM.fullmatch(row["symbol"]) and letters(row["symbol"]):
        ROWS[next(iter(occurrences(row["symbol"])))[0]].append(row)
KNOWN = OTHERS | {letter for row in ENTRIES for letter in letters(row["symbol"])}


def form(after: str) -> str:
    """How a letter stands: with an argument, with an index, or bare."""
    return {"(": "argument", "_": "index"}.get(after, "bare")


def test_letters_are_told_from_words_and_commands():
    formula = r"\tilde z=\mathrm{KL}+\mathcal{V}_k\,d\mathcal M+\mathsf{FL}(\hat k)"
    formula += r"\text{ in }\mathbb R^d,\ \varsigma\to x'"
    found = letters(formula)
    assert found == {
        *("z", r"\mathcal V", "k", "d", r"\mathcal M", r"\mathsf F", r"\mathsf L", r"\hat k", r"\mathbb R"),
        *(r"\varsigma", "x"),
    }
    assert [form(after) for _, after in occurrences("I(x;z)+e_k+I+\\sigma^2")][::3] == [
        "argument",
        "index",
        "bare",
    ]


def test_a_code_cell_shows_the_formulas_of_its_caption_and_labels():
    cell = "```{code-cell} ipython3\n---\n    caption: |\n      Near $v$ it is.\n---\nx = q\n"
    cell += "plot(r'$w$', r\"$\\eta$\")\n```\nSo $z$.\n"
    assert MATH.findall(mathematics(cell)) == [("", "v"), ("", r"\eta"), ("", "z")]


@pytest.mark.parametrize("path", USED)
def test_letters_are_in_the_table_or_local_to_their_page(path):
    local = LOCAL.get(path, {})
    used = {letter for formula in USED[path] for letter in letters(formula)} - KNOWN
    new, gone = sorted(used - set(local)), sorted(set(local) - used)
    assert not new, f"{path}: no symbol of book/symbols.yml, nor under {path} among its local ones: {new}"
    assert not gone, f"book/symbols.yml: local to {path}, which has no such letter: {gone}"


def test_no_local_letter_is_a_symbol_too():
    assert LOCAL.keys() <= USED.keys()
    assert not {letter for letters in LOCAL.values() for letter in letters} & KNOWN


@pytest.mark.parametrize("letter", ROWS)
def test_a_letter_has_one_row_or_rows_that_are_told_apart(letter):
    """Rows of one letter are kin, speaking of one thing, or differ in form: argument, index or neither."""
    forms = defaultdict(set)
    for row in ROWS[letter]:
        after = next(iter(occurrences(row["symbol"])))[1]
        forms[form(after)].add(row.get("kin", row["symbol"]))
    forms = {how: kin - OTHERS for how, kin in forms.items() if kin - OTHERS}
    assert all(len(kin) == 1 for kin in forms.values()), forms
    if letter in OTHERS:
        assert "bare" not in forms


@pytest.mark.parametrize("path", USED)
def test_a_letter_of_several_meanings_stands_in_one_of_its_forms(path):
    for formula in USED[path]:
        for letter, after in occurrences(formula):
            meanings = {row.get("kin", row["symbol"]) for row in ROWS[letter]} - OTHERS
            if len(meanings) + (letter in OTHERS) > 1:
                forms = {form(next(iter(occurrences(row["symbol"])))[1]) for row in ROWS[letter]}
                forms |= {"bare"} if letter in OTHERS else set()
                # brackets after a letter that takes no argument are a product
                how = form(after) if form(after) in forms or after != "(" else "bare"
                assert how in forms, (letter, formula)


def test_kin_are_rows_of_the_table():
    symbols = {row["symbol"] for row in ENTRIES} | set(SYMBOLS["indices"])
    assert {row["kin"] for row in ENTRIES if "kin" in row} <= symbols


def test_the_tables_in_the_source_are_those_of_the_file():
    assert symbols_shown(ROOT) == show(SYMBOLS, ROOT), "book/notation.md is out of date: run `make notation`"


def test_the_tables_are_written_between_the_marks_and_nowhere_else(tmp_path):
    for name in ("chapters", "book"):
        (tmp_path / name).mkdir()
    (tmp_path / "chapters" / "01_a.md").write_text("")
    rows = "groups:\n- title: T\n  symbols:\n  - {symbol: x, meaning: An image., first: 1}\n"
    (tmp_path / "book" / "symbols.yml").write_text(rows + "letters: {}\nindices: {}\nothers: {}\nlocal: {}\n")
    (tmp_path / "book" / "notation.md").write_text("above\n\n:::{symbols}\nold\n:::\n\nbelow\n")
    main(tmp_path)
    lines = (tmp_path / "book" / "notation.md").read_text().split("\n")
    assert lines[:3] == ["above", "", ":::{symbols}"]
    assert "| $x$ | An image. |  |  |  | [1](../chapters/01_a.md) |" in lines
    assert lines[-4:] == [":::", "", "below", ""]
    assert "old" not in lines
