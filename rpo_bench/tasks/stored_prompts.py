"""Finds the prompts of stored samples."""

from collections.abc import Sequence
from pathlib import Path

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.results.samples import StoredSample
from rpo_bench.spec.schema import CellSpec
from rpo_bench.tasks.task import known_task, task_folders


def prompts_of(
    spec: CellSpec, samples: Sequence[StoredSample], include_path: Path | None = None
) -> list[Prompt]:
    """The task's prompts with metadata if available and unchanged; otherwise only their texts."""
    if spec.task in task_folders(include_path):
        try:
            task = known_task(spec.task, include_path)
            known = {prompt.prompt_id: prompt for prompt in task.heldout}
            if all(one.prompt_id in known and known[one.prompt_id].text == one.prompt for one in samples):
                return list(known.values())
        except UserError:  # readable results don't need a readable task
            pass
    texts = {sample.prompt_id: sample.prompt for sample in samples}
    return [Prompt(prompt_id=name, text=text) for name, text in texts.items()]
