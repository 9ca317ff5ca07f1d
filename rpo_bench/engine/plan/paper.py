"""The section ``paper`` of a preset: the paper's settings, deviations from it, and workload sizes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from rpo_bench.engine.inputs.choices import choose
from rpo_bench.engine.plan.memory import (
    GPU_MEMORY,
    USABLE,
    memory_need,
    smaller,
    trained_bytes,
    weight_bytes,
    would_shard,
)
from rpo_bench.engine.plan.pricing import Gpu, ModelSize, Price, Workload, price, size_of_folder
from rpo_bench.engine.plan.resources import Resources
from rpo_bench.errors import UserError
from rpo_bench.files.validation import first_problem
from rpo_bench.spec.presets import PAPER
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.settings import Frozen, Settings
from rpo_bench.tasks.task import load_task

_ONE = Resources()


class Paper(Settings):
    """The section ``paper`` of a preset."""

    citation: str
    settings: tuple[str, ...] = Field((), description="what the paper says, as far as it is known to us")
    deviations: tuple[str, ...] = Field((), description="where this spec does otherwise, and why")
    workload: Workload


class PricedCells(Frozen):
    """The cells of one method on one model."""

    model: str
    method: str
    cells: int
    hours_each: float
    hours: float
    memory: float | None = Field(
        None, description="bytes of training a cell, on each GPU; None: not trained, or unknown"
    )


def paper_of(layers: Sequence[Mapping[str, Any]]) -> Paper | None:
    """The section of the topmost layer that has one; raises UserError when it is invalid."""
    found = [layer[PAPER] for layer in layers if PAPER in layer]
    if not found:
        return None
    try:
        return Paper.model_validate(found[-1])
    except ValidationError as error:
        raise UserError(f"The section '{PAPER}' can't be used: {first_problem(error)}.") from error


def priced(
    spec: RunSpec,
    paper: Paper,
    gpu: Gpu,
    include_path: Path | None = None,
    resources: Resources = _ONE,
) -> list[PricedCells]:
    """The cost of every method on every model; the last line of a model is the cost its cells share.

    Args:
        spec: the run.
        paper: token counts, and sizes of models that aren't on this machine.
        gpu: the GPU.
        include_path: a folder of further tasks.
        resources: of a cell; the memory is that of each of its GPUs.

    Raises:
        UserError: an unknown method, or a model of unknown size.
    """
    choices, load = choose(spec), paper.workload
    run = {
        "steps": spec.training.steps,
        "batch_size": spec.training.batch_size,
        "n_samples": spec.evaluation.n_samples,
        "recomputed": int(spec.training.gradient_checkpointing),
    }
    limited = load.model_copy(update={"heldout": min(load.heldout, spec.evaluation.limit or load.heldout)})
    rates = max(1, len(spec.learning_rates))
    lines = []
    own = load_task(spec.task, include_path).model_folder
    for model in spec.models:
        size = _size(model, own(model) or Path(model), load)
        reference = price(None, size, limited, run, gpu)
        lines.append(_line(model, "reference", 1, reference))
        shared = 0.0
        for choice in choices:
            one = price(choice.method, size, limited, run, gpu)
            shared = max(shared, one.shared)
            cells = len(choice.strengths) * len(spec.seeds) * rates
            together = (resources.gpus, resources.parallel, GPU_MEMORY[gpu.name])
            need = memory_need(choice.method, size, load, spec, *together).total if size.layers else None
            lines.append(_line(model, choice.spec.label, cells, one, need))
        if shared:
            lines.append(_line(model, "reference log-probs", 1, Price(shared, 0.0, 0.0)))
    return lines


def fitting_settings(
    spec: RunSpec,
    paper: Paper,
    line: PricedCells,
    room: float,
    own: Path | None,
    resources: Resources = _ONE,
) -> str:
    """Flags with which a line's cells fit into ``room`` bytes of a GPU, and their need; or that none do."""
    size = _size(line.model, own or Path(line.model), paper.workload)
    method = next(choice.method for choice in choose(spec) if choice.spec.label == line.method)
    together = (resources.gpus, resources.parallel, room / USABLE)
    states = trained_bytes(method, size, spec.training, weight_bytes(spec.loading))
    for flags, changed in smaller(spec, would_shard(spec.training, states, *together)):
        need = memory_need(method, size, paper.workload, changed, *together).total
        if need <= room:
            return f"With {flags} they need {need / 1e9:,.0f} GB."
    return "No setting fits: take a smaller model."


def _line(model: str, method: str, cells: int, one: Price, memory: float | None = None) -> PricedCells:
    each = one.train + one.measure
    return PricedCells(
        model=model, method=method, cells=cells, hours_each=each, hours=cells * each, memory=memory
    )


def _size(model: str, folder: Path, load: Workload) -> ModelSize:
    if model in load.models:
        return load.models[model]
    if (folder / "config.json").is_file():
        return size_of_folder(folder)
    raise UserError(
        f"--dry-run: the size of '{model}' is unknown: give a folder with its config.json, or add it to "
        f"{PAPER}.workload.models in a --config."
    )
