"""Questions people ask: each has its address, and each message that the page quotes is one that comes up."""

import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import distributions, nn
from torch.nn import functional

import riemvae_core as rc

PAGE = (Path(__file__).resolve().parents[2] / "book" / "questions.md").read_text(encoding="utf8")
QUOTES = re.findall(r"```text\n(.*?)\n```", PAGE, re.S)
IMAGES = torch.rand(8, 1, 28, 28, generator=rc.make_generator(0))
BALLS = torch.randn(50, 2, generator=rc.make_generator(0)), torch.full((50, 2), -2.0)


def model(kind: str = "vae", **config) -> nn.Module:
    return rc.make_model(kind, rc.ModelConfig(**config), seed=0)


def no_path_to_the_encoder() -> None:
    mu = torch.zeros(1, requires_grad=True)
    distributions.Normal(mu, 1.0).sample().sum().backward()


def not_a_number(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return x.flatten(1)[:, :2], torch.full((len(x), 2), torch.nan)


def plane() -> rc.LatentSpace:
    return rc.latent_space((lambda x: (x, x - 9), lambda z: z), BALLS[0])


def hasty_chains() -> None:
    metric = rc.PosteriorMetric.fit(*BALLS)
    rc.sample_uniform(metric, 4, rc.make_generator(0), method="hmc", draws=4, warm_up=1)


def another_model() -> None:
    with tempfile.TemporaryDirectory() as folder:
        rc.latent_space(model(), IMAGES).save(f"{folder}/space")
        rc.load_space(f"{folder}/space", rc.make_model("vae", rc.ModelConfig(), seed=1))


def health(mu: torch.Tensor, log_var: torch.Tensor) -> Callable[[], None]:
    def warn() -> None:
        for found in rc.latent_health(mu, log_var).warnings:
            warnings.warn(found, stacklevel=1)

    return warn


MISHAPS: dict[str, Callable[[], object]] = {
    "prior": health(3 * BALLS[0], torch.full((50, 2), -4.0)),
    "collapse": health(torch.zeros(8, 2), torch.zeros(8, 2)),
    "sample": no_path_to_the_encoder,
    "nan in torch": lambda: distributions.Normal(torch.full((2, 3), torch.nan), torch.ones(2, 3)),
    "nan in fit": lambda: rc.fit(model(), IMAGES, epochs=9, lr=1e9, progress=False),
    "nan in an image": lambda: rc.fit(model(), IMAGES * torch.nan, epochs=1, progress=False),
    "a hasty path": lambda: plane().geodesic(*BALLS[0][:2], codes=True, max_steps=1),
    "cross-entropy": lambda: functional.binary_cross_entropy(torch.tensor([1.2]), torch.tensor([1.0])),
    "linear": lambda: nn.Linear(2, 256)(torch.randn(64, 16)),
    "decode": lambda: model().decode(torch.randn(64, 16)),
    "weights": lambda: model(latent_dim=16).load_state_dict(model().state_dict()),
    "log_var": lambda: rc.kl_to_standard_normal(torch.randn(5, 3), torch.randn(5, 1)),
    "image": lambda: model().encode(torch.rand(28, 28)),
    "conv": lambda: model(image_shape=(1, 30, 30), network="conv"),
    "paper-conv": lambda: model(network="paper-conv"),
    "bytes": lambda: rc.latent_space(model(), (255 * IMAGES).byte()),
    "points": lambda: rc.latent_space(model("ae"), IMAGES),
    "finite": lambda: rc.latent_space((not_a_number, lambda z: z), IMAGES),
    "labels": lambda: rc.latent_space(rc.models.make_conditional(rc.ModelConfig(), 0), IMAGES),
    "ends": lambda: plane().geodesic(BALLS[0][0], BALLS[0][1]),
    "sampling": hasty_chains,
    "another model": another_model,
}


def messages(mishap: Callable[[], object]) -> list[str]:
    """What a program says when this happens: its warnings and its error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            mishap()
            said = []
        except (ValueError, RuntimeError, FloatingPointError) as error:
            said = [str(error)]
    return [*said, *(str(warning.message) for warning in caught)]


def fits(quote: str, message: str) -> bool:
    """Whether the quote is the message or whole lines of it; three points stand for anything."""
    pattern = ".*".join(re.escape(piece) for piece in quote.split("..."))
    return re.search(rf"^\s*{pattern}$", message, re.S | re.M) is not None


@pytest.mark.parametrize("name", MISHAPS)
def test_a_mishap_is_quoted_as_it_is_said(no_hook, name):
    said = messages(MISHAPS[name])
    assert said
    assert any(fits(quote, message) for quote in QUOTES for message in said), said


def test_there_is_a_mishap_for_each_quote(no_hook):
    said = [message for mishap in MISHAPS.values() for message in messages(mishap)]
    assert [quote for quote in QUOTES if not any(fits(quote, message) for message in said)] == []


def test_each_question_has_an_address_and_the_words_of_those_who_search():
    asked = re.findall(r"^\((q-[\w-]+)\)=\n### (.+)\n\n\*Also asked as:\* .+\.$", PAGE, re.M)
    assert len(asked) == PAGE.count("\n### ") >= 25
    assert len({label for label, _ in asked}) == len(asked)


def test_every_name_of_the_core_exists():
    names = set(re.findall(r"`rc\.(\w+)", PAGE))
    assert len(names) > 10
    assert [name for name in names if not hasattr(rc, name)] == []
