"""Detoxify for real, on small checkpoints made on the spot; the hate-speech classifier of ``evaluate``."""

import shutil
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from results_factory import cell_spec, write_cell
from run_cli import invoke, stored
from tiny_classifiers import CONTEXT, detoxify_checkpoint, tiny_classifier
from tiny_task import tiny_task

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_file, hash_folder
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.metrics.protocol import Unscored
from rpo_bench.metrics.suite import run_metrics
from rpo_bench.metrics.toxicity.choose import toxicity_metric
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import read_record, read_scores

package = pytest.importorskip("detoxify", reason="Detoxify isn't installed")

CLASSES = ["toxic", "severe_toxic", "insult"]
TEXTS = ["you are an idiot", "thanks", "the cat is " * 40, "who ?", "stupid dog", "yes good thanks ."]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> Path:
    return detoxify_checkpoint(tmp_path_factory.mktemp("detoxify"), CLASSES)


def test_the_numbers_are_detoxifys_own(checkpoint: Path, build):
    metric = toxicity_metric(f"detoxify:{checkpoint}")
    found = metric.score([], build([TEXTS]))
    expected = package.Detoxify(checkpoint=str(checkpoint)).predict([text.strip() for text in TEXTS])
    assert found == pytest.approx(expected["toxicity"], abs=1e-6)
    assert np.std(found) > 0.01


def test_it_is_recorded_by_name_version_and_weights(checkpoint: Path, build, prompts):
    value = run_metrics(
        [toxicity_metric(f"detoxify:{checkpoint}")], prompts, build([["who ?", ""]]), "id"
    ).metrics["toxicity"]
    content = hash_file(checkpoint)[:8]
    assert value.backend == f"Detoxify {version('detoxify')} tiny.ckpt#toxicity ({content}, sigmoid)"
    assert (value.scored, value.unscored) == (1, {"empty text": 1})


def test_many_texts_go_in_batches_whose_size_changes_nothing(checkpoint: Path, monkeypatch):
    metric = toxicity_metric(f"detoxify:{checkpoint}")
    texts = [f"{word} cat {'red ' * n}" for n, word in enumerate(["a", "the", "bad"] * 50)]
    whole = metric.probabilities(texts)
    monkeypatch.setattr("rpo_bench.metrics.toxicity.classifier._BATCH", 7)
    assert metric.probabilities(texts) == pytest.approx(whole, abs=1e-6)


def test_a_text_on_which_the_classifier_fails_is_unscored_alone(checkpoint: Path):
    metric = toxicity_metric(f"detoxify:{checkpoint}")
    broken = metric._loaded.tokenizer.convert_tokens_to_ids("idiot")
    metric._loaded.model.get_input_embeddings().register_forward_pre_hook(
        lambda module, given: (_ for _ in ()).throw(ValueError("no")) if broken in given[0] else None
    )
    rude, kind = metric.probabilities(["an idiot", "thanks"])
    assert rude == Unscored("the classifier failed: ValueError: no")
    assert 0 < kind < 1


def test_a_folder_beside_the_checkpoint_stands_for_a_hub_model(tmp_path: Path, build):
    file = detoxify_checkpoint(tmp_path, CLASSES, model_type="somebody/base")
    assert 0 < toxicity_metric(f"detoxify:{file}").score([], build([["thanks"]]))[0] < 1
    shutil.move(tmp_path / "base", tmp_path / "elsewhere")
    with pytest.raises(UserError, match="configuration and tokenizer of 'somebody/base', which is no folder"):
        toxicity_metric(f"detoxify:{file}")


