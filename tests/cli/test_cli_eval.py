"""``rpo-bench train`` and ``rpo-bench eval``: one checkpoint made, any checkpoint measured."""

import json
import shlex
import shutil

import pytest
import yaml
from family_models import family
from run_cli import invoke, outcome, stored
from tiny_models import tiny_decoder, tiny_tokenizer
from tiny_task import tiny_task

from rpo_bench.spec.schema import CellSpec

TRAINING = ("--steps", "3", "--batch-size", "4", "--probe-every", "2", "--strength", "0.5")
MEASURING = ("--n-samples", "2", "--workers", "1")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny", encoder_decoder=True)
    return root


@pytest.fixture(scope="module")
def trained(tasks, tmp_path_factory):
    """A folder in which ``train`` has made a checkpoint of RPO."""
    folder = tmp_path_factory.mktemp("trained") / "mine"
    done = train(tasks, folder)
    assert done.exit_code == 0, done.output
    assert "3 steps" in done.stdout
    return folder


def train(tasks, folder, *args):
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", folder)
    return invoke("train", "--method", "rpo", *where, *TRAINING, *args)


def measure(tasks, out, *args):
    return invoke("eval", "--task", "tiny", "--include-path", tasks, "--output-path", out, *MEASURING, *args)


def test_train_leaves_a_checkpoint_its_log_and_its_spec(trained):
    assert {p.name for p in (trained / "checkpoint").iterdir()} >= {"model.safetensors", "tokenizer.json"}
    log = [json.loads(line) for line in (trained / "train_log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [0, 1, 2, 3]
    assert "probe_reward" in log[0]
    assert log[0]["probe_kl"] == 0, "the policy is its reference still"
    assert log[3]["probe_kl"] != 0
    spec = CellSpec.model_validate(yaml.safe_load((trained / "spec.yaml").read_text()))
    assert (spec.method.name, spec.strength, spec.training.steps) == ("rpo", 0.5, 3)


def test_train_again_does_nothing_and_another_spec_is_refused(trained, tasks):
    weights = trained / "checkpoint/model.safetensors"
    before = weights.stat().st_mtime_ns
    assert train(tasks, trained).exit_code == 0
    assert weights.stat().st_mtime_ns == before
    other = train(tasks, trained, "--seed", "1")
    assert other.exit_code == 2
    assert "seed is 0 there and 1 here" in other.stderr


@pytest.mark.parametrize(("verb", "missing"), [("train", "--method"), ("eval", "CHECKPOINT")])
def test_what_must_be_given(verb, missing):
    done = invoke(verb)
    assert done.exit_code == 2
    assert missing in done.stderr


def test_train_takes_one_method(tasks, tmp_path):
    done = train(tasks, tmp_path / "x", "--method", "sft,kto")
    assert done.exit_code == 2
    assert "one method" in done.stderr


def test_eval_measures_our_own_checkpoint_as_train_and_eval_does(trained, tasks, tmp_path):
    done = measure(tasks, tmp_path / "out", trained / "checkpoint")
    assert done.exit_code == 0, done.output
    assert "rpo" in done.stdout
    matrix = ("--steps", "3", "--batch-size", "4", "--probe-every", "2", "--warmup-steps", "20")
    whole = invoke(
        "train-and-eval", "--task", "tiny", "--include-path", tasks, "--output-path", tmp_path / "whole",
        "--methods", "rpo", "--strengths", "0.5", "--seeds", "0", *matrix, *MEASURING,
    )  # fmt: skip
    assert whole.exit_code == 0, whole.output
    one, other = ([outcome(s.record) for s in stored(tmp_path / name)] for name in ("out", "whole"))
    assert len(one) == 2  # the checkpoint and its reference
    assert one == other


def test_eval_knows_a_foreign_checkpoint_by_its_folder_and_finds_its_reference(tasks, tmp_path):
    foreign = tiny_decoder(tmp_path / "from-elsewhere", seed=5, scale=20.0)
    done = measure(tasks, tmp_path / "out", foreign)
    assert done.exit_code == 0, done.output
    assert "measured against 'decoder'" in done.stderr
    found = {s.record.spec.method.name: s.record for s in stored(tmp_path / "out")}
    assert set(found) == {"reference", "from-elsewhere"}
    assert found["from-elsewhere"].metrics["kl"].interval.point > 0.1
    assert "from-elsewhere" in done.stdout
    assert "already" in measure(tasks, tmp_path / "out", foreign).stderr

    (foreign / "model.safetensors").write_bytes(
        (tiny_decoder(tmp_path / "other", seed=6) / "model.safetensors").read_bytes()
    )
    assert "1 cell done" in measure(tasks, tmp_path / "out", foreign).stderr  # new weights, a new cell


def test_a_checkpoint_joins_the_board_of_an_earlier_run(tasks, tmp_path):
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", tmp_path / "out")
    run = ("--methods", "sft", "--strengths", "2", "--seeds", "0", "--steps", "3", "--batch-size", "4")
    assert invoke("train-and-eval", *where, *run, "--n-samples", "3", "--limit", "4").exit_code == 0
    mine = tiny_decoder(tmp_path / "mine", seed=5, scale=20.0)
    done = invoke("eval", mine, *where)  # measured as that run was: 4 prompts × 3 samples
    assert done.exit_code == 0, done.output
    found = {s.record.spec.method.name: s.record for s in stored(tmp_path / "out")}
    assert set(found) == {"reference", "sft", "mine"}
    assert found["mine"].metrics["reward"].scored == 12
    refused = invoke("eval", mine, *where, "--n-samples", "5")
    assert refused.exit_code == 2
    assert "evaluation.n_samples is 3 there and 5 here" in refused.stderr


def test_the_recorded_command_measures_it_again(trained, tasks, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(trained / "checkpoint", moved)
    done = measure(tasks, tmp_path / "out", moved, "--reference", "decoder", "--gen-kwargs", "top_k=5")
    assert done.exit_code == 0, done.output
    record = next(s.record for s in stored(tmp_path / "out") if s.record.spec.method.name == "moved")
    done = invoke(*shlex.split(record.command)[1:], "--output-path", tmp_path / "again")
    assert done.exit_code == 0, done.output
    assert outcome(record) in [outcome(s.record) for s in stored(tmp_path / "again")]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder, "There is no model folder"),
        (lambda folder: without_config(tiny_decoder(folder)), "no config.json"),
        (lambda folder: with_other_words(tiny_decoder(folder)), "different tokenizers"),
    ],
)
def test_what_can_not_be_measured_is_one_sentence(tasks, tmp_path, make, message):
    folder = make(tmp_path / "checkpoint")
    done = measure(tasks, tmp_path / "out", folder, "--reference", "decoder")
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stderr.strip().count("\n") == 0


