"""Pictures that a study keeps beside its numbers."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.data import ASSETS, read_npz


def load_pictures(name: str) -> dict[str, Float[Tensor, "n 1 h w"]]:
    """The pictures of a study by name, rows of images with values in [0, 1], as its script keeps them.

    Raises ValueError for a study that keeps none. Used in chapter 1.

    Example:
        >>> from riemvae_core.models import zoo
        >>> zoo.load_pictures("dimensions")["images"].shape  # ten held-out photographs
        torch.Size([10, 1, 28, 28])
    """
    known = sorted(path.stem for path in (ASSETS / "studies").glob("*.npz"))
    if name not in known:
        raise ValueError(f"name must be a study with pictures ({', '.join(known) or 'none'}), got {name!r}")
    rows = read_npz(ASSETS / "studies" / f"{name}.npz")
    return {key: torch.from_numpy(some).float()[:, None] / 255 for key, some in rows.items()}
