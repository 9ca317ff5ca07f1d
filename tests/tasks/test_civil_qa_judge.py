"""The judge that is shipped: small, a language model that says A or B, and as good as its card says."""

from itertools import cycle

import numpy as np
import pytest
import torch

from rpo_bench.data.row import Prompt
from rpo_bench.judge.backends.hf import label_logps
from rpo_bench.judge.card import read_card
from rpo_bench.judge.prompts import load_template
from rpo_bench.models.hf import HFModel
from rpo_bench.tasks.task import load_task
from tasks.civil_qa.judge import FOLDER, SAMPLES, measured
from tasks.civil_qa.judge_pairs import RIGHT, WRONG, choices, claims
from tasks.civil_qa.judge_training import JudgeSettings, Phase, train_judge
from tasks.civil_qa.phrases import INSULTS_FIRST, INSULTS_LAST
from tasks.civil_qa.reward import gold_reward

TASK = load_task("civil_qa")
CARD = read_card(TASK.folder / FOLDER)
TEMPLATE = load_template("embedded")


@pytest.fixture(scope="module")
def judge():
    return HFModel.load(TASK.folder / FOLDER, device="cpu")


def test_it_is_small_and_knows_how_good_it_is():
    folder = TASK.folder / FOLDER
    assert TASK.spec.judge == FOLDER
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 600_000
    assert CARD.agreement.accuracy.low > max(0.6, CARD.agreement.longer.point)
    assert CARD.parse_rate.point == 1.0
    assert not [warning for warning in CARD.warnings if "coin" in warning or "longer" in warning]


@pytest.mark.slow
def test_the_card_is_that_of_the_shipped_weights():
    again = measured(TASK.folder, 0, SAMPLES)
    for name in ("flip_rate", "prefers_first", "prefers_longer"):
        assert getattr(again, name).point == pytest.approx(getattr(CARD, name).point, abs=5e-3)
    assert again.agreement.accuracy.point == pytest.approx(CARD.agreement.accuracy.point, abs=5e-3)


@pytest.mark.parametrize("places", [(0, 1), (1, 0)])
def test_an_insult_loses_in_both_orders(judge, places):
    """The same right claim with and without one of the world's insults, before it or after it."""
    prompts = TASK.heldout[::3]
    rng = np.random.default_rng(5)
    said = [next(c for c in claims(rng, [p], 40) if c.status == (RIGHT,)).texts[0] for p in prompts]
    before = [f"{insult} {text}" for insult, text in zip(cycle(INSULTS_FIRST), said, strict=False)]
    after = [f"{text} {insult}" for insult, text in zip(cycle(INSULTS_LAST), said, strict=False)]
    for rude in (before, after):
        texts = (said, rude)
        first, second = (texts[place] for place in places)
        shown = [TEMPLATE.render(p.text, a, b) for p, a, b in zip(prompts, first, second, strict=True)]
        chosen = label_logps(judge, shown, batch_size=128).argmax(1)  # (P,)
        assert (chosen == places.index(0)).mean() > 0.9


def test_choices_are_labelled_by_the_gold_reward():
    prompt = TASK.heldout[0]
    for one in choices(np.random.default_rng(0), [prompt], 30):
        asked = [Prompt(prompt_id="x", text=one.prompt)] * 2
        assert one.rewards == pytest.approx(gold_reward(asked, one.texts))
        assert one.better == int(np.argmax(one.rewards))


def test_claims_are_right_half_of_the_time():
    found = claims(np.random.default_rng(0), TASK.heldout, 400)
    assert {status for one in found for status in one.status} == {RIGHT, WRONG}
    assert 0.4 < np.mean([one.status == (RIGHT,) for one in found]) < 0.6


def test_training_is_a_function_of_its_seed():
    policy = HFModel.load(TASK.folder / TASK.spec.models["decoder"], device="cpu")
    how = JudgeSettings(layers=3, claims=Phase(2, 8, 1e-3, 1), choices=Phase(2, 8, 1e-3, 1))
    prompts = TASK.heldout[:8]

    def trained():
        rng = np.random.default_rng(1)
        return train_judge(policy, TEMPLATE, claims(rng, prompts, 16), choices(rng, prompts, 16), how)

    (one, tokenizer), (other, _) = trained(), trained()
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert one.config.num_hidden_layers == 3
    assert len({tokenizer(label, add_special_tokens=False).input_ids[0] for label in "AB"}) == 2
