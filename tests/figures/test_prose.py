"""Numbers that cells hand to the text."""

import sys

import myst_nb

from riemvae_core.figures.prose import say


def test_values_are_glued_under_hyphenated_names_and_not_shown(monkeypatch, capsys):
    glued = []
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    monkeypatch.setattr(myst_nb, "glue", lambda name, value, display: glued.append((name, value, display)))
    assert say(far_ae=0.4, n=3) is None
    assert glued == [("far-ae", 0.4, False), ("n", 3, False)]
    assert capsys.readouterr().out == ""


def test_a_notebook_outside_the_book_needs_no_myst_nb(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    monkeypatch.setitem(sys.modules, "myst_nb", None)  # an import of it fails
    assert say(far_ae=0.4) is None
