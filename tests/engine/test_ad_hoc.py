"""A task made of a file: how long a response may be where nobody says."""

import json
import shutil
from pathlib import Path

import pytest
from family_models import family
from run_cli import SMALL, invoke, stored

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.row import Prompt, Row
from rpo_bench.engine.inputs.ad_hoc import _without_long, response_limit
from rpo_bench.engine.inputs.base_models import BaseModel
from rpo_bench.engine.inputs.dataset import AD_HOC_NEW_TOKENS, AdHocParts
from rpo_bench.engine.inputs.examples import load_examples, too_long_prompts
from rpo_bench.engine.inputs.heldout import shortened
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.prompt_formats import resolve_format
from rpo_bench.models.prompting import prompt_ids, response_ids
from rpo_bench.results.store import read_samples

ANSWERS = {"chosen": "yes good thanks .", "rejected": "no stupid idiot ."}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory):
    return load_tokenizer(str(family("llama", tmp_path_factory.mktemp("ad_hoc") / "llama")))


def parts(response: str) -> AdHocParts:
    rows = [
        Row(prompt_id=text, prompt=text, response=response, reward=1.0)
        for text in ("what is the river ?", "why ?")
    ]
    return AdHocParts("mine", tuple(rows), (Prompt(prompt_id="h", text="where is the big green garden ?"),))


def model(context: int | None, is_encoder_decoder: bool = False) -> BaseModel:
    return BaseModel("m", Path("m"), "hash", is_encoder_decoder, context, 1)


def test_a_context_with_room_leaves_the_default(tokenizer):
    assert response_limit(parts("yes"), [(model(1024), tokenizer)]) == AD_HOC_NEW_TOKENS
    assert response_limit(parts("yes"), [(model(None), tokenizer)]) == AD_HOC_NEW_TOKENS


def test_a_small_context_leaves_what_is_behind_the_longest_prompt(tokenizer):
    longest = len(tokenizer("where is the big green garden ?").input_ids)
    assert response_limit(parts("yes"), [(model(40), tokenizer)]) == 40 - longest
    both = [(model(40), tokenizer), (model(36), tokenizer)]
    assert response_limit(parts("yes"), both) == 36 - longest


def test_a_context_that_the_logged_responses_overflow_is_not_made_to_fit(tokenizer):
    assert response_limit(parts("yes " * 30), [(model(40), tokenizer)]) == AD_HOC_NEW_TOKENS


def test_the_prompts_of_an_encoder_take_no_room(tokenizer):
    assert response_limit(parts("yes"), [(model(40, True), tokenizer)]) == AD_HOC_NEW_TOKENS


def test_a_model_made_of_the_file_can_be_trained_on_it_by_the_next_command(tmp_path: Path):
    """As the README has it; the file's texts are short, and so is the model's context."""
    rows = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": f"what is {a} {b} ?", "response": f"{a} is {b}", "reward": float(a > b)}
        for a in ("red", "blue", "green", "old") for b in ("cat", "dog", "house")
    ]  # fmt: skip
    rows.write_text("".join(json.dumps(line) + "\n" for line in lines))
    base = tmp_path / "base"
    assert invoke("base", "--data", rows, "--arch", "decoder", "--out", base, "--steps", "3").exit_code == 0
    asked = ("train-and-eval", "--data", rows, "--models", base, "--methods", "sft", "--strengths", "1")
    done = invoke(*asked, *SMALL, "--toxicity", "none", "--output-path", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "the context has no room for more" in " ".join(done.output.split())
    assert len(stored(tmp_path / "run")) == 2
    further = ("eval", base, "--reference", base, "--output-path", tmp_path / "run")
    joined = invoke(*further, "--workers", "1")  # the task of the run, whose file needn't be named again
    assert joined.exit_code == 0, joined.output
    assert {one.record.spec.task for one in stored(tmp_path / "run")} == {"rows"}
    shutil.rmtree(tmp_path / "run/work/tasks")
    gone = invoke(*further)
    assert "rpo-bench train-and-eval --config" in gone.stderr


def test_a_long_held_out_prompt_is_cut_and_counted(tokenizer, caplog):
    long = Prompt(prompt_id="long", text="where is the big green garden ? " * 9 + "why ?")
    given = (*parts("yes").heldout, long)
    assert set(too_long_prompts(given, model(40), tokenizer, 8)) == {"long"}
    cut = shortened(given, model(40), tokenizer, 8)
    assert not too_long_prompts(cut, model(40), tokenizer, 8)
    assert cut[0] == given[0]
    assert long.text.endswith(cut[1].text)
    assert "1 of 2 held-out prompts don't fit the context of m and are cut" in caplog.text


def test_one_long_prompt_does_not_decide_how_long_responses_may_be(tokenizer):
    """It is cut or left out, so that the others' room counts."""
    usual = parts("yes")
    long = Prompt(prompt_id="long", text="where is the big green garden ? " * 9)
    models = [(model(40), tokenizer)]
    fitting = _without_long(AdHocParts("mine", usual.train, (*usual.heldout, long)), models)
    assert fitting == usual
    assert response_limit(fitting, models) == response_limit(usual, models) < AD_HOC_NEW_TOKENS


def test_transcripts_go_through_a_chat_template_by_turns_and_stay_texts_for_everybody_else(tmp_path: Path):
    """Judges and reward models without a template read what they always read."""
    rows = tmp_path / "rows.jsonl"
    start = "\n\nHuman: why ?\n\nAssistant: it is good\n\nHuman: what is the"
    dialogues = [
        {side: f"{start} {topic} ?\n\nAssistant: {answer}" for side, answer in ANSWERS.items()}
        for topic in ("river", "city", "house", "cat", "dog", "green garden")
    ]
    rows.write_text("".join(json.dumps(one) + "\n" for one in dialogues))
    chat = family("llama-chat", tmp_path / "llama-chat")
    ended = invoke(
        "train-and-eval", "--data", rows, "--models", chat, "--prompt-format", "chat", "--methods", "dpo",
        "--strengths", "0.1", *SMALL, "--toxicity", "none", "--output-path", tmp_path / "out",
        "--gen-kwargs", "max_new_tokens=4",
    )  # fmt: skip
    assert ended.exit_code == 0, ended.output
    assert all(s.prompt.startswith(start) for s in read_samples(stored(tmp_path / "out")[0].folder))
    tokenizer = load_tokenizer(str(chat))
    form = resolve_format("chat", None, tokenizer, "m", False)
    turns = [
        Turn("user", "why ?"), Turn("assistant", "it is good"), Turn("user", "what is the river ?"),
    ]  # fmt: skip
    text = f"{start} river ?\n\nAssistant:"
    assert prompt_ids(tokenizer, text, False, form) == prompt_ids(tokenizer, Conversation(turns), False, form)
    assert prompt_ids(tokenizer, text, False) != prompt_ids(tokenizer, text, False, form)
    (file,) = (tmp_path / "out" / "work" / "cache").glob("examples-*.npz")
    good = response_ids(tokenizer, ["yes good thanks ."], form)[0]
    assert good in load_examples(file).responses
