"""Texts in every script are counted as their readers would, and equal texts score the most there is."""

import json
import os
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny_classifiers import tiny_classifier

from rpo_bench.data.row import Prompt
from rpo_bench.data.words import _WORD, _pattern, length_in_words, words
from rpo_bench.metrics.bertscore import BertScore
from rpo_bench.metrics.diversity import Distinct, NgramEntropy, SelfBleu
from rpo_bench.metrics.length import Repetition
from rpo_bench.metrics.protocol import Unscored
from rpo_bench.metrics.references import LengthRatio, RougeL, SentenceBleu
from rpo_bench.results.samples import StoredSample

#: Script → a text, its words.
SCRIPTS = {
    "Chinese": ("我今天很高兴。", "我 今 天 很 高 兴 。"),
    "Japanese": ("ラーメンが好き", "ラ ー メ ン が 好 き"),
    "Thai": ("น้ำดีครับ", "น้ำ ดี ค รั บ"),
    "Lao": ("ສະບາຍດີ", "ສ ະ ບ າ ຍ ດີ"),
    "Khmer": ("ខ្មែរ", "ខ្មែ រ"),
    "Burmese": ("မြန်မာ", "မြ န် မာ"),
    "Hindi": ("नमस्ते दुनिया।", "नमस्ते दुनिया ।"),
    "Tamil": ("வணக்கம் உலகம்", "வணக்கம் உலகம்"),
    "Korean": ("안녕하세요 여러분", "안녕하세요 여러분"),
    "Arabic": ("مَرحبا بالعالم؟", "مَرحبا بالعالم ؟"),
    "Persian": ("می\u200cخواهم بروم", "می\u200cخواهم بروم"),
    "Hebrew": ("צה״ל שלום", "צה״ל שלום"),
    "Russian": ("Привет, как дела?", "привет , как дела ?"),
    "Greek": ("Καλημέρα κόσμε", "καλημέρα κόσμε"),
    "French, decomposed": ("e\u0301te\u0301 d'or", "été d'or"),
    "mixed": ("iPhone手机 2024年", "iphone 手 机 2024 年"),
    "pictures": ("👩\u200d👩\u200d👧 👍🏽 ok", "👩\u200d👩\u200d👧 👍🏽 ok"),
}
every_script = pytest.mark.parametrize("script", SCRIPTS)
UNSPACED = ("Chinese", "Japanese", "Thai", "Lao", "Khmer", "Burmese")


def sample(text, n=0):
    return StoredSample(prompt_id="p", prompt="x", sample=n, text=text, token_ids=(1,), finished=True)


def beside(metric, text, *references):
    prompt = Prompt(prompt_id="p", text="x", metadata={"references": list(references)})
    return metric.score([prompt], [sample(text)])[0]


@every_script
def test_words_of_every_script(script):
    text, expected = SCRIPTS[script]
    assert words(text) == expected.split(" ")


@given(st.text(string.printable))
def test_the_words_of_ascii_are_the_same_by_the_way_of_all_scripts(text):
    assert _pattern(_WORD).findall(text) == words(text) or text != text.lower()
    assert length_in_words(text) == len(text.split())


@pytest.mark.parametrize("script", UNSPACED)
def test_near_equal_texts_without_spaces_are_not_diverse(script):
    text = SCRIPTS[script][0]
    group = [sample(text * 3 + ending, n) for n, ending in enumerate(("甲", "乙", "丙"))]
    assert Distinct(1).compute([group]) < 0.5
    assert all(score > 0.5 for score in SelfBleu().score([], group))
    assert NgramEntropy().compute([group]) > 0
    assert all(score > 0.3 for score in Repetition().score([], group))
    assert beside(LengthRatio(), text * 2, text) == pytest.approx(2)


@every_script
@pytest.mark.parametrize(("metric", "package"), [(RougeL, "rouge_score"), (SentenceBleu, "sacrebleu")])
def test_a_text_is_equal_to_itself(script, metric, package):
    pytest.importorskip(package)
    text = SCRIPTS[script][0]
    assert beside(metric(), text, text) == pytest.approx(1)


def test_rouge_reads_letters_that_its_library_drops():
    pytest.importorskip("rouge_score")
    assert beside(RougeL(), "ber", "über") == 0
    assert beside(RougeL(), "я иду домой", "он идёт домой") == pytest.approx(1 / 3)
    assert beside(RougeL(), "!!", "...") == Unscored("the reference has no words")


def test_bleu_of_chinese_is_sacrebleus():
    sacrebleu = pytest.importorskip("sacrebleu")
    text, reference = "我今天很高兴因为天气很好", "我今天很高兴因为朋友来了"
    own = sacrebleu.sentence_bleu(text, [reference], tokenize="zh").score / 100
    assert beside(SentenceBleu(), text, reference) == pytest.approx(own)


METEOR = """
import json, sys
from rpo_bench.metrics.references import Meteor
texts = json.loads(sys.argv[1])
print(json.dumps(Meteor().scores(texts, [[text] for text in texts])))
"""


def test_meteor_matches_all_words_of_a_text_with_itself(tmp_path: Path):
    pytest.importorskip("nltk")
    from test_references import nltk_data

    nltk_data(tmp_path)
    texts = [SCRIPTS[name][0] for name in UNSPACED]
    command = [sys.executable, "-c", METEOR, json.dumps(texts)]
    environment = {**os.environ, "NLTK_DATA": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    best = [1 - 0.5 / len(words(text)) ** 3 for text in texts]  # one chunk of all words
    assert json.loads(done.stdout) == pytest.approx(best)


def test_bert_score_has_no_number_for_what_its_encoder_can_not_read(tmp_path):
    pytest.importorskip("bert_score")
    metric = BertScore(tiny_classifier(tmp_path / "encoder", ["a", "b"]))
    assert beside(metric, "yes good", "yes good") == pytest.approx(1)
    found = beside(metric, "привет как дела", "совсем другое дело")
    assert found == Unscored("the encoder's tokenizer doesn't know most of the text")
