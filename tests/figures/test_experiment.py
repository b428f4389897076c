"""The panel that runs a chapter's experiment again at another size."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

from riemvae_core.figures.widgets import experiment
from riemvae_core.figures.widgets.experiment import StaticExperiment


@pytest.fixture
def in_a_notebook(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)


def line_of(size: int) -> Figure:
    figure, ax = plt.subplots()
    ax.plot(range(size))
    return figure


def test_the_button_runs_the_size_that_is_shown(in_a_notebook, capsys):
    ran = []
    panel = experiment(lambda size: ran.append(size) or size**2, "pairs", (5, 50, 2000), 50)
    slider, button = panel.children[0], panel.manual_button
    assert (slider.value, slider.options, button.description) == (50, (5, 50, 2000), "Run")
    slider.value = 2000
    assert ran == []  # moving the slider alone starts nothing
    button.click()
    assert (ran, panel.result) == ([2000], 2000**2)
    said = capsys.readouterr().out
    assert "pairs = 2,000 on " in said
    assert said.rstrip().endswith(" s")
    assert not button.disabled


def test_a_returned_figure_is_not_left_open_to_be_shown_twice(in_a_notebook):
    panel = experiment(line_of, "points", (3, 30), 3)
    panel.update()
    assert len(panel.result.axes[0].lines[0].get_xdata()) == 3
    assert plt.get_fignums() == []


def test_after_an_error_the_button_works_again(in_a_notebook):
    def reciprocal(size: int) -> float:
        return 1 / size

    panel = experiment(reciprocal, "n", (0, 4), 0)
    panel.update()
    assert (panel.result, panel.manual_button.disabled) == (None, False)
    panel.children[0].value = 4
    panel.update()
    assert panel.result == 0.25


def test_a_page_says_what_stands_there_and_runs_nothing(monkeypatch):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")

    def never(size: int) -> None:
        raise AssertionError(size)

    note = experiment(never, "images <n>", (100, 12_000), 100)
    assert isinstance(note, StaticExperiment)
    assert "from 100 to 12,000" in repr(note)
    assert "images &lt;n&gt;" in note._repr_html_()


def test_a_size_that_is_not_offered():
    with pytest.raises(ValueError, match="size must be one of 5, 50, got 7"):
        experiment(line_of, "pairs", (5, 50), 7)
