"""What every study shares: run the jobs that are not yet in the results, write after each, go on after a
kill."""

import json
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from riemvae_core.data import ASSETS

Job = dict[str, Any]


def run_study(
    name: str, settings: dict[str, Any], jobs: Iterable[Job], work: Callable[..., dict[str, Any]]
) -> None:
    """Call ``work(**job)`` for each job; keep ``job | result`` in ``assets/studies/<name>.json`` of the core.

    The file is replaced whole after every job. Results made with other settings are not mixed in: the run
    ends with a sentence that says so.
    """
    target = ASSETS / "studies" / f"{name}.json"
    results = json.loads(target.read_text()) if target.is_file() else {"settings": settings, "runs": []}
    if results["settings"] != settings:
        sys.exit(f"{target.name} was made with other settings: remove it to start over")
    for job in jobs:
        if any(all(run[key] == value for key, value in job.items()) for run in results["runs"]):
            continue
        results["runs"].append(job | work(**job))
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(".partial")
        beside.write_text(json.dumps(results, indent=1) + "\n")
        os.replace(beside, target)
        print(json.dumps(results["runs"][-1]), flush=True)
