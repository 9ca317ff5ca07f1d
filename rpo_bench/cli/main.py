"""The entry point: the verbs, found by name and imported only when one is run."""

from typing import Annotated

import typer

from rpo_bench.cli.frame import CONTEXT, PluginOption, Verb, frame_class

VERBS = {
    "train-and-eval": Verb(
        "rpo_bench.cli.train_and_eval:train_and_eval",
        "Train methods × strengths × seeds, measure every checkpoint, publish the board.",
    ),
    "tune": Verb("rpo_bench.cli.tune:tune", "Choose each method's learning rate, with equal effort."),
    "train": Verb("rpo_bench.cli.train:train", "Train one checkpoint."),
    "eval": Verb("rpo_bench.cli.eval:eval_", "Measure a finished checkpoint; nothing is trained."),
    "base": Verb("rpo_bench.cli.base:base", "Make a tokenizer and a small language model from a file."),
    "reward-model": Verb(
        "rpo_bench.cli.reward_model:reward_model", "Train a reward model from scored responses."
    ),
    "data": Verb("rpo_bench.cli.data:app", "Look at training data before using it."),
    "methods": Verb("rpo_bench.cli.methods:app", "List the training methods, or show one."),
    "verify": Verb("rpo_bench.cli.verify:verify", "Train methods where the optimum is known."),
    "tasks": Verb("rpo_bench.cli.tasks:app", "List the tasks, or show one."),
    "compare": Verb("rpo_bench.cli.compare:compare", "What differences are worth, at equal KL and strength."),
    "aggregate": Verb(
        "rpo_bench.cli.aggregate:aggregate", "Methods over several tasks and base models, on one scale."
    ),
    "judge": Verb("rpo_bench.cli.judge:app", "Win rates from pairwise judgements."),
    "stability": Verb("rpo_bench.cli.stability:stability", "How steadily methods are optimised."),
    "overoptimisation": Verb(
        "rpo_bench.cli.overoptimisation:overoptimisation",
        "Where the gold reward turns down as the proxy rises.",
    ),
    "oracle": Verb("rpo_bench.cli.oracle:oracle", "What the best possible policy would earn at every KL."),
    "score": Verb("rpo_bench.cli.score:score", "Add metrics to stored samples; no model is needed."),
    "publish": Verb("rpo_bench.cli.publish:publish", "Make a run's results small enough to be committed."),
    "submit": Verb("rpo_bench.cli.submit:app", "Look at contributed results before sending them."),
    "export": Verb("rpo_bench.cli.export:export", "Write results in lm-eval's shape."),
    "leaderboard": Verb("rpo_bench.cli.leaderboard:leaderboard", "Build the page from stored results."),
    "doctor": Verb("rpo_bench.cli.doctor:doctor", "Say what this machine can do, and what is missing."),
}

app = typer.Typer(
    name="rpo-bench",
    cls=frame_class(VERBS),
    context_settings=CONTEXT,
    invoke_without_command=True,
    epilog="Every flag is also read from the environment: --output-path from RPO_BENCH_OUTPUT_PATH.",
    pretty_exceptions_enable=False,
)


def _print_version(asked: bool) -> None:
    if asked:
        from rpo_bench import __version__

        typer.echo(f"rpo-bench {__version__}")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option("--version", help="Print the version and stop.", callback=_print_version, is_eager=True),
]


@app.callback()
def root(context: typer.Context, version: Version = False, plugin: PluginOption = None) -> None:
    """Which training objective buys the most reward per nat of KL, and at what cost."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Runs the command line; the console script."""
    app(prog_name="rpo-bench")
