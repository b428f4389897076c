"""Every chapter keeps the anatomy that readers learn in the first one."""

import ast
import re
import statistics
import symtable
from pathlib import Path

import pytest
from riemvae_book.exercises import Exercise, Task, read_exercises
from riemvae_book.facts import FRONT_MATTER, prose_words
from riemvae_book.labels import directives
from riemvae_book.notebooks import chapter_pages, split_cells
from riemvae_book.questions import without_questions
from riemvae_book.solutions import SOLUTION_TAG, strip_solutions
from wrong_answers import SLIPS

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = {page: (ROOT / f"{page}.md").read_text(encoding="utf8") for page in chapter_pages(ROOT)}
READS_A_FILE = re.compile(
    r"__file__|__path__|benchmarks|chapters/|\.\./|\bcwd\b|\bopen\(|read_(?:text|bytes)|\bload(?:txt)?\(['\"\w]*/|"
    r"\bPath\((?!tempfile\.mkdtemp\(\)\))"
)
BANNED = re.compile(r"\b(simply|obviously|clearly)\b", re.I)
chapters = pytest.mark.parametrize("text", CHAPTERS.values(), ids=CHAPTERS.keys())


def code_cells(text: str, without: str = "") -> list[str]:
    """The code that is no solution, and has not the tag ``without``."""
    cells = [(code, meta.get("tags", [])) for kind, code, meta in split_cells(text) if kind == "code"]
    return [code for code, tags in cells if SOLUTION_TAG not in tags and without not in tags]


def names(text: str) -> list[str]:
    return [name for name, _, _ in directives(FRONT_MATTER.sub("", text).split("\n"))]


def test_every_file_of_chapters_is_in_the_contents():
    assert len(CHAPTERS) >= 2
    files = {f"chapters/{path.stem}" for path in ROOT.glob("chapters/*.md")}
    assert files - set(CHAPTERS) == set(), "_toc.yml lists no such page, or it is no notebook"


def test_all_begin_with_the_same_set_up():
    first, *others = [(code_cells(text)[0], page) for page, text in CHAPTERS.items()]
    assert [page for code, page in others if code != first[0]] == [], f"the first code cell is {first[1]}'s"


@chapters
def test_size_of_the_code(text):
    """All cells are short; the typical one that is open on the page is shorter still."""
    every, open_ = (
        [len([line for line in cell.split("\n") if line.strip()]) for cell in code_cells(text, without)]
        for without in ("", "hide-input")
    )
    shown = [line for cell in code_cells(text, "hide-input") for line in cell.split("\n")]
    assert [line for line in shown if len(line) > 90] == [], "at 1280 pixels a page shows 90 letters of code"
    assert 12 <= len(every) <= 28, "code cells that are no solution"
    assert max(every) <= 25, "lines of the longest cell"
    assert statistics.median(open_) <= 12, "lines of the typical cell that is open"


def globals_of(scope: symtable.SymbolTable) -> set[str]:
    """The names that a function, or one within it, takes from outside."""
    inner = (globals_of(child) for child in scope.get_children())
    return {symbol.get_name() for symbol in scope.get_symbols() if symbol.is_global()}.union(*inner)


@chapters
def test_the_experiment_runs_again_after_the_last_cell(text):
    """No later cell gives another value to what `run` reads, itself or through the chapter's functions."""
    codes = [code for kind, code, _ in split_cells(text) if kind == "code"]
    cells = [symtable.symtable(code, "cell", "exec") for code in codes]
    given = [{symbol.get_name() for symbol in cell.get_symbols() if symbol.is_assigned()} for cell in cells]
    functions = {scope.get_name(): scope for cell in cells for scope in cell.get_children()}
    if "run" not in functions:
        assert "widgets.train_panel()" in text, (
            "a cell defines run(size), and widgets.experiment(run, ...) follows"
        )
        return
    read, rest = set(), ["run"]
    while rest:
        new = globals_of(functions[rest.pop()]) - read
        read |= new
        rest += new & functions.keys()
    at = next(i for i, code in enumerate(codes) if "widgets.experiment(" in code)
    assert sorted(read & set().union(*given[at + 1 :])) == []


@chapters
def test_code_reads_nothing_of_the_checkout(text):
    """What a chapter reads travels in the package, so that its notebook runs beside an installed core."""
    assert [code for kind, code, _ in split_cells(text) if kind == "code" and READS_A_FILE.search(code)] == []


def test_reading_the_checkout_is_seen():
    """The pattern finds what chapter 11 once did, and leaves a temporary file alone."""
    reads = ["Path(rc.__file__).parents[1]", 'Path("results.json")', "open(name)", 'np.load("../a.npz")']
    assert all(READS_A_FILE.search(line) for line in reads)
    assert not READS_A_FILE.search('Path(tempfile.mkdtemp()) / "latents.npz"')


