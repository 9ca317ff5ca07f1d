"""What was sampled is what is scored: decoding changes no character of a response."""

import re
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

import rpo_bench
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.prompting import response_texts

TEXTS = ("a , b . do n't x ?", "1 . 5 + 2 = 3 . 5", "[ 1 , 2 ] ! it 's we 've")


def unigram() -> tuple[Tokenizer, str]:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    tokenizer.train_from_iterator(
        TEXTS * 50,
        trainers.UnigramTrainer(
            vocab_size=60, special_tokens=special, unk_token="<unk>", show_progress=False
        ),
    )
    return tokenizer, "unigram"


def words() -> tuple[Tokenizer, str]:
    special = ("<pad>", "</s>", "<unk>")
    vocabulary = dict.fromkeys([*special, *" ".join(TEXTS).split()])
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer, "words"


@pytest.mark.parametrize("make", [unigram, words])
@pytest.mark.parametrize("cleans", [True, False], ids=["cleaning", "plain"])
def test_a_response_is_decoded_to_the_very_text_of_its_tokens(make, cleans: bool, tmp_path: Path):
    """Folders that earlier versions of transformers saved ask for spaces before punctuation to be dropped."""
    PreTrainedTokenizerFast(
        tokenizer_object=make()[0],
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        clean_up_tokenization_spaces=cleans,
    ).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    rows = [[*tokenizer(text, add_special_tokens=False).input_ids, tokenizer.eos_token_id] for text in TEXTS]
    assert response_texts(tokenizer, (tokenizer.eos_token_id,), rows) == list(TEXTS)
    assert tokenizer.decode(rows[0][:-1]) == TEXTS[0]  # so that libraries that decode do it too


def test_tokenizers_are_loaded_and_responses_decoded_in_one_place():
    """A second place would have its own setting: there is none."""
    root = Path(rpo_bench.__file__).parents[1]
    sources = {
        file.relative_to(root).as_posix(): file.read_text(encoding="utf-8")
        for package in ("rpo_bench", "trainers", "tasks")
        for file in (root / package).rglob("*.py")
    }
    loads = re.compile(r"(= |return )AutoTokenizer\.from_pretrained\(")
    assert [file for file, text in sources.items() if loads.search(text)] == ["rpo_bench/models/loading.py"]
    decodes = re.compile(r"batch_decode\(|tokenizer\.decode\(|convert_tokens_to_string\(")
    assert [name for name, text in sources.items() if decodes.search(text)] == [
        "rpo_bench/models/plain_text.py"
    ]
