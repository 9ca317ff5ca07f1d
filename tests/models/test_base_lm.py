"""Base models from scratch: tokenizers, layout, training, what is saved."""

import json
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tiny_models import SEED
from transformers import AutoTokenizer, GenerationConfig

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.models.base_lm import EncodedPairs, encode, fit_context, train_base
from rpo_bench.models.base_shape import BaseSettings
from rpo_bench.models.base_texts import TextPair, read_texts
from rpo_bench.models.base_tokenizer import train_tokenizer
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import Decoding

ARCHITECTURES = ("decoder", "encoder-decoder")
COLOURS = {"sky": "blue", "grass": "green", "snow": "white", "coal": "black"}
PAIRS = [TextPair(f"What colour is {thing}?", f"It is {colour}.") for thing, colour in COLOURS.items()] * 6
TEXTS = [text for pair in PAIRS for text in (pair.prompt, pair.response)]


def settings(architecture, **changes):
    given = {
        "architecture": architecture,
        "tokenizer": "word",
        "hidden_size": 32,
        "layers": 1,
        "steps": 600,
        "seed": SEED,
        "batch_size": 8,
        "learning_rate": 0.01,
    }
    return BaseSettings(**(given | changes))


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module", params=ARCHITECTURES)
def trained(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("base") / request.param
    report = train_base(PAIRS, PAIRS[:4], settings(request.param), folder)
    return request.param, folder, report


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("text", ["What colour is snow?", "It is white, you know!", ""])
def test_text_survives_the_tokenizer(architecture, kind, text, tmp_path):
    train_tokenizer([*TEXTS, "It is white, you know!"], architecture, kind).save_pretrained(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert tokenizer.unk_token_id not in ids


def test_byte_pairs_know_every_character():
    tokenizer = train_tokenizer(TEXTS, "decoder", "bpe")
    text = "naïve 🐋\n\n\ttabs  and <eos> spelt out"
    ids = tokenizer(text, add_special_tokens=False).input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == text
    assert not {tokenizer.eos_token_id, tokenizer.unk_token_id} & set(ids)


def test_layout_of_a_decoders_sequence():
    """<bos> prompt <sep> response <eos>: the response's tokens are the same alone and in place."""
    tokenizer = train_tokenizer(TEXTS, "decoder", "bpe")
    encoded = encode(tokenizer, PAIRS[:1])
    bos, sep, eos = tokenizer.bos_token_id, tokenizer.sep_token_id, tokenizer.eos_token_id
    prompt, response = encoded.prompts[0], encoded.responses[0]
    assert (prompt[0], prompt[-1], response[-1]) == (bos, sep, eos)
    assert tokenizer.decode(prompt[1:-1]) == PAIRS[0].prompt
    assert tokenizer.decode(response[:-1]) == PAIRS[0].response
    assert len({bos, sep, eos, tokenizer.pad_token_id, tokenizer.unk_token_id}) == 5


def test_layout_of_an_encoder_decoders_sequence():
    tokenizer = train_tokenizer(TEXTS, "encoder-decoder", "word")
    encoded = encode(tokenizer, PAIRS[:1])
    assert encoded.prompts[0][-1] == encoded.responses[0][-1] == tokenizer.eos_token_id
    assert tokenizer.pad_token_id != tokenizer.eos_token_id
    assert tokenizer.bos_token_id is None


def test_words_out_of_the_vocabulary_are_unknown():
    tokenizer = train_tokenizer(TEXTS, "decoder", "word")
    ids = tokenizer("It is purple.", add_special_tokens=False).input_ids
    assert ids.count(tokenizer.unk_token_id) == 1


@pytest.mark.parametrize(("kind", "size"), [("bpe", 200), ("word", 8)])
def test_vocabulary_sizes(kind, size):
    if kind == "bpe":
        with pytest.raises(UserError, match="--vocab-size 200 is too small"):
            train_tokenizer(TEXTS, "decoder", kind, size)
    else:
        assert len(train_tokenizer(TEXTS, "decoder", kind, size)) == size


def test_no_text_is_an_error():
    with pytest.raises(UserError, match="no text"):
        train_tokenizer(["", " "], "decoder")


def test_long_texts_keep_the_prompts_end_and_its_special_tokens():
    """Context 8: the response keeps 4 of its 6 tokens, the prompt <bos> and its last 3 of 9."""
    long = EncodedPairs([[1, 10, 11, 12, 13, 14, 15, 16, 2]], [[20, 21, 22, 23, 24, 3]])
    fitted = fit_context(long, "decoder", 8)
    assert fitted.prompts == [[1, 15, 16, 2]]
    assert fitted.responses == [[20, 21, 22, 23]]
    apart = fit_context(long, "encoder-decoder", 8)
    assert apart.prompts == [[10, 11, 12, 13, 14, 15, 16, 2]]
    assert apart.responses == [[20, 21, 22, 23, 24, 3]]


def test_short_texts_stay_as_they_are():
    short = EncodedPairs([[1, 10, 2], [1, 10, 11, 12, 13, 2]], [[20, 21, 22, 23, 3], [20, 3]])
    assert fit_context(short, "decoder", 8) == short


def test_a_trained_model_answers_and_stops(trained):
    _, folder, report = trained
    model = HFModel.load(folder)
    prompts = [Prompt(prompt_id=thing, text=f"What colour is {thing}?") for thing in COLOURS]
    samples = model.generate(prompts, 8, Decoding(max_new_tokens=12), seed=0, batch_size=32)
    right = [sample.text == f"It is {COLOURS[sample.prompt_id]}." for sample in samples]
    assert np.mean(right) > 0.8
    assert all(sample.finished for sample in samples if sample.text.endswith("."))
    assert report.perplexity < 1.03


def test_reported_perplexity_is_that_of_the_saved_model(trained):
    """exp of the mean negative log-probability per response token, end-of-sequence included."""
    _, folder, report = trained
    model = HFModel.load(folder)
    encoded = encode(model.tokenizer, PAIRS[:4])
    logps = model.token_logps([pair.prompt for pair in PAIRS[:4]], encoded.responses, batch_size=3)
    assert report.heldout_tokens == sum(map(len, logps))
    assert math.exp(-float(np.concatenate(logps).mean())) == pytest.approx(report.perplexity, rel=1e-5)


def test_what_is_saved(trained):
    architecture, folder, report = trained
    weights = load_file(folder / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}
    assert sum(tensor.numel() for tensor in weights.values()) == report.parameters
    config = json.loads((folder / "config.json").read_text())
    where = "max_position_embeddings" if architecture == "decoder" else "n_positions"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert config[where] == tokenizer.model_max_length == report.context_length == 32
    generation = GenerationConfig.from_pretrained(folder)
    assert generation.eos_token_id == tokenizer.eos_token_id
    assert generation.pad_token_id == tokenizer.pad_token_id
    assert generation.max_new_tokens == 5
    assert generation.do_sample


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_same_seed_same_bytes(architecture, tmp_path):
    for name in ("first", "second"):
        torch.rand(3)  # the global generator plays no part
        train_base(PAIRS, PAIRS[:4], settings(architecture, steps=5), tmp_path / name)
    train_base(PAIRS, PAIRS[:4], settings(architecture, steps=5, seed=SEED + 1), tmp_path / "other")
    for file in ("model.safetensors", "tokenizer.json", "config.json", "generation_config.json"):
        assert (tmp_path / "first" / file).read_bytes() == (tmp_path / "second" / file).read_bytes()
    other = (tmp_path / "other" / "model.safetensors").read_bytes()
    assert other != (tmp_path / "first" / "model.safetensors").read_bytes()


def test_the_global_generator_is_left_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    train_base(PAIRS, PAIRS[:4], settings("decoder", steps=2), tmp_path / "model")
    assert torch.equal(torch.rand(4), expected)


def test_sampled_lengths_follow_the_texts(tmp_path):
    """Half the responses have 1 word, half 12. Sorting batches by length must not favour the short ones."""
    long = " ".join(["very"] * 11)
    pairs = [TextPair("Go", "no") if i % 2 else TextPair("Go", f"{long} long") for i in range(64)]
    train_base(pairs, pairs[:4], settings("decoder", steps=300, learning_rate=0.003), tmp_path / "model")
    model = HFModel.load(tmp_path / "model")
    samples = model.generate([Prompt(prompt_id="go", text="Go")], 400, Decoding(max_new_tokens=20), 0, 400)
    short = np.mean([len(sample.token_ids) == 2 for sample in samples])
    assert short == pytest.approx(0.5, abs=0.1)


def test_an_impossible_shape_is_named(tmp_path):
    with pytest.raises(UserError, match="--hidden-size 40 can't be split into 3 heads"):
        train_base(PAIRS, PAIRS[:4], settings("decoder", hidden_size=40, heads=3), tmp_path / "model")
    assert not (tmp_path / "model").exists()


def test_documents_are_cut_between_words_of_their_first_half(tmp_path):
    file = tmp_path / "book.txt"
    documents = [
        f"{name} was a man\nof great fame and little luck." for name in ("Adam", "Noah", "Cain", "Abel")
    ]
    file.write_text("\n\n".join(documents))
    texts = read_texts(str(file), 0.25, seed=0)
    assert (len(texts.train), len(texts.heldout)) == (3, 1)
    for pair in [*texts.train, *texts.heldout]:
        assert 1 <= len(pair.prompt.split()) <= 6
        assert f"{pair.prompt} {pair.response}".split() in [document.split() for document in documents]


def test_a_file_without_empty_lines_has_a_document_per_line(tmp_path):
    file = tmp_path / "lines.txt"
    file.write_text("one two three\nfour five six\nseven\n")
    texts = read_texts(str(file), 0.5, seed=0)
    assert sorted(pair.prompt for pair in [*texts.train, *texts.heldout]) == ["four", "one"]


def test_rows_are_held_out_by_prompt(tmp_path):
    file = tmp_path / "rows.jsonl"
    rows = [{"prompt": f"p{i % 10}", "response": f"r{i}", "reward": 0.0} for i in range(40)]
    file.write_text("\n".join(map(json.dumps, rows)))
    texts = read_texts(str(file), 0.2, seed=0)
    assert (len(texts.train), len(texts.heldout)) == (32, 8)
    assert not {pair.prompt for pair in texts.train} & {pair.prompt for pair in texts.heldout}


def test_both_sides_of_a_preference_pair_are_learnt_from(tmp_path):
    file = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"p{i}", "chosen": f"good {i}", "rejected": f"bad {i}"} for i in range(4)]
    file.write_text("\n".join(map(json.dumps, rows)))
    texts = read_texts(str(file), 0.25, seed=0)
    assert len(texts.train) == 6
    assert {pair.response.split()[0] for pair in texts.train} == {"good", "bad"}


@pytest.mark.parametrize("content", ["", "word\n\nword", "only one document of some words"])
def test_too_little_text_is_an_error(content, tmp_path):
    file = tmp_path / "little.txt"
    file.write_text(content)
    with pytest.raises(UserError, match=r"little\.txt has [01] documents"):
        read_texts(str(file), 0.5, seed=0)


def test_the_context_has_room_for_held_out_prompts_too(tmp_path):
    """A held-out prompt of 40 words, <bos> and <sep>; a longest response of 4 tokens and <eos>: 47, so 64."""
    long = TextPair(" ".join(["What"] * 40), "It is white.")
    report = train_base(PAIRS, [long], settings("decoder", steps=1), tmp_path / "model")
    assert report.context_length == 64
    assert report.shortened == 0
