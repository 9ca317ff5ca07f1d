"""``rpo-bench oracle``: the highest reward that any policy can earn at every KL."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from rpo_bench.cli.console import err, out, print_json, print_table
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.files.plain_data import MAX_SEED

if TYPE_CHECKING:
    from rpo_bench.analysis.oracle_report import OracleReport


@dataclass(frozen=True)
class OracleFlags:
    """The task, the model and the number of samples."""

    task: Annotated[str, flag("--task", "A task by name or folder.", "What", aliases=("--tasks",))] = (
        "civil_qa"
    )
    model: Annotated[
        str, flag("--model", "The reference policy: one of the task's by name, or a folder.", "What")
    ] = "decoder"
    reward: Annotated[
        str | None, flag("--reward", "Gold reward instead of the task's: python:FILE:FUNCTION.", "What")
    ] = None
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "What", metavar="DIR")
    ] = None
    samples: Annotated[
        int | None,
        flag("--samples", "Samples per prompt; missing ones are drawn and stored.", "Samples", min=1),
    ] = None
    results: Annotated[
        Path,
        flag(
            "--results",
            "The results, or output of a run, beside which samples are stored for compare.",
            "Samples",
            metavar="DIR",
        ),
    ] = Path("results")
    seed: Annotated[int, flag("--seed", "Seed of the sampling.", "Samples", min=0, max=MAX_SEED)] = 0
    threads: Annotated[int, flag("--threads", "Threads of torch.", "Samples", min=1)] = 1
    as_json: Annotated[bool, flag("--json", "Print JSON.", "Output")] = False


@with_flags
def oracle(flags: OracleFlags, trust: TrustFlags) -> None:
    """Estimate the optimum of reward − τ·KL at every KL from samples of the reference policy.

    Samples are weighted by exp(reward/τ). The curve ends where the median prompt has fewer than ten effective
    samples.
    """
    from rpo_bench.analysis.oracle_report import oracle_report
    from rpo_bench.engine.oracle_samples import OracleRequest, reference_rewards
    from rpo_bench.spec.schema import GivenTask
    from rpo_bench.spec.trust import Trust
    from rpo_bench.tasks.oracle_files import results_folder
    from rpo_bench.tasks.task import load_task

    task = load_task(GivenTask(flags.task), flags.include_path)
    request = OracleRequest(
        flags.model,
        results_folder(flags.results),
        flags.samples,
        flags.reward,
        flags.seed,
        Trust(**vars(trust)),
    )
    import torch

    torch.set_num_threads(flags.threads)
    with _progress() as progress:
        found = reference_rewards(task, request, progress)
    report = oracle_report(
        found.rewards, found.prompts, task=task.spec.name, model=found.model, source=found.source
    )
    if flags.as_json:
        print_json(report)
    else:
        _print(report)


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on standard error, if that is a terminal."""
    console = err()
    if not console.is_terminal:
        yield None
        return
    from rich.progress import Progress

    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("sampling", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _print(report: "OracleReport") -> None:
    from rpo_bench.analysis.render import said

    console = out()
    console.print(
        f"{report.task}, {report.model}: {report.prompts} prompts × {report.samples} samples "
        f"({report.source})",
        soft_wrap=True,
    )
    console.print(f"Reliable up to {report.end:.3g} nats.")
    console.print("")
    rows = [
        (f"{one.kl:.3f}", said(one.reward), said(one.gain), f"{one.effective_samples:.0f}")
        for one in report.points
    ]
    print_table("Oracle", ("KL", "Reward", "Gain over reference", "Effective samples"), rows)
    console.print("")
    best = [(one.n, f"{one.kl_bound:.3f}", f"{one.reward:.4f}") for one in report.best_of]
    print_table("Best of n", ("n", "KL at most", "Reward"), best)
    _print_sizes(report)


def _print_sizes(report: "OracleReport") -> None:
    if not report.sizes or not report.sizes[0].samples:
        return
    out().print("")
    head = ("KL", *(f"{size} samples" for size in report.sizes[0].samples))
    rows = [
        (f"{one.kl:.3f}", *("ended" if gap is None else f"{gap:+.4f}" for gap in one.bias))
        for one in report.sizes
    ]
    print_table(f"Estimates from fewer samples minus the estimate from {report.samples}", head, rows)
