"""The pairwise family against TRL's trainers, on the same models and batch, optimiser steps along."""

import os
from pathlib import Path

import pytest
import torch
from needed import needed
from tiny_models import tiny_decoder
from transformers import AutoModelForCausalLM, AutoTokenizer

from trainers.dpo import DPO, ORPO, LengthNormalisedDPO, RobustDPO, SimPO, SLiC
from trainers.inputs import TokenLayout, collate
from trainers.logps import sequence_logps
from trainers.objective import Batch

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TRL_EXPERIMENTAL_SILENCE"] = "1"
needed("trl", "TRL is the oracle of this test: pip install trl")

ROWS = [
    {"prompt": "what is the cat ?", "chosen": " the cat is good", "rejected": " idiot"},
    {"prompt": "who is the dog ?", "chosen": " maybe the dog and cat", "rejected": " bad bad"},
    {"prompt": "where is the house ?", "chosen": " the river", "rejected": " no thanks"},
    {"prompt": "small house", "chosen": " yes please", "rejected": " sorry one two three"},
]
RATE = 0.05


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_decoder(tmp_path_factory.mktemp("models") / "policy", seed=1, scale=10.0)


class Ours:
    """Our copy of the policy, trained by a method on TRL's sequences."""

    def __init__(self, folder: Path, method, prompts, responses) -> None:
        self.model, reference = (AutoModelForCausalLM.from_pretrained(folder).eval() for _ in range(2))
        self.method = method
        self.inputs = collate(prompts, responses, TokenLayout.of(self.model))
        self.lengths = torch.tensor([float(len(response)) for response in responses])
        with torch.no_grad():
            self.reference_logps = sequence_logps(reference, self.inputs)
        self.optimiser = torch.optim.SGD(self.model.parameters(), lr=RATE)

    def loss(self) -> torch.Tensor:
        logps = sequence_logps(self.model, self.inputs)
        rewards = torch.zeros_like(logps)
        return self.method.loss(Batch(logps, self.reference_logps, self.lengths, rewards)).loss


def stay_together(ours: Ours, theirs, their_loss, steps: int) -> None:
    """Each trains its own copy with the same optimiser; the losses stay together to 1e-5."""
    optimiser = torch.optim.SGD(theirs.parameters(), lr=RATE)
    losses = []
    for _ in range(steps):
        own, other = ours.loss(), their_loss()
        assert own.item() == pytest.approx(other.item(), abs=1e-5)
        losses.append(own.item())
        for loss, by in ((other, optimiser), (own, ours.optimiser)):
            by.zero_grad()
            loss.backward()
            by.step()
    assert losses[-1] < losses[0], "the steps must have moved it"


@pytest.mark.parametrize(
    ("loss_type", "options", "method", "steps"),
    [
        ("sigmoid", {}, DPO(beta=0.3), 20),
        ("hinge", {}, SLiC(beta=0.3), 5),
        ("robust", {"label_smoothing": 0.2}, RobustDPO(beta=0.3, label_smoothing=0.2), 5),
        ("sigmoid_norm", {}, LengthNormalisedDPO(beta=0.3), 5),
        ("ipo", {}, DPO(beta=0.3, objective="ipo", score="mean_log_ratio"), 5),
    ],
)
def test_dpo_and_its_variants_agree_with_trl(folder, tmp_path, loss_type, options, method, steps):
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    theirs, reference = (AutoModelForCausalLM.from_pretrained(folder) for _ in range(2))
    arguments = DPOConfig(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=len(ROWS),
        beta=0.3,
        loss_type=[loss_type],
        use_cpu=True,
        bf16=False,
        report_to="none",
        **options,
    )
    trainer = DPOTrainer(
        model=theirs,
        ref_model=reference,
        args=arguments,
        train_dataset=Dataset.from_list(ROWS),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    ours = Ours(folder, method, *_split(batch))
    stay_together(ours, theirs, lambda: trainer.compute_loss(theirs.eval(), dict(batch)), steps)


def test_simpo_agrees_with_trl(folder, tmp_path):
    """γ = 0.8 of β = 2 is a margin of 0.4 nats per token."""
    from datasets import Dataset
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    theirs = AutoModelForCausalLM.from_pretrained(folder)
    arguments = CPOConfig(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=len(ROWS),
        beta=2.0,
        loss_type="simpo",
        simpo_gamma=0.8,
        cpo_alpha=0.0,
        use_cpu=True,
        bf16=False,
        report_to="none",
        max_length=64,
    )
    trainer = CPOTrainer(
        model=theirs,
        args=arguments,
        train_dataset=Dataset.from_list(ROWS),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    ours = Ours(folder, SimPO(beta=2.0, target_margin=0.4), *_sides(batch))
    stay_together(ours, theirs, lambda: trainer.get_batch_loss_metrics(theirs.eval(), batch)[0], 5)


def test_orpos_odds_ratio_agrees_with_trl(folder, tmp_path):
    """Odds alone: their supervised term is of prompt and response together, ours of the response."""
    from datasets import Dataset
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    theirs = AutoModelForCausalLM.from_pretrained(folder)
    arguments = ORPOConfig(
        output_dir=str(tmp_path / "trl"),
        per_device_train_batch_size=len(ROWS),
        beta=1.0,
        use_cpu=True,
        bf16=False,
        report_to="none",
        max_length=64,
    )
    trainer = ORPOTrainer(
        model=theirs,
        args=arguments,
        train_dataset=Dataset.from_list(ROWS),
        processing_class=AutoTokenizer.from_pretrained(folder),
    )
    batch = next(iter(trainer.get_train_dataloader()))
    ours = Ours(folder, ORPO(sft_weight=0.0), *_sides(batch))

    def their_loss() -> torch.Tensor:
        better, worse = trainer.concatenated_forward(theirs.eval(), batch)[:2]
        return -trainer.odds_ratio_loss(better, worse)[0].mean()

    stay_together(ours, theirs, their_loss, 5)


def _split(batch: dict[str, torch.Tensor]) -> tuple[list[list[int]], list[list[int]]]:
    """TRL's padded batch (chosen rows first) as lists of prompt and of response tokens."""
    ids, mask = batch["input_ids"], batch["attention_mask"].bool()
    response = batch["completion_mask"].bool()
    prompts = [row[m & ~r].tolist() for row, m, r in zip(ids, mask, response, strict=True)]
    return prompts, [row[r].tolist() for row, r in zip(ids, response, strict=True)]


def _sides(batch: dict[str, torch.Tensor]) -> tuple[list[list[int]], list[list[int]]]:
    """The same of a batch with a side for each of a pair's responses."""
    prompts, responses = [], []
    for side in ("chosen", "rejected"):
        rows = zip(
            batch[f"{side}_input_ids"], batch[f"{side}_attention_mask"], batch[f"{side}_labels"], strict=True
        )
        for ids, mask, labels in rows:
            response = labels != -100
            prompts.append(ids[mask.bool() & ~response].tolist())
            responses.append(ids[response].tolist())
    return prompts, responses
