"""Kills train-and-eval at random moments, goes on, and compares the end with an uninterrupted run's.

    python benchmarks/kill_and_resume.py [--kills 10] [--seed 0] [-- FLAGS OF TRAIN-AND-EVAL]

``kill -9`` goes to the whole process group, at moments drawn evenly over the time that an uninterrupted
run takes. Metrics, stability, samples, scores and checkpoint weights must then be equal to the bit. A run
that ends before its kill is compared at once, and the kills go on with a fresh folder.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any


def main() -> None:
    """Reads the flags, does the kills, and says whether everything is equal."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", help="of train-and-eval; the smoke preset by default")
    given = parser.parse_args()
    flags = given.flags or ["--preset", "smoke"]
    with tempfile.TemporaryDirectory(prefix="rpo-bench-kill-") as scratch:
        differences = rehearse(Path(scratch), flags, given.kills, random.Random(given.seed))
    for line in differences:
        print(line)
    print("equal to the bit" if not differences else f"{len(differences)} differences")
    sys.exit(1 if differences else 0)


def rehearse(scratch: Path, flags: list[str], kills: int, rng: random.Random) -> list[str]:
    """Runs once undisturbed, then with ``kills`` kills; returns what differs at the end."""
    started_at = time.monotonic()
    finish(start(scratch / "whole", flags))
    wall = time.monotonic() - started_at
    expected = outcomes(scratch / "whole")
    print(f"uninterrupted: {len(expected)} cells in {wall:.0f} s", flush=True)
    differences: list[str] = []
    folder, done = scratch / "killed", 0
    while done < kills:
        delay = rng.uniform(0.0, wall)
        if kill_after(start(folder, flags), delay):
            done += 1
            print(f"kill {done} after {delay:.1f} s: {progress(folder)}", flush=True)
        else:
            differences += compare(expected, outcomes(folder))
            shutil.rmtree(folder)
    finish(start(folder, flags))
    return differences + compare(expected, outcomes(folder))


def start(output: Path, flags: list[str]) -> subprocess.Popen[bytes]:
    """train-and-eval as a process group of its own."""
    command = [sys.executable, "-m", "rpo_bench", "train-and-eval", "--output-path", str(output), *flags]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    return subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=environment
    )


def kill_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Kills the process group after some time; False when it had ended by itself before."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return True
    finish(process)
    return False


def finish(process: subprocess.Popen[bytes]) -> None:
    """Waits for a run that must end well."""
    _, errors = process.communicate()
    if process.returncode != 0:
        raise SystemExit(f"train-and-eval ended with {process.returncode}:\n{errors.decode()}")


def progress(output: Path) -> str:
    """How many stages were whole."""
    stages = {
        "trained": "work/cells/*/train/fit.json",
        "sampled": "work/cells/*/samples-*/samples.jsonl.gz",
        "recorded": "results/*/*/[!.]*/result.json",
    }
    return ", ".join(f"{len(list(output.glob(files)))} {name}" for name, files in stages.items())


def outcomes(output: Path) -> dict[str, Any]:
    """Cell → the part of its record that may not depend on when it was made."""
    found = {}
    for file in sorted(output.glob("results/*/*/[!.]*/result.json")):
        record = json.loads(file.read_text())
        hashes = {name: value for name, value in record["hashes"].items() if name != "train_log"}
        kept = {name: record[name] for name in ("spec", "status", "metrics", "stability")}
        found[record["cell"]] = {**kept, "hashes": hashes}
    return found


def compare(expected: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """What differs, by cell and part."""
    differences = [f"{cell}: only in one of the two" for cell in expected.keys() ^ found.keys()]
    for cell in expected.keys() & found.keys():
        differences += [
            f"{cell}: {part} differs" for part in expected[cell] if expected[cell][part] != found[cell][part]
        ]
    return differences


if __name__ == "__main__":
    main()
