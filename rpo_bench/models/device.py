"""Selects the device of ``--device`` for this process and its workers."""

import os
import re

from rpo_bench.errors import UserError

#: The environment variable that CUDA reads, here, in workers, in lm-eval and in vLLM.
VISIBLE = "CUDA_VISIBLE_DEVICES"


def use_device(name: str | None) -> None:
    """Makes only this device visible to this command and its workers; None and ``auto``: a GPU if present.

    Raises:
        UserError: the device doesn't exist.
    """
    wanted = "auto" if name is None else name.strip().lower()
    if wanted == "auto":
        return
    if wanted == "cpu":
        os.environ[VISIBLE] = ""
        return
    match = re.fullmatch(r"(?:cuda|gpu)(?::(\d+))?|(\d+)", wanted)
    if match is None:
        raise UserError(f"--device {name}: choose cpu, cuda, or cuda:N for one of several GPUs.")
    number = match[1] or match[2]
    if number is not None:
        seen = [part for part in os.environ.get(VISIBLE, "").split(",") if part]
        os.environ[VISIBLE] = seen[int(number)] if int(number) < len(seen) else number
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            f"--device {name}: torch {torch.__version__} doesn't find this GPU; leave the flag out, or give "
            "--device cpu."
        )
