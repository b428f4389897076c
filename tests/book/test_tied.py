"""Marks that touch a formula stay with it."""

import pytest
from docutils import nodes
from riemvae_book.tied import tie


@pytest.mark.parametrize(
    ("before", "after", "tied"),
    [
        ("the law (", "), whose", "(z),"),
        ("of ", ".", "z."),
        ("the ", "-th ball", "z-"),
        ("“", "”: so", "“z”:"),
        ("if ", " holds.", None),
        ("a (b) ", " (c)", None),
    ],
)
def test_only_the_marks_that_touch(before, after, tied):
    formula = nodes.math("", "z")
    paragraph = nodes.paragraph("", "", nodes.Text(before), formula, nodes.Text(after))
    tie(formula)
    spans = [node.astext() for node in paragraph.findall(nodes.inline)]
    assert spans == ([tied] if tied else [])
    assert paragraph.astext() == f"{before}z{after}"


def test_a_formula_alone_and_one_beside_another_element():
    alone = nodes.math("", "z")
    beside = nodes.paragraph("", "", nodes.emphasis("", "a"), alone, nodes.strong("", "."))
    tie(alone)
    assert beside.index(alone) == 1
    only = nodes.math("", "z")
    nodes.paragraph("", "", only)
    tie(only)
    assert only.parent.children == [only]


def test_two_formulas_share_no_mark():
    first, second = nodes.math("", "a"), nodes.math("", "b")
    paragraph = nodes.paragraph("", "", first, nodes.Text(","), second, nodes.Text("."))
    tie(first)
    tie(second)
    assert [node.astext() for node in paragraph.findall(nodes.inline)] == ["a,", "b."]
