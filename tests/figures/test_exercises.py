"""The reader's check: it says yes to the right answer only, and shows both."""

import _thread
import signal
import sys
import threading

import pytest
import torch

from riemvae_core.figures.exercises import check

CASES = [(1.0, 2.0), (3.0, 4.0)]


def add(a, b):
    return a + b


def test_a_right_answer_is_accepted_and_shown(capsys):
    assert check(lambda a, b: torch.tensor(b + a, requires_grad=True), add, CASES)
    assert capsys.readouterr().out.splitlines() == [
        "case 1: yours 3   expected 3   ok",
        "case 2: yours 7   expected 7   ok",
        "All agree.",
    ]


def test_a_wrong_answer_is_refused_and_every_case_is_shown(capsys):
    assert not check(lambda a, b: a + b + (a > 2), add, CASES)
    assert capsys.readouterr().out.splitlines() == [
        "case 1: yours 3   expected 3   ok",
        "case 2: yours 8   expected 7   differs",
        "1 of 2 differ.",
    ]


def test_an_unwritten_function_is_no_answer(capsys):
    assert not check(lambda a, b: None, add, CASES)
    assert "not written yet" in capsys.readouterr().out


def endless(a, b):
    while True:
        try:
            a = a + b
        except Exception:  # what a loop is made of that nothing ends
            a = 0


def test_an_answer_without_an_end_is_stopped_and_said(capsys, monkeypatch):
    monkeypatch.setenv("RIEMVAE_CHECK_SECONDS", "0.2")
    before = signal.getsignal(signal.SIGINT)
    assert not check(endless, add, CASES)
    said = "case 1: stopped after 0.2 seconds (does a loop in your function not end?)\n"
    assert capsys.readouterr().out == said
    assert signal.getsignal(signal.SIGINT) is before
    assert check(add, add, CASES)


def test_an_answer_in_time_is_not_stopped_later(monkeypatch):
    """Hundreds of clocks that are stopped or run out at the very end: none interrupts what comes after."""
    monkeypatch.setenv("RIEMVAE_CHECK_SECONDS", "0.0002")
    for _ in range(500):
        check(add, add, CASES[:1])
    threading.Event().wait(0.05)


def test_the_reader_s_own_interrupt_goes_through():
    with pytest.raises(KeyboardInterrupt):
        check(lambda: _thread.interrupt_main(), lambda: 1.0, [()])


def test_an_error_of_the_answer_is_the_reader_s_to_see():
    with pytest.raises(ZeroDivisionError):
        check(lambda a, b: 1 / 0, add, CASES)


def test_an_answer_that_leaves_python_is_no_answer(capsys):
    assert not check(lambda a, b: sys.exit(0), add, CASES)
    assert capsys.readouterr().out == "case 1: your function left Python (sys.exit)\n"


def test_beside_the_main_thread_answers_are_compared_as_ever():
    verdicts = []
    thread = threading.Thread(target=lambda: verdicts.append(check(add, add, CASES)))
    thread.start()
    thread.join()
    assert verdicts == [True]


@pytest.mark.parametrize(
    "wrong",
    [torch.zeros(3, 2), torch.zeros(6), torch.zeros(2, 2), torch.full((2, 3), float("nan")), 0.0],
    ids=["transposed", "flattened", "smaller", "nan", "a number"],
)
def test_shape_and_nan_count(wrong):
    assert not check(lambda: wrong, lambda: torch.zeros(2, 3), [()])


@pytest.mark.parametrize(
    ("yours", "expected", "shapes"),
    [
        (torch.full((1,), 0.5), 0.5, "your shape is [1], expected []"),
        (torch.ones(3, 1), torch.ones(3), "your shape is [3, 1], expected [3]"),
        ((torch.ones(2), 1.0), torch.ones(3), "your shape is [2] and [], expected [3]"),
    ],
    ids=["a row for a number", "a column", "a tuple"],
)
def test_shapes_are_named_where_they_differ(capsys, yours, expected, shapes):
    """The values shown are the same on both sides; only the shape tells a reader what to mend."""
    assert not check(lambda: yours, lambda: expected, [()])
    assert capsys.readouterr().out.splitlines()[0].endswith(f"differs: {shapes}")


def test_equal_shapes_are_not_named(capsys):
    check(lambda: torch.zeros(2, 3), lambda: torch.ones(2, 3), [()])
    assert "shape" not in capsys.readouterr().out


def test_tuples_are_compared_part_by_part():
    pair = (torch.ones(2), 3.0)
    assert check(lambda: [torch.ones(2), 3], lambda: pair, [()])
    assert not check(lambda: (torch.ones(2), 4.0), lambda: pair, [()])
    assert not check(lambda: (torch.ones(3),), lambda: pair, [()])


@pytest.mark.parametrize(("error", "verdict"), [(0.9, True), (1.1, False)])
def test_the_tolerance_is_relative_to_one_plus_the_answer(error, verdict):
    assert check(lambda: 10.0 + error * 0.01 * 11, lambda: 10.0, [()], tolerance=0.01) is verdict


def test_long_answers_are_shortened(capsys):
    check(lambda: torch.arange(6.0), lambda: torch.arange(6.0), [()])
    assert "[0, 1, 2, 3, ...]" in capsys.readouterr().out


def test_cases_must_be_there():
    with pytest.raises(ValueError, match="cases must hold at least one tuple of arguments, got none"):
        check(add, add, [])
