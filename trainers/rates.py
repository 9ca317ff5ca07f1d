"""Default learning rates by the size of a model and by what trains."""

from typing import Any

from trainers.objective import Method
from trainers.settings import TrainingSettings

_WIDTH = 64  # of the models for which the methods' default rates were chosen
_ADAPTERS = 10.0  # times the rate of full fine-tuning


def default_rate(rate: float, width: int, adapters: bool) -> float:
    """A method's default learning rate for a model.

    Adam's rate for hidden weights falls as 1 / width (muP, arXiv 2203.03466): 1e-4 at a width of 64 makes
    1.1e-5 at 576 (135 million parameters) and 1.6e-6 at 4,096 (7 billion, where Zephyr's DPO has 5e-7 and its
    SFT 2e-5, arXiv 2310.16944). Adapters want about ten times the rate of full fine-tuning, whatever their
    rank (Schulman et al., "LoRA without regret", 2025).

    Args:
        rate: at a width of 64 and below.
        width: of the hidden states.
        adapters: whether low-rank adapters train, and not all weights.
    """
    found = rate * min(1.0, _WIDTH / width) * (_ADAPTERS if adapters else 1.0)
    return rate if found == rate else float(f"{found:.2g}")


def learning_rates(method: Method, model: Any, settings: TrainingSettings) -> tuple[float, float]:
    """The rates of a policy, and of a value network or critic beside it, all of whose weights train."""
    adapters = settings.lora is not None
    usual = default_rate(method.default_learning_rate, model_width(model), adapters)
    policy = settings.learning_rate or usual
    return policy, settings.value_learning_rate or (policy / _ADAPTERS if adapters else policy)


def model_width(model: Any) -> int:
    """The width of a transformers model's hidden states."""
    found = getattr(model.config.get_text_config(), "hidden_size", None)
    return int(found or model.get_input_embeddings().weight.shape[1])
