"""Where a figure stands: in a build of the book, or in a notebook."""

import pytest


@pytest.fixture
def in_a_book(monkeypatch):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")


@pytest.fixture
def in_a_notebook(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
