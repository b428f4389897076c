"""What a reader runs to see whether an exercise is solved: yours beside what is expected."""

import _thread
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

SECONDS = 60.0


class _Stopped(BaseException):
    """An answer came to no end; no Exception, so that an answer which catches those is stopped too."""


def check(
    yours: Callable[..., Any],
    expected: Callable[..., Any],
    cases: Sequence[Sequence[Any]],
    tolerance: float = 1e-4,
) -> bool:
    """Call both functions on each case, print their values side by side, and say whether all agree.

    Values are numbers, tensors or tuples of them; two agree when shapes are equal and every entry differs by
    at most ``tolerance * (1 + |expected|)``. Shapes are named where they differ; a number's is [].
    A function that gives None is reported as not written yet, and one that takes longer than a minute for a
    case (or what ``RIEMVAE_CHECK_SECONDS`` says) is stopped. Raises ValueError when there are no cases.

    Example:
        >>> from riemvae_core.figures import check
        >>> check(lambda mu: mu**2, lambda mu: 0.5 * mu**2, cases=[(0.0,), (2.0,)])
        case 1: yours 0   expected 0   ok
        case 2: yours 4   expected 2   differs
        1 of 2 differ.
        False
    """
    if not cases:
        raise ValueError("cases must hold at least one tuple of arguments, got none")
    seconds = float(os.environ.get("RIEMVAE_CHECK_SECONDS", SECONDS))
    verdicts = []
    for number, case in enumerate(cases, start=1):
        right = _parts(expected(*case))
        try:
            with _at_most(seconds):
                answer = yours(*case)
        except _Stopped:
            print(f"case {number}: stopped after {seconds:g} seconds (does a loop in your function not end?)")
            return False
        except SystemExit:  # a grader's tests would end with it, and lose the other answers
            print(f"case {number}: your function left Python (sys.exit)")
            return False
        if answer is None:
            print(f"case {number}: not written yet (your function gave None)")
            return False
        left = _parts(answer)
        shapes = _shapes(left), _shapes(right)
        agree = shapes[0] == shapes[1] and all(
            bool(((a - b).abs() <= tolerance * (1.0 + b.abs())).all())
            for a, b in zip(left, right, strict=True)
        )
        verdicts.append(agree)
        verdict = "ok" if agree else "differs"
        if shapes[0] != shapes[1]:
            verdict += f": your shape is {shapes[0]}, expected {shapes[1]}"
        print(f"case {number}: yours {_show(left)}   expected {_show(right)}   {verdict}")
    print("All agree." if all(verdicts) else f"{verdicts.count(False)} of {len(verdicts)} differ.")
    return all(verdicts)


@contextmanager
def _at_most(seconds: float) -> Iterator[None]:
    """Raise _Stopped in here when the time is up, by the interrupt that a keyboard sends."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can be interrupted
        return
    late = inside = False
    before = signal.getsignal(signal.SIGINT)

    def interrupted(number: int, frame: Any) -> None:
        if not late and callable(before):
            before(number, frame)  # somebody did press the keys
        elif inside:
            raise _Stopped

    def stop() -> None:
        nonlocal late
        late = True
        _thread.interrupt_main()

    clock = threading.Timer(seconds, stop)
    clock.daemon = True
    signal.signal(signal.SIGINT, interrupted)
    try:
        clock.start()
        inside = True
        yield
    finally:
        inside = False  # from here on a late interrupt does nothing
        clock.cancel()
        clock.join()
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)


def _parts(value: Any) -> list[torch.Tensor]:
    parts = value if isinstance(value, tuple | list) else (value,)
    return [torch.as_tensor(p, dtype=torch.float64, device="cpu").detach() for p in parts]


def _shapes(parts: list[torch.Tensor]) -> str:
    return " and ".join(str(list(p.shape)) for p in parts)


def _show(parts: list[torch.Tensor]) -> str:
    values = torch.cat([p.flatten() for p in parts])
    shown = ", ".join(f"{v:.4g}" for v in values[:4].tolist())
    return f"[{shown}{', ...' if len(values) > 4 else ''}]" if len(values) != 1 else shown