@chapters
def test_length_of_the_prose(text):
    """The argument's own words; the questions between its sections have a test of theirs."""
    words = prose_words(without_questions(text))
    assert 1500 <= words <= 3000, "words, without code, formulas, tables' marks, questions and solutions"


@chapters
def test_questions_between_the_sections(text):
    found = [body for name, _, body in directives(text.split("\n")) if name == "question"]
    assert 5 <= len(found) <= 12, "blocks of :::{question}"
    assert max(prose_words("\n".join(body)) for body in found) <= 200, "words of the longest question"


@chapters
def test_facts_are_measured(text):
    assert names(text).count("chapter-facts") == 1, "one ```{chapter-facts} under the title"


@chapters
def test_exercises_have_solutions(text):
    found = names(text)
    assert found.count("exercise") + found.count("exercise-start") >= 5, "exercises"
    assert found.count("solution") + found.count("solution-start") >= 2, "blocks of {solution}"
    assert len(split_cells(text)) - len(split_cells(strip_solutions(text))) >= 2, "cells tagged solution"


def tasks_of(text: str) -> dict[str, Task]:
    """Each exercise in code, by its label."""
    return {one.label: one.task for one in read_exercises(text) if isinstance(one, Exercise) and one.task}


@chapters
def test_graders_can_take_the_exercises(text):
    assert tasks_of(text), "an exercise in code"


def test_each_exercise_in_code_has_a_wrong_answer():
    tasks = {label: task for text in CHAPTERS.values() for label, task in tasks_of(text).items()}
    assert sorted(SLIPS.keys() ^ tasks.keys()) == [], "tests/book/wrong_answers.py has one entry for each"
    for label, task in tasks.items():
        right, wrong = (f"{task.head}\n{body}" for body in (task.answer, SLIPS[label].answer(task.answer)))
        assert ast.dump(ast.parse(wrong)) != ast.dump(ast.parse(right)), label


@chapters
def test_something_is_proven(text):
    assert {"prf:theorem", "prf:proof"} <= set(names(text)), "a {prf:theorem} and its {prf:proof}"


@chapters
def test_sources_are_cited(text):
    assert text.count("{cite") >= 3, "citations, {cite:t}`key` with a key of book/references.bib"


@chapters
@pytest.mark.parametrize("trace", ["!pip", "%pip", "http://", "https://", "(/home", "TODO"])
def test_no_installation_no_address(text, trace):
    assert trace not in text


@chapters
def test_no_word_that_belittles_the_reader(text):
    assert BANNED.findall(text) == []


@chapters
def test_every_figure_is_named_and_captioned(text):
    """The same two texts that the build asks for, without a build."""
    for kind, code, meta in split_cells(strip_solutions(text)):
        if kind == "code" and "mystnb" in meta:
            assert meta["mystnb"]["image"]["alt"].strip(), code
            assert meta["mystnb"]["figure"]["caption"].strip(), code


@chapters
def test_prose_speaks_american_english(text):
    british = re.compile(
        r"\b\w*(?:colour|centre|behaviour|neighbour|parametris|regularis|optimis|generalis)\w*", re.I
    )
    assert british.findall(strip_solutions(text)) == []


def test_nothing_is_left_to_fill_in(root):
    """What `make chapter` has written is written over, in the chapter and in every entry."""
    files = [
        *root.glob("chapters/*.md"),
        *root.glob("book/instructors/**/*.*"),
        *(root / name for name in ("book/cards.yml", "book/_ext/riemvae_book/pictures.py", "README.md")),
        root / "tests" / "book" / "wrong_answers.py",
    ]
    left = []
    for path in files:
        lines = enumerate(path.read_text(encoding="utf8").split("\n"), 1)
        if found := [number for number, line in lines if "FILL-IN" in line]:
            left.append(f"{path.relative_to(root)}: {len(found)} lines, the first {found[0]}")
    assert not left, "\n".join(["FILL-IN is left:", *left])


PAGES = sorted([*ROOT.glob("chapters/*.md"), *ROOT.glob("book/**/*.md")])
HEAD = re.compile(r"^ *\|(.*)\| *\n *\|[ :|-]*---[ :|-]*\| *$", re.M)


def poor_heads(text: str) -> list[str]:
    """Heads of tables that a screen reader can't say, or whose links are pale."""
    bare = {head: re.sub(r"\$[^$]*\$", "", head).split("|")[1:] for head in HEAD.findall(text)}
    linked = re.compile(r"\]\(|\{(?:term|ref|eq|doc|numref|prf:ref|cite:\w)\}")
    return [h for h, cells in bare.items() if linked.search(h) or not all(c.strip(" ,*") for c in cells)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_heads_of_tables_have_words_and_no_links(page):
    assert poor_heads(page.read_text(encoding="utf8")) == []


@pytest.mark.parametrize("head", [" a | $\\beta$ ", " a | {term}`ball` ", " a | [b](c.md) "])
def test_a_poor_head_is_found(head):
    assert poor_heads(f"|{head}|\n|---|---|\n| 1 | 2 |\n") == [head]
