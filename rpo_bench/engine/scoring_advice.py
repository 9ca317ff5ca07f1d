"""Where two runs differ in how their samples are scored alone, nothing need be trained again."""

from collections.abc import Mapping
from typing import Any

from rpo_bench.spec.schema import RunSpec


def only_scoring(
    earlier: RunSpec, spec: RunSpec, there: Mapping[str, Any], here: Mapping[str, Any]
) -> str | None:
    """Flags of ``rpo-bench score`` where two runs differ in how samples are scored alone; None elsewhere.

    Args:
        earlier: the spec that the folder was started with.
        spec: what is asked for now.
        there: what ``earlier`` fixes, by name.
        here: what ``spec`` fixes.
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
