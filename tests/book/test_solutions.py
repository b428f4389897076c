"""Readers get the chapter without its solutions, and all the rest of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from riemvae_book.solutions import blocks, cell_metadata, strip_solutions

CHAPTER = """\
# Title

:::{exercise} First
:label: ex-one
Do it.
:::

:::{solution} ex-one
:class: dropdown
SECRET one

```python
SECRET two
```
:::

```{code-cell} python
open_cell = 1  # :tags: [solution] is only a comment here
```

```{code-cell} python
:tags: [solution, hide-input]

SECRET three
```

```{code-cell} python
---
tags: [solution]
mystnb:
  image:
    alt: SECRET four
---
SECRET five
```

::::{dropdown} A question
Outer text.

:::{solution} ex-one
SECRET six
:::

More.
::::

```{solution-start} ex-one
:label: sol-one
```
SECRET seven

```{code-cell} python
SECRET eight
```

```{solution-end}
```

The end.
"""


def test_no_solution_is_left():
    assert "SECRET" not in strip_solutions(CHAPTER)


def test_everything_else_is_left():
    stripped = strip_solutions(CHAPTER)
    for kept in (
        "# Title",
        "{exercise} First",
        "Do it.",
        "open_cell = 1",
        "Outer text.",
        "More.",
        "The end.",
    ):
        assert kept in stripped
    assert "\n\n\n" not in stripped


def test_stripping_twice_changes_nothing():
    assert strip_solutions(strip_solutions(CHAPTER)) == strip_solutions(CHAPTER)


@given(st.lists(st.text(st.characters(exclude_characters="`~:{"), max_size=30), max_size=8))
def test_text_without_fences_is_untouched(lines):
    text = "\n".join(lines)
    assert strip_solutions(text) == text


@given(st.integers(3, 6), st.sampled_from("`:~"))
def test_a_fence_closes_with_its_own_kind_and_length(length, character):
    fence = character * length
    lines = [fence + "{solution} ex", "``" if character == "`" else "text", "", fence, "after"]
    assert strip_solutions("\n".join(lines)) == "after"


def test_an_unclosed_solution_hides_all_that_follows():
    assert strip_solutions("before\n\n:::{solution} ex\nSECRET") == "before\n"


def test_blocks_are_the_outermost_ones():
    found = list(blocks(CHAPTER.split("\n")))
    names = [name for _, _, name, _ in found]
    assert names[:6] == ["exercise", "solution", "code-cell", "code-cell", "code-cell", "dropdown"]
    assert found[0][3] == "First"


@pytest.mark.parametrize(
    ("body", "metadata"),
    [
        ([":tags: [solution]", ":name: x", "code"], {"tags": ["solution"], "name": "x"}),
        (["---", "tags: [solution]", "---", "code"], {"tags": ["solution"]}),
        (["x = 1", ":tags: [solution]"], {}),
        ([], {}),
    ],
)
def test_cell_metadata_in_both_spellings(body, metadata):
    assert cell_metadata(body) == metadata
