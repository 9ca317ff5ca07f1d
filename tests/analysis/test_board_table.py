"""The board's rows: means over seeds, intervals over seeds and prompts, and nothing made up."""

import numpy as np
import pytest
from results_factory import SHAPES, cell_spec, metric, scores_of, write_cell, write_world
from scipy import stats
from worlds import write_scored

from rpo_bench.analysis.board import make_board
from rpo_bench.results.store import read_results
from rpo_bench.site.columns import COLUMNS
from rpo_bench.stats.oracle import estimate_oracle


def rows_of(root, oracles=None):
    return {(row.method, row.strength): row for row in make_board(read_results(root), oracles).rows}


def test_a_row_per_method_and_strength_with_the_reference_first(tmp_path):
    rows = make_board(read_results(write_world(tmp_path))).rows
    assert [row.method for row in rows[:2]] == ["reference", "dro"]
    assert len(rows) == 1 + len(SHAPES) * 3
    assert [row.strength for row in rows if row.method == "rpo"] == [0.1, 0.3, 1.0]


def test_a_value_is_the_mean_over_seeds_and_prompts(tmp_path):
    row = rows_of(write_world(tmp_path, ["rpo"]))["rpo", 0.3]
    wanted = np.mean([scores_of(cell_spec("rpo", 0.3, seed))["reward"].mean() for seed in range(3)])
    value = row.values["reward"]
    assert value.interval.point == pytest.approx(wanted)
    assert value.interval.low < wanted < value.interval.high
    assert (value.seeds, value.prompts, value.n) == (3, 24, "3 × 24")
    assert set(value.interval.levels) >= {"training seeds", "prompts"}


def test_a_measure_of_all_samples_has_student_s_interval_over_seeds_and_the_records_over_prompts(tmp_path):
    """distinct-2 of 0.50, 0.52 and 0.57, each ± 1.96 · 0.02/√2 over its prompts."""
    for seed, value in enumerate((0.50, 0.52, 0.57)):
        write_scored(
            tmp_path,
            cell_spec(seed=seed),
            {"reward": [0.1, 0.2]},
            {"distinct_2": metric([value - 0.02, value + 0.02])},
        )
    value = rows_of(tmp_path)["rpo", 0.3].values["distinct_2"]
    over_seeds = stats.t.ppf(0.975, 2) * stats.sem([0.50, 0.52, 0.57])
    half = np.hypot(over_seeds, 1.96 * 0.02 / np.sqrt(2))
    assert (value.interval.low, value.interval.high) == pytest.approx((0.53 - half, 0.53 + half))
    assert (value.interval.levels, value.n) == (("training seeds", "prompts"), "3")


def test_a_probability_is_never_beyond_its_ends(tmp_path):
    """Two prompts, one of which is all but certain: Student's quantile would reach far below 0."""
    scores = {"toxicity": [0.01, 0.98], "reward": [0.0, 1.0]}
    units = {"toxicity": metric([0.01, 0.98], "probability", False)}
    write_scored(tmp_path, cell_spec(), scores, units)
    values = rows_of(tmp_path)["rpo", 0.3].values
    assert (values["toxicity"].interval.low, values["toxicity"].interval.high) == (0.0, 1.0)
    assert values["reward"].interval.low < 0


def test_one_seed_keeps_the_interval_of_its_record(tmp_path):
    one = metric([0.4, 0.6])
    write_scored(tmp_path, cell_spec(), {"reward": [0.1, 0.2]}, {"distinct_2": one})
    assert rows_of(tmp_path)["rpo", 0.3].values["distinct_2"].interval == one.interval


def test_samples_without_a_score_are_left_out_of_means(tmp_path):
    write_scored(tmp_path, cell_spec(), {"reward": [0.0, 1.0, 2.0], "toxicity": [0.2, None, 0.4]})
    value = rows_of(tmp_path)["rpo", 0.3].values["toxicity"]
    assert value.interval.point == pytest.approx(0.3)
    assert value.prompts == 2


@pytest.mark.parametrize(
    ("seeds", "badge"),
    [(1, "preliminary"), (4, "preliminary"), (5, "published"), (9, "published"), (10, "headline")],
)
def test_badges_follow_the_number_of_seeds(tmp_path, seeds, badge):
    rows = rows_of(write_world(tmp_path, ["rpo"], seeds=seeds, strengths=(0.3,)))
    assert rows["rpo", 0.3].badge == badge
    assert rows["reference", None].badge == "reference"


