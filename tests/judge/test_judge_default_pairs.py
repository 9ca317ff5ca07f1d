"""A run's own games: judged once, written into the records, and only what is new is asked again."""

import numpy as np
import pytest
from judge_worlds import write_judged

from rpo_bench.judge.backends.functions import PythonJudge
from rpo_bench.judge.card import read_card
from rpo_bench.judge.default_pairs import judge_results, sft_baseline, standard_pairs, unjudged
from rpo_bench.judge.naming import judge_name
from rpo_bench.judge.storage import judge_folder
from rpo_bench.results.store import read_results

LENGTHS = {"reference": 1, "sft": 2, "rpo": 3}


def longer_wins(prompt, first, second):
    return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"


JUDGE = PythonJudge(longer_wins, "judge.py:longer_wins", "c" * 64)
NAME = judge_name(JUDGE.identity)


def world(folder, methods=LENGTHS):
    """Each method says the question's number and as many words as it is strong."""
    return write_judged(folder, {m: [f"{i}" + " word" * LENGTHS[m] for i in range(12)] for m in methods})


def records(output):
    return read_results([output]).records


def metric(output, method, name):
    (stored,) = (one for one in records(output) if one.record.spec.method.name == method)
    return stored.record.metrics[name].interval.point


def test_every_checkpoint_meets_the_reference_and_sft(tmp_path):
    """12 prompts: sft and rpo against the reference, rpo against sft, in both orders each: 72 calls."""
    output = world(tmp_path)
    assert sft_baseline(records(output)) == "sft@0.3"
    done = judge_results(output, records(output), JUDGE)
    assert (done.calls, done.changed) == (72, 3)
    assert metric(output, "rpo", "win_rate") == metric(output, "rpo", "win_rate_sft") == 1.0
    assert metric(output, "sft", "win_rate") == 1.0
    assert metric(output, "reference", "judge_rating") == 0.0
    assert metric(output, "rpo", "judge_rating") > metric(output, "sft", "judge_rating") > 0
    card = read_card(judge_folder(output, JUDGE))
    assert card.prefers_longer.point == 1
    assert card.games == 72


def test_a_new_checkpoint_alone_is_judged(tmp_path):
    """First the reference and sft: 24 calls. Then rpo comes: its own 48, against what is stored."""
    output = world(tmp_path, ("reference", "sft"))
    assert judge_results(output, records(output), JUDGE).calls == 24
    assert not unjudged(records(output), NAME)
    world(tmp_path, ("rpo",))
    assert unjudged(records(output), NAME)
    assert judge_results(output, records(output), JUDGE).calls == 48
    assert not unjudged(records(output), NAME)
    assert judge_results(output, records(output), JUDGE).calls == 0


def test_another_judge_judges_anew(tmp_path):
    output = world(tmp_path)
    judge_results(output, records(output), JUDGE)
    assert unjudged(records(output), "embedded:judge 12345678")


def test_prompts_are_spread_over_all_of_them(tmp_path):
    output = world(tmp_path)
    chosen = {pair.prompt.prompt_id for pair in standard_pairs(records(output), 4)}
    assert chosen == {"p000", "p003", "p006", "p009"}


def test_nothing_to_compare_is_no_error(tmp_path):
    output = world(tmp_path, ("reference",))
    assert standard_pairs(records(output), 4) == []
    assert judge_results(output, records(output), JUDGE).calls == 0
    assert not unjudged(records(output), NAME)


@pytest.mark.parametrize("broken", ["rpo"])
def test_metrics_of_others_stay(tmp_path, broken):
    output = world(tmp_path)
    before = {one.record.cell: one.record.metrics for one in records(output)}
    judge_results(output, records(output), JUDGE)
    for one in records(output):
        kept = {k: v for k, v in one.record.metrics.items() if k in before[one.record.cell]}
        assert kept == before[one.record.cell]
        assert np.isfinite(one.record.metrics["judge_rating"].interval.point)
