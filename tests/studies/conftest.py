"""The study is no part of the core: its folder is put on the path here."""

import sys
from pathlib import Path

STUDIES = Path(__file__).resolve().parents[2] / "benchmarks" / "studies"
sys.path.append(str(STUDIES))
# Programs that tests start; they import what only the studies need.
collect_ignore = ["killed_study.py", "killed_worker.py"]
