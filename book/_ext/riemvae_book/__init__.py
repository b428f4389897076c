"""The book's own Sphinx extension: no other host, an honest cache, figures in the page, no solutions."""

from sphinx.application import Sphinx

from . import (
    bibliography,
    execution,
    facts,
    figures,
    ids,
    numbers,
    questions,
    site,
    solutions,
    sources,
    symbols,
)


def setup(app: Sphinx) -> dict:
    for module in (
        site,
        execution,
        solutions,
        questions,
        figures,
        ids,
        numbers,
        facts,
        sources,
        bibliography,
        symbols,
    ):
        module.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
