"""``--device``: which of the machine's processors models run on."""

import os
import re

from rpo_bench.errors import UserError

#: What CUDA, and so every library on top of it, looks at: here, in workers, in lm-eval and in vLLM.
_VISIBLE = "CUDA_VISIBLE_DEVICES"


def use_device(name: str | None) -> None:
    """Lets this command and its workers see that device alone; None and ``auto``: the GPU if there is one.

    Raises:
        UserError: it isn't here.
    """
    wanted = "auto" if name is None else name.strip().lower()
    if wanted == "auto":
        return
    if wanted == "cpu":
        os.environ[_VISIBLE] = ""
        return
    match = re.fullmatch(r"(?:cuda|gpu)(?::(\d+))?|(\d+)", wanted)
    if match is None:
        raise UserError(f"--device {name}: choose cpu, cuda, or cuda:N for one of several.")
    number = match[1] or match[2]
    if number is not None:
        seen = [part for part in os.environ.get(_VISIBLE, "").split(",") if part]
        os.environ[_VISIBLE] = seen[int(number)] if int(number) < len(seen) else number
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            f"--device {name}: torch {torch.__version__} finds no such GPU here; leave the flag out, or give "
            "--device cpu."
        )
