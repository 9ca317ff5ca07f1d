"""Models that can't be used: one sentence that names the flag, at once, and nothing left behind."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import pytest
from fake_hub import COMMIT, fake_hub, waiting
from family_models import family
from run_cli import invoke, stored
from tiny_models import tiny_decoder


def refused(rows: Path, *arguments: object) -> str:
    """The one sentence that ``train-and-eval`` ends with; it leaves nothing behind."""
    done = invoke(
        "train-and-eval", "--data", rows, "--output-path", rows.parent / "out", "--steps", "2",
        "--gen-kwargs", "max_new_tokens=4", "--toxicity", "none", *arguments,
    )  # fmt: skip
    assert done.exit_code == 2, done.output
    assert not (rows.parent / "out").exists()
    (line,) = done.stderr.strip().splitlines()[-1:]
    return line


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A hub on loopback that real requests go to; nothing is known of it yet."""
    with fake_hub() as address:
        ask(monkeypatch, address, tmp_path)
        yield address


def ask(monkeypatch: pytest.MonkeyPatch, address: str, tmp_path: Path) -> None:
    """Lets the hub's client ask this address: its constants are read once, when it is imported."""
    constants = {
        "HF_HUB_OFFLINE": False,
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": f"{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}",
        "HF_HUB_CACHE": str(tmp_path),
    }
    for name, value in constants.items():
        monkeypatch.setattr(huggingface_hub.constants, name, value)


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    file = tmp_path / "rows.jsonl"
    lines = [
        {"prompt": f"what is the {topic} ?", "response": answer, "reward": reward}
        for topic in ("river", "city", "house", "cat", "dog", "garden")
        for answer, reward in (("good .", 1.0), ("no .", 0.0))
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


def test_a_hub_out_of_reach_is_known_at_once(rows: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    ask(monkeypatch, closed, tmp_path)
    waits = waiting(monkeypatch)
    sentence = refused(rows, "--models", "org/some-model")
    assert sum(waits) < 10, "the hub's own client waits half a minute between retries"
    start = f"--models org/some-model: there is no such folder, and {closed} can't be reached ("
    assert sentence.startswith(start)
    assert "HF_ENDPOINT" in sentence
    assert "HF_HUB_OFFLINE=1" in sentence


@pytest.mark.parametrize(
    ("flags", "start"),
    [
        (("--reward", "hf:org/rm"), "--reward hf:org/rm: there is no such folder, and"),
        (("--toxicity", "hf:org/tox#toxic"), "--toxicity hf:org/tox: there is no such folder, and"),
        (("--data", "hf:org/rows"), "hf:org/rows: there is no such folder, and"),
    ],
)
def test_so_is_it_for_rewards_classifiers_and_data(
    rows: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, flags: tuple[str, str], start: str
):
    model = tiny_decoder(tmp_path / "m")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    ask(monkeypatch, closed, tmp_path)
    waits = waiting(monkeypatch)
    sentence = refused(rows, "--models", model, *flags)
    assert sum(waits) < 10
    assert sentence.startswith(f"{start} {closed} can't be reached (")
    assert "HF_ENDPOINT" in sentence


def test_a_hub_that_may_not_be_asked(rows: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    sentence = refused(rows, "--models", "org/some-model")
    assert "HF_HUB_OFFLINE prevents downloads: give a folder, or unset it." in sentence


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("org/gated", "the model is gated: request access on http://127.0.0.1"),
        ("org/gated-anonymous", "'hf auth login' or set HF_TOKEN"),
        ("org/absent", "the hub has no public model of that name"),
        ("org/private", "or set HF_TOKEN if it is private"),
        ("org/busy", "answered with 500: try again later, or give a folder"),
    ],
)
def test_what_the_hub_does_not_give(rows: Path, hub: str, name: str, words: str):
    sentence = refused(rows, "--models", name)
    assert sentence.startswith(f"--models {name}: ")
    assert words in sentence


def test_a_revision_that_is_not_there(rows: Path, hub: str):
    sentence = refused(rows, "--models", "org/whole", "--revision", "v9")
    assert "the model has no revision 'v9'" in sentence


@pytest.mark.parametrize(
    ("reward", "words"),
    [
        ("org/gated", "the model is gated: request access on"),
        ("org/absent", "the hub has no public model of that name"),
        ("org/whole@v9", "the model has no revision 'v9'"),
    ],
)
def test_a_reward_model_that_the_hub_does_not_give(
    rows: Path, hub: str, tmp_path: Path, reward: str, words: str
):
    model = tiny_decoder(tmp_path / "m")
    sentence = refused(rows, "--models", model, "--reward", f"hf:{reward}")
    assert sentence.startswith(f"--reward hf:{reward.partition('@')[0]}: ")
    assert words in sentence


def test_a_dataset_that_is_gated(rows: Path, hub: str, tmp_path: Path):
    sentence = refused(rows, "--models", tiny_decoder(tmp_path / "m"), "--data", "hf:org/gated")
    assert sentence.startswith("hf:org/gated: the dataset is gated")


class TestOfFolders:
    def test_an_instruct_model_without_a_prompt_format(self, rows: Path, tmp_path: Path):
        folder = family("qwen2", tmp_path / "instruct")
        line = refused(rows, "--models", folder)
        assert line.startswith("The tokenizer of instruct has a chat template")
        assert "--prompt-format chat" in line

    def test_a_chat_without_a_template(self, rows: Path, tmp_path: Path):
        folder = family("gpt2", tmp_path / "plain")
        line = refused(rows, "--models", folder, "--prompt-format", "chat")
        assert line.startswith("--prompt-format chat: the tokenizer of plain has no chat template")

    def test_a_model_of_another_kind(self, rows: Path, tmp_path: Path):
        """An encoder alone can neither be trained by a method here nor sampled from."""
        from transformers import BertConfig, BertModel

        folder = tiny_decoder(tmp_path / "encoder")
        config = BertConfig(
            vocab_size=64, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
        )
        for file in folder.iterdir():
            if not file.name.startswith("tokenizer"):
                file.unlink()
        BertModel(config).save_pretrained(folder)
        line = refused(rows, "--models", folder)
        assert str(folder) in line

    def test_t5_in_float16(self, rows: Path, tmp_path: Path):
        folder = family("t5", tmp_path / "t5")
        line = refused(rows, "--models", folder, "--model-dtype", "float16")
        assert line.startswith("--model-dtype float16: ")
        assert "overflow in float16" in line

    def test_an_attention_that_does_not_exist(self, rows: Path, tmp_path: Path):
        folder = family("gpt2", tmp_path / "m")
        line = refused(rows, "--models", folder, "--attn-implementation", "fast")
        assert line.startswith("--attn-implementation fast: ")

    def test_a_shard_that_is_missing(self, rows: Path, tmp_path: Path):
        from transformers import AutoModelForCausalLM

        folder = tiny_decoder(tmp_path / "m")
        AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, max_shard_size="5KB")
        (folder / "model.safetensors").unlink(missing_ok=True)
        shards = sorted(folder.glob("model-*.safetensors"))
        assert len(shards) > 1
        shards[0].unlink()
        line = refused(rows, "--models", folder)
        assert shards[0].name in line

    def test_a_column_that_is_not_there(self, rows: Path, tmp_path: Path):
        rows.write_text('{"question": "what", "response": "good", "reward": 1}\n')
        folder = tiny_decoder(tmp_path / "m")
        line = refused(rows, "--models", folder)
        assert str(rows) in line
        assert "prompt" in line

    def test_texts_that_the_context_has_no_room_for(self, rows: Path, tmp_path: Path):
        folder = tiny_decoder(tmp_path / "m")
        line = refused(rows, "--models", folder, "--gen-kwargs", "max_new_tokens=9999")
        assert "don't fit the context of m" in line
        assert "lower --gen-kwargs max_new_tokens" in line
        long = {"prompt": "what is the river ?", "response": "good . " * 500, "reward": 2.0}
        rows.write_text(rows.read_text() + json.dumps(long) + "\n")
        line = refused(rows, "--models", folder)
        assert f"the first is {rows} line 13" in line
        assert "--truncate" in line

    def test_a_reward_model_with_two_labels(self, rows: Path, tmp_path: Path):
        from transformers import LlamaForSequenceClassification

        folder = tiny_decoder(tmp_path / "m")
        judge = shutil.copytree(folder, tmp_path / "judge")
        LlamaForSequenceClassification.from_pretrained(folder, num_labels=2).save_pretrained(judge)
        line = refused(rows, "--models", folder, "--reward", f"hf:{judge}")
        assert "has 2 labels" in line

    def test_a_method_that_the_data_can_not_feed(self, rows: Path, tmp_path: Path):
        folder = tiny_decoder(tmp_path / "m")
        line = refused(rows, "--models", folder, "--methods", "qrpo")
        assert "reference_rewards" in line


