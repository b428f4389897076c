"""The VAE that is told labels: its formulas, its training with noise and labels, its errors."""

import dataclasses

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.models import ConditionalVAE, make_conditional, zoo
from riemvae_core.models.training import evaluate, fit

CONFIG = rc.ModelConfig((1, 8, 8), width=12, depth=1, beta=0.5)
DIGITS = rc.load_images("digits")
X, Y = DIGITS.images[:64], DIGITS.labels[:64]


def test_labels_stand_beside_features_and_codes():
    """The same numbers by hand, with the label's columns of each weight picked out."""
    model = make_conditional(CONFIG, 0).double()
    assert isinstance(model, ConditionalVAE)
    x = X.double()
    mu, log_var = model.encode(x, Y)
    for head, found in ((model.mu_head, mu), (model.log_var_head, log_var)):
        by_hand = model.body(x) @ head.weight[:, :12].T + head.weight[:, 12:].T[Y] + head.bias
        properties.close(found, by_hand)
    first = model.decoder[0]
    hidden = mu @ first.weight[:, :2].T + first.weight[:, 2:].T[Y] + first.bias
    properties.close(model.decode(mu, Y), torch.sigmoid(model.decoder[1:](hidden)))


def test_its_loss_is_the_error_and_the_price_of_its_balls():
    model = make_conditional(CONFIG, 0).double()
    (eps,) = properties.random_tensors(1, (64, 2))
    loss = model.losses(X.double(), eps, Y)
    mu, log_var = model.encode(X.double(), Y)
    error = (X - model.decode(mu + eps * (0.5 * log_var).exp(), Y)).square().sum((1, 2, 3))
    properties.close(loss.reconstruction, error)
    properties.close(loss.total, error + 0.5 * rc.kl_to_standard_normal(mu, log_var))
    parts = make_conditional(dataclasses.replace(CONFIG, pull=0.3, barrier=2.0), 0).double()
    price = 0.3 * rc.kl_pull(mu) + 2.0 * rc.kl_barrier(log_var)
    properties.close(parts.losses(X.double(), eps, Y).total, error + 0.5 * price)


def test_training_takes_noise_and_labels(tmp_path):
    """Killed after an epoch it ends as an unbroken run, and wrong labels train another model."""
    ends = {}
    for name, labels in (("whole", Y), ("broken", Y), ("wrong", Y.flip(0))):
        model = make_conditional(CONFIG, 0)
        settings = {"epochs": 3, "batch_size": 16, "progress": False, "checkpoint": tmp_path / name}
        if name == "broken":
            with pytest.raises(KeyboardInterrupt):
                fit(model, X, labels, **settings, callback=_interrupt)
            model = make_conditional(CONFIG, 0)
        fit(model, X, labels, **settings)
        ends[name] = model.mu_head.weight
    assert torch.equal(ends["whole"], ends["broken"])
    assert not torch.allclose(ends["whole"], ends["wrong"])
    first, again = (evaluate(model, X, labels=Y)["total"] for _ in range(2))
    assert first == again


def _interrupt(epoch, _model, _means):
    if epoch == 2:
        raise KeyboardInterrupt


def test_the_shipped_one_needs_the_right_labels():
    test = rc.load_images("fashion", "test")
    model = zoo.load("fashion-labels")
    right, wrong = (
        evaluate(model, test.images[:500], labels=labels)["total"]
        for labels in (test.labels[:500], (test.labels[:500] + 1) % 10)
    )
    plain = evaluate(zoo.load("fashion-vae-2d"), test.images[:500])["total"]
    assert right < plain < wrong  # what the label tells, two axes need not
    assert zoo.shipped_path("fashion-labels").stat().st_size < 3e5


@pytest.mark.usefixtures("no_hook")
def test_what_does_not_fit_is_named():
    model = make_conditional(CONFIG, 0)
    with pytest.raises(ValueError, match=r"y must be \[64\] whole numbers, one label an image, got \[3\]"):
        model.encode(X, Y[:3])
    with pytest.raises(ValueError, match=r"y must be \[64\] whole numbers"):
        model.encode(X, Y.float())
    for label in (-1, 10):
        wrong = Y.clone()
        wrong[[5, 9]] = label
        with pytest.raises(ValueError, match=rf"y must lie in 0 to 9, got {label} in row 5 \(2 rows hold"):
            model.decode(torch.zeros(64, 2), wrong)
    for changes in ({"likelihood": "bernoulli"}, {"linear_output": True}, {"noise": False}):
        with pytest.raises(ValueError, match="config must keep likelihood"):
            make_conditional(rc.ModelConfig(**changes), 0)
