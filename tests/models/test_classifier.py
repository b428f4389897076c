"""The classifier: its price against torch's, its features in batches, and that it learns what labels say."""

import properties
import pytest
import torch
from torch.nn import functional

from riemvae_core.data import load_images
from riemvae_core.models import classifier, training, zoo
from riemvae_core.models.classifier import Classifier, ClassifierConfig, ClassifierLosses, make_classifier
from riemvae_core.models.training import evaluate, fit
from riemvae_core.numerics import chunks

DIGITS = ClassifierConfig(image_shape=(1, 8, 8), width=4, n_features=12)
QUIET = {"epochs": 3, "batch_size": 32, "progress": False}


def batch(n=30):
    images, labels = load_images("digits")
    return images[:n], labels[:n]


def test_the_losses_are_torchs_cross_entropy_and_the_wrong_answers():
    model, (x, labels) = make_classifier(DIGITS, seed=0), batch()
    losses, logits = model.losses(x, labels), model.logits(x)
    assert isinstance(losses, ClassifierLosses)
    assert logits.shape == (30, 10)
    properties.close(
        losses.total, functional.nll_loss(torch.log_softmax(logits, -1), labels, reduction="none")
    )
    assert losses.error.tolist() == [float(a != b) for a, b in zip(logits.argmax(1), labels, strict=True)]


@pytest.mark.parametrize("budget", [2**27, 10_000, 1])
def test_features_come_in_batches_and_make_the_logits(monkeypatch, budget):
    monkeypatch.setattr(classifier, "chunks", lambda n, size: chunks(n, size, budget))
    model, (x, _) = make_classifier(DIGITS, seed=0), batch()
    features = model.features(x)
    assert features.shape == (30, 12)
    assert not features.requires_grad
    properties.close(model.head(features), model.logits(x), 1e-5, 1e-6)


def test_a_seed_is_a_classifier_and_torchs_generator_is_left_alone():
    state = torch.get_rng_state()
    a, b, c = (make_classifier(DIGITS, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not torch.equal(a["head.weight"], c["head.weight"])
    assert all(torch.equal(a[k], v) is False for k, v in Classifier(DIGITS).state_dict().items())


@pytest.mark.usefixtures("no_hook")
def test_it_learns_digits_and_nothing_from_shuffled_labels():
    (images, labels), test = load_images("digits"), load_images("digits", "test")
    errors = []
    for given in (labels, labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]):
        model = make_classifier(DIGITS, seed=0)
        fit(model, images, given, epochs=8, batch_size=32, lr=1e-2, progress=False)
        errors.append(evaluate(model, test.images, labels=test.labels)["error"])
    assert errors[0] < 0.1
    assert errors[1] > 0.7


# --- training with labels


def test_training_is_adam_with_a_cosine_written_out():
    model, twin, (x, labels) = make_classifier(DIGITS, seed=0), make_classifier(DIGITS, seed=0), batch(100)
    history = fit(model, x, labels, **QUIET)
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=3 * 4)
    for _ in range(3):
        for rows in torch.randperm(100, generator=generator).split(32):
            optimizer.zero_grad()
            functional.cross_entropy(twin.logits(x[rows]), labels[rows]).backward()
            optimizer.step()
            schedule.step()
    for name, weight in twin.state_dict().items():
        properties.close(model.state_dict()[name], weight, 1e-4, 1e-5)
    assert list(history.losses) == ["total", "error"]


def test_a_stopped_run_goes_on_from_where_it_stopped_and_other_labels_are_refused(tmp_path):
    broken, again, whole = (make_classifier(DIGITS, seed=0) for _ in range(3))
    (x, labels), path = batch(100), tmp_path / "run.checkpoint"
    fit(broken, x, labels, checkpoint=path, callback=lambda epoch, _net, _means: epoch == 2, **QUIET)
    with pytest.raises(ValueError, match=r"checkpoint run\.checkpoint must be of this run"):
        fit(again, x, labels.roll(1), checkpoint=path, **QUIET)
    fit(again, x, labels, checkpoint=path, **QUIET)
    fit(whole, x, labels, **QUIET)
    assert all(torch.equal(again.state_dict()[k], v) for k, v in whole.state_dict().items())


def test_evaluate_means_over_images_with_their_labels(monkeypatch):
    model, (x, labels) = make_classifier(DIGITS, seed=0), batch()
    parts, by_hand = evaluate(model, x, labels=labels), model.losses(x, labels)
    for name, part in by_hand._asdict().items():
        assert parts[name] == pytest.approx(part.mean().item(), rel=1e-5)
    monkeypatch.setattr(training, "chunks", lambda n, each: chunks(n, each, budget=7 * each))
    assert evaluate(model, x, labels=labels) == pytest.approx(parts, rel=1e-5)


@pytest.mark.usefixtures("no_hook")
def test_labels_that_do_not_fit_the_images_are_named():
    model, (x, labels) = make_classifier(DIGITS, seed=0), batch()
    for call in (lambda: fit(model, x, labels[:7], **QUIET), lambda: evaluate(model, x, labels=labels[:7])):
        with pytest.raises(ValueError, match=r"labels must be \[30\], one an image, got \[7\]"):
            call()


# --- what is shipped


def test_shipped_weights_reach_nine_in_ten_on_images_not_trained_on():
    model, test = zoo.load("fashion-classifier"), load_images("fashion", "test")
    assert evaluate(model, test.images, labels=test.labels)["error"] < 0.1
    features = model.features(test.images)
    assert features.shape == (2000, 64)
    assert (features.std(0) > 0.01).all()


def test_features_put_alike_images_together():
    """Nearest neighbors by features are of the same class more often than by pixels."""
    model, test = zoo.load("fashion-classifier"), load_images("fashion", "test")
    shares = []
    for points in (model.features(test.images), test.images.flatten(1)):
        distances = torch.cdist(points, points).fill_diagonal_(torch.inf)
        shares.append((test.labels[distances.argmin(1)] == test.labels).float().mean().item())
    assert shares[0] > shares[1] + 0.03


@pytest.mark.usefixtures("meta_while_training")
def test_nothing_is_made_on_a_default_device():
    model, (x, labels) = make_classifier(DIGITS, seed=0), batch()
    assert {p.device.type for p in model.parameters()} == {"cpu"}
    fit(model, x, labels, epochs=1, progress=False)
    assert model.features(x).device.type == "cpu"
    assert Classifier(DIGITS).features(x.to("meta")).device.type == "meta"


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ClassifierConfig(width=0), ("width", "at least 1", "got 0")),
        (lambda: ClassifierConfig(image_shape=(1, 30, 28)), ("image_shape", "divisible by 4", "(1, 30, 28)")),
        (lambda: Classifier(DIGITS).logits(torch.zeros(2, 1, 8, 9)), ("[n, 1, 8, 8]", "[2, 1, 8, 9]")),
        (lambda: Classifier(DIGITS).features(torch.zeros(1, 8, 8)), ("[n, 1, 8, 8]", "[1, 8, 8]")),
    ],
)
def test_what_does_not_fit_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
