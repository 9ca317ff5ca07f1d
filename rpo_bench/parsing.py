"""How the text of a flag becomes part of a spec."""

import re
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.spec import RPO_PAPER_DECODING, Decoding, MethodSpec

_METHOD = re.compile(r"\s*(?P<name>[\w.-]+)\s*(?:\((?P<options>[^()]*)\))?\s*(?:,|$)")


def parse_methods(text: str) -> list[MethodSpec]:
    """Methods with options out of ``sft,rpo(partition=leave_one_out,logp=mean)``."""
    found, position = [], 0
    while position < len(text):
        match = _METHOD.match(text, position)
        if match is None:
            raise UserError(
                f"--methods: '{text[position:].strip()}' is not understood; write e.g. sft,rpo(tau=0.3)."
            )
        found.append(MethodSpec(name=match["name"], options=parse_pairs(match["options"] or "", "--methods")))
        position = match.end()
    if not found:
        raise UserError("--methods names no method.")
    return found


def parse_strengths(text: str) -> dict[str, list[float]]:
    """Strengths by method out of ``rpo=0.3,1;kto=0.1``; a plain list is for all methods (``*``)."""
    found = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, equals, values = part.rpartition("=")
        found[name.strip() if equals else "*"] = [_number(item, "--strengths") for item in split_list(values)]
    if not found or not all(found.values()):
        raise UserError(f"--strengths '{text}' has no number; write e.g. rpo=0.3,1;kto=0.1.")
    return found


def parse_numbers(text: str, where: str) -> list[float]:
    """Numbers between commas, at least one; raises UserError naming ``where`` for anything else."""
    found = [_number(item, where) for item in split_list(text)]
    if not found:
        raise UserError(f"{where} '{text}' has no number.")
    return found


def parse_sweep(text: str) -> list[float]:
    """Learning rates out of ``lr=1e-4,2e-4``."""
    name, equals, values = text.partition("=")
    if name.strip() not in ("lr", "learning_rate") or not equals:
        raise UserError(f"--sweep '{text}' is not understood; write e.g. lr=1e-4,2e-4.")
    rates = [_number(item, "--sweep") for item in split_list(values)]
    if not rates or min(rates) <= 0:
        raise UserError(f"--sweep '{text}': learning rates are numbers above 0.")
    return list(dict.fromkeys(rates))


def parse_seeds(text: str) -> list[int]:
    """Seeds out of ``0,1,2`` or ``0-4``."""
    seeds: list[int] = []
    for part in split_list(text):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(f"--seeds '{text}' is not understood; write e.g. 0,1,2 or 0-4.")
        seeds += range(int(first), int(last if dash else first) + 1)
    if not seeds:
        raise UserError(f"--seeds '{text}' has no seed; write e.g. 0,1,2 or 0-4.")
    return list(dict.fromkeys(seeds))


def parse_decoding(text: str, base: dict[str, Any]) -> dict[str, Any]:
    """Decoding settings out of ``temperature=0.7,top_k=50``, over ``base``; checked by the spec later."""
    pairs = parse_pairs(text, "--gen-kwargs")
    preset = pairs.pop("preset", None)
    if preset == "rpo-paper":
        base = {**RPO_PAPER_DECODING.model_dump(), "max_new_tokens": base.get("max_new_tokens")}
    elif preset == "ancestral":
        base = {**Decoding().model_dump(), "max_new_tokens": base.get("max_new_tokens")}
    elif preset is not None:
        raise UserError(f"--gen-kwargs: there is no preset '{preset}': choose rpo-paper or ancestral.")
    pairs["max_new_tokens"] = pairs.pop(
        "max_gen_toks", pairs.get("max_new_tokens", base.get("max_new_tokens"))
    )
    return {**base, **pairs}


def split_list(text: str) -> list[str]:
    """The non-empty parts between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_pairs(text: str, where: str) -> dict[str, Any]:
    """Settings out of ``name=value,…``; raises UserError naming ``where`` for anything else."""
    found: dict[str, Any] = {}
    for part in split_list(text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UserError(f"{where}: '{part}' is not understood; write name=value.")
        found[name.strip()] = value.strip()
    return found


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UserError(f"{where}: '{text}' is not a number.") from None