def test_a_model_of_the_hub_is_fetched_once_and_its_commit_recorded(
    rows: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    """Served on loopback by name; trained, and named by name and commit."""
    folder = family("gpt2", tmp_path / "served")
    with fake_hub(folder) as address:
        ask(monkeypatch, address, tmp_path / "hub-cache")
        done = invoke(
            "train-and-eval", "--models", "org/whole", "--revision", "main", "--data", rows,
            "--methods", "sft", "--strengths", "1", "--steps", "2", "--batch-size", "4", "--seeds", "0",
            "--output-path", tmp_path / "out", "--toxicity", "none", "--workers", "1",
            "--gen-kwargs", "max_new_tokens=4", "--quiet",
        )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    records = [one.record for one in stored(tmp_path / "out")]
    assert {record.spec.model for record in records} == {"whole"}
    assert {record.spec.loading.revision for record in records} == {COMMIT}
    trained = next(record for record in records if record.spec.method.name == "sft")
    assert "--models org/whole --methods sft" in trained.command
    assert f"--revision {COMMIT}" in trained.command
    (card,) = (tmp_path / "out/work").rglob("checkpoint/README.md")
    assert huggingface_hub.ModelCard.load(card).data.base_model == "org/whole"
    assert f"| its commit | {COMMIT} |" in card.read_text()
