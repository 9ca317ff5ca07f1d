"""``--generation-backend``: samples of a server, through the command line, beside transformers' own."""

import json
import shutil
from pathlib import Path

import pytest
from completions_server import completions_serving
from family_models import family
from real_servers import transformers_serving
from run_cli import SMALL, invoke, stored

from rpo_bench.models.hf import HFModel
from rpo_bench.results.schema import Record
from rpo_bench.results.store import read_samples


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base model, a task made of rows, and another checkpoint with the base's tokenizer."""
    tmp_path = tmp_path_factory.mktemp("made")
    family("llama", tmp_path / "llama")
    family("llama", tmp_path / "ckpt", seed=1)
    rows = [
        {"prompt": f"what is the {topic} ?", "response": answer, "reward": reward}
        for topic in ("river", "city", "house", "cat", "dog")
        for answer, reward in (("it is good thanks .", 1.0), ("no stupid idiot .", -1.0))
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "reward.py").write_text(
        "def f(prompts, responses):\n    return [len(r) for r in responses]\n"
    )
    done = invoke(
        "train-and-eval", "--model", tmp_path / "llama", "--data", tmp_path / "rows.jsonl",
        "--methods", "sft", "--strengths", "1", "--output-path", tmp_path / "made", *SMALL,
        "--toxicity", "none", "--gen-kwargs", "max_new_tokens=4",
        "--reward", f"python:{tmp_path / 'reward.py'}:f",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return tmp_path


@pytest.fixture
def around(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, of this test's own."""
    return shutil.copytree(made, tmp_path / "around")


def evaluate(around: Path, *more: object, code: int = 0) -> str:
    """``eval`` of the checkpoint; what was said."""
    task = next((around / "made/work/tasks").iterdir())
    done = invoke(
        "eval", around / "ckpt", "--task", task, "--reference", around / "llama", "--toxicity", "none",
        "--reward", f"python:{around / 'reward.py'}:f", "--gen-kwargs", "max_new_tokens=6",
        "--n-samples", "8", "--output-path", around / "out", *more,
    )  # fmt: skip
    assert done.exit_code == code, done.output
    return str(done.output)


def by_server(around: Path, url: str, *more: object, code: int = 0) -> str:
    return evaluate(
        around, "--generation-backend", "openai", "--generation-args", f"base_url={url}", *more, code=code
    )


def record_of(around: Path) -> tuple[Record, Path]:
    (found,) = (s for s in stored(around / "out") if s.record.spec.method.name == "ckpt")
    return found.record, found.folder


def test_a_server_that_tells_its_tokens_is_measured_token_by_token(around: Path):
    model = HFModel.load(around / "ckpt")
    with completions_serving(model, ("ckpt",)) as server:
        by_server(around, server.url)
        record, folder = record_of(around)
        asked = len(server.asked)
        by_server(around, server.url)  # nothing is missing, so that nothing is asked
        assert len(server.asked) == asked
    said = record.extra["generation"]
    assert said["token_exact"] is True
    assert said["logp_difference"]["max_abs"] < 1e-4
    assert said["logp_difference"]["tokens"] == sum(len(s.token_ids) for s in read_samples(folder))
    assert record.metrics["kl"].interval.point > 0.1
    assert record.metrics["kl"].scored == record.metrics["length"].scored == 8
    assert "--generation-backend openai --generation-args base_url=http://127.0.0.1" in record.command
    references = [s.record for s in stored(around / "out") if s.record.spec.strength is None]
    assert [r.spec.generation.backend for r in references] == ["hf"]
    assert "generation" not in references[0].extra


def test_a_server_that_serves_another_model_is_found_out(around: Path):
    other = HFModel.load(around / "llama")
    with completions_serving(other, ("ckpt",)) as server:
        said = by_server(around, server.url, code=1)
    assert "aren't those of" in " ".join(said.split())
    assert "another or a quantised model" in " ".join(said.split())


def test_a_server_of_texts_gives_no_kl_and_no_length_but_all_else(around: Path):
    model = HFModel.load(around / "ckpt")
    with completions_serving(model, ("ckpt",), tells_tokens=False) as server:
        by_server(around, server.url)
    record, _ = record_of(around)
    assert record.extra["generation"]["token_exact"] is False
    for name in ("kl", "kl_k3", "kl_per_token", "length"):
        assert record.metrics[name].interval.point is None
        assert sum(record.metrics[name].unscored.values()) == 8
    assert record.metrics["reward"].scored == 8


def test_a_checkpoint_sampled_by_a_server_is_another_cell_of_the_same_panel(around: Path):
    evaluate(around)
    with completions_serving(HFModel.load(around / "ckpt"), ("ckpt",)) as server:
        by_server(around, server.url)
    found = [s.record for s in stored(around / "out")]
    assert sorted((r.spec.method.name, r.spec.generation.backend) for r in found) == [
        ("ckpt", "hf"), ("ckpt", "openai"), ("reference", "hf"),
    ]  # fmt: skip
    assert len({r.cell for r in found}) == 3
    shown = invoke("leaderboard", around / "out/results", "--output-path", around / "page").output
    assert "ckpt [backend=hf]" in shown  # and not two seeds of one
    assert "ckpt [backend=openai]" in shown


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--generation-args", "model=x"), "needs --generation-backend: give both."),
        (("--generation-backend", "hf", "--generation-args", "model=x"), "hf takes no --generation-args"),
        (
            ("--generation-backend", "openai", "--generation-args", "base_ur=x"),
            "openai has no setting 'base_ur'. Did you mean 'base_url'?",
        ),
        (("--generation-backend", "vlm"), "generation.backend = 'vlm': Input should be 'hf', 'vllm' or"),
        (("--generation-backend", "openai"), "needs --generation-args base_url=URL"),
        (
            ("--generation-backend", "openai", "--generation-args", "base_url=http://127.0.0.1:9/v1"),
            "No server answers at http://127.0.0.1:9/v1: start it",
        ),
        (
            ("--generation-backend", "openai", "--gen-kwargs", "top_k=5,max_new_tokens=6"),
            "--generation-backend openai: it doesn't support top_k",
        ),
        (
            ("--generation-backend", "vllm", "--gen-kwargs", "preset=rpo-paper,max_new_tokens=6"),
            "--generation-backend vllm: it doesn't support no_repeat_ngram_size",
        ),
    ],
)  # fmt: skip
def test_what_a_backend_cannot_do_is_one_sentence_and_nothing_is_sampled(
    around: Path, flags: tuple[str, ...], said: str
):
    assert said in " ".join(evaluate(around, *flags, code=2).split())
    assert not (around / "out/results").exists() or not stored(around / "out")


