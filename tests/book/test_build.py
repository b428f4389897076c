"""A small book, built by the real extension: what is executed again, and what makes a build fail."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from riemvae_book import policy

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = """\
---
jupytext:
  text_representation: {extension: .md, format_name: myst}
kernelspec:
  name: python3
  display_name: Python 3
---
# A chapter

```{chapter-facts}
```

```{code-cell} python
import riemvae_core
print("VALUE", riemvae_core.VALUE)
```

The prose.
"""
SOLUTION = """
```{code-cell} python
:tags: [solution]

assert riemvae_core.VALUE > 0, "SECRET"
```

```{code-cell} python
print("AFTER", riemvae_core.VALUE)
```
"""
PLOT = """\

```{code-cell} python
%METADATA%
import matplotlib_inline.backend_inline as backend
import matplotlib.pyplot as plt
backend.set_matplotlib_formats("svg")
from myst_nb import glue
plt.plot([0, 1], color="#D4682A")
glue("slope", 1.0, display=False)
%LAST%
```
"""
NAMED = """---
mystnb:
  image:
    alt: A rising line
  figure:
    caption: A line.
    name: fig-line
---"""


class Scratch:
    """A book of one chapter under a path with spaces, with a core of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        shutil.copytree(ROOT / "book" / "_ext", folder / "book" / "_ext")
        for name in ("pyproject.toml", "CITATION.cff"):
            shutil.copyfile(ROOT / name, folder / name)
        config = (ROOT / "_config.yml").read_text()
        config = re.sub(r"html_(css|js)_files: .*", r"html_\1_files: []", config)
        config = config.replace("html_static_path: [book/_static]", "html_static_path: []")
        config = re.sub(r" *html_favicon: .*\n", "", config)
        self.write("_config.yml", config)
        self.list_pages("chapters/01_a")
        self.write("requirements.txt", "nothing\n")
        self.write("book/index.md", "# Home\n")
        self.write("book/references.bib", "")
        self.write("book/_static/palette.json", '{"posterior": {"light": "#D4682A", "dark": "#F3A75C"}}')
        self.write("riemvae_core/__init__.py", "VALUE = 1\n")
        self.write("riemvae_core/figures/__init__.py", "")
        write_static = "def write_static(folder):\n    (folder / 'a.js').write_text('1')\n"
        self.write("riemvae_core/figures/widgets.py", write_static)
        self.write("chapters/01_a.md", CHAPTER)

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def list_pages(self, *pages: str) -> None:
        parts = [{"caption": "All", "chapters": [{"file": page} for page in pages]}]
        self.write("_toc.yml", json.dumps({"format": "jb-book", "root": "book/index", "parts": parts}))

    def build(self, *options: str) -> tuple[int, str]:
        tool = Path(sys.executable).parent / "jupyter-book"
        environment = {**os.environ, "NO_COLOR": "1", "PYTHONPATH": ""}
        command = [sys.executable, str(tool), "build", ".", *options]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    def built(self, page: str) -> str:
        return (self.folder / "_build" / "html" / f"{page}.html").read_text()

    @property
    def page(self) -> str:
        return self.built("chapters/01_a")

    def check_policy(self) -> None:
        """Each page carries the policy and no script of its own, and what was moved is there."""
        html = self.folder / "_build" / "html"
        for name in ("book/index", "chapters/01_a", "search"):
            page = self.built(name)
            assert policy.meta() in page
            assert policy.moved(page, "") == (page, {})
            moved = re.findall(rf'src="(?:\.\./)?({policy.FOLDER}/[^"]+)"', page)
            assert moved
            assert all((html / file).is_file() for file in moved)

    def check_taken_back(self, page: str) -> None:
        """Nothing of a page is left in the site, nor any moved script that no page loads."""
        html = self.folder / "_build" / "html"
        assert list(html.rglob(f"*{page}*")) == []
        pages = [path.read_text() for path in html.rglob("*.html")]
        scripts = {path.name for path in (html / policy.FOLDER).iterdir()}
        assert scripts == {name for text in pages for name in policy.REFERENCE.findall(text)}


