"""``rpo-bench score``: adds metrics to stored samples; no model is needed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rpo_bench.cli.console import out
from rpo_bench.cli.options import flag, with_flags
from rpo_bench.cli.run_flags import TrustFlags
from rpo_bench.cli.stored import read_stored, skipped
from rpo_bench.errors import UserError

if TYPE_CHECKING:
    from rpo_bench.metrics.protocol import Metric
    from rpo_bench.results.store import StoredRecord


@dataclass(frozen=True)
class ScoreFlags:
    """The results and the metrics."""

    results: Annotated[
        list[Path], typer.Argument(help="Folders of results, or outputs of a run.", metavar="RESULTS…")
    ]
    metrics: Annotated[
        str | None,
        flag(
            "--metrics", "Metric families, e.g. diversity,length; by default all, plug-ins included.", "What"
        ),
    ] = None
    toxicity: Annotated[
        str | None,
        flag(
            "--toxicity",
            "profanity, detoxify:VARIANT, detoxify:FILE, hate-speech, hf:FOLDER; none by default.",
            "What",
        ),
    ] = None
    bertscore: Annotated[
        str | None,
        flag("--bertscore", "BERTScore against references with this model: FOLDER or FOLDER:LAYER.", "What"),
    ] = None
    reward: Annotated[
        str | None, flag("--reward", "Another reward: python:FILE:FUNCTION or hf:FOLDER.", "What")
    ] = None
    reward_name: Annotated[str, flag("--as", "Name of that reward in results.", "What")] = "proxy_reward"
    overwrite: Annotated[
        bool, flag("--overwrite", "Recompute metrics that the results already have.", "What")
    ] = False
    include_path: Annotated[
        Path | None, flag("--include-path", "A folder with more tasks.", "What", metavar="DIR")
    ] = None


@with_flags
def score(flags: ScoreFlags, trust: TrustFlags) -> None:
    """Add metrics to stored samples, in place. Old records are upgraded to the current schema."""
    from rpo_bench.metrics.rescore import rescore

    found = read_stored(flags.results)
    if not found.records:
        where = ", ".join(map(str, flags.results))
        raise UserError(f"{where}: no usable results here.")
    failed = len(found.broken)
    changed = 0
    for stored in found.records:
        metrics = _metrics(flags, trust, stored)
        try:
            done = rescore(stored, metrics, overwrite=flags.overwrite, include_path=flags.include_path)
        except UserError as error:
            failed += 1
            skipped(stored.folder, str(error))
            continue
        changed += bool(done.added)
        if done.added:
            out().print(f"{stored.folder.name}: {', '.join(done.added)}", soft_wrap=True)
    out().print(f"{changed} of {len(found.records)} results have new metrics.")
    if failed:
        raise typer.Exit(1)


def _metrics(flags: ScoreFlags, trust: TrustFlags, stored: "StoredRecord") -> "Sequence[Metric]":
    """The requested metrics, configured for a result's decoding."""
    from rpo_bench.data.row import Prompt
    from rpo_bench.engine.inputs.rewards import EVAL_FLAG, check_source, source_function, try_call
    from rpo_bench.metrics.protocol import MetricContext
    from rpo_bench.metrics.registry import METRICS
    from rpo_bench.metrics.reward import Reward
    from rpo_bench.spec.parsing import split_list
    from rpo_bench.spec.trust import Trust

    named = split_list(flags.metrics or "")
    for name, given in (("toxicity", flags.toxicity), ("reward", flags.reward)):
        if name in named and given is None:
            raise UserError(f"--metrics {name}: choose one with --{name}.")
    context = MetricContext(
        stored.record.spec.evaluation.decoding,
        toxicity=flags.toxicity,
        allow_pickle=trust.allow_pickle,
        references="references" in named,
    )
    single = any(given is not None for given in (flags.toxicity, flags.reward, flags.bertscore))
    names = named or ([] if single else list(METRICS))
    if flags.toxicity is not None and "toxicity" not in names:
        names = [*names, "toxicity"]
    found: list[Metric] = [metric for name in names for metric in METRICS.get(name)(context)]
    if flags.bertscore is not None:
        from rpo_bench.metrics.bertscore import BertScore

        found.append(BertScore.of(flags.bertscore))
    if flags.reward is not None:
        allowed = Trust(**vars(trust))
        check_source(flags.reward, EVAL_FLAG, allowed)
        try_call(flags.reward, EVAL_FLAG, (Prompt(prompt_id="trial", text="Is this a question?"),))
        found.append(Reward(source_function(flags.reward, EVAL_FLAG, allowed), flags.reward_name))
    return found
