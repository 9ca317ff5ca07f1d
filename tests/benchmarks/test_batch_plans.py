"""benchmarks/batch_plans.py: its table by hand, and that it trains what it says."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import batch_plans
from batch_plans import ROWS, STEPS, table, trained


def test_a_ratio_above_one_means_that_random_batches_are_faster():
    """3,840 rows in 2 s against 4 s."""
    fastest = {("decoder", "rpo", "uniform"): 2.0, ("decoder", "rpo", "by_length"): 4.0}
    assert STEPS * ROWS == 3840
    assert table(fastest).splitlines()[-1] == "| decoder | rpo | 1920 | 960 | 2.00 |"


@pytest.mark.parametrize("plan", ["uniform", "by_length"])
def test_each_method_is_trained_once_by_the_plan(plan, tmp_path, monkeypatch):
    from rpo_bench.results.store import read_results

    monkeypatch.setattr(batch_plans, "STEPS", 2)
    seconds = trained("sft,dpo", ["decoder"], plan, tmp_path)
    assert set(seconds) == {("decoder", "sft"), ("decoder", "dpo")}
    assert min(seconds.values()) > 0
    records = [stored.record for stored in read_results([tmp_path / "results"]).records]
    ways = {(r.spec.training.batches, r.spec.training.steps) for r in records if r.spec.strength is not None}
    assert ways == {(plan, 2)}
