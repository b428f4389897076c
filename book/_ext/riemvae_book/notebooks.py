"""Student and instructor notebooks out of the chapters, which are MyST Markdown."""

import hashlib
import shutil
import sys
from copy import deepcopy
from functools import partial
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from .executed import with_outputs
from .facts import FRONT_MATTER, facts_sentence, is_notebook, prose_words
from .installing import FIRST_LINE, binder_files, install_cell
from .labels import read_book, source_file, toc_pages
from .plain import Plain, split_options
from .solutions import SOLUTION_TAG, blocks, strip_solutions

KERNEL = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


def chapter_pages(root: Path) -> list[str]:
    """The chapters of _toc.yml that are written, in order."""
    pages = [page for page in toc_pages(root) if source_file(root, page).exists()]
    return [page for page in pages if is_chapter(page, source_file(root, page).read_text(encoding="utf8"))]


def is_chapter(page: str, text: str) -> bool:
    return page.startswith("chapters/") and is_notebook(text)


def split_cells(text: str) -> list[tuple[str, str, dict]]:
    """A chapter's cells in order: (kind, source, metadata), kind being "markdown" or "code"."""
    lines = FRONT_MATTER.sub("", text).split("\n")
    cells: list[tuple[str, str, dict]] = []

    def prose(part: list[str]) -> None:
        cell: list[str] = []
        for line in [*part, "+++"]:
            if line.startswith("+++"):
                if any(x.strip() for x in cell):
                    cells.append(("markdown", "\n".join(cell).strip("\n"), {}))
                cell = []
            else:
                cell.append(line)

    at = 0
    for first, last, directive, _ in blocks(lines):
        if directive == "code-cell":
            prose(lines[at:first])
            metadata, code = split_options(lines[first + 1 : last])
            if isinstance(metadata.get("tags"), str):
                metadata["tags"] = [tag.strip() for tag in metadata["tags"].strip("[]").split(",")]
            cells.append(("code", "\n".join(code).strip("\n"), metadata))
            at = last + 1
    prose(lines[at:])
    return cells


def cell_id(page: str, index: int | str) -> str:
    return hashlib.sha256(f"{page}:{index}".encode()).hexdigest()[:12]


def own_code(cells: list[NotebookNode]) -> list[NotebookNode]:
    """The code cells that are the chapter's own: all but the one that installs."""
    return [cell for cell in cells if cell.cell_type == "code" and not cell.source.startswith(FIRST_LINE)]


def make_notebook(root: Path, page: str, text: str, executed: Path, seconds: float | None, threads: str):
    """The notebook of a chapter's `text`; the same text gives the same bytes."""
    book = read_book(root, page, executed, facts_sentence(prose_words(text), seconds, threads))
    plain = Plain(book)
    cells = []
    for kind, source, metadata in split_cells(text):
        if kind == "markdown":
            cells.append(new_markdown_cell(plain.cell(source)))
            continue
        tags = metadata.get("tags", [])
        if SOLUTION_TAG in tags:
            cells.append(new_markdown_cell("**Solution in code**"))
        cells.append(new_code_cell(source, metadata={"tags": tags} if tags else {}))
        figure = metadata.get("mystnb", {}).get("figure", {})
        if figure:
            caption = plain.figure_caption("", figure.get("caption", "").split("\n"))
            cells.append(new_markdown_cell(f"*{caption}*"))
    if book.cited:
        cells.append(new_markdown_cell(f"## Works cited\n\n{plain.works_cited()}"))
    cells = [cell for cell in cells if cell.source]
    for index, cell in enumerate(cells):
        cell.id = cell_id(page, index)
    own = own_code(cells)
    if own:
        start = install_cell(root, [cell.source for cell in own])
        start.id = cell_id(page, "install")
        cells.insert(cells.index(own[0]), start)
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def write_notebook(notebook, path: Path) -> None:
    nbformat.validate(notebook)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf8")


def write_all(root: Path, out: Path) -> list[Path]:
    """Write every chapter's notebooks under `out`: student, instructor and, of a built book, executed."""
    written = []
    for page in chapter_pages(root):
        built = root / "_build" / "jupyter_execute" / f"{page}.ipynb"
        whole = source_file(root, page).read_text(encoding="utf8")
        make = partial(
            make_notebook, root, page, executed=built.with_suffix(".glue.json"), seconds=None, threads=""
        )
        student = make(strip_solutions(whole))
        notebooks = {"student": student, "instructor": make(whole)}
        if built.exists():
            notebooks["executed"] = deepcopy(student)
            with_outputs(root, own_code(notebooks["executed"].cells), nbformat.read(built, as_version=4))
        for reader, notebook in notebooks.items():
            path = out / reader / f"{Path(page).name}.ipynb"
            write_notebook(notebook, path)
            written.append(path)
    return written


def put_core_beside(root: Path, written: list[Path], wheel: Path) -> None:
    """Put the wheel beside notebooks; beside the students', to be published, what Binder reads, too."""
    for folder in {path.parent for path in written}:
        for old in folder.glob("*.whl"):
            old.unlink()
        shutil.copy(wheel, folder)
    students = [path for path in written if path.parent.name == "student"]
    code = [cell.source for path in students for cell in own_code(nbformat.read(path, as_version=4).cells)]
    for name, text in binder_files(root, wheel.name, code).items():
        (students[0].parent / name).write_text(text, encoding="utf8")


def main() -> int:
    root = Path(__file__).resolve().parents[3]
    wheels = sorted((root / "_build" / "dist").glob("*.whl"))
    if not wheels:
        raise SystemExit("no wheel lies in _build/dist: run make dist first")
    written = write_all(root, root / "_build" / "notebooks")
    put_core_beside(root, written, wheels[-1])
    for path in written:
        print(path.relative_to(root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
