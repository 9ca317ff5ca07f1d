"""Default learning rates: smaller for wide models, larger for adapters."""

from pathlib import Path

import pytest
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import examples, load

from trainers import DPO, DRO, TrainingSettings, fit
from trainers.offline import OfflineTrainer
from trainers.rates import default_rate, model_width
from trainers.settings import Lora
from trainers.training_log import read_training_log


@pytest.mark.parametrize(
    ("width", "adapters", "expected"),
    [(16, False, 1e-4), (64, False, 1e-4), (576, False, 1.1e-5), (4096, False, 1.6e-6), (4096, True, 1.6e-5)],
)
def test_the_rate_falls_with_the_width_and_adapters_have_ten_times_it(width, adapters, expected):
    assert default_rate(1e-4, width, adapters) == pytest.approx(expected)


def test_an_unchanged_rate_keeps_all_its_digits():
    assert default_rate(1.2345e-4, 64, False) == 1.2345e-4


def test_widths_are_read_from_every_architecture(tmp_path: Path):
    assert model_width(load(tiny_decoder(tmp_path / "decoder"))) == 16
    assert model_width(load(tiny_decoder(tmp_path / "gpt2" / "decoder", kind="gpt2"))) == 16
    assert model_width(load(tiny_encoder_decoder(tmp_path / "t5"))) == 16


@pytest.mark.parametrize(("lora", "expected"), [(None, 1e-4), (Lora(), 1e-3)])
def test_training_uses_it(lora, expected, tmp_path: Path):
    settings = TrainingSettings(steps=1, batch_size=4, warmup_steps=0, lora=lora)
    fit(DPO(), load(tiny_decoder(tmp_path / "decoder")), examples(), settings, tmp_path / "out")
    assert read_training_log(tmp_path / "out" / "train_log.jsonl")[1]["learning_rate"] == pytest.approx(
        expected
    )


@pytest.mark.parametrize(("lora", "expected"), [(None, 1e-4), (Lora(), 1e-4)])
def test_a_value_network_trains_all_its_weights_also_beside_adapters(lora, expected, tmp_path, monkeypatch):
    made = []
    own = OfflineTrainer.create_optimizer
    monkeypatch.setattr(
        OfflineTrainer, "create_optimizer", lambda self, model=None: made.append(own(self, model)) or made[-1]
    )
    settings = TrainingSettings(steps=1, batch_size=4, warmup_steps=0, lora=lora)
    fit(DRO(), load(tiny_decoder(tmp_path / "decoder")), examples(), settings, tmp_path / "out")
    assert made[-1].param_groups[-1]["initial_lr"] == pytest.approx(expected)
