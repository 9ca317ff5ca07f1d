"""Checkpoints of the command line: tracked, with a model card, pushed to a hub."""

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import yaml
from huggingface_hub import ModelCard
from run_cli import invoke
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_task import tiny_task

from rpo_bench.files.hashing import hash_folder
from rpo_bench.spec.schema import CellSpec

TRAINING = ("--steps", "2", "--batch-size", "8", "--probe-every", "0")
MEASURING = ("--n-samples", "2", "--workers", "1", "--toxicity", "none", "--quiet")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    root = tmp_path_factory.mktemp("tasks")
    tiny_task(root / "tiny")
    return root


def matrix(tasks, out, *args):
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", out, "--seeds", "0")
    methods = ("--methods", "rpo,grpo", "--strengths", "rpo=0.5;grpo=0.1")
    return invoke("train-and-eval", *where, *methods, *TRAINING, *MEASURING, *args)


@pytest.fixture(scope="module")
def run(tasks, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "run"
    done = matrix(tasks, out, "--report-to", "tensorboard")
    assert done.exit_code == 0, done.output
    return out


def checkpoints(run):
    found = {}
    for folder in run.glob("work/cells/*/train"):
        spec = CellSpec.model_validate(yaml.safe_load((folder / "spec.yaml").read_text()))
        found[spec.method.name] = (folder, spec)
    return found


@pytest.mark.parametrize("method", ["rpo", "grpo"])
def test_offline_and_online_methods_are_tracked_alike(run, method):
    folder, spec = checkpoints(run)[method]
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    log = [json.loads(line) for line in (folder / "train_log.jsonl").read_text().splitlines()]
    assert [one.value for one in events.Scalars("train/loss")] == pytest.approx(
        [row["loss"] for row in log[1:]]
    )
    config = events.Tensors("config/text_summary")[0].tensor_proto.string_val[0].decode()
    config = json.loads(config.strip("`\n"))
    assert (config["method"], config["strength"], config["seed"]) == (method, spec.strength, 0)
    assert config["cell"] == spec.hash


def test_tracking_is_no_part_of_a_cell(run, tasks):
    """The same cells without it are done already."""
    before = {file: file.stat().st_mtime_ns for file in run.rglob("result.json")}
    assert matrix(tasks, run).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in run.rglob("result.json")} == before


@pytest.mark.parametrize("method", ["rpo", "grpo"])
def test_every_checkpoint_has_a_card_with_its_results(run, method):
    folder, spec = checkpoints(run)[method]
    card = ModelCard.load(folder / "checkpoint" / "README.md")
    assert card.data.library_name == "transformers"
    assert card.data.tags == ["rpo-bench", method, "tiny"]
    assert card.data.get("base_model") is None, "a folder means nothing on the hub"
    values = {one.metric_type: one.metric_value for one in card.data.eval_results}
    (record,) = [
        found
        for file in run.rglob("result.json")
        if (found := json.loads(file.read_text()))["cell"] == spec.hash
    ]
    assert values["reward"] == pytest.approx(record["metrics"]["reward"]["interval"]["point"])
    assert record["command"] in card.text
    assert f"Cell `{spec.hash}`" in card.text
    assert f"trained by **{method}** at {record['strength_name']} = {spec.strength:g}, seed 0" in card.text
    assert "Prompts are used as they are" in card.text


