"""Finds out whether two runs differ only in scoring, so that no new training is needed."""

from collections.abc import Mapping
from typing import Any

from rpo_bench.spec.schema import RunSpec


def only_scoring(
    earlier: RunSpec, spec: RunSpec, there: Mapping[str, Any], here: Mapping[str, Any]
) -> str | None:
    """Flags for ``rpo-bench score`` if two runs differ only in scoring; None otherwise.

    Args:
        earlier: the spec of the folder's first run.
        spec: the new spec.
        there: fixed settings of ``earlier`` by name.
        here: fixed settings of ``spec`` by name.
    """
    flags = {
        "evaluation.reward": f"--reward {spec.evaluation.reward} --as reward",
        "evaluation.toxicity": f"--toxicity {spec.evaluation.toxicity}",
    }
    differs = {name for name in {**there, **here} if there.get(name) != here.get(name)}
    if "evaluation.reward" in differs:
        differs.discard("the content of the task")  # of a file: its reward is part of it
    unrewarded = spec.evaluation.reward is None and "evaluation.reward" in differs
    if not differs or not differs <= flags.keys() or unrewarded:
        return None
    replaces = earlier.evaluation.reward is not None or "evaluation.toxicity" in differs
    return " ".join([*(flags[name] for name in sorted(differs)), *(["--overwrite"] if replaces else [])])
