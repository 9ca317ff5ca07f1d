"""Advice can be followed: each command and flag that a message or a page names is there, on that verb."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest
from verbs import commands, flags

from rpo_bench.cli.main import VERBS

ROOT = Path(__file__).parents[2]
FLAGS = {verb: {*flags(command), "--help"} for verb, command in commands().items()}
ROOT_FLAGS = {"--help", "--version", "--plugin", "--install-completion", "--show-completion"}
ANY = set().union(*FLAGS.values()) | ROOT_FLAGS
#: Flags of other programmes: lm-eval's, and of the scripts in benchmarks/.
OTHERS = {"--log-samples", "--use-cache", "--sizes"}
#: What a module's messages are read by.
READERS = {
    "rpo_bench/engine/oracle_samples.py": ("oracle",),
    "rpo_bench/engine/scoring_advice.py": ("score", "train-and-eval"),
    "rpo_bench/engine": ("train-and-eval", "train", "eval"),
    "rpo_bench/judge": (
        "judge run",
        "judge audit",
        "judge scores",
        "judge parse",
        "train-and-eval",
        "publish",
    ),
    "rpo_bench/submit": ("submit check", "publish", "train-and-eval"),
    "rpo_bench/cli/base.py": ("base",),
    "rpo_bench/cli/train.py": ("train",),
    "rpo_bench/cli/eval.py": ("eval",),
    "rpo_bench/cli/verify.py": ("verify",),
    "rpo_bench/cli/compare.py": ("compare",),
    "rpo_bench/cli/reward_model.py": ("reward-model", "train-and-eval"),
    "rpo_bench/cli/oracle.py": ("oracle",),
    "rpo_bench/cli/publish.py": ("publish",),
    "rpo_bench/cli/leaderboard.py": ("leaderboard",),
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SOURCES = [f for folder in ("rpo_bench", "trainers", "tasks") for f in sorted((ROOT / folder).rglob("*.py"))]

_COMMAND = re.compile(r"(?:rpo-bench|-m rpo_bench) ([^`\n'|;&]*)")
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z0-9_-]*[a-z0-9]")


def wrong_commands(text):
    """Commands that aren't, or have a flag that their verb hasn't."""
    for match in _COMMAND.finditer(text.replace("\\\n", " ")):
        words = match[1].split()
        if not words or not re.fullmatch(r"[a-z][a-z_-]*", words[0]):
            continue
        name = words[0].replace("_", "-").rstrip(".,:")
        pair = " ".join(words[:2]).rstrip(".,:")
        verb = pair if pair in FLAGS else name
        if verb not in VERBS and verb not in FLAGS:
            yield f"no verb {name!r}: {match[0]}"
            continue
        known = FLAGS.get(verb, set()) | ROOT_FLAGS
        if verb not in FLAGS:
            known |= {flag for one, own in FLAGS.items() if one.startswith(f"{verb} ") for flag in own}
        for flag in _FLAG.findall(match[1].partition(" #")[0]):
            if flag.replace("_", "-") not in known:
                yield f"{verb} has no {flag}: {match[0]}"


@cache
def texts(file):
    """The texts of a source file, with a word for what an f-string fills in, and the line of each."""
    tree = ast.parse(file.read_text())
    nodes = list(ast.walk(tree))
    inner = {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    found = []
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "X" for part in node.values]
            found.append((node.lineno, "".join(map(str, parts))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            found.append((node.lineno, node.value))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_are_there(page):
    assert list(wrong_commands(page.read_text())) == []


def test_the_commands_that_messages_name_are_there():
    found = [
        (str(file), line, one)
        for file in SOURCES
        for line, text in texts(file)
        for one in wrong_commands(text)
    ]
    assert found == []


def test_the_flags_that_messages_name_are_there_for_those_who_read_them():
    found = []
    for file in SOURCES:
        name = str(file.relative_to(ROOT))
        if "build" in name or name.startswith("tasks/") or "vllm" in name or "environment" in name:
            continue  # scripts with flags of their own; command lines of other programmes
        readers = next((verbs for place, verbs in READERS.items() if name.startswith(place)), None)
        known = ANY if readers is None else set().union(*(FLAGS[verb] for verb in readers)) | ROOT_FLAGS
        for line, text in texts(file):
            for flag in _FLAG.findall(text):
                if flag.replace("_", "-") not in known | OTHERS:
                    found.append(f"{name}:{line} {flag}: {text[:80]}")
    assert found == []


def test_the_flags_that_pages_name_are_somebodys():
    ours = {page: page.read_text() for page in PAGES}
    found = []
    for page, text in ours.items():
        for span in re.findall(r"`(--[^`]+)`", text):
            for flag in _FLAG.findall(span):
                if flag.replace("_", "-") not in ANY | OTHERS:
                    found.append(f"{page.relative_to(ROOT)}: {flag}")
    assert found == []
