"""What a generation backend can't do, found before anything is trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.spec.schema import Decoding, GenerationSpec, RunSpec

#: Settings of a decoding that a backend has no equal of.
_LACKING = {
    "vllm": ("no_repeat_ngram_size",),
    "openai": ("no_repeat_ngram_size", "top_k", "repetition_penalty"),  # other servers ignore them
}


def check_backend(spec: RunSpec, architectures: Mapping[str, str], trains: bool) -> None:
    """Refuses what a backend can't do, before anything is trained.

    Args:
        spec: The run's.
        architectures: Model name → "decoder" or "encoder-decoder".
        trains: Whether checkpoints are made, rather than finished ones measured.

    Raises:
        UserError: names the flag and what to do.
    """
    backend = spec.generation.backend
    if backend == "hf":
        return
    flag = f"--generation-backend {backend}"
    _check_decoding(spec.evaluation.decoding, backend, flag)
    for name, architecture in architectures.items():
        if architecture == "encoder-decoder" and backend == "vllm":
            raise UserError(f"{flag}: vLLM has no encoder-decoder models, and {name} is one: leave it out.")
    if backend == "openai" and trains:
        raise UserError(
            f"{flag}: a server has finished checkpoints: measure them by 'rpo-bench eval', and leave the "
            "flag out here."
        )


def check_address(generation: GenerationSpec) -> None:
    """Refuses a server that can't be asked, by its address or key, before anything is planned."""
    if generation.backend == "openai" and generation.openai.base_url is not None:
        from rpo_bench.models.backends.server import checked_address

        checked_address(generation.openai)


def check_within_reach(generation: GenerationSpec, checkpoints: Sequence[Path]) -> None:
    """Checks that the backend is there, before anything is sampled.

    Args:
        generation: What samples.
        checkpoints: Those that are yet to be sampled from and that a server has to have.

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
                f"{flag}: {name} can't be had of it: leave that out of the decoding, or sample by hf."
            )
