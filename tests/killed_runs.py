"""Train in processes that are killed at chosen and at random moments, start again, keep the final weights.

``python killed_runs.py FOLDER`` is started by test_training.py: a fresh interpreter that forks, so that one
import serves all runs. It trains nothing itself, since only a process of a single thread forks safely. Each
moment leaves ``FOLDER/<moment>.safetensors``, with the number of kills in it.
"""

import os
import random
import signal
import sys
import time
import types
from pathlib import Path

import torch

from riemvae_core.data import load_images
from riemvae_core.models import ModelConfig, make_model, save_atomically, training

EPOCHS = 3
STEPS = EPOCHS * 7  # 200 images in batches of 32


def train(checkpoint, losses=None):
    model = make_model("vae", ModelConfig(image_shape=(1, 8, 8), width=16, depth=1), seed=0)
    if losses is not None:
        counted = losses(model.losses)
        model.losses = types.MethodType(lambda _self, x, eps: counted(x, eps), model)
    images = load_images("digits").images[:200]
    history = training.fit(
        model, images, epochs=EPOCHS, batch_size=32, seed=3, checkpoint=checkpoint, progress=False
    )
    return model.state_dict() | {f"history.{k}": v for k, v in history.losses.items()}


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(n, function, before=None, after=None):
    """The function, with something done before or after its n-th call."""
    calls = 0

    def counted(*arguments):
        nonlocal calls
        calls += 1
        if calls == n and before is not None:
            before(*arguments)
        result = function(*arguments)
        if calls == n and after is not None:
            after()
        return result

    return counted


def tear_and_die(file):
    os.ftruncate(file, 1000)
    die()


def in_step(n):
    return lambda checkpoint: train(checkpoint, lambda losses: at_call(n, losses, after=die))


def around_replace(**kwargs):
    def run(checkpoint):
        os.replace = at_call(2, os.replace, **kwargs)
        train(checkpoint)

    return run


def in_the_middle_of_a_checkpoint(checkpoint):
    os.fsync = at_call(3, os.fsync, before=tear_and_die)
    train(checkpoint)


MOMENTS = {
    "first-step": in_step(1),
    "middle-of-an-epoch": in_step(17),
    "last-step": in_step(STEPS),
    "before-a-checkpoint-takes-its-place": around_replace(before=lambda *_: die()),
    "right-after-a-checkpoint": around_replace(after=die),
    "middle-of-writing-a-checkpoint": in_the_middle_of_a_checkpoint,
}


def fork(run, after_seconds=None):
    """How a process that runs it ends: 0, or the negative number of the signal that ended it."""
    child = os.fork()
    if child == 0:
        signal.alarm(100)  # whatever hangs is ended, and seen
        run()
        os._exit(0)
    if after_seconds is not None:
        time.sleep(after_seconds)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status)


def finish(checkpoint, path, kills):
    """Run to the end, from the checkpoint if there is one, and keep the weights."""

    def run():
        save_atomically(train(checkpoint), path, {"kills": str(kills)})

    assert fork(run) == 0, path.stem


def main(folder):
    torch.set_num_threads(1)
    warm_up()
    began = time.perf_counter()
    finish(None, folder / "unbroken.safetensors", 0)
    seconds = time.perf_counter() - began
    for moment, run in MOMENTS.items():
        checkpoint = folder / f"{moment}.checkpoint"
        kills = fork(lambda run=run, checkpoint=checkpoint: run(checkpoint)) == -signal.SIGKILL
        finish(checkpoint, folder / f"{moment}.safetensors", int(kills))
    dice = random.Random(0)
    for turn in range(4):
        checkpoint = folder / f"random-{turn}.checkpoint"
        ends = [fork(lambda c=checkpoint: train(c), dice.uniform(0, seconds)) for _ in range(4)]
        finish(checkpoint, folder / f"random-{turn}.safetensors", ends.count(-signal.SIGKILL))


def warm_up():
    """Import what is imported late; no gradient is taken, for that would start a thread."""
    load_images("digits")
    weight = torch.zeros(1, requires_grad=True)
    weight.grad = torch.ones(1)
    torch.optim.Adam([weight]).step()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
