"""``rpo-bench tune``: tunes every method's learning rate with the same budget of configurations."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.measuring_flags import EvaluationFlags, JudgingFlags
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import DataFlags, ModelFlags, RunnerFlags, TrainingFlags, TrustFlags
from rpo_bench.cli.spec_flags import build_spec, spec_changes
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.tuning.run import Tuning


@dataclass(frozen=True)
class TuneFlags:
    """The methods to tune, and the budget."""

    preset: Annotated[
        str | None, flag("--preset", "Preset of steps and methods; quick by default.", "What to tune")
    ] = None
    config: Annotated[
        Path | None,
        flag(
            "--config",
            "A spec file that overrides the preset; flags override both.",
            "What to tune",
            metavar="FILE",
        ),
    ] = None
    methods: Annotated[
        str | None,
        flag(
            "--methods",
            'Methods, e.g. "sft,rpo,ppo(inner_epochs=4)"; by default the preset\'s.',
            "What to tune",
        ),
    ] = None
    models: Annotated[
        str | None,
        flag("--models", "Base models, as in train-and-eval.", "What to tune", aliases=("--model",)),
    ] = None
    seeds: Annotated[
        str, flag("--seeds", "One or two training seeds.", "What to tune", aliases=("--seed",))
    ] = "0"
    rates: Annotated[
        int, flag("--rates", "Learning rates per method, a factor of 3 apart.", "What to tune", min=2)
    ] = 4
    strengths: Annotated[
        int,
        flag("--strengths-per-rate", "Most strengths per learning rate.", "What to tune", min=2),
    ] = 6
    kl_budgets: Annotated[
        str,
        flag("--kl-budgets", "KLs in nats to place strengths near.", "What to tune"),
    ] = "0.3,0.5,0.75"


@with_flags
def tune(
    what: TuneFlags,
    data: DataFlags,
    training: TrainingFlags,
    evaluation: EvaluationFlags,
    models: ModelFlags,
    runner: RunnerFlags,
    trust: TrustFlags,
) -> None:
    """Choose each method's learning rate on prompts used for neither training nor testing.

    Every method gets up to the same number of configurations. Run again, it goes on; train-and-eval takes the
    file that it writes with --tuned.
    """
    started_at = time.monotonic()
    from rpo_bench.cli.ending import callbacks_of, run_context_of
    from rpo_bench.spec.presets import layers_of
    from rpo_bench.tuning.run import DEFAULTS, default_output, effort_of
    from rpo_bench.tuning.run import tune as tuned

    if evaluation.eval_prompts is not None:
        raise UserError("tune always measures on tuning prompts: omit --eval-prompts.")
    changes = spec_changes(what, data, training, evaluation, models)
    effort = effort_of(what.rates, what.strengths, changes.pop("kl_budgets"))
    spec = build_spec(layers_of(what.preset, what.config, DEFAULTS), changes)
    root = runner.output_path or default_output(spec)
    run_context = replace(
        run_context_of(root, runner, trust, JudgingFlags(), started_at), include_path=data.include_path
    )
    raise typer.Exit(_finish(tuned(spec, effort, run_context, callbacks_of(runner.quiet))))


def _finish(done: "Tuning") -> int:
    from rpo_bench.cli.console import out, print_table
    from rpo_bench.cli.ending import say_failures

    if done.tuned is None:
        say_failures(done.report)
        return 1
    head = ["Base model", "Method", "Learning rate", f"Area to {max(done.tuned.budgets):g} nats", "Tried"]
    rows = [
        [
            one.model,
            one.method,
            f"{one.learning_rate:g}{' (edge)' if one.on_edge else ''}",
            f"{one.area:.3f}",
            str(len(one.configurations)),
        ]
        for one in done.tuned.choices
    ]
    print_table("Tuned", head, rows)
    out().print(f"{done.file}: pass it to train-and-eval --tuned.", soft_wrap=True)
    return 0
