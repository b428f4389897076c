"""What the tests of the pages beside the road share."""

from pathlib import Path

import torch
from torch import Tensor

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGES = ("reading_the_papers", "other_models", "hessians", "measuring_images")
TEXT = {page: (BOOK / f"{page}.md").read_text(encoding="utf8") for page in PAGES}


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in double precision."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
