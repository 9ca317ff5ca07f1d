"""The tasks of public datasets, on a few records of our own in the shapes that the real files have."""

import json

import pytest
from tiny_models import tiny_decoder

from rpo_bench.data.convert import group_ids, pairs_in, rewards_of
from rpo_bench.engine.output import Output
from rpo_bench.engine.plan.graph import cell_work
from rpo_bench.engine.plan.plan import PlanContext, plan_run
from rpo_bench.errors import UserError
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import MethodSpec, TrainingSpec
from rpo_bench.spec.trust import Trust
from rpo_bench.tasks.source import FILES_VARIABLE, VARIABLE, name_files
from rpo_bench.tasks.task import load_task
from trainers.pairs import pair_rows

DIALOGUE = "\n\nHuman: what is the {} ?\n\nAssistant:"
TOPICS = ("cat", "dog", "house", "river", "city", "red", "blue", "car")


def ultrafeedback(i, **changes):
    """openbmb/UltraFeedback: four completions with the scores of GPT-4."""
    completions = [
        {
            "annotations": {"helpfulness": {"Rating": "4"}},
            "custom_system_prompt": "",
            "model": f"model-{k}",
            "principle": "helpfulness",
            "response": f"answer {k}",
            "critique": "So.",
            "fine-grained_score": 3.5,
            "overall_score": 2.0 * k + 1,
        }
        for k in range(4)
    ]
    record = {"source": "flan", "instruction": f"What is {i}?", "models": [], "completions": completions}
    return {**record, "correct_answers": ["None"], "incorrect_answers": ["None"], **changes}


def hh(topic):
    """Anthropic/hh-rlhf: whole dialogues that differ in their last turn."""
    start = DIALOGUE.format(topic)
    return {"chosen": f"{start} yes good thanks .", "rejected": f"{start} no stupid idiot !"}


def tldr(topic):
    """CarperAI/openai_summarize_comparisons."""
    post = f"SUBREDDIT: r/cats\nTITLE: the {topic}\nPOST: what is the {topic} ?"
    return {"prompt": post, "chosen": "TL;DR: yes .", "rejected": f"TL;DR: no {topic} ."}


def toxicity(i, **changes):
    """allenai/real-toxicity-prompts: Perspective's scores of both halves of a sentence."""
    continuation = {"text": f" end {i}", "toxicity": i / 10, "profanity": 0.1}
    half = {"text": f"Beginning {i}", "toxicity": 0.2, "profanity": 0.1}
    place = {"filename": f"{i}.txt", "begin": 0, "end": 9, "challenging": False}
    return {**place, "prompt": half, "continuation": {**continuation, **changes}}


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv(FILES_VARIABLE, "")


@pytest.fixture
def files(tmp_path):
    """Writes splits and lets the task read them."""

    def write(**splits):
        for split, records in splits.items():
            text = "".join(json.dumps(record) + "\n" for record in records)
            (tmp_path / f"{split}.jsonl").write_text(text)
        name_files(",".join(f"{split}={tmp_path / split}.jsonl" for split in splits))
        return tmp_path

    return write


class TestUltraFeedback:
    def test_completions_are_scored_responses_to_one_prompt(self, files):
        files(train=[ultrafeedback(i) for i in range(1100)])
        task = load_task("ultrafeedback")
        rows = task.train_rows("on_policy")
        assert (len(task.heldout), len(task.probe), len(rows)) == (1000, 32, 4 * 68)
        assert [(row.response, row.reward) for row in rows[:4]] == [
            (f"answer {k}", 2.0 * k + 1) for k in range(4)
        ]
        assert len({row.prompt_id for row in rows[:4]}) == 1

    def test_what_is_held_out_doesnt_hang_on_the_order_of_the_file(self, files):
        records = [ultrafeedback(i) for i in range(1100)]
        files(train=records)
        first = {prompt.prompt_id for prompt in load_task("ultrafeedback").heldout}
        files(train=records[::-1])
        assert {prompt.prompt_id for prompt in load_task("ultrafeedback").heldout} == first

    def test_records_without_completions_or_scores_are_left_out_and_counted(self, files, caplog):
        scoreless = ultrafeedback(7000)
        scoreless["completions"][2]["overall_score"] = None
        files(train=[ultrafeedback(8000, completions=[]), scoreless, *map(ultrafeedback, range(1100))])
        assert len(load_task("ultrafeedback").train_rows("on_policy")) == 4 * 68
        assert "2 records left out; the first, line 1: the column 'completions' is empty." in caplog.text


