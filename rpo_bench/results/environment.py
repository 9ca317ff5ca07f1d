"""The environment record: machine, packages and commit of a result."""

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rpo_bench import __version__
from rpo_bench.results.schema import Environment

#: The packages whose version can change a result. Read from metadata: importing torch takes seconds.
PACKAGES = (
    "accelerate",
    "alt-profanity-check",
    "datasets",
    "detoxify",
    "lm-eval",
    "numpy",
    "pandas",
    "peft",
    "safetensors",
    "tokenizers",
    "torch",
    "transformers",
)
_CODE = ("rpo_bench", "trainers", "tasks", "pyproject.toml")
_GIT_SECONDS = 5.0


def environment(device: str, dtype: str, threads: int, processes: int = 1) -> Environment:
    """The record of this process's environment, with values that only the caller knows.

    Args:
        device: The kind of the model's device, ``cpu`` or ``cuda``.
        dtype: The model's data type, ``float32``.
        threads: Threads of one torch operation.
        processes: How many trained the model together.
    """
    commit, dirty = _checkout()
    return Environment(
        git_commit=commit,
        git_dirty=dirty,
        packages=_packages(),
        python=platform.python_version(),
        platform=platform.platform(),
        processor=_processor(),
        gpus=_gpus(device),
        driver=_driver(device),
        device=device,
        dtype=dtype,
        threads=threads,
        processes=processes,
    )


def _packages() -> dict[str, str]:
    return {"rpo-bench": __version__, **_installed()}


@lru_cache(maxsize=1)
def _installed() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


@lru_cache(maxsize=1)
def _checkout() -> tuple[str | None, bool | None]:
    return checkout_state(Path(__file__).resolve().parents[2])


def checkout_state(root: Path) -> tuple[str | None, bool | None]:
    """The commit and dirty flag of the checkout that ``root``'s copy of the package belongs to.

    Returns:
        ``(None, None)`` if the package isn't tracked by the checkout: a wheel in a virtual environment inside
        somebody's repository has no commit of its own. Dirty means that the code differs from the commit;
        other files don't count.
    """
    if _git(root, "ls-files", "--error-unmatch", "rpo_bench/__init__.py") is None:
        return None, None
    commit = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--", *(name for name in _CODE if (root / name).exists()))
    return commit, None if changes is None else bool(changes)


def _git(root: Path, *arguments: str) -> str | None:
    """Git's output, or None if git is missing or fails. Takes no lock, since workers call it concurrently."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            env={**clean, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()


def _gpus(device: str) -> tuple[str, ...]:
    """The names of the GPUs that this process sees; none if it runs on the processor."""
    if not device.startswith("cuda"):
        return ()
    import torch

    return tuple(torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count()))


def _driver(device: str) -> str | None:
    """The version of NVIDIA's driver; None without one."""
    try:
        version = Path("/sys/module/nvidia/version").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None
    return version if device.startswith("cuda") else None


@lru_cache(maxsize=1)
def _processor() -> str:
    """The processor's name as the system reports it, else the architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