@pytest.mark.parametrize("adapter", [False, True])
def test_the_card_says_how_to_load_the_checkpoint(run, tasks, tmp_path, monkeypatch, adapter):
    folder = checkpoints(run)["rpo"][0] / "checkpoint"
    if adapter:
        where = ("--task", "tiny", "--include-path", tasks, "--output-path", tmp_path / "lora")
        done = invoke("train", "--method", "rpo", *where, *TRAINING, "--lora-rank", "2")
        assert done.exit_code == 0, done.output
        folder = tmp_path / "lora" / "checkpoint"
    (code,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    monkeypatch.chdir(folder)
    found: dict = {}
    exec(code, found)
    ids = found["tokenizer"]("the cat", return_tensors="pt").input_ids
    assert found["model"](input_ids=ids).logits.isfinite().all()


def test_the_card_changes_no_identity(run):
    folder = checkpoints(run)["rpo"][0] / "checkpoint"
    with_card = hash_folder(folder)
    text = (folder / "README.md").read_text()
    (folder / "README.md").unlink()
    assert hash_folder(folder) == with_card
    (folder / "README.md").write_text("Somebody's own.")
    assert hash_folder(folder) != with_card
    (folder / "README.md").write_text(text)


def test_a_tracker_that_isnt_there_is_refused_before_any_work(tasks, tmp_path):
    done = matrix(tasks, tmp_path / "out", "--report-to", "mlflow")
    assert done.exit_code == 2
    assert "there is no such tracker" in done.stderr
    assert not (tmp_path / "out").exists()


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as an upload asks for; remembers what it got."""

    asked: list = []  # noqa: RUF012

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.asked.append((self.path, body))
        answers = {
            "/api/repos/create": {"url": f"http://{self.headers['Host']}/me/mine"},
            "/api/validate-yaml": {"errors": [], "warnings": []},
        }
        answer = answers.get(self.path)
        if self.path.endswith("/preupload/main"):
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            answer = {"files": files}
        elif "/commit/" in self.path:
            answer = {"commitUrl": f"http://{self.headers['Host']}/me/mine/commit/1", "commitOid": "1" * 40}
        self.reply(answer or {})

    def do_GET(self):
        self.asked.append((self.path, ""))
        self.reply({"id": "me/mine", "sha": "0" * 40, "siblings": [], "private": True})

    def reply(self, value):
        text = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


def test_a_checkpoint_is_pushed_to_a_private_repository(run):
    """Through huggingface_hub itself, to a hub on loopback, in a process that isn't offline."""
    folder = checkpoints(run)["rpo"][0] / "checkpoint"
    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    code = f"import rpo_bench as rb, pathlib; print(rb.push_to_hub(pathlib.Path({str(folder)!r}), 'me/mine'))"
    endpoint = f"http://127.0.0.1:{server.server_port}"
    environment = {**os.environ, "HF_HUB_OFFLINE": "0", "HF_ENDPOINT": endpoint, "HF_TOKEN": "hf_none"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    server.shutdown()
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{endpoint}/me/mine"
    created = next(json.loads(body) for path, body in Hub.asked if path == "/api/repos/create")
    assert created["visibility"] == "private"
    committed = next(body for path, body in Hub.asked if "/commit/" in path)
    sent = [json.loads(line) for line in committed.splitlines()]
    assert {"README.md", "model.safetensors"} <= {one["value"].get("path") for one in sent}


def test_a_hub_out_of_reach_is_one_sentence_and_nothing_is_lost(tasks, tmp_path, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", tmp_path / "mine")
    done = invoke("train", "--method", "rpo", *where, *TRAINING, "--push-to-hub", "me/mine")
    assert done.exit_code == 2, done.output
    assert "can't be pushed to me/mine" in done.stderr
    assert (tmp_path / "mine" / "checkpoint" / "README.md").is_file()
    assert (tmp_path / "mine" / "fit.json").is_file()


@pytest.mark.parametrize("name", ["mine", "me/mi ne", "me/mine/too", "me/.git"])
def test_a_name_that_can_not_be_is_refused_before_anything_is_trained(tasks, tmp_path, name):
    where = ("--task", "tiny", "--include-path", tasks, "--output-path", tmp_path / "mine")
    done = invoke("train", "--method", "rpo", *where, *TRAINING, "--push-to-hub", name)
    assert done.exit_code == 2, done.output
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith(f"--push-to-hub {name}: write OWNER/NAME")
    assert not (tmp_path / "mine").exists()
