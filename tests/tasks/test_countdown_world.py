"""Countdown: how expressions are read and judged, what solutions there are, how players go wrong."""

from fractions import Fraction

import numpy as np
import pytest

from rpo_bench.data.row import Prompt
from rpo_bench.verifier import Verifier
from tasks.countdown.build import Scale, deal
from tasks.countdown.expressions import read
from tasks.countdown.players import TYPICAL, Player, answer
from tasks.countdown.problems import (
    KINDS,
    Problem,
    ask,
    asked,
    every_problem,
    kind,
    solutions,
    straight_solutions,
)
from tasks.countdown.reward import right_expression

PROBLEM = Problem((3, 4, 7), 33)  # (7+4)*3


class TestReading:
    @pytest.mark.parametrize(
        ("text", "value", "numbers"),
        [
            ("(7+4)*3", 33, (3, 4, 7)),
            (" ( 7 + 4 ) * 3 \n", 33, (3, 4, 7)),
            ("7+4*3", 19, (3, 4, 7)),
            ("20-5-3", 12, (3, 5, 20)),  # from the left
            ("20-(5-3)", 18, (3, 5, 20)),
            ("24/4/2", 3, (2, 4, 24)),
            ("24/(4/2)", 12, (2, 4, 24)),
            ("7×4−3", 25, (3, 4, 7)),
            ("8÷2·3", 12, (2, 3, 8)),
            ("1/3", Fraction(1, 3), (1, 3)),
            ("((((5))))", 5, (5,)),
            ("5", 5, (5,)),
        ],
    )
    def test_an_expression_has_a_value_and_numbers(self, text, value, numbers):
        found = read(text)
        assert (found.value, found.numbers) == (value, numbers)

    @pytest.mark.parametrize(
        "text",
        [
            "", " ", "?", "()", "(7+4", "7+4)", "7+", "+7", "-7+4", "7 4", "7*(4)(3)", "2(3)", "7**4", "7//4",
            "7^2", "7+4=11", "the answer is 7+4", "7+four", "7.0+4", "7_0+4", "0x7+4", "1e3", "７+4", "7+4x",
            "1/0", "4/(2-2)", "__import__('os')", "1,000", "1234567", "1+" * 50 + "1", "(" * 100_000,
            "(" * 39 + "1" + ")" * 40, "\x00", "7\u00a0+4*",
        ],
    )  # fmt: skip
    def test_all_else_cant_be_read_and_is_wrong(self, text):
        assert read(text) is None
        assert right_expression([ask(PROBLEM)], [text]) == [0.0]

    def test_deep_brackets_within_the_limit_are_read(self):
        assert read("(" * 39 + "1" + ")" * 39).value == 1


class TestVerifier:
    @pytest.mark.parametrize("text", ["(7+4)*3", "3*(4+7)", "3*7+3*4", "(7+4)*3/1"])
    def test_each_number_once_and_the_value(self, text):
        """3·7 + 3·4 is 33 as well, but uses 3 twice; so does no division by 1 that wasn't given."""
        assert right_expression([ask(PROBLEM)], [text]) == [float(text in ("(7+4)*3", "3*(4+7)"))]

    def test_fractions_in_between_are_allowed(self):
        """(7 / 4) · 8 = 14 uses no whole quotient, and is exact."""
        assert right_expression([ask(Problem((4, 7, 8), 14))], ["7/4*8"]) == [1.0]

    def test_wrong_values_and_numbers(self):
        responses = ["7*4+3", "33", "7+4", "(7+4)*2", "(7+4)*3*1"]
        assert right_expression([ask(PROBLEM)] * 5, responses) == [0.0] * 5

    def test_every_solution_of_every_problem_is_right(self):
        some = list(every_problem())[::17]
        pairs = [(ask(problem), text) for problem in some for text in solutions(problem)]
        assert len(pairs) > len(some)
        assert set(right_expression([p for p, _ in pairs], [t for _, t in pairs])) == {1.0}

    def test_prompts_of_another_world_have_no_answer(self):
        strange = [
            Prompt(prompt_id="x", text=text)
            for text in ("What is love?", "[3,4]=7", "[3,4,7]=", "[3,4,7]=333")
        ]
        assert right_expression(strange, ["7"] * 4) == [None] * 4
        assert isinstance(right_expression, Verifier)


