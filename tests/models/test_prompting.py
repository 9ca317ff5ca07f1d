"""Prompt formats: explicit, the same for training, sampling and scoring, and nothing doubled."""

import re
from pathlib import Path

import numpy as np
import pytest
from family_models import CHATML, family, family_tokenizer

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.row import Prompt, Row
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.models.prompt_formats import resolve_format
from rpo_bench.models.prompting import chat_ids, closing, prompt_ids
from rpo_bench.models.templates import check_turns
from rpo_bench.models.tokenize import tokenize_rows
from rpo_bench.spec.sections import Decoding, PromptFormat

ALPACA = "### Question:\n{prompt}\n\n### Answer:\n"


def resolved(kind: str, asked: str | None, system: str | None = None) -> PromptFormat | None:
    return resolve_format(asked, system, family_tokenizer(kind), kind, kind in ("t5", "bart"))


@pytest.mark.parametrize("kind", ["gpt2", "llama", "t5", "bart"])
def test_models_without_a_chat_template_take_prompts_as_they_are(kind: str):
    assert resolved(kind, None) is None
    assert resolved(kind, "none") is None


@pytest.mark.parametrize("kind", ["qwen2", "llama-chat"])
def test_models_with_a_chat_template_have_to_be_told(kind: str):
    with pytest.raises(
        UserError, match=rf"of {kind} has a chat template.*--prompt-format chat.*--prompt-format none"
    ):
        resolved(kind, None)
    assert resolved(kind, "none") is None


def test_a_turn_is_what_the_template_itself_would_tokenise():
    tokenizer, chat = family_tokenizer("qwen3"), resolved("qwen3", "chat", "be good")
    turns = [{"role": "system", "content": "be good"}, {"role": "user", "content": "what is it ?"}]
    theirs = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=True).input_ids
    assert prompt_ids(tokenizer, "what is it ?", False, chat) == theirs
    assert tokenizer.decode(theirs).count("<|im_start|>") == 3


def test_the_beginning_of_sequence_is_there_once():
    tokenizer, chat = family_tokenizer("llama-chat"), resolved("llama-chat", "chat")
    ids = prompt_ids(tokenizer, "what is it ?", False, chat)
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids[0] == tokenizer.bos_token_id


def test_the_beginning_of_sequence_that_a_template_file_writes_is_not_doubled(tmp_path: Path):
    (tmp_path / "f.txt").write_text("<s>Q: {prompt}\nA:")
    form = resolved("llama", str(tmp_path / "f.txt"))
    ids = prompt_ids(family_tokenizer("llama"), "what is it ?", False, form)
    assert ids.count(0) == 1


def test_a_turn_ends_by_its_own_token_and_end_of_sequence_ends_it_too():
    qwen, llama = family_tokenizer("qwen2"), family_tokenizer("llama-chat")
    assert closing(qwen, resolved("qwen2", "chat")).ends == (qwen.convert_tokens_to_ids("<|im_end|>"),)
    eot = llama.convert_tokens_to_ids("<|eot_id|>")
    assert closing(llama, resolved("llama-chat", "chat")).ends == (eot, llama.eos_token_id)
    assert closing(llama, None).ends == (llama.eos_token_id,)


def test_a_chat_template_out_of_a_file_and_a_text_template(tmp_path: Path):
    (tmp_path / "chatml.jinja").write_text(CHATML)
    (tmp_path / "alpaca.txt").write_text(ALPACA)
    (tmp_path / "turn.txt").write_text("user: {prompt} assistant: {response}</s>")
    tokenizer = family_tokenizer("llama")
    chat = resolved("llama", str(tmp_path / "chatml.jinja"), "be good")
    assert "system" in tokenizer.decode(prompt_ids(tokenizer, "why", False, chat))
    plain = resolved("llama", str(tmp_path / "alpaca.txt"))
    assert (
        tokenizer.decode(prompt_ids(tokenizer, "why", False, plain))
        == "<s>### Question:\nwhy\n\n### Answer:\n"
    )
    assert closing(tokenizer, plain).ends == (1,)
    turn = resolved("llama", str(tmp_path / "turn.txt"))
    assert tokenizer.decode(prompt_ids(tokenizer, "why", False, turn)) == "<s>user: why assistant: "
    assert len({chat.hash, plain.hash, turn.hash}) == 3


def test_the_hash_is_of_template_and_system_prompt():
    assert resolved("qwen2", "chat").hash == resolved("qwen3", "chat").hash  # the same template
    assert resolved("qwen2", "chat").hash != resolved("qwen2", "chat", "be good").hash
    assert resolved("qwen2", "chat").hash != resolved("llama-chat", "chat").hash


@pytest.mark.parametrize(
    ("kind", "asked", "system", "sentence"),
    [
        ("gpt2", "chat", None, "the tokenizer of gpt2 has no chat template"),
        ("t5", "chat", None, "t5 is an encoder-decoder model"),
        ("llama", None, "be good", "--system-prompt needs --prompt-format chat"),
        (
            "llama",
            "chats",
            None,
            "--prompt-format chats: No such file or directory; choose none, chat, or a template file",
        ),
    ],
)
def test_what_does_not_fit_is_one_sentence(kind: str, asked: str | None, system: str | None, sentence: str):
    with pytest.raises(UserError, match=sentence) as raised:
        resolved(kind, asked, system)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["no place", "{response} {prompt}", "{prompt} {response} {response}"])
def test_a_template_without_a_place_for_the_prompt(tmp_path: Path, text: str):
    (tmp_path / "f.txt").write_text(text)
    with pytest.raises(UserError, match=r"a template needs \{prompt\} where the prompt goes"):
        resolved("llama", str(tmp_path / "f.txt"))


