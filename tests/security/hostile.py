"""A community folder by somebody who means harm, beside good results; what it runs leaves a mark."""

import gzip
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml
from results_factory import PROMPTS, SAMPLES, cell_spec, record_of, write_cell

from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.environment import environment
from rpo_bench.results.samples import StoredSample
from rpo_bench.results.store import write_record
from rpo_bench.spec.schema import CellSpec
from rpo_bench.spec.sections import MethodSpec

#: Rendered by any template engine, it holds the trace, which stands nowhere else.
TEMPLATE, TRACE = "{{ 1234577 * 3 }}{% if 1 %}${1234577*3}{% endif %}", "3703731"

#: Files of a result, of a judge, and of a checkpoint with its training.
RESULT_FILES = ("result.json", "samples.jsonl.gz", "scores.jsonl.gz", "train_log.jsonl.gz", "lm_eval.json")
JUDGE_FILES = ("judge.json", "card.json", "commands.json", "replies.jsonl", "games.jsonl")
WEIGHTS = ("model.pt", "pytorch_model.bin", "optimizer.pt", "state.pkl", "rewards.npy", "evil.ckpt")


class Trap:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[Path, str]]:
        return Path.write_text, (self.mark, "unpickled")


def write_pipe(file: Path) -> None:
    os.mkfifo(file)


def write_folder(file: Path) -> None:
    file.mkdir()


def write_loop(file: Path) -> None:
    file.symlink_to(file.name)


def write_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def write_bomb(file: Path, size: int = 4 * 2**20) -> None:
    """Blanks without end: packed where its name says so, and more than the tests' limit otherwise too."""
    blank = b" " * size
    file.write_bytes(gzip.compress(blank) if file.suffix == ".gz" else blank)


def write_lines(file: Path) -> None:
    """More lines than anybody reads."""
    _write(file, b"\n" * 200_000)


def write_deep(file: Path) -> None:
    _write(file, b"[" * 50_000 + b"]" * 50_000 + b"\n")


def write_bytes(file: Path) -> None:
    _write(file, bytes(range(256)) * 4)


def write_surrogate(file: Path) -> None:
    _write(file, b'{"schema_version": 1, "text": "\\ud800"}\n')


def write_number(file: Path) -> None:
    _write(file, b'{"schema_version": 1, "step": 1, "probe_reward": 1e999}\n')


def write_list(file: Path) -> None:
    _write(file, b'[1, "two", null]\n')


#: What may lie in the place of any file.
IN_PLACE = {
    "pipe": write_pipe,
    "folder": write_folder,
    "loop": write_loop,
    "device": write_device,
    "bomb": write_bomb,
    "lines": write_lines,
    "deep": write_deep,
    "bytes": write_bytes,
    "surrogate": write_surrogate,
    "number": write_number,
    "list": write_list,
}


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)


def put(file: Path, kind: str) -> None:
    """Puts one of ``IN_PLACE`` in a file's place."""
    file.unlink(missing_ok=True)
    IN_PLACE[kind](file)


def write_results(results: Path) -> list[Path]:
    """Three good results with samples; returns their folders."""
    specs = (cell_spec("reference", None), cell_spec("sft", 0.3), cell_spec("rpo", 0.3))
    return [write_sampled(results, spec) for spec in specs]


def write_sampled(results: Path, spec: CellSpec, text: str = "an answer", **changes: object) -> Path:
    """A result with samples, which differ by method and seed."""
    clean = environment("cpu", "float32", 1).model_copy(update={"git_dirty": False})
    folder = write_cell(results, spec, **{"environment": clean, **changes})
    samples = [
        StoredSample(
            prompt_id=f"p{p:03}",
            prompt=f"question {p}",
            sample=n,
            text=f"{text} {spec.method.name} {spec.seed} {p % 3}",
            finished=True,
            token_ids=(1,),
        )
        for p in range(PROMPTS)
        for n in range(SAMPLES)
    ]
    write_json_lines(folder / "samples.jsonl.gz", samples)
    return folder


def write_community(results: Path, marks: Path, kinds: tuple[str, ...] = tuple(IN_PLACE)) -> Path:
    """A stranger's folder below good results; returns it.

    Args:
        results: Where good results are.
        marks: A folder in which whatever is run leaves a file.
        kinds: Which of ``IN_PLACE`` are put in the place of files, each of every file.
    """
    own = results / "community" / "mallory"
    evil = own / "evil"
    evil.mkdir(parents=True)
    _write_code(own, marks)
    write_task(evil, marks)
    _write_records(own, evil)
    for number, kind in enumerate(kinds):
        for place, name in enumerate(RESULT_FILES):
            folder = write_sampled(own, cell_spec("rpo", 1.0, seed=1000 + 10 * number + place))
            put(folder / name, kind)
        for name in JUDGE_FILES:
            judge = own / "judgements" / f"{kind}-{name.partition('.')[0]}"
            write_judge(judge)
            put(judge / name, kind)
    write_judge(own / "judgements" / "good")
    return own


