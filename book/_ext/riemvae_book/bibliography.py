"""A bibliography whose labels say what the text says: authors and year."""

from collections.abc import Iterator

from pybtex.database import Entry
from pybtex.plugin import register_plugin
from pybtex.style.formatting.unsrt import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx

from .labels import short_authors


class AuthorYearLabels(BaseLabelStyle):
    """`Kingma and Welling 2014`; a letter follows where two works would be called the same."""

    def format_labels(self, sorted_entries: list[Entry]) -> Iterator[str]:
        names = [f"{short_authors(entry)} {entry.fields['year']}" for entry in sorted_entries]
        for at, name in enumerate(names):
            yield name + (chr(ord("a") + names[:at].count(name)) if names.count(name) > 1 else "")


class AuthorYear(Style):
    """The plain style, sorted by author, with these labels."""

    default_label_style = AuthorYearLabels
    default_sorting_style = "author_year_title"


def setup(app: Sphinx) -> None:
    register_plugin("pybtex.style.formatting", "authoryear", AuthorYear)
