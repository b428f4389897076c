"""What every example in a docstring may use without importing it."""

import math

import pytest
import torch

import riemvae_core


@pytest.fixture(autouse=True)
def _names_of_examples(doctest_namespace: dict) -> None:
    """The names that the reference promises: rc, torch, math."""
    doctest_namespace.update(rc=riemvae_core, torch=torch, math=math)
