"""Which version a page is of, under each page, and how that version is cited: both from CITATION.cff."""

from pathlib import Path

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util.docutils import SphinxDirective

ENTRY = """\
@misc{{{key},
  author = {{{{{author}}}}},
  title = {{{title}}},
  year = {{{year}}},
  note = {{Version {version}}},{where}
}}"""


def read_citation(root: Path) -> dict:
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf8"))


def bibtex(said: dict, year: str) -> str:
    """The entry for this version; with a DOI or an address once CITATION.cff has one."""
    author = " and ".join(one["name"] for one in said["authors"])
    where = "".join(f"\n  {name} = {{{said[name]}}}," for name in ("doi", "url") if name in said)
    version, year = said["version"], str(said.get("date-released", year))[:4]
    return ENTRY.format(
        key="balls-codes-geodesics",
        author=author,
        title=said["title"],
        year=year,
        version=version,
        where=where,
    )


class BookCitation(SphinxDirective):
    """`{book-citation}`: the entry for a bibliography."""

    def run(self) -> list[nodes.Node]:
        self.env.note_dependency(str(Path(self.env.srcdir) / "CITATION.cff"))
        text = bibtex(read_citation(Path(self.env.srcdir)), self.config.copyright)
        return [nodes.literal_block(text, text, language="bibtex")]


def say_version(app: Sphinx, config: Config) -> None:
    config.html_theme_options["extra_footer"] = f"<p>Version {read_citation(Path(app.srcdir))['version']}</p>"


def setup(app: Sphinx) -> None:
    app.add_directive("book-citation", BookCitation)
    app.connect("config-inited", say_version, priority=100)