@pytest.fixture
def scratch(tmp_path) -> Scratch:
    return Scratch(tmp_path / "a small book")


@pytest.mark.slow
def test_a_change_of_the_core_is_executed_and_one_of_prose_is_not(scratch):
    scratch.write("chapters/02_b.md", "# Another page\n")
    scratch.list_pages("chapters/01_a", "chapters/02_b")
    code, log = scratch.build()
    assert code == 0, log
    assert "VALUE 1" in scratch.page
    assert re.search(r"its code ran in \d+ s on \d+ thread", scratch.page)
    assert re.search(r"chapters/01_a: [\d.]+ s on \d+ threads, executed now", log)
    assert (scratch.folder / "_build/html/_static/riemvae/a.js").exists()
    scratch.check_policy()
    assert not re.search("launch-buttons|Colab|Binder", scratch.page)
    assert "Another page" in scratch.built("chapters/02_b")

    (scratch.folder / "chapters" / "02_b.md").unlink()
    scratch.list_pages("chapters/01_a")
    config = (scratch.folder / "_config.yml").read_text()
    scratch.write("_config.yml", config.replace('notebooks: ""', "notebooks: https://github.com/a/b"))
    scratch.write("chapters/01_a.md", CHAPTER.replace("The prose.", "Other prose."))
    code, log = scratch.build()
    assert code == 0, log
    assert "Other prose." in scratch.page
    scratch.check_policy()
    scratch.check_taken_back("02_b")
    assert 'href="https://colab.research.google.com/github/a/b/blob/main/01_a.ipynb"' in scratch.page
    assert 'href="https://mybinder.org/v2/gh/a/b/main?urlpath=lab%2Ftree%2F01_a.ipynb"' in scratch.page
    pictures = re.findall(r'src="\.\./(_static/images/logo_(?:colab|binder)[^"]*)"', scratch.page)
    assert len(pictures) == 2
    assert all((scratch.folder / "_build" / "html" / picture).exists() for picture in pictures)
    assert not re.search("launch-buttons|Colab", scratch.built("book/index"))
    assert re.search(r"chapters/01_a: [\d.]+ s on \d+ threads, from the cache", log)
    assert "all chapters run again" not in log
    written = (scratch.folder / "_build/jupyter_execute/chapters/01_a.ipynb").read_text()
    assert "VALUE 1" in written  # outputs from the cache, which executed notebooks are made of

    scratch.write("riemvae_core/__init__.py", "VALUE = 2\n")
    scratch.write("chapters/01_a.md", CHAPTER + SOLUTION)
    code, log = scratch.build()
    assert code == 0, log
    assert "VALUE 2" in scratch.page
    assert "all chapters run again, because of a change in riemvae_core" in log
    assert "executed now" in log
    assert "AFTER 2" in scratch.page
    kept = [path for path in (scratch.folder / "_build").rglob("*") if path.is_file()]
    assert [path for path in kept if b"SECRET" in path.read_bytes()] == []
    assert len(list((scratch.folder / "_build" / ".jupyter_cache").iterdir())) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("passage", "fault", "said"),
    [('", riemvae_core.VALUE', '", riemvae_core.NOTHING', "AttributeError"), ("> 0", "> 9", "SECRET")],
)
def test_a_chapter_that_fails_fails_the_build(scratch, passage, fault, said):
    """By its own code, or by that of a solution."""
    scratch.write("chapters/01_a.md", (CHAPTER + SOLUTION).replace(passage, fault))
    code, log = scratch.build()
    assert code != 0
    assert "chapters that did not run to their end: chapters/01_a" in log
    assert said in log


