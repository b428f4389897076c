"""The notebooks readers and instructors get: what is in them, and that they run."""

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from riemvae_book.installing import FIRST_LINE
from riemvae_book.notebooks import chapter_pages, own_code, write_all

ROOT = Path(__file__).resolve().parents[2]
NAMES = [Path(page).name for page in chapter_pages(ROOT)]
SHORTEST = "10_few_images"
MYST = ("```{", ":::", "{cite", "{ref}", "{numref}", "{term}", "{doc}", "{eq}", "{glue", "{prf", ")=\n")


@pytest.fixture(scope="module")
def notebooks(site, tmp_path_factory) -> Path:
    """The folder of all kinds of notebooks, written after the book was built."""
    out = tmp_path_factory.mktemp("notebooks")
    write_all(ROOT, out)
    return out


def cells(path: Path) -> list[nbformat.NotebookNode]:
    """A notebook's code cells that are the chapter's own."""
    return own_code(nbformat.read(path, as_version=4).cells)


def sources(path: Path, kind: str) -> list[str]:
    if kind == "code":
        return [cell.source for cell in cells(path)]
    return [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", ["student", "instructor"])
def test_markdown_is_plain(notebooks, reader, name):
    text = "\n".join(sources(notebooks / reader / f"{name}.ipynb", "markdown")) + "\n"
    assert [mark for mark in MYST if mark in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_numbers_in_the_text_are_those_of_the_built_book(notebooks, name):
    """A value the chapter computes and quotes stands in the notebook as a number, not as its name."""
    chapter = next(page for page in chapter_pages(ROOT) if page.endswith(name))
    quoted = set(re.findall(r"\{glue:text\}`([^`:]+)", (ROOT / f"{chapter}.md").read_text(encoding="utf8")))
    text = "\n".join(sources(notebooks / "student" / f"{name}.ipynb", "markdown"))
    assert quoted
    assert [value for value in quoted if f"`{value}`" in text] == []


@pytest.mark.parametrize("name", NAMES)
def test_student_notebook_is_the_instructor_s_without_solutions(notebooks, name):
    student = sources(notebooks / "student" / f"{name}.ipynb", "code")
    instructor = sources(notebooks / "instructor" / f"{name}.ipynb", "code")
    assert len(student) < len(instructor)
    assert [cell for cell in instructor if cell in student] == student
    assert "Solution" not in "\n".join(sources(notebooks / "student" / f"{name}.ipynb", "markdown"))


@pytest.mark.parametrize("name", NAMES)
def test_a_student_notebook_s_cells_are_those_that_the_book_executed(root, notebooks, name):
    executed = nbformat.read(root / "_build" / "jupyter_execute" / "chapters" / f"{name}.ipynb", as_version=4)
    ran = [cell.source for cell in executed.cells if cell.cell_type == "code"]
    assert sources(notebooks / "student" / f"{name}.ipynb", "code") == ran


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("reader", ["student", "executed", "instructor"])
def test_its_first_code_installs_what_is_missing_and_no_chapter_does(notebooks, reader, name):
    code = [c.source for c in nbformat.read(notebooks / reader / f"{name}.ipynb", as_version=4).cells]
    code = [source for source in code if "pip" in source]
    assert len(code) == 1
    assert code[0].startswith(FIRST_LINE)
    assert FIRST_LINE not in (ROOT / "chapters" / f"{name}.md").read_text(encoding="utf8")


@pytest.mark.parametrize("name", NAMES)
def test_an_executed_notebook_is_the_student_s_with_pictures_that_need_no_trust(notebooks, name):
    student, executed = (cells(notebooks / reader / f"{name}.ipynb") for reader in ("student", "executed"))
    assert [cell.source for cell in executed] == [cell.source for cell in student]
    assert all(cell.outputs == [] for cell in student)
    shown = [output.get("data", {}) for cell in executed for output in cell.outputs]
    assert not {kind for data in shown for kind in data} - {"text/html", "text/plain"}
    html = [data["text/html"] for data in shown if "text/html" in data]
    assert sum(part.startswith("<img") for part in html) > 2
    for address in re.findall(r'src="data:image/svg\+xml;base64,([^"]*)" alt="[^"]+"', "".join(html)):
        ElementTree.fromstring(base64.b64decode(address))
    assert "<svg" not in "".join(html)
    assert "<script" not in "".join(html)


@pytest.mark.parametrize("name", NAMES)
def test_no_check_passes_before_its_exercise_is_answered(notebooks, name):
    """As the book ran them; that they pass with the solutions, the build has seen."""
    checks = [c for c in cells(notebooks / "executed" / f"{name}.ipynb") if "exercises.check(" in c.source]
    assert len(checks) == 2
    for cell in checks:
        said = "".join(output.get("text", "") for output in cell.outputs)
        assert "not written yet" in said or "differ" in said


@pytest.mark.slow
@pytest.mark.parametrize("reader", ["student", "instructor"])
def test_it_runs_from_top_to_bottom(notebooks, tmp_path, reader):
    """In an empty folder and with a live kernel's figures.

    The build has executed the cells of every chapter with its solutions among them: the shortest will do.
    """
    runner = (
        "import sys, nbformat, nbclient\n"
        "notebook = nbformat.read(sys.argv[1], as_version=4)\n"
        "nbclient.NotebookClient(notebook, timeout=300, kernel_name='python3').execute()\n"
        "nbformat.write(notebook, sys.argv[2])\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "RIEMVAE_BOOK"}
    source, target = notebooks / reader / f"{SHORTEST}.ipynb", tmp_path / "run.ipynb"
    command = [sys.executable, "-c", runner, str(source), str(target)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
