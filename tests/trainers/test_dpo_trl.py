"""DPO and IPO against TRL's trainer, on the same models and batch, 20 optimiser steps along."""

import os
from pathlib import Path

import pytest
import torch
from needed import needed
from tiny_models import tiny_decoder
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainers.dpo import dpo_loss
from trainers.logps import TokenLayout, collate, sequence_logps

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
needed("trl", "TRL is the oracle of this test: pip install trl")

ROWS = [
    {"prompt": "what is the cat ?", "chosen": " the cat is good", "rejected": " idiot"},
    {"prompt": "who is the dog ?", "chosen": " maybe the dog and cat", "rejected": " bad bad"},
    {"prompt": "where is the house ?", "chosen": " the river", "rejected": " no thanks"},
    {"prompt": "small house", "chosen": " yes please", "rejected": " sorry one two three"},
]


def test_dpo_agrees_with_trl_to_1e_5_over_20_steps(tmp_path: Path):
    """Each trains its own copy by its own loss with the same optimiser; the losses stay together."""
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    folder = tiny_decoder(tmp_path / "policy", seed=1, scale=10.0)
    theirs, ours, reference = (AutoModelForCausalLM.from_pretrained(folder) for _ in range(3))
    arguments = DPOConfig(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=len(ROWS),
        beta=0.3,
        use_cpu=True,
        bf16=False,
        report_to="none",
    )
    trainer = DPOTrainer(
        model=theirs,
        ref_model=reference,
        args=arguments,
        train_dataset=Dataset.from_list(ROWS),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    prompts, responses = _split(batch)
    inputs = collate(prompts, responses, TokenLayout.of(ours))
    with torch.no_grad():
        reference_logps = sequence_logps(reference, inputs)
    optimisers = [torch.optim.SGD(model.parameters(), lr=0.05) for model in (theirs, ours)]
    first = None
    for _ in range(20):
        their_loss = trainer.compute_loss(theirs.eval(), dict(batch))
        our_loss = dpo_loss(*(sequence_logps(ours.eval(), inputs) - reference_logps).chunk(2), 0.3)
        assert our_loss.item() == pytest.approx(their_loss.item(), abs=1e-5)
        first = our_loss.item() if first is None else first
        for loss, optimiser in zip((their_loss, our_loss), optimisers, strict=True):
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert our_loss.item() < first - 0.05, "twenty steps must have moved it"


def _split(batch: dict[str, torch.Tensor]) -> tuple[list[list[int]], list[list[int]]]:
    """TRL's padded batch (chosen rows first) as lists of prompt and of response tokens."""
    ids, mask = batch["input_ids"], batch["attention_mask"].bool()
    response = batch["completion_mask"].bool()
    prompts = [row[m & ~r].tolist() for row, m, r in zip(ids, mask, response, strict=True)]
    return prompts, [row[r].tolist() for row, r in zip(ids, response, strict=True)]
