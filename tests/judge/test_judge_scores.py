"""What is told of rows and of the judge: planted preferences are measured as such."""

import numpy as np
import pytest
from judge_worlds import write_judged
from run_cli import invoke

from rpo_bench.judge.card import agreement, cohens_kappa, judge_card
from rpo_bench.judge.games import Game
from rpo_bench.judge.scores import judgements_of, row_of, row_win_rates


def game(question, swapped, verdict, model_length=10, baseline_length=10, model="rpo-0.5-0-aa", **more):
    """A game against sft."""
    lengths = {"model_length": model_length, "baseline_length": baseline_length}
    values = {"probability": None, "reason": None, **lengths, **more}
    return Game(question, model, "sft-8-0-bb", swapped, verdict, **values)


def games(decide, n=4_000, seed=0):
    """Questions with random lengths, in both orders, by ``decide(model first?, model longer?, rng)``."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(n):
        lengths = rng.choice(np.arange(5, 60), size=2, replace=False)
        for swapped in (False, True):
            wins = decide(not swapped, lengths[0] > lengths[1], rng)
            verdict = "model" if wins else "baseline"
            found.append(game(f"p{number}/0", swapped, verdict, int(lengths[0]), int(lengths[1])))
    return found


def test_both_orders_make_one_score():
    """Won and lost: ½. Won twice: 1. Scored once: unscored. Seen in one order alone: no question."""
    found = judgements_of(
        [
            game("a", False, "model"), game("a", True, "baseline"),
            game("b", False, "model"), game("b", True, "model"),
            game("c", False, "model"), game("c", True, None, reason="cut off"),
            game("d", False, "model"),
        ]
    )  # fmt: skip
    (one,) = found
    assert (one.model, one.baseline) == ("rpo-0.5", "sft-8")
    assert [(j.question, j.score) for j in one.judgements] == [("a", 0.5), ("b", 1.0), ("c", None)]


def test_probabilities_count_as_they_are():
    """0.9 and 0.7 make 0.8."""
    (one,) = judgements_of(
        [game("a", False, "model", probability=0.9), game("a", True, "model", probability=0.7)]
    )
    assert one.judgements[0].score == pytest.approx(0.8)


def test_training_seeds_are_one_row_and_a_question_of_several_seeds_counts_once():
    """Seed 0 wins twice, seed 1 loses twice: one question, 50 %."""
    rates = row_win_rates(
        [
            game("a", swapped, verdict, model=f"rpo-0.5-{seed}-aa")
            for seed, verdict in ((0, "model"), (1, "baseline"))
            for swapped in (False, True)
        ]
    )
    assert [(one.model, one.questions, one.win_rate) for one in rates] == [("rpo-0.5", 1, 50.0)]
    assert row_of("rpo_tau=0.3_-0.3-0-1234abcd") == "rpo_tau=0.3_-0.3"


def test_a_judge_that_takes_the_first_with_a_known_rate():
    """The first with 80 % chance, drawn anew for each order: the winner changes in 0.8² + 0.2² = 68 %."""
    card = judge_card(games(lambda first, longer, rng: (rng.random() < 0.8) == first))
    assert card.first.low < 0.8 < card.first.high
    assert card.flips.low < 0.68 < card.flips.high
    assert card.longer.low < 0.5 < card.longer.high


def test_a_judge_that_takes_the_longer_with_a_known_rate():
    card = judge_card(games(lambda first, longer, rng: (rng.random() < 0.7) == longer))
    assert card.longer.low < 0.7 < card.longer.high
    assert card.first.low < 0.5 < card.first.high


def test_a_judge_that_flips_a_coin_flips_half_the_time():
    card = judge_card(games(lambda first, longer, rng: rng.random() < 0.5))
    assert card.flips.low < 0.5 < card.flips.high


def test_what_has_no_verdict_is_counted_by_its_reason():
    card = judge_card(
        [game("a", False, "tie"), game("a", True, None, reason="cut off"), game("b", True, "model")]
    )
    assert card.games == 3
    assert card.unscored == {"cut off": 1}
    assert card.parsed.point == pytest.approx(2 / 3)
    assert card.ties.point == pytest.approx(0.5)


def test_kappa_by_hand():
    """a: + + − −, b: + − − −. p_o = ¾; p_e = ½·¼ + ½·¾ = ½; κ = ½."""
    assert cohens_kappa([(1, 1), (1, -1), (-1, -1), (-1, -1)]) == pytest.approx(0.5)
    assert cohens_kappa([(1, 1), (1, 1)]) is None
    assert cohens_kappa([]) is None


def test_judges_are_compared_on_what_both_scored_in_both_orders():
    """Both agree on "a", differ on "b"; "c" only one has scored."""

    def said(**verdicts):
        return [game(q, swapped, verdict) for q, verdict in verdicts.items() for swapped in (False, True)]

    found = agreement(said(a="model", b="model", c="model"), said(a="model", b="baseline"))
    assert found.questions == 2
    assert found.share.point == pytest.approx(0.5)


LONGER = """
def longer(prompt, first, second):
    return "tie" if len(first) == len(second) else "A" if len(first) > len(second) else "B"
"""


def test_the_verb_tells_rows_card_and_agreement_with_gold(tmp_path):
    """A judge by length, planted: it prefers the longer in 100 % of its games."""
    output = write_judged(tmp_path, {"reference": ["a", "bb", "c"], "rpo": ["aaaa", "b", "cc"]})
    (tmp_path / "longer.py").write_text(LONGER)
    done = invoke("judge", "run", output, "--judge", f"python:{tmp_path / 'longer.py'}:longer")
    assert done.exit_code == 0, done.output
    told = invoke("judge", "scores", output).stdout
    assert "Against reference" in told
    (longer,) = [line for line in told.splitlines() if line.startswith("prefers the longer")]
    assert "100.0" in longer
    (row,) = [line for line in told.splitlines() if line.startswith("rpo")]
    assert "66.7" in row, "two of three questions"
    assert '"agreement_with_gold": null' in invoke("judge", "scores", output, "--json").stdout


def test_without_judgements_there_is_one_sentence(tmp_path):
    done = invoke("judge", "scores", tmp_path)
    assert (done.exit_code, "there are no judgements" in done.stderr) == (2, True)