@pytest.mark.slow
def test_a_figure_is_drawn_into_the_page_and_asked_for_its_texts(scratch):
    scratch.write(
        "chapters/01_a.md", CHAPTER + PLOT.replace("%METADATA%", NAMED).replace("%LAST%", "plt.xlabel('z');")
    )
    code, log = scratch.build("-n", "-W", "--keep-going")
    assert code == 0, log
    assert scratch.page.count('aria-label="A rising line"') == 1
    assert "var(--rv-posterior, #d4682a)" in scratch.page
    assert "<img" not in re.search(r"<article.*</article>", scratch.page, re.S)[0]

    scratch.write(
        "chapters/01_a.md", CHAPTER + PLOT.replace("%METADATA%", NAMED).replace("%LAST%", "plt.xlabel('z')")
    )
    code, log = scratch.build("-n", "-W", "--keep-going")
    assert code != 0
    assert "end its last line with a semicolon" in log
    assert "Duplicate explicit target" not in log

    scratch.write("chapters/01_a.md", CHAPTER + PLOT.replace("%METADATA%\n", "").replace("%LAST%", ""))
    code, log = scratch.build("-n", "-W", "--keep-going")
    assert code != 0
    assert "a cell's figure has no alt text" in log
    assert "a cell's figure has no caption" in log


SUMS = '''\
from torch import Tensor
from jaxtyping import Float


def total(mu: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    r"""The sum $\\sum_k\\mu_k$ of chapter 1; see ``twice``.

    mu: what is added, in nats.

    Example:
        >>> 1 + 1
        2
    """
    return mu.sum(-1)


def twice(x: float) -> float:
    """Two of it.

    Example:
        >>> 2 * 2
        4
    """
    return 2 * x
'''
GLOSSARY = """\
# Glossary

```{glossary}
nat
nats
  A unit.
```
"""


@pytest.mark.slow
def test_the_reference_is_made_from_docstrings_and_complete_or_no_book(scratch):
    room = "from riemvae_core.balls.sums import total, twice\n\n__all__ = ['total', 'twice']\n"
    scratch.write("riemvae_core/balls/__init__.py", f'"""What is added."""\n\n{room}')
    scratch.write("riemvae_core/balls/sums.py", SUMS)
    scratch.write("book/reference/balls.md", "# Balls\n\n```{eval-rst}\n.. room:: balls\n```\n")
    scratch.write("book/glossary.md", GLOSSARY)
    scratch.write("chapters/01_a.md", CHAPTER + "\nWe use `balls.total` and `total`.\n")
    scratch.list_pages("chapters/01_a", "book/glossary", "book/reference/balls")
    code, log = scratch.build("-n", "-W", "--keep-going")
    assert code == 0, log
    entry = scratch.built("book/reference/balls")
    signature = re.sub(r"<[^>]+>", "", re.search(r'<dt class="sig[^>]*total">.*?</dt>', entry, re.S)[0])
    assert "total(mu: Tensor[*batch, d]) \u2192 Tensor[*batch]".replace("\u2192", "&#x2192;") in signature
    assert r"\(\sum_k\mu_k\)" in entry
    assert 'href="../../chapters/01_a.html">' in entry  # of chapter 1
    assert "Used in: <a" in entry
    assert 'href="../glossary.html#term-nats"' in entry
    assert 'href="#riemvae_core.balls.twice"' in entry
    assert 'href="../book/reference/balls.html#riemvae_core.balls.total"' in scratch.page
    assert ">total</span></code></a>" not in scratch.page  # a word of the sentence

    scratch.write("riemvae_core/balls/sums.py", SUMS.partition("def twice")[0] + "twice = 2\n")
    scratch.write("riemvae_core/codes/__init__.py", "from riemvae_core.codes.a import f\n\n__all__ = ['f']\n")
    scratch.write("riemvae_core/codes/a.py", 'def f():\n    """F."""\n')
    code, log = scratch.build()
    assert code != 0
    assert "riemvae_core.balls.twice has no comment" in log
    assert "riemvae_core.codes.f has no example" in log
    assert "riemvae_core.codes.f is in no page" in log
    assert "the reference lacks 3 things" in log