def test_a_diverged_seed_is_counted_and_its_absence_shown(tmp_path):
    write_world(tmp_path, ["rpo"], seeds=2, strengths=(0.3,))
    write_cell(tmp_path, cell_spec("rpo", 0.3, 2), status="diverged")
    row = rows_of(tmp_path)["rpo", 0.3]
    assert (row.seeds, row.diverged, row.unmeasured) == ((0, 1, 2), 1, 1)
    assert row.values["reward"].seeds == 2


def test_a_row_of_diverged_seeds_alone_has_no_values(tmp_path):
    write_cell(tmp_path, cell_spec(), status="diverged")
    row = rows_of(tmp_path)["rpo", 0.3]
    assert row.values == {}
    assert row.point("reward") is None


def test_where_scores_are_missing_the_records_values_stand_in(tmp_path):
    write_world(tmp_path, ["rpo"], strengths=(0.3,))
    board = make_board(read_results(tmp_path))
    before = next(row for row in board.rows if row.method == "rpo").values["reward"].interval
    (next(tmp_path.glob("*/*/rpo-0.3-1-*")) / "scores.jsonl.gz").unlink()
    board = make_board(read_results(tmp_path))
    after = next(row for row in board.rows if row.method == "rpo").values["reward"].interval
    assert after.point == pytest.approx(before.point)
    assert after.levels == ("training seeds", "prompts")
    assert list(board.sections[0].unread.values()) == ["scores.jsonl.gz is missing"]


def test_the_order_of_the_records_changes_nothing(tmp_path):
    found = read_results(write_world(tmp_path, ["rpo", "kto"]))
    turned = type(found)(found.records[::-1])
    assert make_board(found).rows == make_board(turned).rows


def test_regret_is_the_oracle_s_reward_at_the_same_kl_less_the_row_s(tmp_path):
    """Two answers, of reward 0 and 1, equally likely on every prompt.

    Choosing the better one with probability p costs log 2 − H(p) nats. At p = 0.9 that is 0.3681 nats for a
    reward of 0.9; a checkpoint of 0.7 at that KL has a regret of 0.2.
    """
    kl = np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1)
    rewards = np.tile(np.repeat([0.0, 1.0], 500), (4, 1))
    oracle = estimate_oracle(rewards, ("p0", "p1", "p2", "p3"))
    for seed, shift in enumerate((-0.1, 0.0, 0.1)):
        write_scored(tmp_path, cell_spec(seed=seed), {"kl": [kl] * 4, "reward": [0.7 + shift] * 4})
    value = rows_of(tmp_path, {("civil_qa", "decoder"): oracle})["rpo", 0.3].values["regret"]
    assert value.interval.point == pytest.approx(0.2, abs=2e-3)
    assert value.interval.low < 0.2 < value.interval.high


def test_there_is_no_regret_beyond_where_the_oracle_can_be_trusted(tmp_path):
    """Of 40 samples, less than 10 count above log 4 nats."""
    rewards = np.random.default_rng(0).normal(size=(4, 40))
    oracle = estimate_oracle(rewards, ("p0", "p1", "p2", "p3"))
    write_scored(tmp_path, cell_spec(strength=1.0), {"kl": [0.2] * 4, "reward": [0.1, 0.2, 0.1, 0.2]})
    write_scored(tmp_path, cell_spec(strength=0.1), {"kl": [3.0] * 4, "reward": [0.1, 0.2, 0.1, 0.2]})
    rows = rows_of(tmp_path, {("civil_qa", "decoder"): oracle})
    assert oracle.end < np.log(4)
    assert "regret" in rows["rpo", 1.0].values
    assert "regret" not in rows["rpo", 0.1].values


def test_an_oracle_of_other_prompts_gives_no_regret(tmp_path):
    oracle = estimate_oracle(np.random.default_rng(0).normal(size=(2, 40)), ("p0", "q"))
    write_scored(tmp_path, cell_spec(), {"kl": [0.2] * 2, "reward": [0.1, 0.2]})
    assert "regret" not in rows_of(tmp_path, {("civil_qa", "decoder"): oracle})["rpo", 0.3].values


def test_no_two_columns_have_the_same_name():
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)
