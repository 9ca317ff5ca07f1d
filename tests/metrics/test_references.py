"""Overlap with references: the very numbers of the libraries behind, and unscored where there is nothing."""

import importlib.util
from pathlib import Path

import pytest
from results_factory import cell_spec, write_cell
from run_cli import invoke
from tiny_classifiers import tiny_classifier

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.metrics.protocol import MetricContext, Unscored
from rpo_bench.metrics.references import (
    BertScore,
    LengthRatio,
    Meteor,
    RougeL,
    SentenceBleu,
    reference_metrics,
    references_of,
)
from rpo_bench.metrics.suite import measure
from rpo_bench.results.json_lines import write_json_lines
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import read_record

for package in ("rouge_score", "sacrebleu", "nltk", "bert_score"):
    pytest.importorskip(package, reason=f"{package} isn't installed")

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
    assert of(references=["a", " ", "b", 3]) == ["a", "b"]
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


def test_meteor_is_nltks_or_says_what_is_missing(samples):
    import nltk
    from nltk.translate.meteor_score import meteor_score

    found = Meteor().score(PROMPTS, samples)
    try:
        nltk.data.find("corpora/wordnet.zip")
    except LookupError:
        assert found == [Unscored("nltk has no WordNet here: python -m nltk.downloader wordnet")] * 6
        return
    assert found[0] == pytest.approx(meteor_score([REFERENCES[0][0].split()], TEXTS[0].split()))


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
