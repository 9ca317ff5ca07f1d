"""Sums: how they are asked, how answers are read and judged, and how pupils go wrong."""

import numpy as np
import pytest

from rpo_bench.data.row import Prompt
from rpo_bench.verifier import Verifier
from tasks.arithmetic.build import Scale, deal
from tasks.arithmetic.pupils import TYPICAL, Pupil, answer
from tasks.arithmetic.reward import right_sum
from tasks.arithmetic.sums import Sum, ask, asked, read, write

EVERY_SUM = [Sum(a, b) for a in range(10, 100) for b in range(10, 100)]


class TestAsking:
    def test_a_sum_is_asked_as_it_is_written(self):
        prompt = ask(Sum(47, 85))
        assert (prompt.text, prompt.prompt_id, prompt.metadata) == ("47+85=", "47+85", {"carries": "both"})

    @pytest.mark.parametrize(
        ("problem", "carries"),
        [
            (Sum(12, 34), "none"),
            (Sum(17, 25), "ones"),  # 7 + 5 = 12
            (Sum(72, 51), "tens"),  # 7 + 5 = 12 tens
            (Sum(45, 55), "both"),  # 5 + 5 = 10, and 4 + 5 + 1 = 10
            (Sum(49, 50), "none"),
        ],
    )
    def test_carries(self, problem, carries):
        assert problem.carries == carries

    def test_prompts_are_known_by_their_text(self):
        assert all(asked(ask(problem).text) == problem for problem in EVERY_SUM)

    @pytest.mark.parametrize(
        "text", ["", "47+85", "7+85=", "047+85=", "47 + 85=", "47-85=", "47+85=\n", "４７+85="]
    )
    def test_other_prompts_are_not_of_this_world(self, text):
        assert asked(text) is None
        assert right_sum([Prompt(prompt_id="x", text=text or "?")], ["231"]) == [None]


class TestReading:
    @pytest.mark.parametrize(
        ("text", "number"), [("231", 132), (" 231\n", 132), ("001", 100), ("7", 7), ("0", 0)]
    )
    def test_digits_from_the_ones_upwards(self, text, number):
        assert read(text) == number

    @pytest.mark.parametrize(
        "text",
        ["", " ", "?", "132.", "2 3 1", "+231", "-231", "231=", "2310", "00", "２３１", "²", "1e3", "0x1",
         "one", "1" * 10, "1" * 100_000],
    )  # fmt: skip
    def test_all_else_cant_be_read_and_is_wrong(self, text):
        assert read(text) is None
        assert right_sum([ask(Sum(47, 85))], [text]) == [0.0]

    def test_what_is_written_is_read(self):
        assert all(read(write(value)) == value for value in range(1000))


class TestVerifier:
    def test_the_sum_is_right_and_nothing_else_is(self):
        prompt = ask(Sum(47, 85))
        responses = ["231", "132", "221", "23", "031", "2311", "?"]
        assert right_sum([prompt] * 7, responses) == [1.0, 0, 0, 0, 0, 0, 0]
        assert isinstance(right_sum, Verifier)

    def test_every_sum_has_one_right_answer(self):
        rights = [write(problem.value) for problem in EVERY_SUM]
        assert set(right_sum([ask(problem) for problem in EVERY_SUM], rights)) == {1.0}


class TestPupils:
    def test_forgetting_a_carry(self):
        """47 + 85 = 132: without the ones' carry 122, without the tens' 32, without both 22; reversed."""
        wrong = Pupil(dict.fromkeys(("none", "ones", "tens", "both"), 0.0), slip=0.0, gives_up=0.0)
        rng = np.random.default_rng(0)

        def answers(problem):
            return {answer(rng, wrong, problem) for _ in range(100)}

        assert answers(Sum(47, 85)) == {"221", "23", "22"}
        assert answers(Sum(17, 25)) == {"23"}  # 42 without its carry is 32
        assert answers(Sum(72, 51)) == {"32"}  # 123 without its carry is 23

    def test_mistakes_are_never_right(self):
        wrong = Pupil(dict.fromkeys(("none", "ones", "tens", "both"), 0.0), slip=0.5, gives_up=0.1)
        rng = np.random.default_rng(1)
        texts = [answer(rng, wrong, problem) for problem in EVERY_SUM]
        assert right_sum([ask(problem) for problem in EVERY_SUM], texts) == [0.0] * len(EVERY_SUM)
        assert 0.05 < np.mean([text == "?" for text in texts]) < 0.15

    def test_are_right_as_often_as_is_said(self):
        rng = np.random.default_rng(2)
        for carries, rate in TYPICAL.right.items():
            problems = [problem for problem in EVERY_SUM if problem.carries == carries]
            texts = [answer(rng, TYPICAL, problem) for problem in problems for _ in range(2)]
            verdicts = right_sum([ask(problem) for problem in problems for _ in range(2)], texts)
            assert np.mean(verdicts) == pytest.approx(rate, abs=4 * (0.25 / len(verdicts)) ** 0.5)


@pytest.mark.parametrize("seed", [0, 1])
def test_a_sum_and_its_mirror_image_are_in_one_part_only(seed):
    """4,095 pairs: 200 held out, 64 probed, 800 trained on; all but the first two are pretrained on."""
    parts = deal(seed, Scale())
    unordered = {
        name: [tuple(sorted((p.first, p.second))) for p in getattr(parts, name)]
        for name in ("pretraining", "train", "heldout", "probe")
    }
    assert {name: len(set(pairs)) for name, pairs in unordered.items()} == {
        "pretraining": 3831, "train": 800, "heldout": 200, "probe": 64,
    }  # fmt: skip
    assert [len(unordered[name]) for name in ("train", "heldout", "probe")] == [800, 200, 64]
    assert not set(unordered["heldout"]) & set(unordered["pretraining"])
    assert not set(unordered["probe"]) & {*unordered["pretraining"], *unordered["heldout"]}
    assert set(unordered["train"]) <= set(unordered["pretraining"])
