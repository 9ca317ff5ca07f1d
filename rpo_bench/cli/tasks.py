"""``rpo-bench tasks``: the list of tasks, and the details of one."""

from pathlib import Path
from typing import Annotated

import typer

from rpo_bench.cli.console import out, print_facts, print_table
from rpo_bench.data.row import Prompt
from rpo_bench.spec.schema import GivenTask
from rpo_bench.tasks.source import VARIABLE, DatasetSource
from rpo_bench.tasks.task import Task, TaskSpec, known_task, load_task, task_folders

app = typer.Typer(help="List the tasks, or show one.")
IncludePath = Annotated[
    Path | None,
    typer.Option("--include-path", help="A folder with more tasks, each a folder with a task.yaml."),
]


@app.callback(invoke_without_command=True)
def tasks(context: typer.Context, include_path: IncludePath = None) -> None:
    """List the tasks, or show one."""
    if context.invoked_subcommand is not None:
        return
    found = [known_task(name, include_path) for name in sorted(task_folders(include_path))]
    rows = [
        (t.spec.name, t.spec.title, _heldout(t), ", ".join(variants(t.spec)), ", ".join(t.spec.models))
        for t in found
    ]
    print_table("", ("task", "title", "held-out prompts", "training data", "base models"), rows)
    out().print("\nrpo-bench tasks show NAME prints one in detail.", style="dim")


def _heldout(task: Task) -> str:
    """Number of held-out prompts; a public dataset isn't downloaded to count them."""
    return f"{len(task.heldout):,}" if task.spec.source is None else task.spec.source.measured_on


def variants(spec: TaskSpec) -> list[str]:
    """The available data sets; "on_policy" counts once, however many base models have their own."""
    if spec.source is not None:
        return [spec.source.dataset]
    return list(dict.fromkeys(key.partition("/")[0] for key in spec.train))


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A task by name or folder.")],
    include_path: IncludePath = None,
) -> None:
    """Show a task: its description, data, reward, base models and an example prompt."""
    task = load_task(GivenTask(name), include_path)
    spec, console = task.spec, out()
    console.print(f"{spec.name}: {spec.title} (version {spec.version})", style="bold")
    console.print(f"\n{spec.description.strip()}\n")
    facts = {"folder": str(task.folder)} | (_own_data(task) if spec.source is None else _dataset(spec.source))
    facts |= {"gold reward": spec.reward or "none", "response limit": f"{spec.max_new_tokens:,} tokens"}
    facts |= {f"base model '{model}'": folder for model, folder in spec.models.items()}
    facts |= {f"learning rate of {method}": f"{rate:g}" for method, rate in spec.learning_rates.items()}
    print_facts(facts)
    if spec.source is None and task.heldout:
        console.print(f"\nA held-out prompt:\n{task.heldout[0].text}")


def _own_data(task: Task) -> dict[str, str]:
    """Properties of data included with the task."""
    spec = task.spec
    facts = {
        "identity": task.hash[:16],
        "held-out prompts": _counted(task.heldout, spec.heldout, "none"),
        "tuning prompts": _counted(task.tuning, spec.tuning, "one training prompt in five"),
        "probe prompts": _counted(task.probe, spec.probe, "none"),
    }
    return facts | {f"training data '{variant}'": file for variant, file in spec.train.items()}


def _counted(prompts: list[Prompt], file: str | None, otherwise: str) -> str:
    return f"{len(prompts):,} ({file})" if file else otherwise


def _dataset(source: DatasetSource) -> dict[str, str]:
    """Properties of a public dataset, without downloading it."""
    config = f", config '{source.config}'" if source.config else ""
    named = ", ".join(f"{file} ({split})" for split, file in source.data_files.items())
    places = f"{named}; other splits from" if named else "from"
    return {
        "dataset": f"{source.dataset}{config}: {places} files in ${VARIABLE}, or else from the hub",
        "training prompts": f"split '{source.train}' less the held-out and {source.probe_prompts} probes",
        "held-out prompts": source.measured_on,
    }
