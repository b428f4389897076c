"""A chapter's Markdown without MyST says the same to every notebook front end."""

import json
import shutil
from pathlib import Path

import pytest
from riemvae_book.labels import read_book, read_labels, toc_pages
from riemvae_book.notebooks import chapter_pages, make_notebook, split_cells, write_all
from riemvae_book.numbers import Numbers
from riemvae_book.plain import Book, Plain, source_of

CHAPTER = """\
---
kernelspec:
  name: python3
  display_name: Python 3
---
(sec-top)=
# Points have no inside

```{chapter-facts}
```

{cite:t}`kingma2014`, {cite:p}`kingma2014,shi2025`, {numref}`fig-cloud`, {eq}`eq-sum`.
Also {ref}`ex-one`, {prf:ref}`thm-shell`, {ref}`sec-top`, {ref}`here <sec-top>`,
{term}`posterior collapse <collapse>`.
See {doc}`02_kl`, [next](02_kl.md#price), [home](../book/index.md)
and {math}`a^2`. It is {glue:text}`kl:.2f` or {glue:text}`unknown`.
% a note to ourselves

$$
x = \\mu
$$ (eq-sum)

```{math}
:label: eq-named
y = 1
```

```{code-cell} python
---
mystnb:
  image:
    alt: A cloud
  figure:
    caption: "See {term}`points`, as in {eq}`eq-named`."
    name: fig-cloud
---
draw()
```

:::{prf:theorem} Shells
:label: thm-shell
A ball is a shell.
:::

:::{exercise} The first
:label: ex-one

Do it:

```python
keep {this}`alone`
```
:::

```{exercise-start} The second
:label: ex-two
```
A body of its own.
```{exercise-end}
```

:::{solution} ex-one
SECRET
:::

```{code-cell} python
:tags: [solution]
answer = "SECRET"
```

:::{note}
Careful.
:::

:::{prf:proof}
$$
\\sum_k x_k
  = 1
$$

- so

  $$
  y_k
  $$
:::

+++

```{literalinclude} ../core.py
:pyobject: shell
```

"""
BIBLIOGRAPHY = """\
@article{kingma2014, title={Auto-{Encoding} Variational {Bayes}}, journal={ICLR}, year={2014},
  author={Kingma, Diederik P. and Welling, Max}}
@article{shi2025, title={Spheres}, year={2025}, eprint={2507.1}, author={Shi, S. and Two, B. and Three, C.}}
"""


@pytest.fixture
def project(tmp_path) -> Path:
    (tmp_path / "chapters").mkdir()
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "index.md").write_text("# Home\n")
    (tmp_path / "book" / "references.bib").write_text(BIBLIOGRAPHY)
    (tmp_path / "chapters" / "01_points.md").write_text(CHAPTER)
    (tmp_path / "chapters" / "02_kl.md").write_text("# KL packs the balls\n")
    shutil.copyfile(Path(__file__).resolve().parents[2] / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "core.py").write_text("def shell(r):\n    return r\n\n\ndef other():\n    return 1\n")
    pages = [{"file": "chapters/01_points"}, {"file": "chapters/02_kl"}]
    toc = {"format": "jb-book", "root": "book/index", "parts": [{"caption": "All", "chapters": pages}]}
    (tmp_path / "_toc.yml").write_text(json.dumps(toc))
    executed = tmp_path / "_build" / "jupyter_execute" / "chapters"
    executed.mkdir(parents=True)
    glued = {"kl": {"data": {"text/plain": "3.14159"}}}
    (executed / "01_points.glue.json").write_text(json.dumps(glued))
    return tmp_path


@pytest.fixture
def markdown(project) -> str:
    write_all(project, project / "out")
    student = json.loads((project / "out" / "student" / "01_points.ipynb").read_text())
    return "\n\n".join("".join(c["source"]) for c in student["cells"] if c["cell_type"] == "markdown")


def test_pages_come_in_the_order_of_the_contents(project):
    assert toc_pages(project) == ["book/index", "chapters/01_points", "chapters/02_kl"]
    assert chapter_pages(project) == ["chapters/01_points"]


