"""KTO against TRL's trainer: the same models, the same batch, a KL term that is positive."""

import os
from pathlib import Path

import pytest
import torch
from needed import needed
from tiny_models import tiny_decoder
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainers.inputs import TokenLayout, collate
from trainers.kto import kto_loss
from trainers.logps import sequence_logps

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
needed("trl", "TRL is the oracle of this test: pip install trl")

ROWS = [
    {"prompt": "what is the cat ?", "completion": " the cat is good", "label": True},
    {"prompt": "who is the dog ?", "completion": " bad", "label": False},
    {"prompt": "where is the house ?", "completion": " maybe the river and city", "label": True},
    {"prompt": "what is red ?", "completion": " red is one two three", "label": False},
    {"prompt": "a big city ?", "completion": " yes please", "label": True},
    {"prompt": "small house", "completion": " no thanks sorry", "label": False},
]


@pytest.mark.parametrize(("beta", "weight_d", "weight_u"), [(0.1, 1.0, 1.0), (0.7, 1.3, 0.6)])
def test_kto_agrees_with_trl_to_1e_5(tmp_path: Path, beta: float, weight_d: float, weight_u: float):
    """TRL computes its loss from its own batch; ours is given the tokens of that batch."""
    from datasets import Dataset
    from trl import KTOConfig, KTOTrainer

    reference = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path / "reference", seed=2, scale=10.0))
    policy = AutoModelForCausalLM.from_pretrained(tiny_decoder(tmp_path / "policy", seed=1, scale=10.0))
    arguments = KTOConfig(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=len(ROWS),
        beta=beta,
        desirable_weight=weight_d,
        undesirable_weight=weight_u,
        use_cpu=True,
        bf16=False,
        report_to="none",
    )
    trainer = KTOTrainer(
        model=policy,
        ref_model=reference,
        args=arguments,
        train_dataset=Dataset.from_list(ROWS),
        processing_class=AutoTokenizer.from_pretrained(tmp_path / "policy"),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    expected = trainer.compute_loss(policy, dict(batch)).item()

    def log_ratio(prefix: str) -> torch.Tensor:
        prompts, responses = _split(batch, prefix)
        inputs = collate(prompts, responses, TokenLayout.of(policy))
        return sequence_logps(policy, inputs) - sequence_logps(reference, inputs)

    with torch.no_grad():
        z0 = log_ratio("KL_").mean().clamp(min=0)
        desirable = torch.as_tensor(batch["label"], dtype=torch.bool)
        ours = kto_loss(log_ratio(""), desirable, z0, beta, weight_d, weight_u).item()
    assert z0 > 0.05, "a KL term of zero would test nothing"
    assert ours == pytest.approx(expected, abs=1e-5)


def _split(batch: dict[str, torch.Tensor], prefix: str) -> tuple[list[list[int]], list[list[int]]]:
    """TRL's padded batch as lists of prompt and of response tokens."""
    ids, mask = batch[f"{prefix}input_ids"], batch[f"{prefix}attention_mask"].bool()
    response = batch[f"{prefix}completion_mask"].bool()
    prompts = [row[m & ~r].tolist() for row, m, r in zip(ids, mask, response, strict=True)]
    return prompts, [row[r].tolist() for row, r in zip(ids, response, strict=True)]