def test_a_chat_template_that_takes_no_system_turn(tmp_path: Path):
    (tmp_path / "f.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    assert resolved("llama", str(tmp_path / "f.jinja")) is not None
    with pytest.raises(UserError, match="can't write a system prompt and a user's turn: no system role"):
        resolved("llama", str(tmp_path / "f.jinja"), "be good")


@pytest.mark.parametrize("kind", ["qwen3", "llama-chat"])
def test_rows_samples_and_log_probs_are_of_the_same_tokens(tmp_path: Path, kind: str):
    """A sample put back as a training row gives the tokens it was sampled as, and their log-probs."""
    chat = resolved(kind, "chat")
    model = HFModel.load(family(kind, tmp_path / kind), prompt_format=chat)
    prompt = Prompt(prompt_id="p", text="what is the river ?")
    samples = model.generate([prompt], 300, Decoding(max_new_tokens=12), seed=0, batch_size=100)
    ended = [s for s in samples if s.token_ids[-1] == model.end_ids[0]]
    assert len(ended) > 5
    assert all(s.finished for s in ended)
    assert not any("<|" in s.text for s in ended)
    again = model.tokenizer([s.text for s in ended], add_special_tokens=False).input_ids
    same = [s for s, ids in zip(ended, again, strict=True) if tuple(ids) == s.token_ids[:-1]]
    assert same  # the others are other ways to write the same bytes
    rows = [
        Row(prompt=prompt.text, response=s.text, reward=float(i), prompt_id="p") for i, s in enumerate(same)
    ]
    examples = tokenize_rows(rows, model.tokenizer, 128, is_encoder_decoder=False, prompt_format=chat)
    assert [tuple(ids) for ids in examples.responses] == [s.token_ids for s in same]
    assert examples.prompts[0] == model.encode(prompt.text)
    (one,) = model.token_logps([prompt.text], [same[0].token_ids], 1)
    import torch

    ids = torch.tensor([[*model.encode(prompt.text), *same[0].token_ids]])
    with torch.no_grad():
        logps = model.model(ids).logits[0].log_softmax(-1)
    start = len(model.encode(prompt.text))
    expected = [float(logps[start + t - 1, token]) for t, token in enumerate(same[0].token_ids)]
    np.testing.assert_allclose(one, expected, atol=1e-4)


def test_end_of_sequence_ends_a_turn_too(tmp_path: Path):
    model = HFModel.load(family("llama-chat", tmp_path / "m"), prompt_format=resolved("llama-chat", "chat"))
    prompt = Prompt(prompt_id="p", text="what is the river ?")
    samples = model.generate([prompt], 500, Decoding(max_new_tokens=12), seed=0, batch_size=250)
    last = {s.token_ids[-1] for s in samples if s.finished}
    assert last == set(model.end_ids)
    assert len(last) == 2
    assert not any(set(s.token_ids[:-1]) & last for s in samples)


TALK = [("system", "be kind"), ("user", "who ?"), ("assistant", "the cat"), ("user", "why ?")]


@pytest.mark.parametrize("kind", ["qwen2", "qwen3", "llama-chat"])
@pytest.mark.parametrize("turns", [TALK, TALK[1:]], ids=["system", "no system"])
def test_a_conversation_goes_through_the_template_once(kind: str, turns: list[tuple[str, str]]):
    tokenizer, chat = family_tokenizer(kind), resolved(kind, "chat", "be brief")
    talk = Conversation(Turn(*turn) for turn in turns)
    own = (
        talk.messages
        if turns[0][0] == "system"
        else [{"role": "system", "content": "be brief"}, *talk.messages]
    )
    theirs = tokenizer.apply_chat_template(own, add_generation_prompt=True, return_dict=True).input_ids
    assert prompt_ids(tokenizer, talk, False, chat) == theirs
    rows = [Row(prompt=talk, response="good", reward=1, prompt_id="a")]
    assert tokenize_rows(rows, tokenizer, None, is_encoder_decoder=False, prompt_format=chat).prompts == [
        theirs
    ]


def test_what_cannot_show_turns_says_so(tmp_path: Path):
    talk = Conversation(Turn(*turn) for turn in TALK)
    (tmp_path / "f.txt").write_text("Q: {prompt}\nA:")
    (tmp_path / "last.jinja").write_text(
        "{% for m in messages %}{% if loop.last %}{{ m.content }}{% endif %}{% endfor %}"
    )
    (tmp_path / "strict.jinja").write_text(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system turn') }}{% endif %}"
        "{{ m.content }}{% endfor %}"
    )
    tokenizer = family_tokenizer("llama")
    for asked, said in [
        ("none", "which need a chat template: give --prompt-format chat"),
        ("f.txt", "which need a chat template: give --prompt-format chat"),
        ("last.jinja", "leaves out the 'system' turn 'be kind'"),
        ("strict.jinja", "can't write the conversation that begins 'be kind': no system turn"),
    ]:
        form = resolved("llama", asked if asked == "none" else str(tmp_path / asked))
        with pytest.raises(UserError, match=re.escape(said)):
            prompt_ids(tokenizer, talk, False, form)
        with pytest.raises(UserError, match=re.escape(said)):
            check_turns(tokenizer, [talk], form)


@pytest.mark.parametrize("kind", ["qwen2", "llama-chat"])
def test_a_reward_model_with_a_chat_template_reads_all_turns(kind: str):
    tokenizer, talk = family_tokenizer(kind), Conversation(Turn(*turn) for turn in TALK)
    turns = [*talk.messages, {"role": "assistant", "content": "good"}]
    theirs = tokenizer.apply_chat_template(turns, return_dict=True).input_ids
    assert chat_ids(tokenizer, talk, "good") == theirs
