"""Overlap with references: the very numbers of the libraries behind, and unscored where there is nothing."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from needed import needed
from results_factory import cell_spec, write_cell
from run_cli import invoke
from tiny_classifiers import tiny_classifier

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.metrics.bertscore import BertScore
from rpo_bench.metrics.protocol import MetricContext, Unscored
from rpo_bench.metrics.references import (
    LengthRatio,
    Meteor,
    RougeL,
    SentenceBleu,
    reference_metrics,
    references_of,
)
from rpo_bench.metrics.suite import measure
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import read_record

for package in ("rouge_score", "sacrebleu", "nltk", "bert_score"):
    needed(package)

TEXTS = [
    "the cat is red and the dog is blue .", "a river in the city", "yes", "thanks", "the the the the the",
    "the big red house of the small dog .",
]  # fmt: skip
REFERENCES = [
    ["the cat is red and a dog is green ."], ["the river of the city", "a house in the city"], ["no"],
    ["thanks"], ["the house"], ["the big red house of the small dog ."],
]  # fmt: skip
PROMPTS = [Prompt(prompt_id=f"p{i}", text="?", metadata={"references": r}) for i, r in enumerate(REFERENCES)]


@pytest.fixture
def samples(build):
    return build([[text] for text in TEXTS])


def test_references_are_read_from_the_prompts_metadata():
    def of(**metadata):
        return references_of(Prompt(prompt_id="p", text="?", metadata=metadata))

    assert of(reference="a") == ["a"]
    assert of(references=["a", " ", "b", 3]) == ["a", "b", "3"]
    assert of() == of(reference="") == of(references=None) == []


def test_rouge_l_is_rouge_scores(samples):
    from rouge_score.rouge_scorer import RougeScorer

    found = RougeL().score(PROMPTS, samples)
    for text, references, score in zip(TEXTS, REFERENCES, found, strict=True):
        own = [RougeScorer(["rougeL"]).score(one, text)["rougeL"].fmeasure for one in references]
        assert score == pytest.approx(max(own))
    assert found[3] == found[5] == 1
    assert found[2] == 0


def test_bleu_is_sacrebleus(samples):
    import sacrebleu

    found = SentenceBleu().score(PROMPTS, samples)
    expected = [
        sacrebleu.sentence_bleu(text, references).score / 100
        for text, references in zip(TEXTS, REFERENCES, strict=True)
    ]
    assert found == pytest.approx(expected)
    assert found[5] == pytest.approx(1)


METEOR = """
import json
from nltk import word_tokenize
from nltk.translate.meteor_score import meteor_score, single_meteor_score
from rpo_bench.metrics.references import Meteor
texts = ["the car", "It is big. The car is red.", "cars", "no"]
references = [["the auto"], ["A car. It is red.", "the car is red"], ["car"], ["yes"]]
ours = Meteor().scores(texts, references)
theirs = [
    single_meteor_score(word_tokenize(r[0]), word_tokenize(t)) if len(r) == 1
    else meteor_score([word_tokenize(one) for one in r], word_tokenize(t))
    for t, r in zip(texts, references)
]
print(json.dumps([str(Meteor().missing), ours, theirs, word_tokenize(texts[1])]))
"""


def test_meteor_is_nltks_with_synonyms(tmp_path: Path):
    """On data of nltk's own formats that know one pair of synonyms; evaluate's metric is these very calls.

    nltk looks synonyms up by the stems that it has matched before, so the words are their own stems.
    """
    nltk_data(tmp_path)
    environment = {**os.environ, "NLTK_DATA": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", METEOR], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    missing, ours, theirs, words = json.loads(done.stdout)
    assert missing == "None"
    assert ours == theirs
    assert words == ["It", "is", "big", ".", "The", "car", "is", "red", "."]
    assert ours[0] == pytest.approx(1 - 0.5 * (1 / 2) ** 3), "all words match, in one chunk of two"
    assert ours[3] == 0


def test_meteor_says_what_is_missing(samples, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("nltk.data.path", [str(tmp_path)])
    (found, *_) = Meteor().score(PROMPTS, samples)
    assert found == Unscored("nltk's data are missing: python -m nltk.downloader wordnet punkt_tab")


def nltk_data(root: Path) -> None:
    """WordNet with one synset, and a sentence splitter without abbreviations."""
    wordnet, punkt = root / "corpora" / "wordnet", root / "tokenizers" / "punkt_tab" / "english"
    wordnet.mkdir(parents=True)
    punkt.mkdir(parents=True)
    for part in ("adj", "adv", "noun", "verb"):
        for name in (f"index.{part}", f"data.{part}", f"{part}.exc"):
            (wordnet / name).write_text("")
    head = "  a header, as nobody's synset is at 0\n"
    place = f"{len(head):08}"
    (wordnet / "data.noun").write_text(f"{head}{place} 06 n 02 car 0 auto 0 000 | a motor vehicle  \n")
    index = [f"{word} n 1 0 1 1 {place}  \n" for word in ("auto", "car")]
    (wordnet / "index.noun").write_text("".join(index))
    (wordnet / "lexnames").write_text("".join(f"{n:02}\tnoun.{n}\t1\n" for n in range(10)))
    for name in ("cntlist.rev", "index.sense"):
        (wordnet / name).write_text("")
    for name in ("collocations.tab", "sent_starters.txt", "abbrev_types.txt", "ortho_context.tab"):
        (punkt / name).write_text("")


def test_bertscore_is_bert_scores(samples, tmp_path: Path):
    import bert_score

    folder = tiny_classifier(tmp_path / "bert", ["a", "b"])
    metric = BertScore.of(f"{folder}:1")
    f1 = bert_score.score(TEXTS, REFERENCES, model_type=str(folder), num_layers=1)[2]
    assert metric.score(PROMPTS, samples) == pytest.approx(f1.tolist(), abs=1e-6)
    assert "bert layer 1 (" in metric.backend
    with pytest.raises(UserError, match="the model has the layers 1 to 1"):
        BertScore.of(f"{folder}:2")
    with pytest.raises(UserError, match="no model folder"):
        BertScore.of("nowhere")


def test_length_ratio_by_hand(build):
    """4 words against 2 and 5: the nearer is 5; 1 against 2."""
    prompts = [
        Prompt(prompt_id="p0", text="?", metadata={"references": ["a b", "a b c d e"]}),
        Prompt(prompt_id="p1", text="?", metadata={"reference": "a b"}),
    ]
    assert LengthRatio().score(prompts, build([["a b c d"], ["a"]])) == [4 / 5, 1 / 2]


@pytest.mark.parametrize("metric", [RougeL(), SentenceBleu(), LengthRatio()])
def test_without_a_reference_or_a_word_there_is_no_score(metric, build):
    prompts = [Prompt(prompt_id="p0", text="?"), PROMPTS[1]]
    assert metric.score(prompts, build([["yes"], [" "]])) == [
        Unscored("the prompt has no reference"),
        Unscored("empty text"),
    ]


def test_a_package_that_is_missing_is_named(build, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "rouge_score" else find(name)
    )
    (found,) = RougeL().score(PROMPTS[:1], build([["yes"]]))
    assert found == Unscored("rouge_score isn't installed: pip install 'rpo-bench[references]'")


def test_the_family_runs_where_prompts_have_references_and_only_there(samples):
    assert reference_metrics(MetricContext()) == []
    found = measure(PROMPTS, samples, toxicity="none").metrics
    assert {"rouge_l", "bleu", "meteor", "length_ratio"} <= set(found)
    assert found["rouge_l"].scored == 6
    bare = [prompt.model_copy(update={"metadata": {}}) for prompt in PROMPTS]
    assert "rouge_l" not in measure(bare, samples, toxicity="none").metrics


def test_stored_samples_are_scored_through_the_command_line(tmp_path: Path):
    folder = write_cell(tmp_path / "results", cell_spec())
    lines = [
        StoredSample(prompt_id=f"p{i // 2:03}", prompt=f"question {i // 2}", sample=i % 2, text="yes good",
                     finished=True, token_ids=(1, 2))
        for i in range(48)
    ]  # fmt: skip
    write_json_lines(folder / "samples.jsonl.gz", lines)
    model = tiny_classifier(tmp_path / "bert", ["a", "b"])
    done = invoke("score", folder, "--metrics", "references", "--bertscore", model)
    assert done.exit_code == 0, done.output
    value = read_record(folder).metrics["bertscore"]
    assert value.unscored == {"the prompt has no reference": 48}
    assert "rouge_l" in read_record(folder).metrics