class TestProblems:
    def test_are_asked_by_their_numbers_and_target(self):
        prompt = ask(PROBLEM)
        assert (prompt.text, prompt.metadata) == ("[3,4,7]=33", {"kind": "brackets"})
        assert asked(prompt.text) == PROBLEM

    def test_solutions_by_hand(self):
        """7·4 is 28, 7·3 is 21, 4·3 is 12: only (7 + 4) · 3 makes 33, only 28 + 3 makes 31."""
        assert solutions(PROBLEM) == ("(7+4)*3",)
        assert solutions(Problem((3, 4, 7), 31)) == ("7*4+3",)
        assert solutions(Problem((3, 4, 7), 25)) == ("7*3+4", "7*4-3")
        assert solutions(Problem((3, 4, 7), 99)) == ()

    @pytest.mark.parametrize(
        ("problem", "expected"),
        [(Problem((3, 4, 7), 14), "sums"), (Problem((3, 4, 7), 25), "products"), (PROBLEM, "brackets")],
    )
    def test_their_kind_is_that_of_the_simplest_solution(self, problem, expected):
        assert kind(problem) == expected

    def test_there_are_thousands_each_with_a_solution_in_the_order_of_its_numbers(self):
        found = list(every_problem())
        assert len({(frozenset(problem.numbers), problem.target) for problem in found}) == len(found) > 10_000
        assert {kind(problem) for problem in found} == set(KINDS)
        assert all(straight_solutions(problem) for problem in found)

    def test_solutions_in_the_order_of_the_numbers(self):
        assert straight_solutions(Problem((7, 4, 3), 33)) == ("(7+4)*3",)
        assert straight_solutions(Problem((7, 3, 4), 25)) == ("7*3+4",)
        assert straight_solutions(PROBLEM) == ()


class TestPlayers:
    def test_mistakes_are_never_right(self):
        wrong = Player(dict.fromkeys(KINDS, 0.0))
        rng = np.random.default_rng(0)
        some = list(every_problem())[::5]
        texts = [answer(rng, wrong, problem) for problem in some]
        assert right_expression([ask(problem) for problem in some], texts) == [0.0] * len(some)
        readable = np.mean([read(text) is not None for text in texts])
        assert readable > 0.85  # most mistakes are expressions

    def test_brackets_are_left_out(self):
        wrong = Player(dict.fromkeys(KINDS, 0.0))
        rng = np.random.default_rng(1)
        assert "7+4*3" in {answer(rng, wrong, Problem((7, 4, 3), 33)) for _ in range(50)}

    def test_are_right_as_often_as_is_said(self):
        rng = np.random.default_rng(2)
        every = list(every_problem())
        for name, rate in TYPICAL.right.items():
            some = [problem for problem in every if kind(problem) == name][:1500]
            verdicts = right_expression([ask(p) for p in some], [answer(rng, TYPICAL, p) for p in some])
            assert np.mean(verdicts) == pytest.approx(rate, abs=4 * (0.25 / len(some)) ** 0.5)


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_held_out_or_probed_is_in_no_other_part(seed):
    scale = Scale()
    parts = deal(seed, scale)
    assert [len(parts.train), len(parts.heldout), len(parts.probe)] == [
        scale.train,
        scale.heldout,
        scale.probe,
    ]
    seen = {*parts.pretraining}
    assert not seen & {*parts.heldout, *parts.probe}
    assert not {*parts.heldout} & {*parts.probe}
    assert {*parts.train} <= seen
    assert len(seen) + scale.heldout + scale.probe == len(list(every_problem()))
