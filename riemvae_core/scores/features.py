"""What two images are compared by: a trained classifier's features, a random net's, or the pixels."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.models import zoo
from riemvae_core.numerics import check_finite, check_floats, chunks, seeded_weights

#: the features that go by a name
FEATURES = ("classifier", "random", "pixels")
CLASSIFIER, CHANNELS = "fashion-classifier", (32, 64)


def image_features(
    name: str, image_shape: tuple[int, ...], device: torch.device | None = None
) -> Callable[[Float[Tensor, "n ..."]], Float[Tensor, "n f"]]:
    """A function from images to rows of features, for the scores of this room.

    ``classifier``: the last layer of the bundled classifier of Fashion-MNIST, for images ``(1, 28, 28)``, 64
    features. ``random``: two convolutions with weights from a fixed seed, averaged over quarters of the
    image, 256 features: it knows no classes, so it can't favor what a classifier was trained on (Naeem et
    al., 2020, section 3.2). ``pixels``: the image itself as one row. Raises ValueError for another name and
    for images that the features don't fit.

    Example:
        >>> from riemvae_core.scores import image_features
        >>> images = rc.load_images("digits", "test").images
        >>> image_features("random", (1, 8, 8))(images).shape
        torch.Size([360, 256])
    """
    if name == "pixels":
        return lambda images: images.flatten(1)
    if name == "classifier":
        classifier = zoo.load(CLASSIFIER).to(device)
        if tuple(image_shape) != classifier.config.image_shape:
            raise ValueError(
                f"features must be 'random', 'pixels' or a function for images {list(image_shape)}: "
                f"'classifier' reads {list(classifier.config.image_shape)}"
            )
        return classifier.features
    if name != "random":
        raise ValueError(f"features must be a function or one of {', '.join(FEATURES)}, got {name!r}")
    if len(image_shape) != 3:
        raise ValueError(
            f"features must be 'pixels' or a function for items {list(image_shape)}: 'random' reads [c, h, w]"
        )
    with seeded_weights(0):
        net = nn.Sequential(
            nn.Conv2d(image_shape[0], CHANNELS[0], 3, padding=1), nn.SiLU(),
            nn.Conv2d(CHANNELS[0], CHANNELS[1], 3, stride=2, padding=1), nn.SiLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        )  # fmt: skip
    net = net.to(device).eval()

    @torch.no_grad()
    def features(images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
        check_floats(images=images)
        check_finite(images=images)
        each = 4 * 3 * CHANNELS[0] * images[:1].numel()
        return torch.cat([net(images[s].float()) for s in chunks(len(images), each)])

    return features
