"""The notebooks readers and instructors get: what is in them, and that they run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from riemvae_book.notebooks import chapter_pages, write_all

ROOT = Path(__file__).resolve().parents[2]
NAMES = [Path(page).name for page in chapter_pages(ROOT)]
SHORTEST = "10_few_images"
MYST = ("```{", ":::", "{cite", "{ref}", "{numref}", "{term}", "{doc}", "{eq}", "{glue", "{prf", ")=\n")


@pytest.fixture(scope="module")
def notebooks(site, tmp_path_factory) -> Path:
    """The folder of both kinds of notebooks, written after the book was built."""
    out = tmp_path_factory.mktemp("notebooks")
    write_all(ROOT, out)
    return out


def sources(path: Path, kind: str) -> list[str]:
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
