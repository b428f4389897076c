"""Training: one run written out, a known answer, several devices, faults."""

import math
import types

import properties
import pytest
import torch
from training_cases import DIGITS, QUIET, same_weights, small

from riemvae_core.models.training import History, evaluate, fit
from riemvae_core.models.vae import ModelConfig, make_model

# --- one run


@pytest.mark.parametrize("kind", ["ae", "vae"])
def test_training_depends_on_the_seed_alone(kind):
    models = [small(kind) for _ in range(3)]
    state = torch.get_rng_state()
    histories = [fit(m, DIGITS, seed=s, **QUIET) for m, s in zip(models, (5, 5, 6), strict=True)]
    assert torch.equal(torch.get_rng_state(), state)
    assert same_weights(models[0], models[1])
    assert torch.equal(histories[0].losses["total"], histories[1].losses["total"])
    assert not same_weights(models[0], models[2])


def written_out(model, images, lr=1e-3, seed=0, whole=1):
    """Mean losses of three epochs with torch's scheduler, batches of 32 cut to a multiple of ``whole``."""
    generator = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3 * 7)
    means = []
    for _ in range(3):
        seen = []
        for batch in torch.randperm(len(images), generator=generator).split(32):
            batch = batch[: len(batch) // whole * whole]
            eps = torch.randn(len(batch), 2, generator=generator)
            optimizer.zero_grad()
            total = model.losses(images[batch], eps).total
            total.mean().backward()
            optimizer.step()
            schedule.step()
            seen.append(total.detach())
        means.append(torch.cat(seen).mean())
    return torch.stack(means)


def close_weights(a, b):
    for name, weight in b.state_dict().items():
        properties.close(a.state_dict()[name], weight, 1e-4, 1e-5)


def test_training_is_adam_with_a_cosine_written_out():
    model, oracle = small(), small()
    history = fit(model, DIGITS, lr=0.01, seed=4, **QUIET)
    properties.close(history.losses["total"], written_out(oracle, DIGITS, lr=0.01, seed=4), 1e-5, 1e-5)
    close_weights(model, oracle)


def test_history_holds_the_mean_of_each_part_over_each_epoch():
    model, seen = small(), []
    losses = model.losses

    def recorded(_self, x, eps):
        seen.append(losses(x, eps)._asdict())
        return losses(x, eps)

    model.losses = types.MethodType(recorded, model)
    history = fit(model, DIGITS, **QUIET)
    assert isinstance(history, History)
    assert history.epochs == 3
    assert history.seconds > 0
    assert list(history.losses) == ["total", "reconstruction", "pull", "barrier"]
    for name, values in history.losses.items():
        batches = [parts[name].detach() for parts in seen]
        by_hand = torch.stack([torch.cat(batches[7 * e : 7 * e + 7]).mean() for e in range(3)])
        properties.close(values, by_hand, 1e-5, 1e-5)
    assert history.losses["total"][-1] < history.losses["total"][0]


def test_a_callback_sees_every_epoch_and_can_stop():
    calls = []

    def stop_at_two(epoch, net, means):
        calls.append((epoch, net, means))
        net.eval()  # what a callback may do is undone for the next epoch
        return epoch == 2

    model = small()
    history = fit(model, DIGITS, callback=stop_at_two, **QUIET)
    assert [c[0] for c in calls] == [1, 2]
    assert all(c[1] is model for c in calls)
    assert [c[2]["total"] for c in calls] == pytest.approx(history.losses["total"].tolist())
    assert history.epochs == 2


def test_every_epoch_trains_in_training_mode():
    model, modes = small(), []
    losses = model.losses

    def recorded(self, x, eps):
        modes.append(self.training)
        return losses(x, eps)

    model.losses = types.MethodType(recorded, model)
    fit(model, DIGITS, callback=lambda _epoch, net, _means: net.eval() is None, **QUIET)
    assert modes == [True] * 21
    assert not model.training


def test_the_model_ends_on_its_device_in_eval_mode_even_when_it_fails():
    model = small(linear_output=True).train()
    with pytest.raises(FloatingPointError):
        fit(model, DIGITS, lr=1e30, **QUIET)
    assert not model.training
    assert next(model.parameters()).device == torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("64-true", torch.float64), ("bf16-mixed", torch.float32)])
def test_other_precisions_train_too(precision, dtype):
    model, reference = small(), small()
    history = fit(model, DIGITS, precision=precision, **QUIET)
    expected = fit(reference, DIGITS, **QUIET)
    assert next(model.parameters()).dtype == dtype
    properties.close(history.losses["total"], expected.losses["total"], 0.02, 0.02)


@pytest.mark.parametrize(
    ("progress", "book", "drawn"), [(True, "1", True), (None, None, True), (None, "1", False)]
)
def test_the_bar_is_drawn_except_in_a_build_of_the_book(monkeypatch, capsys, progress, book, drawn):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    if book:
        monkeypatch.setenv("RIEMVAE_BOOK", book)
    fit(small(), DIGITS, epochs=1, batch_size=100, progress=progress)
    said = capsys.readouterr().err
    assert ("2/2" in said) is drawn
    assert ("barrier=" in said) is drawn


