"""Methods over places: 0 is the reference policy, 1 the oracle at the same KL, whoever else is there."""

import numpy as np
import pytest
from results_factory import PROMPTS, cell_spec, write_cell
from run_cli import invoke

from rpo_bench.analysis import across
from rpo_bench.analysis.across import aggregate_report
from rpo_bench.errors import UserError
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.samples import ScoreLine
from rpo_bench.stats.oracle import Oracle

IDS = tuple(f"p{p:03}" for p in range(PROMPTS))


def oracle(reward_at_half: float) -> Oracle:
    """0 at KL 0, ``reward_at_half`` at ½, flat up to 1; the same for every prompt."""
    ones = np.ones((PROMPTS, 1))
    return Oracle(
        prompts=IDS,
        kl=ones * [0.0, 0.5, 1.0],
        reward=ones * [0.0, reward_at_half, reward_at_half],
        effective=ones * [100.0, 100.0, 100.0],
        samples=100,
        best_of=(1,),
        best_of_kl=np.zeros(1),
        best_of_reward=np.zeros((PROMPTS, 1)),
    )


def cell(root, method, strength, seed, model, kl, reward):
    """A checkpoint with the same scores on every prompt."""
    folder = write_cell(root, cell_spec(method, strength, seed, model=model))
    scores = {"kl": kl, "reward": reward}
    write_json_lines(
        folder / "scores.jsonl.gz", [ScoreLine(prompt_id=p, sample=0, scores=scores) for p in IDS]
    )


@pytest.fixture
def results(tmp_path, monkeypatch):
    """At ½ nats sft earns 1, 1.2 and 1.4 on "small" (oracle 2) and 1 on "large" (oracle 4); rpo 2 and 2."""
    for model in ("small", "large"):
        cell(tmp_path, "reference", None, 0, model, 0.0, 0.0)
        for seed in (0, 1, 2):
            earned = 1.0 + 0.2 * seed if model == "small" else 1.0
            cell(tmp_path, "sft", 4.0, seed, model, 0.5, earned)
            cell(tmp_path, "rpo", 0.5, seed, model, 1.0, 4.0)  # half way to it at half the KL
    known = {"small": oracle(2.0), "large": oracle(4.0)}
    monkeypatch.setattr(across, "find_oracle", lambda spec, roots: known[spec.model])
    return tmp_path


def test_scores_are_shares_of_the_oracles_gain(results):
    """sft: 0.5, 0.6, 0.7 and ¼ three times; rpo: 1 three times and ½ three times."""
    rows = {row.method: row for row in aggregate_report([results]).rows}
    assert rows["sft"].by_place["civil_qa, small"] == pytest.approx(0.6)
    assert rows["sft"].by_place["civil_qa, large"] == pytest.approx(0.25)
    assert rows["rpo"].by_place == pytest.approx({"civil_qa, small": 1.0, "civil_qa, large": 0.5})


def test_the_interquartile_mean_leaves_a_quarter_out_at_each_end(results):
    """sft: .25 .25 .25 .5 .6 .7; a quarter of six is 1½ at each end: (½·.25 + .25 + .5 + ½·.6) / 3."""
    (sft,) = [row for row in aggregate_report([results]).rows if row.method == "sft"]
    assert sft.iqm.point == pytest.approx((0.5 * 0.25 + 0.25 + 0.5 + 0.5 * 0.6) / 3)
    assert sft.iqm.low < sft.iqm.point < sft.iqm.high


def test_improvement_and_profile(results):
    """rpo beats every run of sft; of sft's six runs three are above ¼, two above ½, none above ¾."""
    rpo, sft = aggregate_report([results]).rows
    assert (rpo.method, sft.method) == ("rpo", "sft"), "best first"
    assert rpo.improvement.point == 1.0
    assert rpo.improvement.low is None, "runs that don't overlap give no interval"
    assert sft.improvement is None
    assert sft.profile == pytest.approx({"0.25": 0.5, "0.5": 2 / 6, "0.75": 0.0})


def test_a_methods_number_is_its_own(results):
    """Another method on the board moves nobody."""
    before = {row.method: row.iqm for row in aggregate_report([results]).rows}
    for model in ("small", "large"):
        for seed in (0, 1, 2):
            cell(results, "kto", 0.1, seed, model, 0.9, 100.0)
    after = {row.method: row.iqm for row in aggregate_report([results]).rows}
    assert {name: after[name] for name in before} == before


def test_the_verb_prints_one_table(results):
    done = invoke("aggregate", results)
    assert done.exit_code == 0, done.output
    assert "Share of the oracle's gain at 0.5 nats of KL" in done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("rpo")]
    assert line.split()[:4] == ["rpo", "3", "0.50", "1.00"]


def test_one_place_is_no_aggregate(results, monkeypatch):
    monkeypatch.setattr(
        across, "find_oracle", lambda spec, roots: "no samples" if spec.model == "large" else oracle(2.0)
    )
    with pytest.raises(UserError, match=r"needs two tasks or base models.*it has no oracle \(no samples\)"):
        aggregate_report([results])
