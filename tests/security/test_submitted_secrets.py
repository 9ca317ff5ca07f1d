"""``submit check`` finds addresses with secrets in any file of a contribution, in any spelling."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from results_factory import write_world

from rpo_bench.submit.check import check_submission
from rpo_bench.submit.secrets import secrets

#: What is told → what is said of it.
TOLD = {
    "a password": ("http://user:hunter22@host.example:8000/v1", "user info, at host.example:8000"),
    "a user that is a token": ("https://hunter22hunter22@host.example/v1", "user info, at host.example"),
    "a database": ("postgresql://user:hunter22@host.example/db", "user info, at host.example"),
    "no scheme": ("base_url: user:hunter22@host.example/v1", "user info, at host.example"),
    "a flag": ("--judge-base-url user:hunter22@host.example/v1", "user info, at host.example"),
    "a token": ("https://host.example/v1?token=hunter22", "a possible token, in its query ?token="),
    "a key among others": (
        "https://host.example/v1?page=2&api_key=hunter22",
        "a possible token, in its query ?page=",
    ),
    "a signature": ("https://host.example/v1?X-Amz-Signature=hunter22", "a possible token, in its query"),
    "a token by its look": (
        "https://host.example/v1?x=hunter22HUNTER22hunter22",
        "a possible token, in its query ?x=",
    ),
}
SPELT: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON with slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text).replace("/", "\\/")),
    "Unicode escapes": lambda text: "".join(f"\\u{ord(letter):04x}" for letter in text),
    "an address": lambda text: "see=" + quote(text, safe=""),
    "an address in an address": lambda text: "see=" + quote(quote(text, safe=""), safe=""),
}
#: Files of a contribution, ours or not.
FILES = (
    "a/b/result.json",
    "a/b/spec.yaml",
    "a/b/train_log.jsonl.gz",
    "judgements/x/commands.json",
    "notes.md",
    ".env",
)


def write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    data = f"before\n{text}\nafter\n".encode()
    file.write_bytes(gzip.compress(data) if file.suffix == ".gz" else data)


@pytest.mark.parametrize("spelt", SPELT)
@pytest.mark.parametrize("told", TOLD)
def test_a_secret_is_found_in_every_file_and_not_repeated(told: str, spelt: str, tmp_path: Path):
    text, said = TOLD[told]
    for file in FILES:
        write(tmp_path / file, SPELT[spelt](text))
    found = secrets(tmp_path)
    assert found.status == "failed"
    assert {finding.partition(": ")[0] for finding in found.findings} == set(FILES)
    assert all(said in finding for finding in found.findings)
    assert "hunter22" not in found.model_dump_json()


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/v1",
        "https://host.example/search?q=wolf&page=2",
        "write to bob@host.example, or mailto:bob@host.example",
        "git+ssh://git@host.example/repo",
        "http://user:***@host.example/v1?token=***",
        "org/model@0123456789abcdef --strengths sft@8",
        "is it a or b?key=c",
        "50% of http://host.example/a%20b",
        "wolf? cat=dog",
        "https://host.example/watch?v=dQw4w9WgXcQ",
    ],
)
def test_what_is_no_secret_is_left_alone(text: str, tmp_path: Path):
    write(tmp_path / "notes.md", text)
    assert secrets(tmp_path).status == "ok"


def test_a_models_own_words_are_a_warning_and_what_cannot_be_read_is_told(tmp_path: Path):
    write(tmp_path / "a/samples.jsonl.gz", TOLD["a password"][0])
    assert secrets(tmp_path).status == "warning"
    (tmp_path / "x.gz").write_bytes(gzip.compress(b" " * 10_000)[:-9])
    (finding,) = (one for one in secrets(tmp_path).findings if one.startswith("x.gz"))
    assert "can't be searched" in finding
    assert secrets(tmp_path).status == "failed"


def test_submit_check_looks_for_them(tmp_path: Path):
    root = write_world(tmp_path / "results", ["sft"], seeds=1, strengths=(0.3,))
    (root / "notes.txt").write_text(TOLD["a password"][0])
    (check,) = (one for one in check_submission(root, None).checks if one.name == "secrets")
    assert check.status == "failed"
    assert check.findings == ("notes.txt: a URL with user info, at host.example:8000",)