def test_training_runs_are_not_sampled_by_servers_nor_encoder_decoders_by_vllm(tmp_path: Path):
    asked = ("train-and-eval", "--preset", "smoke", "--output-path", tmp_path / "run")
    done = invoke(*asked, "--generation-backend", "openai")
    assert "a server serves finished checkpoints only" in " ".join(done.output.split())
    done = invoke(*asked, "--generation-backend", "vllm", "--models", "encoder-decoder")
    assert "vLLM doesn't support encoder-decoder models such as encoder-decoder" in " ".join(
        done.output.split()
    )


@pytest.mark.slow
def test_transformers_serve_is_refused_while_greedy_and_measured_once_it_samples(around: Path):
    """One server loads what it is asked for: the checkpoint as it is, and with settings that sample."""
    pytest.importorskip("uvicorn", reason="transformers serve needs the extra transformers[serving]")
    sampling = shutil.copytree(around / "ckpt", around / "sampling")
    settings = {"do_sample": True, "top_k": 0, "eos_token_id": 1, "bos_token_id": 0}
    (sampling / "generation_config.json").write_text(json.dumps(settings))
    with transformers_serving(None, around / "serve.log") as url:
        said = by_server(around, f"{url},model={around / 'ckpt'}", code=1)
        assert "The server gives 8 equal answers to every prompt" in " ".join(said.split())
        shutil.rmtree(around / "out")
        by_server(around, f"{url},model={sampling}")
    record, folder = record_of(around)
    assert record.extra["generation"]["token_exact"] is False
    assert record.metrics["reward"].scored == 8
    assert len({sample.text for sample in read_samples(folder)}) > 4