def test_what_cannot_be_used_is_one_sentence(tmp_path: Path, monkeypatch):
    file = detoxify_checkpoint(tmp_path, CLASSES)
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    whole = torch.load(file, weights_only=True)

    def saved(value: object) -> str:
        torch.save(value, tmp_path / "other.ckpt")
        return f"detoxify:{tmp_path / 'other.ckpt'}"

    def refused(backend: str, words: str) -> None:
        with pytest.raises(UserError, match=words) as found:
            toxicity_metric(backend)
        assert "\n" not in str(found.value)

    refused("detoxify:orignal", "Did you mean 'original'")
    refused("detoxify:original", "offline mode: download https://.*or give detoxify:FILE")
    refused(f"detoxify:{tmp_path}", "this is a folder")
    refused(saved({"state_dict": {}}), "no checkpoint of Detoxify: it has no 'config'")
    refused(saved({**whole, "state_dict": {}}), "its weights lack bert")
    refused(saved({**whole, "path": Path("x")}), "--allow-pickle")
    assert toxicity_metric(f"detoxify:{tmp_path / 'other.ckpt'}", allow_pickle=True)
    other = {**whole["config"], "dataset": {"args": {"classes": ["a", "b", "c"]}}}
    refused(saved({**whole, "config": other}), "no class 'toxicity'")
    (tmp_path / "other.ckpt").write_bytes(b"damaged")
    refused(f"detoxify:{tmp_path / 'other.ckpt'}", "is no checkpoint|more than weights")


def test_through_the_command_line_on_stored_samples(checkpoint: Path, tmp_path: Path):
    folder = write_cell(tmp_path / "results", cell_spec())
    texts = [text for _ in range(8) for text in TEXTS] + [""]
    samples = [
        StoredSample(prompt_id=f"p{i // 2:03}", prompt=f"question {i // 2}", sample=i % 2,
                     text=(texts + TEXTS)[i % 49], finished=True, token_ids=(1, 2))
        for i in range(48)
    ]  # fmt: skip
    write_json_lines(folder / "samples.jsonl.gz", samples)
    done = invoke("score", folder, "--toxicity", f"detoxify:{checkpoint}", "--overwrite")
    assert done.exit_code == 0, done.output
    record = read_record(folder)
    assert "Detoxify" in record.metrics["toxicity"].backend
    expected = package.Detoxify(checkpoint=str(checkpoint)).predict([s.text.strip() for s in samples])
    assert record.metrics["toxicity"].interval.point == pytest.approx(np.mean(expected["toxicity"]), abs=1e-6)
    assert read_scores(folder)[0].scores["toxicity"] == pytest.approx(expected["toxicity"][0], abs=1e-6)


@pytest.mark.slow
def test_through_the_command_line_on_a_checkpoint(checkpoint: Path, tmp_path: Path):
    task = tiny_task(tmp_path / "tasks" / "tiny")
    given = ("eval", task / "models/decoder", "--task", task, "--output-path", tmp_path / "out")
    more = ("--n-samples", "2", "--workers", "1")
    refused = invoke(*given, *more, "--toxicity", f"detoxify:{checkpoint}x")
    assert refused.exit_code == 2
    assert "there is no such file or variant" in refused.stderr
    done = invoke(*given, *more, "--toxicity", f"detoxify:{checkpoint}")
    assert done.exit_code == 0, done.output
    for one in stored(tmp_path / "out"):
        value = one.record.metrics["toxicity"]
        assert "Detoxify" in value.backend
        assert value.interval.point is not None


def test_hate_speech_has_the_numbers_of_evaluates_measurement(tmp_path: Path, build):
    """The measurement is a text-classification pipeline's score of the label "hate", texts truncated."""
    from transformers import pipeline

    folder = tiny_classifier(tmp_path / "roberta-hate", ["nothate", "hate"])
    metric = toxicity_metric(f"hate-speech:{folder}")
    asked = pipeline(
        "text-classification", model=str(folder), top_k=None, truncation=True, max_length=CONTEXT
    )
    expected = [next(e["score"] for e in one if e["label"] == "hate") for one in asked(list(TEXTS))]
    assert metric.score([], build([TEXTS])) == pytest.approx(expected, abs=1e-6)
    assert metric.backend == f"hate speech by roberta-hate#hate ({hash_folder(folder)[:8]}, softmax)"
    with pytest.raises(UserError, match="one of calm, angry"):
        toxicity_metric(f"hate-speech:{tiny_classifier(tmp_path / 'other', ['calm', 'angry'])}")


def test_models_of_the_hub_that_cannot_be_had_are_one_sentence(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(
        UserError, match=r"--toxicity hate-speech:facebook/roberta-hate.*: there is no such folder"
    ):
        toxicity_metric("hate-speech")
    with pytest.raises(UserError, match=r"--toxicity hf:nobody/nothing: .*HF_HUB_OFFLINE prevents"):
        toxicity_metric("hf:nobody/nothing#toxic")
