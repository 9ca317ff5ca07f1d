"""Parses the texts of flags into parts of a spec."""

import re
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.plain_data import MAX_FLAG, MAX_SEED, number_problem, shown, text_problem
from rpo_bench.spec.schema import MAX_BUDGET
from rpo_bench.spec.sections import RPO_PAPER_DECODING, Decoding, MethodSpec
from rpo_bench.spec.settings import MAX_NAME

_METHOD = re.compile(r"\s*+(?P<name>[\w.-]++)\s*+(?:\((?P<options>[^()]*+)\))?\s*+(?:,|$)")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?(?:inf|infinity|nan)", re.IGNORECASE)  # float() accepts them
_MAX_SEEDS = 1_000
MAX_NATS = 1_000  # far above any useful KL budget


def parse_methods(text: str) -> list[MethodSpec]:
    """Parses methods with options, such as ``sft,rpo(partition=leave_one_out,logp=mean)``."""
    check_flag(text, "--methods")
    found, position = [], 0
    while position < len(text):
        match = _METHOD.match(text, position)
        if match is None or len(match["name"]) > MAX_NAME:
            raise UserError(
                f"--methods: {shown(text[position:].strip())} is not understood; write e.g. sft,rpo(tau=0.3)."
            )
        found.append(MethodSpec(name=match["name"], options=parse_pairs(match["options"] or "", "--methods")))
        position = match.end()
    if not found:
        raise UserError("--methods names no method.")
    return found


def method_settings(text: str) -> list[dict[str, Any]]:
    """Methods out of the same text, as settings of a spec file."""
    return [method.model_dump() for method in parse_methods(text)]


def parse_strengths(text: str) -> dict[str, list[float]]:
    """Parses strengths by method, such as ``rpo=0.3,1;kto=0.1``; a plain list is for all methods (``*``)."""
    check_flag(text, "--strengths")
    found: dict[str, list[float]] = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        name, equals, values = part.rpartition("=")
        method = name.strip() if equals else "*"
        if method in found:
            raise UserError(f"--strengths has {shown(method)} twice: give it once.")
        found[method] = [_number(item, "--strengths") for item in split_list(values)]
    if not found or not all(found.values()):
        raise UserError(f"--strengths {shown(text)} has no number; write e.g. rpo=0.3,1;kto=0.1.")
    return found


def parse_numbers(text: str, where: str) -> list[float]:
    """Parses one or more numbers separated by commas; raises UserError naming ``where`` otherwise."""
    check_flag(text, where)
    found = [_number(item, where) for item in split_list(text)]
    if not found:
        raise UserError(f"{where} {shown(text)} has no number.")
    return found


def parse_nats(text: str, where: str = "--kl-budgets") -> tuple[float, ...]:
    """Parses KL budgets such as ``0.3,0.5``, sorted; raises UserError naming ``where`` otherwise."""
    found = tuple(sorted(set(parse_numbers(text, where))))
    if not 0 < found[0] <= found[-1] < MAX_NATS:
        raise UserError(f"{where} {shown(text)}: give numbers above 0, in nats, such as 0.3,0.5,0.75.")
    return found


def parse_sweep(text: str) -> list[float]:
    """Parses learning rates such as ``lr=1e-4,2e-4``."""
    check_flag(text, "--sweep")
    name, equals, values = text.partition("=")
    if name.strip() not in ("lr", "learning_rate") or not equals:
        raise UserError(f"--sweep {shown(text)} is not understood; write e.g. lr=1e-4,2e-4.")
    rates = [_number(item, "--sweep") for item in split_list(values)]
    if not rates or min(rates) <= 0:
        raise UserError(f"--sweep {shown(text)}: learning rates are numbers above 0.")
    return list(dict.fromkeys(rates))


