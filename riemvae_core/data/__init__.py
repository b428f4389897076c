"""Images by name: the bundled sets, the full ones on request, and the formats that they come in.

May import: the ground floor (numerics, neighbors).
Begin with ``load_images`` in ``sets.py``; ``full_sets.py`` finds or downloads what isn't bundled,
``formats.py``, ``idx.py``, ``mat.py`` and ``pickles.py`` read the files, no more of them than ``bounded.py``
lets them; ``drawn.py`` draws sets whose law is known, ``duplicates.py`` finds what stands in a set twice.
"""

from riemvae_core.data.bounded import read_json, read_npz
from riemvae_core.data.downloads import cache_dir
from riemvae_core.data.drawn import (
    DrawnImages,
    draw_images,
    factor_ranges,
    read_factors,
    sample_drawn_images,
)
from riemvae_core.data.duplicates import Duplicates, find_duplicates
from riemvae_core.data.idx import ASSETS
from riemvae_core.data.sets import ImageSet, class_names, data_names, first_of_each_class, load_images

__all__ = [
    "ASSETS",
    "DrawnImages",
    "Duplicates",
    "ImageSet",
    "cache_dir",
    "class_names",
    "data_names",
    "draw_images",
    "factor_ranges",
    "find_duplicates",
    "first_of_each_class",
    "load_images",
    "read_factors",
    "read_json",
    "read_npz",
    "sample_drawn_images",
]
