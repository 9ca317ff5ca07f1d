"""vLLM as the sampler of an online method: one engine for all of its training, with weights put in place."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor

from rpo_bench.errors import UserError
from rpo_bench.models.backends.vllm_engine import (
    SCRIPT,
    VllmEngine,
    environment,
    interpreter,
    reason,
    sampling_settings,
)
from rpo_bench.models.quiet import quiet
from rpo_bench.spec.sections import Decoding
from trainers.rollout_backend import sampled_entropy
from trainers.sampling import Sampled

#: Of a GPU's memory, unless set: training keeps its weights and states there at the same time.
_SHARE = 0.4
_MEMORY = Path("/dev/shm")  # weights that go through memory need no disk


class VllmRollouts:
    """Implements ``trainers.rollout_backend.RolloutBackend``; a context that ends the engine."""

    def __init__(self, engine: VllmEngine, longest: int, limit: int, ends: Sequence[int]) -> None:
        """Takes where the engine begins; it starts with the first ``load``.

        Args:
            engine: the base model's folder, its number format and the engine's settings.
            longest: tokens of the longest prompt.
            limit: tokens of a response.
            ends: tokens that end a response.
        """
        self._engine = engine
        self._length = longest + limit
        self._limit = limit
        self._ends = tuple(ends)
        self._place = tempfile.TemporaryDirectory(
            prefix="rpo-bench-vllm-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None
        )
        self._log = Path(self._place.name, "log")
        self._process: subprocess.Popen[str] | None = None
        self._weights: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            sys.stderr.write(self._log.read_text(errors="replace"))  # into the job's log
        self._place.cleanup()

    def load(self, policy: Any) -> None:
        """Takes the policy's weights, adapters merged into them."""
        folder = Path(self._place.name, "weights")
        with quiet():
            _save_merged(policy, folder)
        self._weights = str(folder)

    def sample(
        self, prompts: Sequence[Sequence[int]], count: int, seeds: Sequence[int], temperature: float
    ) -> Sampled:
        """Samples ``count`` responses to each prompt.

        Raises:
            UserError: the engine fails, or its process has died.
        """
        sampling = sampling_settings(
            Decoding(temperature=temperature, max_new_tokens=self._limit), self._ends
        )
        asked = [list(prompt) for prompt in prompts for _ in range(count)]
        reply = self._ask({"sampling": sampling, "prompts": asked, "seeds": list(seeds)})
        responses = [list(one["token_ids"]) for one in reply["samples"]]
        logps = [torch.tensor(one["logps"], dtype=torch.float32) for one in reply["samples"]]
        finished = [response[-1] in self._ends for response in responses]
        return Sampled(responses, logps, finished, sampled_entropy(logps))

    def rest(self) -> None:
        """Frees the engine's GPU memory, where it has any."""
        self._ask({"prompts": []})

    def _ask(self, request: Mapping[str, Any]) -> Any:
        """What the engine's process replies."""
        process = self._started()
        question, reply = Path(self._place.name, "request.json"), Path(self._place.name, "reply.json")
        question.write_text(json.dumps({**self._placed(), **request, "weights": self._weights}))
        self._weights = None  # the engine has them
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"request": str(question), "reply": str(reply)}) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if answer == "\n":
            return json.loads(reply.read_text()) if request["prompts"] else None
        problem = answer.strip() or reason(self._log.read_text(errors="replace"), process.wait())
        raise UserError(f"vLLM could not sample from {self._engine.folder}: {problem[:300]}")

    def _placed(self) -> dict[str, Any]:
        placed = self._engine.placed(self._length)
        # Log-probs of the distribution that is sampled from, temperature included.
        engine = {**placed["engine"], "logprobs_mode": "processed_logprobs"}
        if _has_gpu() and engine.get("gpu_memory_utilization") is None:
            engine["gpu_memory_utilization"] = _SHARE
        return {**placed, "engine": engine}

    def _started(self) -> "subprocess.Popen[str]":
        """The engine's process."""
        if self._process is None:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [interpreter(), str(SCRIPT), "--serve"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=environment(),
                    process_group=0,  # Ctrl-C reaches a whole group: whoever started it decides
                )
        return self._process


def _has_gpu() -> bool:
    return torch.cuda.is_available()


def _save_merged(policy: Any, folder: Path) -> None:
    """Saves a policy as a plain checkpoint, with its adapters added to the weights that they adapt.

    The policy isn't changed: merging in place and taking it back would round its weights.
    """
    if not hasattr(policy, "get_base_model"):
        policy.save_pretrained(folder)
        return
    merged: dict[str, Tensor] = {}
    base = policy.get_base_model()
    for name, weight in base.state_dict().items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        merged[plain] = weight
        if plain != name and plain.endswith(".weight"):
            layer = base.get_submodule(plain.removesuffix(".weight"))
            merged[plain] = weight + layer.get_delta_weight("default").to(weight.dtype)
    base.save_pretrained(folder, state_dict=merged)