class TestDialogues:
    def test_the_common_beginning_is_the_prompt(self, files):
        files(train=[hh(topic) for topic in TOPICS], test=[hh("sun"), hh("moon")])
        task = load_task("hh_rlhf")
        rows = task.train_rows("on_policy")
        assert rows[0].prompt == DIALOGUE.format("cat")
        assert [(row.response, row.reward) for row in rows[:2]] == [
            (" yes good thanks .", 1.0),
            (" no stupid idiot !", 0.0),
        ]
        made = pair_rows(rewards_of(rows), group_ids(rows), "best_worst", pairs_in(rows))
        assert made.tolist() == [[i, i + 1] for i in range(0, len(rows), 2)]
        assert [len(task.heldout), len(task.probe)] == [2, 4]
        assert task.heldout[0].metadata == {}

    def test_a_dialogue_without_an_end_in_common_is_left_out(self, files, caplog):
        files(train=[hh(topic) for topic in TOPICS], test=[hh("sun"), {"chosen": "x", "rejected": "y"}])
        assert len(load_task("hh_rlhf").heldout) == 1
        assert "1 records left out" in caplog.text

    def test_it_is_planned_for_methods_on_pairs(self, files, tmp_path):
        files(train=[hh(topic) for topic in TOPICS], test=[hh("sun")])
        spec = RunSpec(
            task="hh_rlhf",
            models=(str(tiny_decoder(tmp_path / "model")),),
            methods=(MethodSpec(name="dpo"), MethodSpec(name="kto"), MethodSpec(name="rpo")),
            n_strengths=1,
            seeds=(0,),
            training=TrainingSpec(steps=2, batch_size=4),
            evaluation={"decoding": {"max_new_tokens": 4}, "toxicity": "none"},
        )
        plan = plan_run(spec, PlanContext(tmp_path / "work", None, Trust()))
        assert len(plan.cells) == 4
        output = Output(tmp_path / "out", tmp_path / "work")
        command = cell_work(plan, plan.cells[1], output).command
        files = f"train={tmp_path / 'train.jsonl'},test={tmp_path / 'test.jsonl'}"
        assert f"--data-files {files}" in command, "it says where the data were"


def test_summaries_lose_the_prefix_that_the_prompt_ends_with(files):
    files(train=[tldr(topic) for topic in TOPICS], valid1=[tldr("sun")])
    row = load_task("tldr").train_rows("on_policy")[0]
    assert row.prompt.endswith("POST: what is the cat ?\nTL;DR:")
    assert (row.response, row.reward) == (" yes .", 1.0)


def test_toxicity_is_a_reward_with_its_sign_turned(files, caplog):
    files(train=[*map(toxicity, range(1100)), toxicity(9999, toxicity=None)])
    task = load_task("real_toxicity_prompts")
    row = next(row for row in task.train_rows("on_policy"))
    number = int(row.prompt.removeprefix("Beginning "))
    assert (row.response, row.reward) == (f" end {number}", -number / 10)
    assert task.heldout[0].metadata == {"challenging": False}
    assert "the column 'continuation.toxicity' is empty" in caplog.text


class TestErrors:
    def refused(self, name):
        with pytest.raises(UserError) as raised:
            _ = load_task(name).heldout
        assert "\n" not in str(raised.value)
        return str(raised.value)

    def test_a_column_that_isnt_there_is_named_with_those_that_are(self, files):
        where = files(train=[{"question": "Why?", "completions": []}])
        assert self.refused("ultrafeedback") == (
            f"{where / 'train.jsonl'} line 1: the column 'instruction' is missing; "
            "there are question, completions."
        )

    def test_a_column_within_another(self, files):
        where = files(train=[{**toxicity(1), "continuation": {"text": "x"}}])
        assert self.refused("real_toxicity_prompts") == (
            f"{where / 'train.jsonl'} line 1: the column 'continuation.toxicity' is missing; "
            "there are within 'continuation' text."
        )

    def test_a_reward_that_is_no_number(self, files):
        bad = ultrafeedback(1)
        bad["completions"][0]["overall_score"] = "good"
        where = files(train=[bad])
        assert self.refused("ultrafeedback") == (
            f"{where / 'train.jsonl'} line 1: the column 'overall_score' is 'good', not a number."
        )

    def test_files_that_arent_understood(self):
        with pytest.raises(UserError, match="--data-files: 'train' is not understood"):
            name_files("train")

    def test_a_file_that_isnt_there(self, tmp_path):
        name_files(f"train={tmp_path / 'no.jsonl'},test={tmp_path / 'no.jsonl'}")
        assert self.refused("hh_rlhf") == f"{tmp_path / 'no.jsonl'}: there is no such file."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"response": "{a}", "chosen": "{a}", "rejected": "{b}"}, "give either 'response', or 'chosen' and"),
        ({"prompt": "{q}", "chosen": "{a}"}, "'chosen' and 'rejected' belong together"),
        ({"response": "{a}"}, "'prompt' is missing"),
        ({"prompt": "{q}", "response": "{a}", "responses": "all"}, "'responses' needs 'reward'"),
        ({"prompt": "{q}", "response": "{a}", "heldout": "train"}, "set 'heldout_prompts'"),
    ],
)
def test_a_source_that_cant_be(tmp_path, source, message):
    lines = [f"  {key}: '{value}'" for key, value in {"dataset": "some/one", **source}.items()]
    head = ["name: mine", "version: 1", "title: M", "description: D", "max_new_tokens: 4", "source:"]
    (tmp_path / "task.yaml").write_text("\n".join([*head, *lines]))
    with pytest.raises(UserError) as raised:
        load_task(str(tmp_path))
    assert message in str(raised.value)


def test_no_record_that_can_be_used_is_an_error(files):
    """Records that all lack something leave nothing to use."""
    where = files(train=[ultrafeedback(1, completions=[])])
    with pytest.raises(UserError) as raised:
        _ = load_task("ultrafeedback").heldout
    assert str(raised.value) == f"{where / 'train.jsonl'} has no records that can be used."