@pytest.mark.parametrize(
    "text",
    [
        "Kingma and Welling (2014), (Kingma and Welling, 2014; Shi et al., 2025), Figure 1.1, (1.1).",
        "Also Exercise 1.1, Theorem 1.1, “Points have no inside”, here,\nposterior collapse.",
        "See KL packs the balls, [next](02_kl.ipynb#price), home\nand $a^2$. It is 3.14 or `unknown`.",
        "$$\nx = \\mu \\tag{1.1}\n$$",
        "$$\ny = 1 \\tag{1.2}\n$$",
        "*Figure 1.1. See points, as in (1.2).*",
        "> **Theorem 1.1 (Shells)**\n>\n> A ball is a shell.",
        "> **Exercise 1.1 (The first)**\n>\n> Do it:\n>\n> ```python\n> keep {this}`alone`\n> ```",
        "**Exercise 1.2 (The second)**\n\nA body of its own.",
        "> **Proof**\n>\n> $$\\sum_k x_k = 1$$\n>\n> - so\n>\n>   $$y_k$$",
        "> **Note**\n>\n> Careful.",
        "```python\ndef shell(r):\n    return r\n```",
        "- D. P. Kingma, M. Welling. Auto-Encoding Variational Bayes. ICLR. 2014.",
        "arXiv 2507.1. 2025.",
        "minutes to read.*",
        "# 1. Points have no inside\n",
    ],
)
def test_student_notebook_says_it_in_plain_markdown(markdown, text):
    assert text in markdown


@pytest.mark.parametrize(
    "trace", ["{cite", "{prf", "{note", ":::", "(sec-top)=", "to ourselves", "SECRET", ":label:"]
)
def test_student_notebook_keeps_no_trace(markdown, trace):
    assert trace not in markdown


def test_instructor_notebook_marks_its_solutions(project):
    write_all(project, project / "out")
    text = (project / "out" / "instructor" / "01_points.ipynb").read_text()
    assert "Solution of Exercise 1.1" in text
    assert "**Solution in code**" in text
    assert text.count("SECRET") == 2


def test_the_same_chapter_gives_the_same_bytes(project):
    first = [path.read_bytes() for path in write_all(project, project / "one")]
    assert first == [path.read_bytes() for path in write_all(project, project / "two")]


def test_cell_ids_are_unique_and_differ_between_chapters(project):
    def ids(page):
        notebook = make_notebook(project, page, CHAPTER, Path("none"), None, "")
        return [cell.id for cell in notebook.cells]

    one, two = ids("chapters/01_points"), ids("chapters/02_kl")
    assert len(set(one + two)) == len(one) + len(two)


def test_cells_alternate_as_written():
    kinds = [kind for kind, _, _ in split_cells(CHAPTER)]
    assert kinds == ["markdown", "code", "markdown", "code", "markdown", "markdown"]


def test_numbers_of_another_chapter_speak_for_themselves(project):
    book = read_book(project, "chapters/02_kl", Path("none"), "")
    assert book.labels["fig-cloud"] == "Figure 1.1"
    assert book.equations["eq-named"] == "1.2"
    assert book.labels["sec-top"] == "“Points have no inside” in “Points have no inside”"


def test_each_kind_is_numbered_by_itself_within_its_chapter():
    read = read_labels("chapters/06_points", CHAPTER, Numbers())
    assert read.title == "Points have no inside"
    assert read.boxes == {
        "fig-cloud": "Figure 6.1",
        "thm-shell": "Theorem 6.1",
        "ex-one": "Exercise 6.1",
        "ex-two": "Exercise 6.2",
    }
    assert read.equations == {"eq-sum": "6.1", "eq-named": "6.2"}


def test_pages_without_a_number_are_counted_through():
    numbers = Numbers()
    pages = ("book/one", "chapters/00_zero", "book/two")
    found = [read_labels(page, CHAPTER, numbers).equations["eq-sum"] for page in pages]
    assert found == ["1", "0.1", "3"]


def test_pages_beside_the_road_are_counted_under_their_letters():
    numbers = Numbers()
    found = [read_labels(page, CHAPTER, numbers) for page in ("book/other_models", "book/hessians")]
    assert [read.equations["eq-sum"] for read in found] == ["B.1", "C.1"]
    assert [read.boxes["thm-shell"] for read in found] == ["Theorem B.1", "Theorem C.1"]


def test_an_unknown_citation_is_named():
    with pytest.raises(ValueError, match=r"must cite a key of book/references.bib, got 'nobody'"):
        Plain(Book(Path("x.md"))).cell("{cite:p}`nobody`")


def test_an_unknown_object_is_named(project):
    with pytest.raises(ValueError, match=r"pyobject must name a function or class of core\.py, got 'ball'"):
        source_of(project / "core.py", "ball")


def test_a_method_s_source_starts_at_the_margin(tmp_path):
    source = "def log(z):\n    return 0\n\n\nclass Ball:\n    def log(self):\n        return 1\n"
    shutil.copyfile(Path(__file__).resolve().parents[2] / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "core.py").write_text(source)
    assert source_of(tmp_path / "core.py", "Ball.log") == "def log(self):\n    return 1"
    assert source_of(tmp_path / "core.py", "log") == "def log(z):\n    return 0"
    with pytest.raises(ValueError, match=r"got 'Ball\.volume'"):
        source_of(tmp_path / "core.py", "Ball.volume")
