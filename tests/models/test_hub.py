"""Models by folder, or by the local copy of a hub model with its revision."""

from pathlib import Path

import pytest
from tiny_classifiers import tiny_classifier

from rpo_bench.engine.inputs.rewards import check_source, source_content, source_function
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_folder
from rpo_bench.metrics.toxicity.choose import toxicity_metric
from rpo_bench.models.hub import model_folder
from rpo_bench.spec.trust import Trust

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch):
    """A hub's cache as a download leaves it, with one model: org/scorer."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    repository = tmp_path / "models--org--scorer"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(COMMIT)
    return repository / "snapshots" / COMMIT


def test_a_folder_is_itself_and_a_hub_model_its_local_copy(hub: Path, tmp_path: Path):
    assert model_folder(str(tmp_path), "x").name == tmp_path.name
    tiny_classifier(hub, ["good"])
    for name in ("org/scorer", f"org/scorer@{COMMIT}"):
        found = model_folder(name, "--reward hf:org/scorer")
        assert found.folder == hub
        assert found.name == "org/scorer@0123456789ab"


def test_a_reward_model_of_the_hub_is_recorded_by_name_revision_and_weights(hub: Path):
    tiny_classifier(hub, ["good"])
    check_source("hf:org/scorer", "--reward", Trust())
    content = hash_folder(hub)
    assert source_content("hf:org/scorer") == [content]
    assert (
        source_function("hf:org/scorer", "--reward", Trust()).name
        == f"org/scorer@0123456789ab ({content[:8]})"
    )


def test_a_toxicity_classifier_of_the_hub_too(hub: Path):
    tiny_classifier(hub, ["fine", "toxic"])
    expected = f"org/scorer@0123456789ab#toxic ({hash_folder(hub)[:8]}, softmax)"
    assert toxicity_metric("hf:org/scorer").backend == expected


def test_two_labels_are_no_reward_and_what_is_not_there_is_one_sentence(hub: Path):
    tiny_classifier(hub, ["bad", "good"])
    with pytest.raises(UserError, match="has 2 labels \\(bad, good\\); a reward model has one"):
        check_source("hf:org/scorer", "--reward", Trust())
    with pytest.raises(
        UserError, match="--reward hf:org/other: there is no such folder, and no copy from the hub"
    ):
        check_source("hf:org/other", "--reward", Trust())
    with pytest.raises(UserError, match=r"--reward hf:\./x: there is no model folder \./x"):
        check_source("hf:./x", "--reward", Trust())
