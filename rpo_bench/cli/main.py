"""The entry point: the verbs, found by name and imported only when one is run."""

from typing import Annotated

import typer

from rpo_bench.cli.frame import CONTEXT, PluginOption, Verb, frame_class

VERBS = {
    "train-and-eval": Verb(
        "rpo_bench.cli.train_and_eval:train_and_eval",
        "Train methods × strengths × seeds, measure every checkpoint, build the board.",
    ),
    "tune": Verb("rpo_bench.cli.tune:tune", "Tune each method's learning rate with an equal budget."),
    "train": Verb("rpo_bench.cli.train:train", "Train one checkpoint."),
    "eval": Verb("rpo_bench.cli.eval:eval_", "Measure a finished checkpoint; nothing is trained."),
    "base": Verb("rpo_bench.cli.base:base", "Train a tokenizer and a small language model on a file."),
    "reward-model": Verb(
        "rpo_bench.cli.reward_model:reward_model", "Train a reward model from scored responses."
    ),
    "data": Verb("rpo_bench.cli.data:app", "Inspect training data before you use it."),
    "methods": Verb("rpo_bench.cli.methods:app", "List the training methods, or show one."),
    "verify": Verb("rpo_bench.cli.verify:verify", "Check methods on a tabular problem with a known optimum."),
    "tasks": Verb("rpo_bench.cli.tasks:app", "List the tasks, or show one."),
    "compare": Verb("rpo_bench.cli.compare:compare", "Compare results at equal KL and equal strength."),
    "aggregate": Verb("rpo_bench.cli.aggregate:aggregate", "Aggregate methods over tasks and base models."),
    "judge": Verb("rpo_bench.cli.judge:app", "Win rates from pairwise judgements."),
    "stability": Verb("rpo_bench.cli.stability:stability", "Training stability of methods."),
    "overoptimisation": Verb(
        "rpo_bench.cli.overoptimisation:overoptimisation",
        "Reward over-optimisation: proxy against gold reward.",
    ),
    "oracle": Verb("rpo_bench.cli.oracle:oracle", "Estimate the highest possible reward at every KL."),
    "score": Verb("rpo_bench.cli.score:score", "Add metrics to stored samples; no model is needed."),
    "publish": Verb(
        "rpo_bench.cli.publish:publish", "Copy a run's results in a form small enough to commit."
    ),
    "submit": Verb("rpo_bench.cli.submit:app", "Check contributed results before you send them."),
    "export": Verb("rpo_bench.cli.export:export", "Export results in lm-eval's format."),
    "leaderboard": Verb("rpo_bench.cli.leaderboard:leaderboard", "Build the page from stored results."),
    "doctor": Verb("rpo_bench.cli.doctor:doctor", "Check what this machine supports and what is missing."),
}

app = typer.Typer(
    name="rpo-bench",
    cls=frame_class(VERBS),
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog="Every flag can be set in the environment: --output-path by RPO_BENCH_OUTPUT_PATH.",
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        from rpo_bench import __version__

        typer.echo(f"rpo-bench {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True),
]


@app.callback()
def root(context: typer.Context, version: Version = False, plugin: PluginOption = None) -> None:
    """Which training objective buys the most reward per nat of KL, and at what cost."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Runs the command line; the console script."""
    app(prog_name="rpo-bench")
