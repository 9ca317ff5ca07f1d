"""vLLM's offline engine as a backend, in a separate process and, if set, a separate environment."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.models.backends.protocol import Answer, Request, SampledResponse
from rpo_bench.models.folder import check_adapter_folder, is_adapter
from rpo_bench.spec.sections import Decoding, VllmSettings

#: Environment variable with the interpreter of an environment with vLLM, as vLLM pins its own torch.
PYTHON = "RPO_BENCH_VLLM_PYTHON"

SCRIPT = Path(__file__).with_name("vllm_process.py")
_FIND = "import importlib.util, sys; sys.exit(importlib.util.find_spec('vllm') is None)"


@dataclass(frozen=True)
class VllmEngine:
    """Implements ``Backend``; each call starts one engine in one process.

    Attributes:
        folder: The policy: a decoder-only model or an adapter on one.
        dtype: Number format of the weights.
        settings: The engine's settings.
        trust_remote_code: Whether code in the model folder may run.
    """

    folder: Path
    dtype: str = "float32"
    settings: VllmSettings = field(default_factory=VllmSettings)
    trust_remote_code: bool = False

    def sample(self, requests: Sequence[Request], decoding: Decoding, end_ids: Sequence[int]) -> Answer:
        """Samples one response per request; see ``Backend``."""
        limit = decoding.max_new_tokens
        assert limit is not None
        longest = max(len(request.token_ids) for request in requests) + limit
        request = {
            **self.placed(longest),
            "sampling": sampling_settings(decoding, end_ids),
            "prompts": [request.token_ids for request in requests],
            "seeds": [request.seed for request in requests],
        }
        with tempfile.TemporaryDirectory(prefix="rpo-bench-vllm-") as name:
            question, reply = Path(name, "request.json"), Path(name, "reply.json")
            question.write_text(json.dumps(request))
            self._run(question, reply, Path(name, "log"))
            said = json.loads(reply.read_text())
        ends = set(end_ids)
        sampled = tuple(
            SampledResponse(tuple(one["token_ids"]), tuple(one["logps"]), None, one["token_ids"][-1] in ends)
            for one in said["samples"]
        )
        settings = self.settings.model_dump(exclude_defaults=True)
        return Answer(sampled, {"backend": said["version"], "dtype": self.dtype, **settings})

    def placed(self, longest: int) -> dict[str, Any]:
        """The engine's arguments for so many tokens of prompt and response, and the adapter."""
        engine: dict[str, Any] = {
            "model": str(self.folder),
            "dtype": self.dtype,
            "max_model_len": longest,
            "skip_tokenizer_init": True,  # the engine reads and returns tokens only
            "generation_config": "vllm",  # ignores the checkpoint's generation settings
            "trust_remote_code": self.trust_remote_code,
            "seed": 0,
        }
        given = {name: value for name, value in self.settings.model_dump().items() if value is not None}
        if not is_adapter(self.folder):
            return {"engine": engine | given, "adapter": None}
        base = check_adapter_folder(self.folder, allow_pickle=False)
        rank = json.loads((self.folder / "adapter_config.json").read_text())["r"]
        lora = {"model": base, "enable_lora": True, "max_lora_rank": _lora_rank(rank)}
        return {"engine": engine | given | lora, "adapter": str(self.folder)}

    def _run(self, question: Path, reply: Path, log: Path) -> None:
        command = [interpreter(), str(SCRIPT), str(question), str(reply)]
        with log.open("wb") as output:
            done = subprocess.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment())
        text = log.read_text(errors="replace")
        sys.stderr.write(text)  # into the job's log
        if done.returncode or not reply.is_file():
            raise UserError(f"vLLM could not sample from {self.folder}: {reason(text, done.returncode)}")


def environment() -> dict[str, str]:
    """The variables of a process with vLLM, which imports nothing of ours."""
    found = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return found | {"PYTHONSAFEPATH": "1"}  # so that files next to the script don't hide packages


def sampling_settings(decoding: Decoding, end_ids: Sequence[int]) -> dict[str, Any]:
    """The decoding as arguments of vLLM's SamplingParams; only ``end_ids`` end a response."""
    return {
        "n": 1,
        "temperature": decoding.temperature,
        "top_k": decoding.top_k,
        "top_p": decoding.top_p,
        "repetition_penalty": decoding.repetition_penalty,
        "max_tokens": decoding.max_new_tokens,
        "stop_token_ids": list(end_ids),
        "ignore_eos": True,
        "logprobs": 0,  # only the sampled token's
        "detokenize": False,
    }


def interpreter() -> str:
    """The Python interpreter with vLLM: the one in RPO_BENCH_VLLM_PYTHON, else this one."""
    return os.environ.get(PYTHON) or sys.executable


def check_installed(flag: str = "--generation-backend vllm") -> None:
    """Raises UserError, which begins with the flag, if vLLM isn't installed."""
    python = interpreter()
    hint = f"pip install vllm there, or set {PYTHON} to the python of an environment with vLLM."
    try:
        found = subprocess.run([python, "-c", _FIND], capture_output=True).returncode == 0
    except OSError as error:
        raise UserError(f"{PYTHON}={python}: it can't be run ({error.strerror}).") from error
    if not found:
        raise UserError(f"{flag}: {python} has no vLLM: {hint}")


def _lora_rank(rank: int) -> int:
    """The next larger rank with kernels in vLLM."""
    sizes = (8, 16, 32, 64, 128, 256, 320, 512)
    return next((size for size in sizes if size >= rank), rank)


def reason(text: str, code: int) -> str:
    """The last line of a log that contains an error."""
    lines = [line.strip() for line in text.splitlines() if "Error" in line and not line.startswith(" ")]
    said = lines[-1] if lines else f"its process ended with {code}."
    return said[:300]