def test_without_a_fitting_model_the_reference_must_be_named(tasks, tmp_path):
    folder = with_other_words(tiny_decoder(tmp_path / "odd"))
    done = measure(tasks, tmp_path / "out", folder)
    assert done.exit_code == 2
    assert "--reference" in done.stderr


def without_config(folder):
    (folder / "config.json").unlink()
    return folder


def with_other_words(folder):
    tokenizer = tiny_tokenizer(append_eos=False)
    vocabulary = json.loads(tokenizer.backend_tokenizer.to_str())
    words = vocabulary["model"]["vocab"]
    words["kitten"] = words.pop("cat")
    (folder / "tokenizer.json").write_text(json.dumps(vocabulary))
    return folder


def test_the_length_of_responses_in_training_is_a_flag_of_train_too(tasks, tmp_path):
    """A model with little context has no room for every length that one may ask for."""
    file = tmp_path / "rows.jsonl"
    words = enumerate(("cat", "dog", "house", "river", "city"))
    rows = [{"prompt": f"the {word}", "response": "yes", "reward": n} for n, word in words]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = tiny_decoder(tmp_path / "base")
    where = ("--data", file, "--model", model, "--steps", "2", "--output-path", tmp_path / "out")
    refused = invoke("train", "--method", "sft", *where, "--gen-kwargs", "max_new_tokens=500")
    assert refused.exit_code == 2
    assert "lower --gen-kwargs max_new_tokens" in refused.stderr
    done = invoke("train", "--method", "sft", *where, "--gen-kwargs", "max_new_tokens=8")
    assert done.exit_code == 0, done.output


