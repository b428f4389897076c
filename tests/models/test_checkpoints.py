"""A run that was killed or stopped goes on as if nothing had happened."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from killed_runs import EPOCHS, MOMENTS
from safetensors.torch import save_file
from training_cases import DIGITS, QUIET, same_weights, small

from riemvae_core.models import read_tensors, save_atomically
from riemvae_core.models.training import (
    fit,
)

# --- checkpoints


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder that killed_runs.py filled."""
    folder = tmp_path_factory.mktemp("killed")
    root = Path(__file__).resolve().parents[2]
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    environment = os.environ | one_thread | {"PYTHONPATH": str(root)}
    script = [sys.executable, str(root / "tests" / "killed_runs.py"), str(folder)]
    ran = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("moment", [*MOMENTS, *(f"random-{turn}" for turn in range(4))])
def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(killed, moment):
    _, expected = read_tensors(killed / "unbroken.safetensors")
    metadata, weights = read_tensors(killed / f"{moment}.safetensors")
    if moment in MOMENTS:
        assert metadata["kills"] == "1"
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[k], expected[k]) for k in expected)
    assert len(weights["history.total"]) == EPOCHS


def test_a_stopped_run_goes_on_from_where_it_stopped(tmp_path):
    broken, whole, path = small(), small(), tmp_path / "deep" / "run.checkpoint"
    fit(broken, DIGITS, checkpoint=path, callback=lambda epoch, _net, _means: epoch == 2, **QUIET)
    again = small()
    epochs = []
    history = fit(again, DIGITS, checkpoint=path, callback=lambda e, _net, _means: epochs.append(e), **QUIET)
    expected = fit(whole, DIGITS, **QUIET)
    assert epochs == [3]
    assert same_weights(again, whole)
    assert torch.equal(history.losses["total"], expected.losses["total"])
    assert history.epochs == 3
    finished = small()
    assert fit(finished, DIGITS, checkpoint=str(path), **QUIET).epochs == 3
    assert same_weights(finished, whole)


def test_a_callback_runs_before_its_epochs_checkpoint_is_written(tmp_path):
    path, found = tmp_path / "run.checkpoint", []

    def look(_epoch, _net, _means):
        found.append(read_tensors(path)[0]["done"] if path.exists() else None)

    fit(small(), DIGITS, checkpoint=path, callback=look, **QUIET)
    assert found == [None, "1", "2"]
    assert read_tensors(path)[0]["done"] == "3"


@pytest.mark.parametrize(
    ("model", "images", "changes"),
    [
        (small(), DIGITS, {"lr": 0.5}),
        (small(), DIGITS, {"epochs": 4}),
        (small(), DIGITS, {"seed": 9}),
        (small(), DIGITS, {"batch_size": 16}),
        (small(), DIGITS[:150], {}),
        (small(), 1 - DIGITS, {}),
        (small(beta=2.0), DIGITS, {}),
        (small("ae"), DIGITS, {}),
    ],
    ids=["lr", "epochs", "seed", "batch size", "fewer images", "other images", "beta", "kind"],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, model, images, changes):
    path = tmp_path / "run.checkpoint"
    fit(small(), DIGITS, checkpoint=path, **QUIET)
    before = path.read_bytes()
    with pytest.raises(
        ValueError, match=r"checkpoint run\.checkpoint must be of this run .* got .* remove it"
    ):
        fit(model, images, checkpoint=path, **(QUIET | changes))
    assert path.read_bytes() == before


def test_a_file_that_is_no_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.checkpoint"
    path.write_bytes(b"half a file")
    with pytest.raises(ValueError, match=r"run\.checkpoint must be a safetensors file"):
        fit(small(), DIGITS, checkpoint=path, **QUIET)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match=r"run\.checkpoint must be of this run"):
        fit(small(), DIGITS, checkpoint=path, **QUIET)


def forged(path, metadata=(), **tensors):
    """A checkpoint with other metadata or tensors."""
    told, held = read_tensors(path)
    held = {k: v.clone() for k, v in held.items()} | tensors
    save_atomically(held, path, told | dict(metadata))


@pytest.mark.parametrize(
    "metadata",
    [
        {"done": "0"}, {"done": "-1"}, {"done": "4"}, {"done": "9" * 5000}, {"done": "many"}, {"done": "nan"},
        {"means": "[]"}, {"means": "{}"}, {"means": '{"total": [1.0]}'}, {"means": '{"total": "abc"}'},
        {"means": "[" * 100_000}, {"means": "<html>"}, {"seconds": "nan"}, {"seconds": "-1"},
    ],
    ids=str,
)  # fmt: skip
def test_a_checkpoint_that_says_what_cannot_be_is_refused_and_the_model_kept(tmp_path, metadata):
    path, net = tmp_path / "run.checkpoint", small()
    fit(small(), DIGITS, checkpoint=path, **QUIET)
    forged(path, metadata)
    with pytest.raises(ValueError, match=r"checkpoint run\.checkpoint must be whole, got a damaged one"):
        fit(net, DIGITS, checkpoint=path, **QUIET)
    assert same_weights(net, small())


@pytest.mark.parametrize(
    "tensors",
    [
        {"optimizer.0.exp_avg": torch.zeros(3)},
        {"optimizer.0.exp_avg": torch.tensor(torch.nan)},
        {"optimizer.99.exp_avg": torch.zeros(())},
        {"optimizer.0": torch.zeros(())},
        {"generator": torch.zeros(8, dtype=torch.uint8)},
        {"generator": torch.zeros(5056, dtype=torch.uint8)},
        {"model.more": torch.zeros(2)},
    ],
    ids=["shape", "nan", "place", "name", "short state", "empty state", "more"],
)
def test_a_checkpoint_of_other_tensors_is_refused_and_the_model_kept(tmp_path, tensors):
    path, net = tmp_path / "run.checkpoint", small()
    fit(small(), DIGITS, checkpoint=path, **QUIET)
    forged(path, **tensors)
    with pytest.raises(ValueError, match=r"checkpoint run\.checkpoint must be whole, got a damaged one"):
        fit(net, DIGITS, checkpoint=path, **QUIET)
    assert same_weights(net, small())
