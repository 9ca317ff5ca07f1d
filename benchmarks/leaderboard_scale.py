"""The leaderboard of 1,000 checkpoints × 500 samples: build time, memory, the page's size, its first paint.

``python benchmarks/leaderboard_scale.py [--checkpoints 1000] [--keep FOLDER]``. The results are made up from
the published ones: their samples and scores, with other methods, strengths, seeds and numbers.
"""

import argparse
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rpo_bench.files.hashing import hash_file
from rpo_bench.results.schema import Record
from rpo_bench.results.store import (
    RECORD_FILE,
    SAMPLES_FILE,
    SCORES_FILE,
    TRAIN_LOG_FILE,
    StoredRecord,
    cell_folder,
    read_results,
    read_train_log,
)
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import MethodSpec

PUBLISHED = Path(__file__).resolve().parents[1] / "results" / "civil_qa" / "decoder"
STRENGTHS = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
SEEDS = 5
SAMPLES = 4
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

Lines = list[dict[str, Any]]


@dataclass(frozen=True)
class Pattern:
    """A published result as lines, to make others from."""

    record: Record
    samples: Lines
    scores: Lines
    log: Lines


def read_pattern(stored: StoredRecord, prompts: int) -> Pattern:
    """A published result's first prompts."""
    samples, scores = (_lines(stored.folder / name) for name in (SAMPLES_FILE, SCORES_FILE))
    kept = set(sorted({line["prompt_id"] for line in samples})[:prompts])
    return Pattern(
        stored.record,
        [line for line in samples if line["prompt_id"] in kept],
        [line for line in scores if line["prompt_id"] in kept],
        read_train_log(stored.folder),
    )


def _lines(file: Path) -> Lines:
    with gzip.open(file, "rb") as lines:
        return [json.loads(line) for line in lines]


def specs(count: int, pattern: CellSpec) -> Iterator[CellSpec]:
    """So many cells, method by method: every strength, every seed."""
    for i in range(count):
        method, strength, seed = i // (len(STRENGTHS) * SEEDS), i // SEEDS % len(STRENGTHS), i % SEEDS
        yield pattern.model_copy(
            update={
                "method": MethodSpec(name=f"method-{method:02}"),
                "strength": STRENGTHS[strength],
                "seed": seed,
            }
        )


def write_result(root: Path, pattern: Pattern, spec: CellSpec, rng: np.random.Generator) -> None:
    """Writes a result with the pattern's files and numbers of its own."""
    folder = cell_folder(root, spec)
    folder.mkdir(parents=True)
    quality = 0.2 + 0.02 * (int(spec.method.name[-2:]) if spec.strength is not None else 0)
    nats = 0.0 if spec.strength is None else 2.0 / (1 + 2 * spec.strength)
    gain = quality * np.sqrt(nats) + 0.03 * rng.normal()
    scores = []
    for line in pattern.scores:
        own = dict(line["scores"])
        own["kl"] = round(nats * (1 + 0.5 * rng.normal()), 4)
        for name in ("reward", "proxy_reward"):
            own[name] = round(float((own.get(name) or 0.0) * 0.3 + gain + 0.2 * rng.normal()), 4)
        scores.append({**line, "scores": own})
    _write(folder / SAMPLES_FILE, pattern.samples)
    _write(folder / SCORES_FILE, scores)
    if spec.strength is not None:
        _write(folder / TRAIN_LOG_FILE, pattern.log)
    files = {"samples": SAMPLES_FILE, "scores": SCORES_FILE}
    hashes = {**pattern.record.hashes, **{name: hash_file(folder / file) for name, file in files.items()}}
    record = pattern.record.model_copy(update={"spec": spec, "cell": spec.hash, "hashes": hashes})
    (folder / RECORD_FILE).write_text(record.model_dump_json(), encoding="utf-8")


def _write(file: Path, lines: Lines) -> None:
    file.write_bytes(gzip.compress("".join(f"{json.dumps(line)}\n" for line in lines).encode(), 1))


def write_results(root: Path, checkpoints: int, samples: int) -> None:
    """So many checkpoints and their reference policy."""
    found = read_results(PUBLISHED).records
    trained = [one for one in found if one.record.spec.strength is not None and one.record.metrics]
    prompts = samples // SAMPLES
    patterns = [read_pattern(one, prompts) for one in trained[:: max(1, len(trained) // 12)]]
    reference = next(one for one in found if one.record.spec.strength is None)
    rng = np.random.default_rng(0)
    write_result(root, read_pattern(reference, prompts), reference.record.spec, rng)
    for i, spec in enumerate(specs(checkpoints, patterns[0].record.spec)):
        write_result(root, patterns[i % len(patterns)], spec, rng)


def build(root: Path, out: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds and peak MB of ``rpo-bench leaderboard`` in a process of its own."""
    command = [sys.executable, "-m", "rpo_bench", "leaderboard", str(root), "--output-path", str(out)]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def first_paints(page: Path, repeats: int = 5) -> list[float] | None:
    """Milliseconds to the first contentful paint from disk, in fresh headless browsers; None without."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return None
    if browser is None:
        return None
    script = "() => performance.getEntriesByName('first-contentful-paint').map(one => one.startTime)"
    found = []
    with sync_playwright() as driver:
        for _ in range(repeats):
            running = driver.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
            tab = running.new_page(viewport={"width": 1280, "height": 900})
            tab.goto(page.as_uri())
            tab.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
            found += tab.evaluate(script)
            running.close()
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Makes the results, builds their page, and prints what it took."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--checkpoints", type=int, default=1000)
    parser.add_argument("--samples", type=int, default=500, help="of each checkpoint")
    parser.add_argument("--keep", type=Path, help="keep results and page there, and use what is there")
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        if not (folder / "results").is_dir():
            write_results(folder / "results", asked.checkpoints, asked.samples)
        report(folder)


def report(folder: Path) -> None:
    """Prints the figures of the results in a folder."""
    out = folder / "leaderboard"
    shutil.rmtree(out, ignore_errors=True)
    seconds, busy, peak = build(folder / "results", out)
    index = (out / "index.html").stat().st_size / 1e6
    rest = sum(file.stat().st_size for file in out.rglob("*") if file.is_file()) / 1e6 - index
    cells = sum(1 for _ in (folder / "results").rglob(RECORD_FILE))
    paints = first_paints(out / "index.html")
    lines = {
        "checkpoints": f"{cells:,}",
        "build": f"{seconds:.1f} s, {busy:.1f} s of one processor (aim: under 20)",
        "peak memory": f"{peak:.0f} MB (aim: under 1,000)",
        "index.html": f"{index:.2f} MB (aim: under 2)",
        "other files": f"{rest:.1f} MB",
        "first paint": "no browser here"
        if not paints
        else f"{np.median(paints):.0f} ms, {min(paints):.0f} to {max(paints):.0f} (aim: under 1,000)",
    }
    for name, value in lines.items():
        print(f"{name:<12}  {value}")


if __name__ == "__main__":
    main()