class TestOfAdapters:
    @pytest.fixture
    def adapter(self, tmp_path):
        """On the tiny decoder, which is saved as ``base`` beside it."""
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM

        base = tiny_decoder(tmp_path / "base")
        lora = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
        get_peft_model(AutoModelForCausalLM.from_pretrained(base), lora).save_pretrained(tmp_path / "adapter")
        return tmp_path / "adapter"

    def test_it_is_measured_against_its_own_base(self, tasks, adapter, tmp_path):
        done = measure(tasks, tmp_path / "out", adapter)
        assert done.exit_code == 0, done.output
        (found,) = (s.record for s in stored(tmp_path / "out") if s.record.spec.method.name == "adapter")
        assert found.spec.model == "base"
        assert found.metrics["kl"].interval.point == 0, "a new adapter changes nothing"

    def test_a_reference_of_other_tokens_is_refused(self, tasks, adapter, tmp_path):
        other = family("gpt2", tmp_path / "gpt2")
        done = measure(tasks, tmp_path / "out", adapter, "--reference", other)
        assert done.exit_code == 2
        assert "have different tokenizers" in done.stderr

    def test_another_base_is_refused_before_anything_is_measured(self, tasks, adapter, tmp_path):
        other = family("gpt2", tmp_path / "gpt2")
        named(adapter, str(other))
        done = measure(tasks, tmp_path / "out", adapter)
        assert done.exit_code == 2
        assert f"The adapter in {adapter} doesn't fit {other}: Target modules" in done.stderr
        assert not (tmp_path / "out/results").exists()

    def test_a_base_of_the_hub_that_is_not_here_is_one_sentence(self, tasks, adapter, tmp_path, monkeypatch):
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
        named(adapter, "org/base")
        done = measure(tasks, tmp_path / "out", adapter)
        assert done.exit_code == 2
        (line,) = done.stderr.strip().splitlines()
        assert line.startswith(
            f"The adapter in {adapter} was trained on org/base: there is no such folder, and no"
        )


def named(adapter, base):
    file = adapter / "adapter_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "base_model_name_or_path": base}))


def test_a_checkpoint_of_the_hub_is_measured_by_its_name(tasks, tmp_path, monkeypatch):
    """From the copy on this machine, as the hub's client keeps it."""
    commit = "0123456789abcdef0123456789abcdef01234567"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    repository = tmp_path / "hub" / "models--org--mine"
    tiny_decoder(repository / "snapshots" / commit, seed=3)
    (repository / "refs").mkdir()
    (repository / "refs/main").write_text(commit)
    reference = tasks / "tiny/models/decoder"
    done = measure(tasks, tmp_path / "out", "org/mine", "--reference", reference)
    assert done.exit_code == 0, done.output
    assert {s.record.spec.method.name for s in stored(tmp_path / "out")} == {"reference", "mine"}
    absent = measure(tasks, tmp_path / "out", "org/other", "--reference", reference)
    assert absent.exit_code == 2
    assert absent.stderr.strip().startswith("org/other: there is no such folder, and no copy from the hub")


def test_a_checkpoint_that_writes_no_text_is_refused(tasks, tmp_path):
    from transformers import AutoModelForSequenceClassification

    folder = tiny_decoder(tmp_path / "scorer")
    AutoModelForSequenceClassification.from_pretrained(folder, num_labels=1).save_pretrained(folder)
    done = measure(tasks, tmp_path / "out", folder, "--reference", "decoder")
    assert done.exit_code == 2
    assert "holds a LlamaForSequenceClassification, which doesn't generate text" in done.stderr
