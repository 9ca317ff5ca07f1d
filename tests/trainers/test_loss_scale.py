"""No loss's scale bends the optimiser: a loss times a constant gives the same checkpoint, by every method."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import tiny_decoder, tiny_encoder_decoder
from tiny_training import examples, load, weights

from rpo_bench.methods.registry import METHODS, default_method
from trainers import TrainingSettings, World, fit, fit_online
from trainers.inputs import TokenLayout
from trainers.objective import Method, OfflineMethod
from trainers.online import OnlineMethod
from trainers.settings import Lora

BUNDLED = sorted(METHODS)
SETTINGS = TrainingSettings(steps=5, batch_size=16, warmup_steps=1, learning_rate=3e-3)


def times(method: Any, factor: float) -> Any:
    """The method with its loss multiplied."""
    kind: Any = type(method)
    of = "loss" if isinstance(method, OfflineMethod) else "surrogate"

    def multiplied(self: Any, batch: Any) -> Any:
        output = getattr(kind, of)(self, batch)
        return dataclasses.replace(output, loss=output.loss * factor)

    values = {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}
    return type(kind.__name__, (kind,), {of: multiplied})(**values)


def mean_token(prompts: Sequence[int], responses: Sequence[Sequence[int]]) -> list[float]:
    """Different for nearly any two responses: groups that are rewarded alike teach nothing."""
    return [sum(response) / len(response) for response in responses]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("models")
    return {
        "decoder": tiny_decoder(root / "decoder", scale=10.0),
        "encoder-decoder": tiny_encoder_decoder(root / "encoder-decoder"),
    }


def trained(method: Method, folder: Path, settings: TrainingSettings, out: Path) -> torch.Tensor:
    model = load(folder)
    torch.manual_seed(0)
    if isinstance(method, OfflineMethod):
        result = fit(method, model, examples(prompts=10), settings, out)
    else:
        assert isinstance(method, OnlineMethod)
        world = World(
            [[5, 6, 7, 1], [9, 1], [10, 11, 1], [12, 1]],
            mean_token,
            eos_id=1,
            max_new_tokens=6,
            layout=TokenLayout.of(model),
        )
        result = fit_online(method, model, world, settings, out)
    assert result.status == "completed"
    return weights(model)


@pytest.mark.parametrize("name", BUNDLED)
def test_a_loss_times_a_constant_gives_the_same_checkpoint(name, folders, tmp_path, monkeypatch):
    """To the bit by powers of two, which float arithmetic scales exactly; by 0.01 and 100 to rounding.

    Methods take turns on the architectures: nothing that scales a gradient knows which model it is of. An
    online method has one iteration by 0.01 and 100, as rounding may change what is sampled in the next.
    """
    monkeypatch.setattr("trainers.gradients._WARM_START", 2)
    folder = folders[("decoder", "encoder-decoder")[BUNDLED.index(name) % 2]]
    method = default_method(name)
    own = trained(method, folder, SETTINGS, tmp_path / "own")
    for factor in (2.0**-7, 2.0**7):
        assert torch.equal(trained(times(method, factor), folder, SETTINGS, tmp_path / str(factor)), own)
    settings = SETTINGS
    if isinstance(method, OnlineMethod):
        settings = dataclasses.replace(SETTINGS, steps=1)
        own = trained(method, folder, settings, tmp_path / "once")
    moved = (own - weights(load(folder))).norm()
    assert moved > 0
    for factor in (0.01, 100.0):
        other = trained(times(method, factor), folder, settings, tmp_path / str(factor))
        assert (other - own).norm() < 0.01 * moved


@pytest.mark.parametrize(
    "settings",
    [
        dataclasses.replace(SETTINGS, lora=Lora(rank=2)),
        dataclasses.replace(SETTINGS, dtype="bfloat16"),
        dataclasses.replace(SETTINGS, micro_batch_size=3),
        dataclasses.replace(SETTINGS, clipping="none"),
    ],
    ids=["lora", "bfloat16", "micro-batches", "without clipping"],
)
@pytest.mark.parametrize("name", ["rpo", "dro", "grpo"])
def test_nor_with_adapters_other_formats_or_smaller_batches(name, settings, folders, tmp_path):
    if name == "grpo" and settings.micro_batch_size is not None:
        settings = dataclasses.replace(settings, micro_batch_size=8)
    own = trained(default_method(name), folders["decoder"], settings, tmp_path / "own")
    other = trained(times(default_method(name), 2.0**-7), folders["decoder"], settings, tmp_path / "other")
    assert torch.equal(other, own)


def test_clipping_to_a_fixed_norm_does_bend(folders, tmp_path):
    """Version 0.1's: it binds for the larger loss alone. A thousand times what rounding does."""
    settings = dataclasses.replace(SETTINGS, clipping="absolute", max_grad_norm=1.0)
    method = default_method("rpo")
    own = trained(method, folders["decoder"], settings, tmp_path / "own")
    other = trained(times(method, 0.001), folders["decoder"], settings, tmp_path / "other")
    assert (other - own).norm() > 2e-3 * (own - weights(load(folders["decoder"]))).norm()
