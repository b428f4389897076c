"""The room of data."""

from riemvae_core.data.downloads import cache_dir
from riemvae_core.data.idx import ASSETS
from riemvae_core.data.sets import ImageSet, class_names, data_names, first_of_each_class, load_images

__all__ = [
    "ASSETS",
    "ImageSet",
    "cache_dir",
    "class_names",
    "data_names",
    "first_of_each_class",
    "load_images",
]