def write_task(folder: Path, marks: Path) -> None:
    """A task whose reward, proxy and judge all run something."""
    lines = [json.dumps({"prompt_id": f"p{p:03}", "text": f"question {p}"}) for p in range(PROMPTS)]
    (folder / "heldout.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "rows.jsonl").write_text("")
    (folder / "evil.py").write_text(_code(marks / "reward"))
    spec = {
        "name": folder.name, "version": 1, "title": TEMPLATE, "description": TEMPLATE, "max_new_tokens": 8,
        "train": {"on_policy": "rows.jsonl"}, "heldout": "heldout.jsonl", "reward": "evil.py:reward",
        "proxy": "weights", "judge": "weights", "models": {"decoder": "weights"},
    }  # fmt: skip
    (folder / "task.yaml").write_text(yaml.safe_dump(spec))
    weights = folder / "weights"
    weights.mkdir()
    _write_pickles(weights, marks)
    classes = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    config = {"model_type": "gpt2", "auto_map": classes}
    (weights / "config.json").write_text(json.dumps(config))
    (weights / "tokenizer.json").write_text("{}")
    (weights / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    (weights / "chat_template.jinja").write_text(TEMPLATE)
    (weights / "evil.py").write_text(_code(marks / "remote code"))


def write_judge(folder: Path) -> None:
    """A judge's folder with one game and a reply."""
    folder.mkdir(parents=True)
    identity = {"backend": "openai", "model": f"{TEMPLATE} {folder.name}", "mode": "verdict"}
    (folder / "judge.json").write_text(json.dumps(identity))
    (folder / "commands.json").write_text(json.dumps([f"rpo-bench judge run {TEMPLATE}"]))
    reply = {"key": "k", "attempts": [{"text": '{"verdict": "A"}', "finish": "stop"}]}
    (folder / "replies.jsonl").write_text(json.dumps(reply) + "\n")
    reference, rpo = cell_spec("reference", None).name, cell_spec("rpo", 0.3).name
    game = {"question": "p000/0", "model": rpo, "baseline": reference, "swapped": False, "key": "k"}
    games = [game | {"model_length": 3, "baseline_length": 4}]
    games += [games[0] | {"swapped": True, "key": None}]
    (folder / "games.jsonl").write_text("".join(json.dumps(one) + "\n" for one in games))


def _write_records(own: Path, evil: Path) -> None:
    """Records whose names are places, code and templates, each with a reference of its own."""
    near = os.path.relpath(evil)
    long = "long" * 200
    tasks = (str(evil.resolve()), near, "../evil", "evil", TEMPLATE, "..", "civil_qa/../evil", "data:evil")
    for number, task in enumerate(tasks):
        for method, strength in (("reference", None), ("rpo", 0.3)):
            base = cell_spec(method, strength, seed=number, task=task)
            python = f"python:{evil / 'evil.py'}:reward"
            weights = str(evil / "weights")
            evaluation = base.evaluation.model_copy(
                update={"reward": python, "toxicity": f"detoxify:{weights}/evil.ckpt"}
            )
            spec = base.model_copy(
                update={
                    "model": weights,
                    "model_path": weights,
                    "evaluation": evaluation,
                    "training": base.training.model_copy(update={"reward": python}),
                }
            )
            folder = write_sampled(own, spec, TEMPLATE + "{prompt}{first.__class__}%s", command=TEMPLATE)
            (folder / "spec.yaml").write_text(yaml.safe_dump(spec.model_dump(mode="json")))
    for number, changes in enumerate(
        ({"task": long}, {"model": "ź" * 900}, {"method": MethodSpec(name=long)})
    ):
        spec = cell_spec("rpo", 0.3, seed=200 + number).model_copy(update=changes)
        write_record(own / f"long{number}", record_of(spec))
    named = cell_spec("rpo", 0.3, seed=99)
    method = named.method.model_copy(update={"name": "evil:reward", "options": {"x": TEMPLATE}})
    write_record(own / "method", record_of(named.model_copy(update={"method": method})))


def _write_code(own: Path, marks: Path) -> None:
    """Files that something could import, open or run: in the folder, and named like modules and weights."""
    for name in ("evil", "conftest", "sitecustomize", "json", "yaml", "civil_qa", "tasks", "trainers"):
        (own / f"{name}.py").write_text(_code(marks / f"{name} imported"))
    run = {"task": str(own / "evil"), "methods": [{"name": "sft"}]}
    (own / "spec.yaml").write_text(yaml.safe_dump(run))
    (own / "identity.yaml").write_text(f"task: !!python/object/apply:os.mkdir ['{marks / 'yaml'}']\n")
    _write_pickles(own, marks)
    for folder in (own / "civil_qa" / "decoder" / "oracle", own / "oracle"):
        folder.mkdir(parents=True)
        trap = np.array([Trap(marks / "oracle")], dtype=object)
        for name in ("samples", "a" * 16):
            np.savez(folder / f"{name}.npz", rewards=trap, prompt_ids=trap)


def _write_pickles(folder: Path, marks: Path) -> None:
    for name in WEIGHTS:
        (folder / name).write_bytes(pickle.dumps(Trap(marks / f"pickle {name}")))


def _code(mark: Path) -> str:
    return (
        "import pathlib\n"
        f"pathlib.Path({str(mark)!r}).write_text('imported')\n"
        "def reward(prompts, responses):\n"
        "    return [1.0] * len(responses)\n"
    )
