"""Measurements in processes of their own, in turns: what the benchmarks against other trainers share."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Figures = dict[str, float]

WARM_STEPS = 3


def in_turns(sides: Sequence[str], repeats: int, run: Callable[[str], Figures]) -> dict[str, Figures]:
    """The median of each figure of each side; sides alternate, so that a slow minute hits all of them."""
    runs: dict[str, list[Figures]] = {side: [] for side in sides}
    for _ in range(repeats):
        for side in sides:
            runs[side].append(run(side))
    return {side: medians(found) for side, found in runs.items()}


def medians(runs: Sequence[Mapping[str, float]]) -> Figures:
    """Figure by figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def child_process(script: str, arguments: Sequence[str]) -> Figures:
    """Runs ``script --child ARGUMENTS`` on one thread and reads the figures from its last line."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TRANSFORMERS_VERBOSITY": "error",
    }
    command = [sys.executable, script, "--child", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    figures: Figures = json.loads(done.stdout.strip().splitlines()[-1])
    return figures


def summary(marks: Sequence[float], total: float, baseline: float) -> Figures:
    """Steps per second after the warm-up, the whole time, and memory beyond the loaded model.

    Args:
        marks: when each step ended, seconds.
        total: seconds, set-up included.
        baseline: bytes in use before training.
    """
    import torch

    from trainers.memory import peak_memory_bytes

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    steps = len(marks) - 1 - WARM_STEPS
    return {
        "steps_per_s": steps / (marks[-1] - marks[WARM_STEPS]),
        "total_s": total,
        "peak_mb": (peak_memory_bytes(device) - baseline) / 1e6,
    }


def matmul_ceiling(dtype: str) -> float:
    """TFLOP/s of large square matrix products in a number format, here and now: the best of ten."""
    import torch

    cuda = torch.cuda.is_available()
    size = 8192 if cuda else 1024
    a, b = (
        torch.randn(size, size, device="cuda" if cuda else "cpu", dtype=getattr(torch, dtype)) for _ in "ab"
    )
    best = float("inf")
    for _ in range(10):
        started_at = time.perf_counter()
        (a @ b).flatten()[0].item()  # waits for the device
        best = min(best, time.perf_counter() - started_at)
    return 2 * size**3 / best / 1e12


def resident_bytes() -> float:
    """The process's memory now; 0 on a GPU, whose memory is counted from nothing."""
    import torch

    if torch.cuda.is_available():
        return 0.0
    fields = Path("/proc/self/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
