"""Student's interval: what it is, how often it holds the truth, how it is written."""

import numpy as np
import properties
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from riemvae_core.intervals import Interval, confidence_interval


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=20), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_interval_is_scipys_student_interval(values, level):
    interval = confidence_interval(values, level)
    v = np.array(values)
    assert interval.mean == pytest.approx(v.mean(), abs=1e-9)
    half = t.ppf((1 + level) / 2, len(v) - 1) * v.std(ddof=1) / len(v) ** 0.5
    assert interval.high - interval.mean == pytest.approx(half, abs=1e-9)
    assert interval.mean - interval.low == pytest.approx(half, abs=1e-9)


def test_interval_covers_the_truth_as_often_as_it_says():
    (samples,) = properties.random_tensors(1, (2000, 5), seed=5)
    intervals = [confidence_interval(row, 0.9) for row in samples]
    share = np.mean([i.low <= 0.0 <= i.high for i in intervals])
    assert abs(share - 0.9) < 5 * (0.9 * 0.1 / 2000) ** 0.5  # binomial, five standard deviations


def test_what_rounds_to_zero_has_no_sign():
    interval = Interval(-0.01, -1.96, 0.02)
    assert f"{interval:.1f}" == "0.0 [-2.0, 0.0]"
    assert f"{interval:.2f}" == "-0.01 [-1.96, 0.02]"
    assert f"{Interval(-0.001, -0.004, -0.5):.0%}" == "0% [0%, -50%]"


def test_interval_takes_tensors_and_writes_itself():
    interval = confidence_interval(torch.tensor([1.0, 2.0, 3.0]))
    assert isinstance(interval, Interval)
    assert f"{interval:.2f}" == "2.00 [-0.48, 4.48]"
    assert f"{interval}" == "2 [-0.484, 4.48]"


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("values", "level", "words"),
    [
        ([1.0], 0.95, ("values", "2", "got 1")),
        ([1.0, 2.0], 1.0, ("level", "between 0 and 1", "1.0")),
        ([1.0, 2.0], "a", ("level", "finite number", "'a'")),
        ("ab", 0.95, ("values", "numbers, one a repetition", "'ab'")),
        ([1.0, None], 0.95, ("values", "[1.0, None]")),
    ],
)
def test_interval_names_what_is_wrong(values, level, words):
    with pytest.raises(ValueError, match="must") as caught:
        confidence_interval(values, level)
    properties.message_names(caught.value, *words)
