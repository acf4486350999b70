"""Fuzzing for as long as one likes: `python -m tests.fuzz.run --seconds 600` (`make fuzz SECONDS=600`).

    --target NAME         one target; without, all of them, each for its share of the time
    --engine atheris      guided by coverage; `random`: mutations of the seeds and of what could be read. Default:
                          atheris where it is installed
    --seed N              of all random numbers
    --output DIR          where inputs that break a reader are saved, default build/fuzz
    --reproduce FILE      reads one saved input again (with --target), and shows the traceback

Each target runs in a process of its own, which writes down what it did, so that a crash of the interpreter is noticed
too. Ends with status 1 if anything but a TensorferryError came out, took more than 2 s, or more than 300 MB.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TARGETS = (
    "bundle", "rewrite", "v1", "state", "safetensors", "safetensors_index", "npz", "onnx", "graph", "names",
    "mapping", "object_graph", "anything", "frozen", "training", "saved_model",
)  # fmt: skip
POOL = 300
"""Inputs that were read, kept as seeds by the random engine."""


class Account:
    """What one target did: inputs, how many of them could be read, and the failures, one of each kind."""

    def __init__(self, target: str, output: Path, limit: float) -> None:
        from .targets import TARGETS

        self.target = TARGETS[target]
        self.output = output
        self.inputs = self.read = 0
        self.failures: dict[str, str] = {}
        self.end = time.monotonic() + limit
        self.saved = 0.0
        self.folder = tempfile.TemporaryDirectory(prefix="fuzz-", dir=_memory())
        output.mkdir(parents=True, exist_ok=True)

    def try_input(self, data: bytes) -> bool:
        """Runs one input; whether it could be read."""
        from .bounds import bounded

        folder = Path(self.folder.name)
        self.current = folder / "input"
        self.current.write_bytes(data)
        self.inputs += 1
        read = False
        try:
            with bounded():
                read = self.target.run(data, folder)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # finding them is the purpose
            self.fail(data, error)
        self.read += read
        if time.monotonic() - self.saved > 1:
            self.save()
        return read

    def fail(self, data: bytes, error: BaseException) -> None:
        frames = traceback.extract_tb(error.__traceback__)
        own = [f for f in frames if "/formats/" in f.filename or "/converters/" in f.filename] or frames[-1:]
        kind = f"{type(error).__name__} at {Path(own[-1].filename).name}:{own[-1].lineno}"
        if kind in self.failures:
            return
        path = self.output / f"{self.target.name}-{hashlib.sha256(data).hexdigest()[:12]}"
        path.write_bytes(data)
        self.failures[kind] = f"{kind}: {str(error)[:150]}\n    {_command(self.target.name, path)}"

    def save(self) -> None:
        """Writes down what was done so far."""
        self.saved = time.monotonic()
        found = {"inputs": self.inputs, "read": self.read, "failures": list(self.failures.values())}
        (self.output / f"{self.target.name}.json").write_text(json.dumps(found))


def run_random(account: Account, seed: int) -> None:
    """Mutations of the seeds, and of what could still be read after some."""
    from .corpus import CORPUS

    rng = Random(f"{account.target.name} {seed}")
    corpus = CORPUS[account.target.name]
    seeds = corpus.seeds()
    pool = list(seeds)
    for data in seeds:
        account.try_input(data)
    while time.monotonic() < account.end:
        data = corpus.mutate(rng, rng.choice(pool))
        if account.try_input(data) and rng.random() < 0.1:
            if len(pool) < POOL:
                pool.append(data)
            else:
                pool[rng.randrange(len(seeds), POOL)] = data


def run_atheris(account: Account, seed: int) -> None:
    """Guided by the coverage of formats/ and converters/; half of the mutations are ours, half are libFuzzer's."""
    import atheris

    from .corpus import CORPUS, LARGEST
    from .mutations import join, repair_bundle, repair_table, split

    name = account.target.name
    corpus = CORPUS[name]

    def mutate(data: bytes, size: int, number: int) -> bytes:
        rng = Random(number)
        if rng.random() < 0.5:
            return corpus.mutate(rng, data)[:size]
        changed = bytes(atheris.Mutate(data, size))
        if name == "v1":
            changed = repair_table(changed)
        elif name == "bundle":
            changed = join(list(repair_bundle(*split(changed, 2))))
        return changed[:size]

    folder = Path(account.folder.name) / "corpus"
    folder.mkdir()
    for data in corpus.seeds():
        (folder / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)

    def test_one_input(data: bytes) -> None:
        account.try_input(data)

    left = max(1, int(account.end - time.monotonic()))
    options = [
        f"-max_total_time={left}",
        f"-seed={seed + 1}",
        f"-max_len={LARGEST}",
        "-rss_limit_mb=4096",
        "-verbosity=0",
    ]
    atheris.Setup([sys.argv[0], *options, "-timeout=60", str(folder)], test_one_input, custom_mutator=mutate)
    atheris.Fuzz()


def work(arguments: argparse.Namespace) -> None:
    """One target, in a process of its own."""
    import atexit

    if arguments.engine == "atheris":
        import atheris

        with atheris.instrument_imports(include=["tensorferry"]):
            from . import targets  # noqa: F401
    account = Account(arguments.target, arguments.output, arguments.seconds)
    atexit.register(account.save)
    (run_atheris if arguments.engine == "atheris" else run_random)(account, arguments.seed)


def lead(arguments: argparse.Namespace) -> int:
    """All targets one after another; the number of those that failed."""
    names = [arguments.target] if arguments.target else list(TARGETS)
    failed = total = 0
    for name in names:
        words = ["--worker", "--target", name, "--seconds", str(arguments.seconds / len(names))]
        words += ["--engine", arguments.engine, "--seed", str(arguments.seed), "--output", str(arguments.output)]
        account = arguments.output / f"{name}.json"
        account.unlink(missing_ok=True)
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "tests.fuzz.run", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        found: dict[str, Any] = {"inputs": 0, "read": 0, "failures": []}
        with suppress(OSError, ValueError):
            found = json.loads(account.read_text())
        if done.returncode:
            found["failures"].append(f"the process ended with {done.returncode}: {done.stderr[-1500:]}")
        total += found["inputs"]
        failed += bool(found["failures"])
        took = time.monotonic() - began
        print(f"{name:18} {found['inputs']:9,} inputs, {found['read']:8,} read, in {took:.0f} s ({arguments.engine})")
        for failure in found["failures"]:
            print(f"  {failure}")
        sys.stdout.flush()
    print(f"{'in all':18} {total:9,} inputs, {failed} of {len(names)} targets failed")
    return failed


def reproduce(target: str, path: Path) -> None:
    """One input, with the traceback of what goes wrong."""
    from .bounds import bounded
    from .targets import TARGETS

    with tempfile.TemporaryDirectory(dir=_memory()) as folder, bounded():
        print("read" if TARGETS[target].run(path.read_bytes(), Path(folder)) else "refused")


def _command(target: str, path: Path) -> str:
    return f"python -m tests.fuzz.run --target {target} --reproduce {path}"


def _memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument(
        "--engine", choices=("atheris", "random"), default="atheris" if find_spec("atheris") else "random"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--reproduce", type=Path)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.reproduce:
        reproduce(arguments.target, arguments.reproduce)
    elif arguments.worker:
        work(arguments)
    else:
        sys.exit(1 if lead(arguments) else 0)


if __name__ == "__main__":
    main()
