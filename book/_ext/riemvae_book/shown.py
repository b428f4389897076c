"""Source that a chapter shows: without its docstring's example, which the reference shows and tests run."""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.code import LiteralInclude

EXAMPLE = re.compile(r"\n\n[ ]+Example:\n.*?(?=\n[ ]+\"\"\")", re.S)
ONE_LINE = re.compile(r'("""[^\n"]+)\n[ ]+"""')


def without_example(code: str) -> str:
    """Python source without the section `Example` of its docstrings; one sentence closes on its own line."""
    kept = EXAMPLE.sub("", code)
    return ONE_LINE.sub(r'\1"""', kept) if kept != code else code


class ShownSource(LiteralInclude):
    """Sphinx's `literalinclude`, without examples."""

    def run(self) -> list[nodes.Node]:
        made = super().run()
        for block in (found for node in made for found in node.findall(nodes.literal_block)):
            block.rawsource = without_example(block.astext())
            block[:] = [nodes.Text(block.rawsource)]
        return made


def setup(app: Sphinx) -> None:
    app.add_directive("literalinclude", ShownSource, override=True)
