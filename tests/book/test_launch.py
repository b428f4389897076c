"""The addresses behind the buttons for Colab and Binder, without asking either."""

from pathlib import Path

import pytest
from riemvae_book.launch import Place, links, read_place
from riemvae_book.notebooks import chapter_pages

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("", None),
        ("https://github.com/lab/notebooks", Place("lab/notebooks", "main", "")),
        ("https://github.com/lab/notebooks.git", Place("lab/notebooks", "main", "")),
        ("https://github.com/lab/note.books/", Place("lab/note.books", "main", "")),
        ("https://github.com/lab/notebooks/tree/v1", Place("lab/notebooks", "v1", "")),
        ("https://github.com/lab/notebooks/tree/v1/a/b", Place("lab/notebooks", "v1", "a/b/")),
    ],
)
def test_an_address_names_a_place(address, place):
    assert read_place(address) == place


@pytest.mark.parametrize(
    "address", ["lab/notebooks", "https://example.org/a/b", "https://github.com/lab", "no"]
)
def test_what_is_no_address_is_said(address):
    with pytest.raises(ValueError, match=r"launch: notebooks in _config[.]yml must be empty or https"):
        read_place(address)


def test_what_has_a_meaning_in_addresses_is_encoded():
    place = Place("lab/notebooks", "v1+x", "week 1&2/")
    assert links(place, "chapters/01_a b") == {
        "Colab": "https://colab.research.google.com/github/"
        "lab/notebooks/blob/v1%2Bx/week%201%262/01_a%20b.ipynb",
        "Binder": "https://mybinder.org/v2/gh/lab/notebooks/v1%2Bx"
        "?urlpath=lab%2Ftree%2Fweek%25201%25262%2F01_a%2520b.ipynb",
    }


def test_every_chapter_s_link_names_its_own_notebook():
    pages = chapter_pages(ROOT)
    place = Place("lab/notebooks", "main", "")
    assert len(pages) > 10
    for page in pages:
        name = f"{Path(page).name}.ipynb"
        assert all(address.endswith(name) for address in links(place, page).values())