def parse_budgets(text: str) -> list[int]:
    """Parses multiples of the training steps, such as ``1,3,10``."""
    check_flag(text, "--budgets")
    parts = split_list(text)
    if not parts or not all(_is_whole(part) and len(part) <= len(str(MAX_BUDGET)) for part in parts):
        raise UserError(
            f"--budgets {shown(text)} is not understood; write e.g. 1,3,10: multiples of the steps."
        )
    found = list(dict.fromkeys(map(int, parts)))
    if not 1 <= min(found) <= max(found) <= MAX_BUDGET:
        raise UserError(f"--budgets {shown(text)}: multiples of the steps are from 1 to {MAX_BUDGET:,}.")
    return found


def parse_seeds(text: str) -> list[int]:
    """Parses seeds, such as ``0,1,2`` or ``0-4``."""
    check_flag(text, "--seeds")
    seeds: list[int] = []
    for part in split_list(text):
        first, dash, last = part.partition("-")
        if not _is_whole(first) or (dash and not _is_whole(last)):
            raise UserError(f"--seeds {shown(text)} is not understood; write e.g. 0,1,2 or 0-4.")
        if max(len(first), len(last)) > len(str(MAX_SEED)) or int(last or first) > MAX_SEED:
            raise UserError(f"--seeds {shown(text)}: seeds are at most {MAX_SEED}.")
        if int(last or first) - int(first) >= _MAX_SEEDS:
            raise UserError(f"--seeds {shown(text)}: a run has at most {_MAX_SEEDS:,} seeds.")
        seeds += range(int(first), int(last or first) + 1)
    if not seeds:
        raise UserError(f"--seeds {shown(text)} has no seed; write e.g. 0,1,2 or 0-4.")
    return list(dict.fromkeys(seeds))


def parse_decoding(text: str, base: dict[str, Any]) -> dict[str, Any]:
    """Parses decoding settings such as ``temperature=0.7,top_k=50`` over ``base``; validated later."""
    pairs = parse_pairs(text, "--gen-kwargs")
    preset = pairs.pop("preset", None)
    if preset == "rpo-paper":
        base = {**RPO_PAPER_DECODING.model_dump(), "max_new_tokens": base.get("max_new_tokens")}
    elif preset == "ancestral":
        base = {**Decoding().model_dump(), "max_new_tokens": base.get("max_new_tokens")}
    elif preset is not None:
        raise UserError(f"--gen-kwargs: there is no preset {shown(preset)}: choose rpo-paper or ancestral.")
    pairs["max_new_tokens"] = pairs.pop(
        "max_gen_toks", pairs.get("max_new_tokens", base.get("max_new_tokens"))
    )
    return {**base, **pairs}


def split_list(text: str) -> list[str]:
    """The non-empty parts between commas."""
    return [part.strip() for part in text.split(",") if part.strip()]


def parse_pairs(text: str, where: str) -> dict[str, Any]:
    """Parses settings ``name=value,…``; raises UserError naming ``where`` otherwise."""
    check_flag(text, where)
    found: dict[str, Any] = {}
    for part in split_list(text):
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise UserError(f"{where}: {shown(part)} is not understood; write name=value.")
        if name.strip() in found:
            raise UserError(f"{where}: {shown(name.strip())} is given twice: give it once.")
        found[name.strip()] = value.strip()
    return found


def _number(text: str, where: str) -> float:
    if not _NUMBER.fullmatch(text) and not _NO_NUMBER.fullmatch(text):
        raise UserError(f"{where}: {shown(text)} is not a number.")
    if number_problem(value := float(text)) is not None:
        raise UserError(f"{where}: {shown(text)} is not a finite number.")
    return value


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def check_flag(text: str, where: str) -> None:
    """Raises UserError naming ``where`` for a flag's value that is too long or invalid text."""
    if (problem := text_problem(text)) is not None:
        raise UserError(f"{where}: it {problem}.")
    if len(text) > MAX_FLAG:
        raise UserError(f"{where}: it is longer than {MAX_FLAG:,} characters.")
