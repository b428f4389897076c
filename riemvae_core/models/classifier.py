"""A small classifier of images, whose features say how alike two images look."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from riemvae_core.models.checks import check_image_shape, check_labels, check_sizes
from riemvae_core.numerics import check_finite, chunks, seeded_weights


@dataclass(frozen=True)
class ClassifierConfig:
    """Everything that fixes a classifier's shape; hashed by the zoo.

    ``width`` is the number of channels of the first convolution, ``n_features`` the length of the feature
    vector, ``n_classes`` the number of labels.

    Raises ValueError for a size below 1 and image sides that 4 does not divide.

    Example:
        >>> from riemvae_core.models import ClassifierConfig
        >>> ClassifierConfig(image_shape=(1, 10, 10))
        Traceback (most recent call last):
        ValueError: image_shape must have sides divisible by 4, got (1, 10, 10)
    """

    image_shape: tuple[int, int, int] = (1, 28, 28)
    width: int = 16
    n_features: int = 64
    n_classes: int = 10

    def __post_init__(self) -> None:
        check_sizes(self, n_features=self.n_features, n_classes=self.n_classes)
        if self.image_shape[1] % 4 or self.image_shape[2] % 4:
            raise ValueError(f"image_shape must have sides divisible by 4, got {self.image_shape}")


class ClassifierLosses(NamedTuple):
    """Per image, nothing averaged: cross-entropy in nats, and 1 where the likeliest class is wrong."""

    total: Float[Tensor, " n"]
    error: Float[Tensor, " n"]


class Classifier(nn.Module):
    """Three convolutions, a feature vector, a class; the features stand in for what an eye would compare.

    It plays the part that the Inception network has in the Frechet Inception distance, for small images.

    Used in chapter 9.

    Example:
        >>> from riemvae_core.models import zoo
        >>> classifier, test = zoo.load("fashion-classifier"), rc.load_images("fashion", "test")
        >>> found = classifier.logits(test.images[:200]).argmax(-1)
        >>> (found == test.labels[:200]).double().mean().item() > 0.8
        True
    """

    def __init__(self, config: ClassifierConfig) -> None:
        super().__init__()
        self.config = config
        (c, h, w), k = config.image_shape, config.width
        self.body = nn.Sequential(
            nn.Conv2d(c, k, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2),  # h/2
            nn.Conv2d(k, 2 * k, 3, padding=1), nn.SiLU(), nn.MaxPool2d(2),  # h/4
            nn.Conv2d(2 * k, 4 * k, 3, padding=1), nn.SiLU(), nn.Flatten(),
            nn.Linear(4 * k * (h // 4) * (w // 4), config.n_features), nn.SiLU(),
        )  # fmt: skip
        self.head = nn.Linear(config.n_features, config.n_classes)

    def logits(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n k"]:
        """Log odds of the classes, up to a constant. Raises ValueError for images of another shape."""
        check_image_shape(x, self.config.image_shape)
        return self.head(self.body(x))

    def losses(self, x: Float[Tensor, "n c h w"], labels: Int64[Tensor, " n"]) -> ClassifierLosses:
        """The price of each image's label, nats. Raises ValueError for images or labels that don't fit."""
        check_labels(self, x, labels)
        logits = self.logits(x)
        wrong = (logits.argmax(-1) != labels).to(logits.dtype)
        return ClassifierLosses(functional.cross_entropy(logits, labels, reduction="none"), wrong)

    @torch.no_grad()
    def features(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        """The last layer before the classes, for any number of images, without a graph.

        Raises ValueError for images of another shape or not finite.
        """
        check_image_shape(images, self.config.image_shape)
        check_finite(images=images)
        size = 32 * self.config.width * images[:1].numel()
        return torch.cat([self.body(images[s]) for s in chunks(len(images), size * images.element_size())])


def make_classifier(config: ClassifierConfig, seed: int) -> Classifier:
    """A classifier with weights drawn from the seed, on the CPU; torch's global generator stays as it was.

    Example:
        >>> from riemvae_core.models import ClassifierConfig, make_classifier
        >>> a, b = (
        ...     make_classifier(ClassifierConfig((1, 8, 8), width=4, n_features=12), seed=0) for _ in "ab"
        ... )
        >>> images = rc.load_images("digits", "test").images[:4]
        >>> torch.allclose(a.features(images), b.features(images)), a.features(images).shape
        (True, torch.Size([4, 12]))
    """
    with seeded_weights(seed):
        return Classifier(config)
