"""--model-dtype autocast: float32 weights and bfloat16 passes, on trained models."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rpo_bench.engine.inputs.sampling_checks import check_backend
from rpo_bench.errors import UserError
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import Decoding, GenerationSpec, LoadingSpec, MethodSpec
from rpo_bench.tasks.task import load_task

TASK = load_task("civil_qa")
DECODING = Decoding(max_new_tokens=24)


@pytest.fixture(params=["decoder", "encoder-decoder"])
def folder(request: pytest.FixtureRequest) -> Path:
    return TASK.model_folder(request.param)


def test_passes_are_in_bfloat16_over_float32_weights(folder: Path):
    """Log-probs are near those of float32, as are those of bfloat16 weights, and equal to neither."""
    prompts = TASK.heldout[:24]
    kinds = {
        dtype: HFModel.load(folder, loading=LoadingSpec(dtype=dtype))
        for dtype in ("float32", "autocast", "bfloat16")
    }
    assert kinds["autocast"].model.dtype == torch.float32
    said = kinds["float32"].generate(prompts, 1, DECODING, 0, 24)
    texts, tokens = [one.prompt for one in said], [one.token_ids for one in said]
    logps = {name: np.concatenate(model.token_logps(texts, tokens, 24)) for name, model in kinds.items()}
    gaps = {name: np.abs(logps[name] - logps["float32"]) for name in ("autocast", "bfloat16")}
    assert 1e-4 < gaps["autocast"].mean() < 0.05
    assert gaps["autocast"].mean() < 1.5 * gaps["bfloat16"].mean()
    assert np.abs(logps["autocast"] - logps["bfloat16"]).max() > 0


def test_a_policy_has_no_kl_to_itself_and_samples_what_it_scores(folder: Path):
    """Steps with a cache and whole passes agree as far as rounding goes."""
    one, same = (HFModel.load(folder, loading=LoadingSpec(dtype="autocast")) for _ in range(2))
    prompts = TASK.heldout[:24]
    said = one.generate(prompts, 2, DECODING, 0, 48)
    assert [each.token_ids for each in said] == [
        each.token_ids for each in same.generate(prompts, 2, DECODING, 0, 48)
    ]
    texts, tokens = [each.prompt for each in said], [each.token_ids for each in said]
    for a, b in zip(one.token_logps(texts, tokens, 16), same.token_logps(texts, tokens, 16), strict=True):
        np.testing.assert_array_equal(a, b)
    probable = np.concatenate(one.token_logps(texts, tokens, 16))
    mixed = np.concatenate(one.token_logps(texts[::-1], tokens, 16))
    assert probable.mean() > mixed.mean() + 0.1


def test_vllm_has_no_such_format():
    spec = RunSpec(
        loading=LoadingSpec(dtype="autocast"),
        generation=GenerationSpec(backend="vllm"),
        methods=(MethodSpec(name="rpo"),),
    )
    with pytest.raises(UserError, match="vLLM has no --model-dtype autocast: give bfloat16, or leave it out"):
        check_backend(spec, {}, trains=False)