# --- a known answer


@pytest.mark.slow
@pytest.mark.usefixtures("no_hook")
def test_a_linear_vae_finds_probabilistic_pca():
    r"""Lucas et al. (2019): with decoder variance beta/2 the optimum is pPCA.

    Along the axis of eigenvalue lambda: sigma^2 = beta/(2 lambda) and E mu^2 = 1 - sigma^2 where
    lambda > beta/2; an axis below that collapses to the prior. The expected error of a reconstruction then is
    beta/2 for each live axis plus the eigenvalues of the dead ones.
    """
    beta, eigenvalues = 1.0, torch.tensor([6.0, 2.0, 0.2], dtype=torch.float64)
    white, frame = properties.random_tensors(2, (512, 3))[0], properties.random_tensors(1, (12, 3), seed=1)[0]
    white = white - white.mean(0)
    white = white @ torch.linalg.inv(torch.linalg.cholesky(white.T @ white / 512).T)  # covariance exactly I
    axes = torch.linalg.qr(frame).Q
    images = ((white * eigenvalues.sqrt()) @ axes.T).reshape(512, 1, 3, 4).float()
    config = ModelConfig(image_shape=(1, 3, 4), latent_dim=3, depth=0, linear_output=True, beta=beta)
    model = make_model("vae", config, seed=0)
    fit(model, images, epochs=250, batch_size=128, lr=0.02, progress=False)
    with torch.no_grad():
        mu, log_var = model.encode(images)
    spread, order = mu.double().square().mean(0).sort(descending=True)
    sigma2 = log_var.double().exp().mean(0)[order]
    expected = (beta / (2 * eigenvalues)).clamp(max=1.0)
    properties.close(sigma2, expected, rtol=0.03, atol=0.01)
    properties.close(spread, 1 - expected, rtol=0.03, atol=0.01)
    parts = evaluate(model, images.repeat(20, 1, 1, 1))
    kl = 0.5 * (-expected.log()).sum().item()
    assert parts["pull"] + parts["barrier"] == pytest.approx(kl, rel=0.03)
    assert parts["reconstruction"] == pytest.approx(2 * beta / 2 + 0.2, rel=0.05)


# --- several devices


@pytest.mark.slow
def test_two_processes_do_what_one_does():
    """Both see the same batches and noise; the last batch drops one image, so that two can share it."""
    images, model, oracle = DIGITS[:199], small(), small()
    history = fit(model, images, devices=2, strategy="ddp_spawn", **QUIET)
    properties.close(history.losses["total"], written_out(oracle, images, whole=2), 1e-5, 1e-5)
    close_weights(model, oracle)
    assert history.epochs == 3


# --- faults


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_bad_image_is_named_before_a_step_is_taken(bad):
    images = DIGITS.clone()
    images[-1, 0, 0, 0] = bad
    for run in (fit, evaluate):
        with pytest.raises(ValueError, match="images must be finite") as caught:
            run(small(), images, **(QUIET if run is fit else {}))
        properties.message_names(caught.value, f"got {bad} in row 199 ", "1 of 200 rows")


def test_a_run_that_blows_up_names_the_first_part_that_did():
    first = r"(reconstruction|pull|barrier) is (nan|inf) at step 1 \(epoch 1\)"
    with pytest.raises(FloatingPointError, match=first):
        fit(small(linear_output=True), DIGITS, lr=1e30, **QUIET)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("images", "changes", "words"),
    [
        (DIGITS, {"epochs": 0}, ("epochs", "at least 1", "got 0")),
        (DIGITS, {"batch_size": 0}, ("batch_size", "at least 1", "0")),
        (DIGITS, {"lr": 0.0}, ("lr", "positive", "0.0")),
        (DIGITS, {"lr": float("nan")}, ("lr", "positive", "nan")),
        (DIGITS[0], {}, ("images", "[n, c, h, w]", "[1, 8, 8]")),
        (DIGITS[:0], {}, ("images", "n at least 1", "[0, 1, 8, 8]")),
        (DIGITS, {"devices": 3}, ("batch_size", "multiple of devices (3)", "32")),
        (DIGITS[..., 1:], {}, ("images must be [n, 1, 8, 8]", "[200, 1, 8, 7]")),
        (DIGITS, {"seed": -1}, ("seed", "at least 0", "-1")),
    ],
)
def test_bad_arguments_are_named(images, changes, words):
    with pytest.raises(ValueError, match="must be") as caught:
        fit(small(), images, **(QUIET | changes))
    properties.message_names(caught.value, *words)


def test_the_size_of_a_batch_beyond_the_set_is_one_step_an_epoch():
    model = small()
    history = fit(model, DIGITS, epochs=2, batch_size=1000, progress=False)
    assert history.epochs == 2
    assert math.isfinite(history.losses["total"][-1])
