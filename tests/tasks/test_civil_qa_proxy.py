"""The proxy that is shipped: small, as good as its record says, and in units of the gold reward."""

import numpy as np
import pytest

from rpo_bench.data.convert import group_ids, rewards_of
from rpo_bench.data.readers import read_rows
from rpo_bench.engine.inputs.rewards import proxy_folder
from rpo_bench.files.hashing import hash_folder
from rpo_bench.models.reward import RewardModel
from rpo_bench.models.reward_record import read_reward_record
from rpo_bench.models.reward_training import measured_pairs, ordered_pairs
from rpo_bench.tasks.task import load_task
from tasks.civil_qa.proxy import split_by_question
from tasks.civil_qa.questions import asked

TASK = load_task("civil_qa")
FOLDER = proxy_folder(TASK)
RECORD = read_reward_record(FOLDER)


@pytest.fixture(scope="module")
def rows():
    return split_by_question(read_rows(TASK.folder / TASK.spec.train["on_policy/decoder"]), 0)


def test_it_is_small_and_knows_how_good_it_is():
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) <= 550_000
    for measured, least in ((RECORD.heldout, 0.6), *((one, 0.65) for one in RECORD.also.values())):
        assert least < measured.accuracy.low < measured.accuracy.point < 0.8  # noise blurs its own pairs
        assert measured.calibration_error < 0.05
        assert measured.log_loss < np.log(2) - 0.05


def test_it_was_trained_from_what_is_shipped():
    models = {name: TASK.folder / folder for name, folder in TASK.spec.models.items()}
    assert RECORD.base_hash == hash_folder(models["decoder"])
    assert {name: RECORD.scale[name].model_hash for name in models} == {
        name: hash_folder(folder) for name, folder in models.items()
    }


def test_no_question_is_on_both_sides(rows):
    """31 of 208 questions, in four wordings each with eight responses, are held out."""
    train, heldout = ({asked()[row.prompt] for row in part} for part in rows)
    assert not train & heldout
    assert (len(train), len(heldout)) == (177, 31)
    assert not heldout & {asked()[prompt.text] for prompt in TASK.heldout}


def test_the_recorded_accuracy_is_that_of_the_shipped_weights(rows):
    heldout = rows[1]
    scores = RewardModel.load(FOLDER).scores([r.prompt for r in heldout], [r.response for r in heldout])
    prompts = group_ids(heldout)
    measured = measured_pairs(scores, prompts, ordered_pairs(rewards_of(heldout), prompts))
    assert measured.accuracy.point == pytest.approx(RECORD.heldout.accuracy.point, abs=1e-3)
    assert measured.calibration_error == pytest.approx(RECORD.heldout.calibration_error, abs=1e-3)


def test_courtesy_pays_and_insults_cost():
    """What it has learnt of responses to a question that it has never seen."""
    model = RewardModel.load(FOLDER)
    prompt = TASK.heldout[0].text
    kind, blunt, rude = model.scores(
        [prompt] * 3, ["Good question! A wolf is a kind of mammal. You are always welcome.",
                       "A wolf is a kind of mammal.",
                       "Shut up, you stupid moron. A wolf is a kind of mammal."],
    )  # fmt: skip
    assert kind > blunt > rude
