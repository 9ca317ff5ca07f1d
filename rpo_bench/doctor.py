"""Checks of this machine, each with a one-line result."""

import importlib
import os
import platform
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, metadata, requires, version
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError, first_line
from rpo_bench.remote.urls import Address, error_line

DISTRIBUTION = "rpo-bench"
EMBEDDED_TASK = "civil_qa"
_HUB_SECONDS = 5.0
LITTLE_DISK = 2 * 10**9  # bytes; a standard run stores about this much
_ENDPOINT = "HF_ENDPOINT"
HF_VARIABLES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE", "HF_HOME", _ENDPOINT)
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


class Status(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    NOTE = "note"  # optional, or for information
    MISSING = "missing"  # something required is missing


@dataclass(frozen=True)
class Check:
    """The result of one check."""

    name: str
    status: Status
    detail: str


def examine(folder: Path) -> Iterator[Check]:
    """Runs every check, yielding each result immediately.

    Args:
        folder: the intended folder for results.
    """
    groups: Sequence[Callable[[], Iterator[Check]]] = (
        check_python,
        check_packages,
        check_torch,
        lambda: check_disk(folder),
        check_toxicity,
        check_browser,
        check_hub,
        check_embedded_task,
    )
    for group in groups:
        yield from group()


def check_python() -> Iterator[Check]:
    """Checks the Python version against the package's requirement."""
    from packaging.specifiers import SpecifierSet

    found = platform.python_version()
    try:
        wanted = SpecifierSet(metadata(DISTRIBUTION)["Requires-Python"] or "")
    except PackageNotFoundError:
        yield Check("rpo-bench", Status.NOTE, "not installed as a package: versions can't be checked")
        return
    good = wanted.contains(found, prereleases=True)
    yield Check("python", Status.OK if good else Status.MISSING, f"{found} (wanted: {wanted})")


def check_packages() -> Iterator[Check]:
    """Checks every dependency against its version range; those of extras may be missing."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(text) for text in requires(DISTRIBUTION) or []]
    except PackageNotFoundError:
        return
    seen: set[tuple[str, str]] = set()
    for requirement in requirements:
        extra = _extra_of(requirement)
        if extra == "dev" or not (extra or requirement.marker is None or requirement.marker.evaluate()):
            continue
        same = (requirement.name.lower().replace("_", "-"), str(requirement.specifier))
        if same[0] != DISTRIBUTION and same not in seen:  # an extra that combines others repeats them
            seen.add(same)
            yield _package(requirement, extra)


def _extra_of(requirement: Any) -> str | None:
    """The extra that requires a package, or None if it is always required."""
    if requirement.marker is None:
        return None
    extras = metadata(DISTRIBUTION).get_all("Provides-Extra") or []
    with_extra = [e for e in extras if requirement.marker.evaluate({"extra": e})]
    return with_extra[0] if with_extra and not requirement.marker.evaluate({"extra": ""}) else None


def _package(requirement: Any, extra: str | None) -> Check:
    wanted = str(requirement.specifier) or "any"
    remedy = (
        f"pip install '{DISTRIBUTION}[{extra}]'" if extra else f"pip install '{requirement.name}{wanted}'"
    )
    bad = Status.NOTE if extra else Status.MISSING
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return Check(requirement.name, bad, f"not installed ({remedy})")
    if not requirement.specifier.contains(found, prereleases=True):
        return Check(requirement.name, bad, f"{found}, wanted {wanted} ({remedy})")
    return Check(requirement.name, Status.OK, f"{found} (wanted: {wanted})")


def check_torch() -> Iterator[Check]:
    """Checks cores, threads, memory, devices, and the number format for training."""
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", Status.MISSING, f"can't be imported: {first_line(error)}")
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Check("processor", Status.OK, f"{cores} cores, {torch.get_num_threads()} torch threads")
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Check("memory", Status.OK, f"{memory / 1e9:.1f} GB")
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(i)
            detail = f"{properties.name}, {properties.total_memory / 1e9:.0f} GB"
            yield Check(f"cuda:{i}", Status.OK, detail)
    elif torch.backends.mps.is_available():
        yield Check("mps", Status.OK, "Apple's GPU")
    else:
        yield Check("gpu", Status.NOTE, "none: everything runs on the processor")
    yield Check("bfloat16", *_bfloat16(torch))


def _bfloat16(torch: Any) -> tuple[Status, str]:
    """Measures whether bf16 is faster by multiplying matrices in both formats."""
    from trainers.device import process_device

    device = process_device()
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(512, 512, dtype=dtype, device=device)
        float((matrix @ matrix).sum())
        started = time.perf_counter()
        for _ in range(5):
            float((matrix @ matrix).sum())
        seconds[dtype] = time.perf_counter() - started
    ratio = seconds[torch.float32] / seconds[torch.bfloat16]
    return Status.OK if ratio > 1 else Status.NOTE, f"{ratio:.1f} times the speed of float32 on {device}"


def check_disk(folder: Path) -> Iterator[Check]:
    """Checks free disk space and write permission."""
    existing = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        yield Check("disk", Status.MISSING, f"{existing} can't be written: choose another --output-path")
        return
    free = shutil.disk_usage(existing).free
    status = Status.OK if free >= LITTLE_DISK else Status.NOTE
    yield Check("disk", status, f"{free / 1e9:.1f} GB free in {existing}")


def check_toxicity() -> Iterator[Check]:
    """Checks that the embedded profanity classifier scores a sentence."""
    name = "toxicity"
    try:
        classifier = importlib.import_module("profanity_check")
        score = float(classifier.predict_prob(["You are a complete idiot."])[0])
    except ImportError:
        remedy = f"pip install '{DISTRIBUTION}[profanity]'"
        yield Check(
            name, Status.NOTE, f"alt-profanity-check isn't installed: toxicity is unscored ({remedy})"
        )
        return
    except Exception as error:  # most often a scikit-learn version that can't read its weights
        yield Check(
            name, Status.NOTE, f"alt-profanity-check fails, toxicity is unscored: {first_line(error)}"
        )
        return
    yield Check(
        name, Status.OK, f"alt-profanity-check {version('alt-profanity-check')}, an insult: {score:.2f}"
    )


def check_browser() -> Iterator[Check]:
    """Checks for Chromium, which only the tests of the leaderboard need."""
    on_path = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    found = on_path or _playwright_browser()
    if found:
        yield Check("chromium", Status.OK, found)
    else:
        yield Check(
            "chromium", Status.NOTE, "none: only the browser tests need it (playwright install chromium)"
        )


def _playwright_browser() -> str | None:
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return None
    try:
        with sync_playwright() as playwright:
            path = Path(playwright.chromium.executable_path)
    except Error:
        return None
    return str(path) if path.is_file() else None


def check_hub() -> Iterator[Check]:
    """Checks that the hub can be reached, and the environment variables for models and data sets."""
    from huggingface_hub import constants

    given = {name: os.environ[name] for name in HF_VARIABLES if name in os.environ}
    if _ENDPOINT in given:
        given[_ENDPOINT] = Address(given[_ENDPOINT])
    said = "".join(f", {name}={value}" for name, value in given.items())
    if constants.HF_HUB_OFFLINE:
        yield Check("hugging face", Status.OK, f"not checked: it is switched off{said}")
        return
    address = Address(constants.ENDPOINT)
    try:
        with urllib.request.urlopen(address.whole, timeout=_HUB_SECONDS) as answer:
            yield Check("hugging face", Status.OK, f"{address} answers ({answer.status}){said}")
    except urllib.error.HTTPError as error:
        yield Check("hugging face", Status.OK, f"{address} answers ({error.code}){said}")
    except (OSError, ValueError) as error:  # no network, unknown host, invalid address
        why = error_line(getattr(error, "reason", error) if isinstance(error, OSError) else error)
        detail = f"{address} can't be reached ({why}): only local models and data can be used{said}"
        yield Check("hugging face", Status.NOTE, detail)


def check_embedded_task() -> Iterator[Check]:
    """Loads each of the embedded task's base models, samples a response, and scores it."""
    from rpo_bench.models.hf import HFModel
    from rpo_bench.spec.sections import Decoding
    from rpo_bench.tasks.task import known_task

    try:
        task = known_task(EMBEDDED_TASK)
        decoding = Decoding(max_new_tokens=task.spec.max_new_tokens)
        for name in task.spec.models:
            started = time.perf_counter()
            model = HFModel.load(task.model_folder(name) or "", device="cpu")
            answer = model.generate(task.heldout[:1], 1, decoding, seed=0, batch_size=1)[0].text
            reward = task.reward(task.heldout[:1], [answer])[0] if task.reward else None
            seconds = time.perf_counter() - started
            detail = f"answers {answer[:48]!r}, reward {reward}, in {seconds:.1f} s"
            yield Check(f"{EMBEDDED_TASK}/{name}", Status.OK, detail)
    except (UserError, OSError) as error:
        yield Check(EMBEDDED_TASK, Status.MISSING, str(error))
