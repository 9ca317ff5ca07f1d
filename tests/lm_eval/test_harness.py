"""lm-eval in process: its own command line's numbers to the bit, and nothing global is changed by it."""

import functools
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from family_models import family
from needed import needed

from rpo_bench.lm_eval.find_tasks import task_manager
from rpo_bench.lm_eval.harness import run_harness
from rpo_bench.lm_eval.schema import LmEvalRequest
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import PromptFormat

needed("lm_eval", "lm-eval isn't installed")

MODELS = Path(__file__).parents[2] / "tasks/arithmetic/models"
INCLUDE = Path(__file__).parents[2] / "tasks"
GENERATE = LmEvalRequest(tasks=("arithmetic_generate",), limit=12, batch_size=4)


def run(folder: Path, asked: LmEvalRequest):
    model = HFModel.load(folder)
    return run_harness(model.model, model.tokenizer, task_manager(asked.tasks), asked)


def test_generators_mode_settings_and_tokenizer_are_as_they_were():
    model = HFModel.load(MODELS / "decoder")
    model.model.train()
    model.model.model.layers[0].eval()
    modes = [module.training for module in model.model.modules()]
    settings = model.model.generation_config.to_dict()
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    expected = random.random(), np.random.rand(), torch.rand(1)
    random.seed(5), np.random.seed(5), torch.manual_seed(5)
    padding = model.tokenizer.padding_side, model.tokenizer.pad_token
    run_harness(model.model, model.tokenizer, task_manager(GENERATE.tasks), GENERATE)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected
    assert [module.training for module in model.model.modules()] == modes
    assert model.model.generation_config.to_dict() == settings
    assert (model.tokenizer.padding_side, model.tokenizer.pad_token) == padding


@pytest.mark.parametrize(
    ("template", "begins"),
    [
        (None, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n"),
        (
            "{{ date_string }}: {% for m in messages %}{{ m['role'] }}={{ m['content'] }};{% endfor %}",
            "26 Jul",
        ),
    ],
)
def test_a_chat_format_reaches_the_tasks(tmp_path: Path, template: str | None, begins: str):
    model = HFModel.load(family("qwen2", tmp_path / "qwen2"))
    own = model.tokenizer.chat_template
    chat = PromptFormat(kind="chat", template=template, system="Be brief.", hash="x")
    asked = LmEvalRequest(tasks=("arithmetic_generate",), limit=2)
    for prompt_format, starts in ((chat, begins), (None, "")):
        found = run_harness(
            model.model, model.tokenizer, task_manager(asked.tasks), asked, prompt_format=prompt_format
        )
        shown = found.samples["arithmetic_generate"][0]["arguments"][0][0]
        assert shown.startswith(starts)
        assert ("system" in shown) == (prompt_format is not None)
    assert model.tokenizer.chat_template == own


def test_the_batch_size_reaches_the_model(monkeypatch):
    from lm_eval.models.huggingface import HFLM

    sizes = []
    generate = HFLM._model_generate
    monkeypatch.setattr(
        HFLM,
        "_model_generate",
        lambda lm, context, **more: sizes.append(len(context)) or generate(lm, context, **more),
    )
    run(MODELS / "decoder", GENERATE)
    assert sizes == [4, 4, 4]


def test_another_model_has_its_own_numbers_as_there_is_no_cache(tmp_path: Path):
    asked = LmEvalRequest(tasks=("arithmetic_choice",), limit=12)
    first, again = (run(MODELS / "encoder-decoder", asked) for _ in range(2))
    assert first == again
    model = HFModel.load(MODELS / "encoder-decoder")
    torch.manual_seed(0)
    for weight in model.model.parameters():
        weight.data.mul_(torch.rand_like(weight) + 0.5)
    other = run_harness(model.model, model.tokenizer, task_manager(asked.tasks), asked)
    assert [doc.document for doc in other.docs] == [doc.document for doc in first.docs]
    assert [doc.score for doc in other.docs] != [doc.score for doc in first.docs]


def test_autocast_reaches_the_tasks():
    """lm-eval switches off what is on around it, and has its own."""
    asked = LmEvalRequest(tasks=("arithmetic_choice",), limit=12)
    one, other = (HFModel.load(MODELS / "decoder", dtype=dtype) for dtype in ("float32", "autocast"))
    seen = []
    for model in (one, other):
        head = model.model.get_output_embeddings()
        hook = head.register_forward_hook(lambda _, __, logits: seen.append(logits.dtype))
        run_harness(model.model, model.tokenizer, task_manager(asked.tasks), asked, None, model.autocast)
        hook.remove()
    assert {torch.float32, torch.bfloat16} == set(seen)
    assert seen[0] == torch.float32
    assert seen[-1] == torch.bfloat16


def test_the_pupils_of_arithmetic_know_half_of_the_sums_and_choose_as_well():
    found = run(
        MODELS / "encoder-decoder",
        LmEvalRequest(tasks=("arithmetic_choice", "arithmetic_generate"), limit=60),
    )
    for task in found.tasks:
        assert 0.3 < found.parts["results"][task]["acc,none"] < 0.75
    by_doc = {doc.doc_id: doc.score for doc in found.docs if doc.task == "arithmetic_generate"}
    assert np.mean(list(by_doc.values())) == found.parts["results"]["arithmetic_generate"]["acc,none"]


def test_lm_evals_own_command_line_gives_the_same_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its command line reads the 13,000 files of its own tasks twice; here it finds ours alone."""
    from lm_eval.__main__ import cli_evaluate
    from lm_eval.tasks.manager import TaskManager

    begin = functools.partialmethod(TaskManager.__init__, include_defaults=False)
    monkeypatch.setattr(TaskManager, "__init__", begin)
    folder, tasks = MODELS / "encoder-decoder", ("arithmetic_choice", "arithmetic_generate")
    command = [
        "lm-eval", "run", "--model", "hf",
        "--model_args", f"pretrained={folder},dtype=float32", "--tasks", ",".join(tasks),
        "--include_path", str(INCLUDE), "--limit", "8", "--batch_size", "8", "--device", "cpu",
        "--output_path", str(tmp_path / "out"), "--log_samples",
    ]  # fmt: skip
    monkeypatch.setattr("sys.argv", command)
    cli_evaluate()
    (written,) = (tmp_path / "out").rglob("results_*.json")
    theirs = json.loads(written.read_text())
    ours = run(folder, LmEvalRequest(tasks=tasks, limit=8, batch_size=8))
    for task in tasks:
        assert ours.parts["results"][task] == theirs["results"][task]
        (file,) = (tmp_path / "out").rglob(f"samples_{task}_*.jsonl")
        lines = sorted(map(json.loads, file.read_text().splitlines()), key=lambda line: line["doc_id"])
        for line, sample in zip(lines, ours.samples[task], strict=True):
            assert (line["doc_hash"], line["acc"]) == (sample["doc_hash"], sample["acc"])
            assert as_text(line["filtered_resps"]) == as_text(sample["filtered_resps"])


def as_text(responses: list) -> list[str]:
    """lm-eval writes numbers of its log as text."""
    return [str([str(part) for part in one] if isinstance(one, list) else one) for one in responses]
