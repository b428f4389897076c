"""The panel that trains a model in a notebook."""

import re

import pytest

from riemvae_core.data import ImageSet, load_images
from riemvae_core.figures.widgets import panel, train_panel
from riemvae_core.models import ModelConfig

# ---- the panel


@pytest.fixture
def few_images(monkeypatch):
    images, labels = load_images("fashion")
    few = ImageSet(images[:1500], labels[:1500])
    monkeypatch.setattr(panel, "load_images", lambda name: few)


def test_the_panel_trains_and_says_so(in_a_notebook, few_images, no_hook):
    shown = train_panel()
    shown.width.value, shown.epochs.value, shown.beta.value = 32, 2, 0.1
    shown.start.click()
    assert shown.wait(300.0)
    assert shown.error is None
    assert shown.model.config == ModelConfig(width=32, depth=2, beta=0.1)
    assert {name: len(values) for name, values in shown.losses.items()} == {
        "total": 2, "reconstruction": 2, "pull": 2, "barrier": 2,
    }  # fmt: skip
    assert shown.losses["total"][1] < shown.losses["total"][0]
    assert shown.status.value.startswith("Done after 2 epochs")
    assert re.match(r'<img alt="240 balls[^"]*" src="data:image/png;base64,\w', shown.picture.value)
    assert (shown.start.disabled, shown.stop.disabled) == (False, True)


def test_the_panel_stops(in_a_notebook, few_images, no_hook):
    shown = train_panel()
    shown.epochs.value = 60
    shown.start.click()
    assert (shown.start.disabled, shown.stop.disabled) == (True, False)
    first = shown._thread
    shown.start.click()
    assert shown._thread is first
    shown.stop.click()
    assert shown.wait(300.0)
    assert 1 <= len(shown.losses["total"]) < 60
    assert shown.status.value.startswith("Stopped after")


def test_the_panel_reports_errors(in_a_notebook, few_images, monkeypatch):
    def fail(*_arguments, **_keywords):
        raise FloatingPointError("total is nan at step 3 <here>")

    monkeypatch.setattr(panel, "fit", fail)
    shown = train_panel()
    shown.begin()
    assert shown.wait(300.0)
    assert shown.status.value == "<b>FloatingPointError:</b> total is nan at step 3 &lt;here&gt;"
    assert isinstance(shown.error, FloatingPointError)
    assert (shown.start.disabled, shown.stop.disabled) == (False, True)
