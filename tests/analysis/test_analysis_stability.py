"""MethodStability over seeds, strengths and learning rates, and what counts as diverged."""

import json
from pathlib import Path

import numpy as np
import pytest
from results_factory import cell_spec, write_cell
from run_cli import invoke
from worlds import write_points, write_scored

from rpo_bench.analysis.stability import Limits, across_iqr, first_step, stability_report, worst_mean
from rpo_bench.spec.sections import TrainingSpec


def row(root: Path, limits: Limits = Limits()):  # noqa: B008
    (found,) = stability_report([root], limits).rows
    return found


def test_spread_and_worst_quarter_over_seeds_by_hand():
    """0, 1, 2, 3, 4: quartiles 1 and 3; the worst quarter of five is two of them, mean ½."""
    assert across_iqr(np.arange(5.0)) == 2.0
    assert worst_mean(np.arange(5.0)) == 0.5
    assert across_iqr(np.array([1.0])) is None
    assert worst_mean(np.array([])) is None


def test_the_first_step_at_the_threshold_whatever_the_order_of_the_log():
    log = [{"step": 30, "probe_reward": 0.9}, {"step": 10, "probe_reward": 0.2}, {"step": 20, "loss": 1.0}]
    assert first_step(log, 0.5) == 30
    assert first_step(log, 0.1) == 10
    assert first_step(log, 1.0) is None
    assert first_step([{"step": 1, "probe_reward": None}], 0.0) is None


def test_every_way_of_diverging_is_counted_with_its_reason(tmp_path: Path):
    """Four seeds: one isn't finite, one is far beyond the cap, one is below the reference, one is well."""
    prompts = np.linspace(-0.1, 0.1, 8)
    write_scored(tmp_path, cell_spec("reference", None), {"kl": [0.0] * 8, "reward": prompts.tolist()})
    write_cell(tmp_path, cell_spec("a", 0.1, 0), status="diverged")
    for seed, (kl, reward) in enumerate([(50.0, 1.0), (1.0, -1.0), (1.0, 1.0)], start=1):
        noise = 0.01 * np.random.default_rng(seed).normal(size=8)
        scores = {"kl": [kl] * 8, "reward": (reward + prompts + noise).tolist()}
        write_scored(tmp_path, cell_spec("a", 0.1, seed), scores)
    found = row(tmp_path)
    assert found.reasons == {"not finite": 1, "KL over 20": 1, "reward under the reference's": 1}
    assert (found.diverged, found.seeds) == (3, 4)
    assert found.diverged_share.low < 0.75 < found.diverged_share.high
    assert row(tmp_path, Limits(kl_cap=100)).diverged == 2


def test_no_seed_diverged_is_not_a_certainty(tmp_path: Path):
    """0 of 3: shares up to 1 − 0.05^(1/3) = 63 % aren't ruled out."""
    found = row(write_points(tmp_path, {"a": {0.1: [(1.0, 1.0)] * 3}}))
    assert (found.diverged, found.diverged_share.low) == (0, 0.0)
    assert found.diverged_share.high == pytest.approx(0.632, abs=1e-3)


def test_sensitivity_is_worst_over_best_of_one_setting_at_a_time(tmp_path: Path):
    """Reference 0. Strengths at the default rate: gains 1 and 0.5. Rates at strength 0.1: 0.2 and 0.8."""
    root = write_points(tmp_path, {"a": {0.1: [(1.0, 1.0)], 1.0: [(1.0, 0.5)]}})
    (found,) = stability_report([root], Limits()).sensitivity
    assert (found.method, found.setting, found.values) == ("a", "strength", 2)
    assert (found.worst, found.best, found.ratio) == pytest.approx((0.5, 1.0, 0.5))
    for rate, reward in ((1e-4, 0.2), (1e-3, 0.8)):
        spec = cell_spec("b", 0.1, training=TrainingSpec(learning_rate=rate))
        write_scored(root, spec, {"kl": [1.0] * 4, "reward": [reward] * 4})
    by_rate = next(one for one in stability_report([root], Limits()).sensitivity if one.method == "b")
    assert (by_rate.setting, by_rate.ratio) == ("learning rate", pytest.approx(0.25))


def test_a_method_that_never_gains_has_no_ratio(tmp_path: Path):
    root = write_points(tmp_path, {"a": {0.1: [(1.0, -1.0)], 1.0: [(1.0, -0.5)]}})
    (found,) = stability_report([root], Limits()).sensitivity
    assert (found.best, found.ratio) == (-0.5, None)


def test_the_verb_prints_a_table_and_json(tmp_path: Path):
    write_cell(tmp_path, cell_spec("reference", None))
    for seed in range(3):
        write_cell(tmp_path, cell_spec("rpo", 0.1, seed))
    table = invoke("stability", tmp_path, "--threshold", "0.2")
    assert table.exit_code == 0, table.output
    assert "0/3 (≤ 63%)" in table.stdout
    assert "(3/3)" in table.stdout
    found = json.loads(invoke("stability", tmp_path, "--json").stdout)
    assert found["rows"][0]["measures"]["loss_iqr"] == pytest.approx(0.11)


def test_nothing_trained_is_said(tmp_path: Path):
    write_cell(tmp_path, cell_spec("reference", None))
    ended = invoke("stability", tmp_path)
    assert ended.exit_code == 2
    assert "there is no trained checkpoint" in ended.stderr
