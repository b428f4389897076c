"""Source that chapters show: the function as it stands, less the example of its docstring."""

import ast
import inspect
import re

import pytest
from riemvae_book.shown import without_example

import riemvae_core as rc

CODE = '''def half(x):
    """Half of x.

    Units as x has them. Raises nothing.

    Example:
        >>> half(4.0)
        2.0
    """
    return x / 2


def twice(x):
    """Twice x.

    Example:
        >>> twice(2.0)
        4.0
    """
    return 2 * x
'''


def test_examples_go_and_all_else_stays():
    shown = without_example(CODE)
    assert (
        '    """Half of x.\n\n    Units as x has them. Raises nothing.\n    """\n    return x / 2\n' in shown
    )
    assert '    """Twice x."""\n    return 2 * x\n' in shown
    assert without_example(shown) == shown


@pytest.mark.parametrize("thing", [rc.reparameterize, rc.kl_pull, rc.kmeans_step, rc.axis_terms])
def test_what_a_chapter_shows_is_still_the_function(thing):
    code = inspect.getsource(inspect.unwrap(thing))
    shown = without_example(code)
    assert ">>>" in code
    assert ">>>" not in shown
    before, after = ast.parse(code).body[0], ast.parse(shown).body[0]
    assert ast.dump(ast.Module(before.body[1:], [])) == ast.dump(ast.Module(after.body[1:], []))
    assert ast.get_docstring(after) == ast.get_docstring(before).partition("\n\nExample:")[0]


@pytest.mark.browser
def test_no_chapter_shows_an_example(site):
    pages = sorted(site.glob("chapters/*.html"))
    assert len(pages) > 8
    for page in pages:
        text = re.sub(r"<[^>]+>", "", page.read_text(encoding="utf8"))
        assert "Example:" not in text, page.name
        assert "&gt;&gt;&gt;" not in text, page.name
