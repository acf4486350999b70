"""How soon the command line answers, beside the import of TensorFlow that it replaces.

    startup.py [--runs N]

Runs whole processes in turn, one of each kind a round, and prints the median of each and the median of the ratios
round by round. TensorFlow is taken from the oracle's environments (fixtures/oracle/venv.sh); without one of them its
row is left out, and said so.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FIXTURES = ROOT / "fixtures"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    ferry = [sys.executable, "-m", "tensorferry"]
    ours = {
        "tensorferry --help": [*ferry, "--help"],
        "inspect add": [*ferry, "inspect", str(FIXTURES / "add" / "model.ckpt")],
        "inspect mnist (1,060 nodes)": [*ferry, "inspect", str(FIXTURES / "mnist" / "model.ckpt")],
        "inspect encoder (618 nodes)": [*ferry, "inspect", str(FIXTURES / "encoder" / "model.ckpt")],
    }
    peers = {f"import tensorflow ({name})": [*python, "-c", "import tensorflow"] for name, python in oracles().items()}
    times: dict[str, list[float]] = {label: [] for label in [*ours, *peers]}
    for round_ in range(runs + 1):
        for label, command in (ours | peers).items():
            seconds = timed(command)
            if round_:  # the first round warms the caches
                times[label].append(seconds)
    for label, seconds in times.items():
        ratios = [
            f"{statistics.median(peer / own for peer, own in zip(times[name], seconds, strict=True)):.1f} x {name}"
            for name in peers
            if label in ours
        ]
        print(f"{label:<30} {statistics.median(seconds):6.3f} s  {'  '.join(ratios)}")


def oracles() -> dict[str, list[str]]:
    """The pythons that have TensorFlow, by name."""
    found = {}
    for name in ("tf1", "tf2"):
        answer = subprocess.run([FIXTURES / "oracle" / "venv.sh", name], capture_output=True, text=True, check=False)
        if answer.returncode:
            print(f"{name} left out: {answer.stderr.strip()}", file=sys.stderr)
        else:
            found[name] = [answer.stdout.strip()]
    return found


def timed(command: list[str]) -> float:
    """Seconds of wall time that a whole process takes."""
    # Compiled modules are kept, as they are wherever Python is set up as usual.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=quiet, stderr=quiet, cwd=ROOT, env=environment)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
