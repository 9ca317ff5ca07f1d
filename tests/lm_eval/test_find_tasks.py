"""lm-eval's tasks are checked before anything is trained: its silent traps are sentences here."""

import logging
import socket
from pathlib import Path

import pytest
import yaml
from fake_hub import waiting
from needed import needed
from tiny_models import tiny_tokenizer

from rpo_bench.errors import UserError
from rpo_bench.lm_eval.find_tasks import (
    Reader,
    check_tasks,
    loaded_tasks,
    task_manager,
    task_roots,
)

needed("lm_eval", "lm-eval isn't installed")

OURS = ("arithmetic_choice", "arithmetic_generate", "civil_qa_choice", "civil_qa_generate")
DOCS = """
def documents(**_):
    from datasets import Dataset
    docs = [{"prompt": f"what is {n} ?", "a": "red", "b": "blue"} for n in range(12)]
    return {"test": Dataset.from_list(docs)}
"""
TASK = {
    "task": "mine",
    "custom_dataset": "FUNCTION",
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "{{prompt}}",
    "doc_to_choice": "{{[a, b]}}",
    "doc_to_target": 1,
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
DECODER = Reader("gpt", False, None)
ENCODER_DECODER = Reader("t5", True, None)


@pytest.fixture
def make(tmp_path: Path):
    """Writes the task "mine" with some changes, and loads it."""

    def write(**changes):
        (tmp_path / "docs.py").write_text(DOCS)
        text = yaml.safe_dump({**TASK, **changes}).replace("FUNCTION", "!function docs.documents")
        (tmp_path / "mine.yaml").write_text(text)
        return loaded_tasks(["mine"], task_manager(["mine"], tmp_path))

    return write


def test_our_tasks_are_found_without_indexing_the_thousands_of_lm_eval():
    manager = task_manager(OURS)
    assert set(OURS) <= set(manager.all_tasks)
    assert len(manager.all_tasks) < 20


def test_every_task_file_of_ours_can_be_read_since_a_broken_one_vanishes_silently():
    files = [file for root in task_roots() for file in root.glob("*/lm_eval/*.yaml")]
    assert len(files) == len(OURS)
    assert {yaml.load(f.read_text().replace("!function", ""), yaml.SafeLoader)["task"] for f in files} == set(
        OURS
    )


def test_a_task_file_that_is_broken_is_named_instead_of_vanishing(tmp_path: Path, make):
    make()
    (tmp_path / "mine.yaml").write_text("task: mine\n  output_type: [")
    with pytest.raises(UserError, match=r"--lm-eval-tasks mine: .*mine\.yaml can't be read: ") as found:
        task_manager(["mine"], tmp_path)
    assert "\n" not in str(found.value)


def test_our_choices_have_the_right_answer_among_them_at_places_that_vary():
    for name, task in loaded_tasks(["civil_qa_choice", "arithmetic_choice"], task_manager(OURS)).items():
        places = set()
        for doc in task.eval_docs:
            choices = task.doc_to_choice(doc)
            assert choices[task.doc_to_target(doc)] == doc["answer"], name
            assert len(set(choices)) == len(choices)
            places.add(task.doc_to_target(doc))
        assert places == set(range(len(choices)))


def test_choices_that_lm_eval_would_take_literally_are_refused(make):
    tasks = make(doc_to_choice=["{{a}}", "{{b}}"])
    (doc, *_) = tasks["mine"].eval_docs
    assert tasks["mine"].doc_to_choice(doc) == ["{{a}}", "{{b}}"], "lm-eval's trap is still there"
    with pytest.raises(UserError, match=r'write one template, "\{\{\[a, b\]\}\}"'):
        check_tasks(tasks, [DECODER])


def test_a_right_answer_that_always_stands_first_is_warned_of(make, caplog):
    with caplog.at_level(logging.WARNING):
        check_tasks(make(doc_to_target=0), [DECODER])
    assert "mine has its right answer at the same position in every document" in caplog.text


def test_repeats_of_which_only_the_first_is_scored_are_warned_of(make, caplog):
    with caplog.at_level(logging.WARNING):
        check_tasks(make(output_type="generate_until", doc_to_target="{{a}}", repeats=3), [DECODER])
    assert "mine generates 3 answers, but without a filter_list lm-eval scores only the first" in caplog.text


def test_rolling_perplexity_of_an_encoder_decoder_is_refused(make):
    rolling = {"metric": "word_perplexity", "aggregation": "weighted_perplexity", "higher_is_better": False}
    tasks = make(output_type="loglikelihood_rolling", doc_to_target="{{a}}", metric_list=[rolling])
    check_tasks(tasks, [DECODER])
    with pytest.raises(UserError, match="means nothing for an encoder-decoder such as t5"):
        check_tasks(tasks, [DECODER, ENCODER_DECODER])


def test_likelihoods_under_a_tokenizer_that_closes_prompts_are_refused(make):
    reader = Reader.of("odd", tiny_tokenizer(append_eos=True), is_encoder_decoder=False)
    assert reader.closing == "</s>"
    assert Reader.of("plain", tiny_tokenizer(append_eos=False), is_encoder_decoder=False).closing is None
    with pytest.raises(
        UserError, match="the tokenizer of odd ends a prompt with '</s>': choose a generation task"
    ):
        check_tasks(make(), [reader])
    check_tasks(make(), [Reader.of("t5", tiny_tokenizer(append_eos=True), is_encoder_decoder=True)])


def test_answers_that_leave_a_prompt_no_room_are_refused(make):
    tasks = make(output_type="generate_until", doc_to_target="{{a}}", generation_kwargs={"max_gen_toks": 64})
    check_tasks(tasks, [Reader("wide", False, None, 65), Reader("t5", True, None, 16), DECODER])
    with pytest.raises(UserError, match=r"write 64 tokens, .* context of narrow \(64 tokens\)"):
        check_tasks(tasks, [Reader("narrow", False, None, 64)])
    check_tasks(tasks, [Reader("bart", True, None, 16, response_limit=64)])
    with pytest.raises(UserError, match="the decoder of short has 63 positions"):
        check_tasks(tasks, [Reader("short", True, None, 128, response_limit=63)])


def test_a_task_that_cannot_be_loaded_is_one_sentence(make):
    with pytest.raises(UserError, match="--lm-eval-tasks mine: lm-eval can't load it: ") as found:
        make(test_split="nowhere")
    assert "\n" not in str(found.value)


def test_a_hub_out_of_reach_is_known_at_once_and_the_switches_are_put_back(make, monkeypatch):
    """datasets' own retries take a minute and a half."""
    import datasets
    import huggingface_hub

    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", closed)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    waits = waiting(monkeypatch)
    with pytest.raises(UserError, match="its data are on the hub, which can't be reached") as found:
        make(custom_dataset=None, dataset_path="nobody/nothing")
    assert sum(waits) < 10
    assert "HF_ENDPOINT" in str(found.value)
    assert not huggingface_hub.constants.HF_HUB_OFFLINE
    assert not datasets.config.HF_HUB_OFFLINE


def test_tasks_that_bring_their_data_ask_no_hub(make, monkeypatch):
    monkeypatch.setattr("rpo_bench.remote.hub.why_unreachable", lambda: pytest.fail("the hub was asked"))
    assert make()["mine"].eval_docs
