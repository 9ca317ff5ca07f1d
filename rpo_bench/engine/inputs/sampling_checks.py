"""Checks before training that the generation backend supports the run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import Decoding, GenerationSpec

#: Decoding settings that a backend doesn't support.
_LACKING = {
    "vllm": ("no_repeat_ngram_size",),
    "openai": ("no_repeat_ngram_size", "top_k", "repetition_penalty"),  # other servers ignore them
}


def check_backend(spec: RunSpec, architectures: Mapping[str, str], trains: bool) -> None:
    """Refuses a run that the backend doesn't support, before training starts.

    Args:
        spec: The run's spec.
        architectures: Model name → "decoder" or "encoder-decoder".
        trains: Whether the run trains checkpoints, rather than measuring finished ones.

    Raises:
        UserError: names the flag and what to do.
    """
    backend = spec.generation.backend
    if backend == "hf":
        return
    flag = f"--generation-backend {backend}"
    _check_decoding(spec.evaluation.decoding, backend, flag)
    if backend == "vllm" and spec.loading.dtype == "autocast":
        raise UserError(f"{flag}: vLLM has no --model-dtype autocast: give bfloat16, or leave it out.")
    for name, architecture in architectures.items():
        if architecture == "encoder-decoder" and backend == "vllm":
            raise UserError(
                f"{flag}: vLLM doesn't support encoder-decoder models such as {name}: leave it out."
            )
    if backend == "openai" and trains:
        raise UserError(
            f"{flag}: a server serves finished checkpoints only: measure them with 'rpo-bench eval', and "
            "leave the flag out here."
        )


def check_rollouts(spec: RunSpec, architectures: Mapping[str, str], samples: bool) -> None:
    """Refuses vLLM's rollouts of models that it doesn't have, before training starts.

    Args:
        spec: The run's spec.
        architectures: Model name → "decoder" or "encoder-decoder".
        samples: Whether any method samples the policy.

    Raises:
        UserError: names the flag and what to do.
    """
    if spec.training.rollouts == "hf" or not samples:
        return
    for name, architecture in architectures.items():
        if architecture == "encoder-decoder":
            raise UserError(
                f"--rollouts vllm: vLLM doesn't support encoder-decoder models such as {name}: leave it out."
            )
    if spec.loading.quantization is not None:
        raise UserError(
            f"--rollouts vllm: a policy with --quantization {spec.loading.quantization} has no weights that "
            "vLLM could take: leave one of them out."
        )
    from rpo_bench.models.backends.vllm_engine import check_installed

    check_installed("--rollouts vllm")


def check_address(generation: GenerationSpec) -> None:
    """Refuses an unusable server address or key before planning."""
    if generation.backend == "openai" and generation.openai.base_url is not None:
        from rpo_bench.models.backends.server import checked_address

        checked_address(generation.openai)


def check_within_reach(generation: GenerationSpec, checkpoints: Sequence[Path]) -> None:
    """Checks that the backend is available before sampling.

    Args:
        generation: The backend and its settings.
        checkpoints: Checkpoints without samples, which a server must serve.

    Raises:
        UserError: names the flag or variable and what to do.
    """
    if generation.backend == "vllm":
        from rpo_bench.models.backends.vllm_engine import check_installed

        check_installed()
    if generation.backend == "openai":
        from rpo_bench.models.backends.server import CompletionsServer

        for checkpoint in checkpoints:
            CompletionsServer(generation.openai, checkpoint).served()


def _check_decoding(decoding: Decoding, backend: str, flag: str) -> None:
    default = Decoding()
    for name in _LACKING[backend]:
        if getattr(decoding, name) != getattr(default, name):
            raise UserError(
                f"{flag}: it doesn't support {name}: leave that out of the decoding, or sample with hf."
            )
