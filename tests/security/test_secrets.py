"""Secrets of every form over every output: runs against a server that repeats what it gets, then a grep."""

import base64
import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from fault_server import Asked, FaultServer, faults_serving, good, http
from judge_worlds import write_judged
from run_cli import invoke
from tiny_models import tiny_decoder
from tiny_task import tiny_task

from rpo_bench.doctor import check_hub
from rpo_bench.remote.scrubbing import HIDDEN

KEY, PASSWORD, TOKEN = "Zk/ey+WITH=s7ash", "Pa55/w0rd+Two", "T0ken/+Va1ue"
SECRETS = (KEY, PASSWORD, TOKEN)


def forms(secret: str) -> dict[str, str]:
    """What a server may make of a secret, by name."""
    escaped = json.dumps(secret)[1:-1].replace("/", "\\/")
    return {
        "plain": secret,
        "JSON": escaped,
        "JSON in JSON": json.dumps(escaped)[1:-1],
        "Unicode escapes": "".join(f"\\u{ord(letter):04x}" for letter in secret),
        "Unicode escapes in capitals": "".join(f"\\u{ord(letter):04X}" for letter in secret),
        "an address": quote(secret),
        "an address, all of it": quote(secret, safe=""),
        "an address in an address": quote(quote(secret, safe=""), safe=""),
        "base64 of addresses": base64.urlsafe_b64encode(secret.encode()).decode(),
        **{f"base64 after {n}": base64.b64encode(b"x" * n + secret.encode()).decode() for n in range(3)},
    }


def told(name: str, form: str) -> str:
    """The part of a form that tells the secret: not what base64 makes of its neighbours."""
    if not name.startswith("base64"):
        return form
    before = int(name[-1]) if name[-1].isdigit() else 0
    return form[-(-before * 8 // 6) :].rstrip("=")[:-1]


def echoes(asked: Asked) -> str:
    """All that a server got, and all that it can make of the secrets in it."""
    known = SECRETS if "token=" in asked.path else (KEY,)
    made = [form for secret in known for form in forms(secret).values()]
    return " ".join([asked.path, *asked.headers.values(), *made])


def with_secrets(url: str) -> str:
    return (
        url.replace("http://", f"http://user:{quote(PASSWORD, safe='')}@") + f"?token={quote(TOKEN, safe='')}"
    )


@dataclass(frozen=True)
class World:
    """What was done: the folder with all files, all that was said and logged, and the server."""

    root: Path
    said: str
    server: FaultServer


def answering(asked: Asked) -> Iterator[bytes]:
    """Serves judges and samplers, and repeats what it got; one call in four fails, and repeats it as well."""
    number = answering.__dict__["count"] = answering.__dict__.get("count", 0) + 1
    if "/models" in asked.path:
        yield good(asked)
    elif number % 4 == 0:
        yield http(json.dumps({"error": {"message": echoes(asked)}}).encode(), "409 Oh", X_Request_Id=KEY)
    else:
        yield good(asked, f'{echoes(asked)} {number} {{"verdict": "A"}}')


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root = tmp_path_factory.mktemp("secrets")
    tiny_task(root / "tasks/tiny")
    checkpoint = tiny_decoder(root / "ckpt", seed=1, scale=20.0)
    judged = write_judged(
        root / "judged", {"reference": ["no", "well", "so"], "rpo": ["yes", "well", "that"]}
    )
    logged = root / "log.txt"
    handler = logging.FileHandler(logged)
    logging.getLogger().addHandler(handler)
    levels = {name: logging.getLogger(name).level for name in ("openai", "httpx2")}
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch, faults_serving(answering) as server:
        patch.setenv("SECRET_KEY", KEY)
        patch.setenv("HF_ENDPOINT", with_secrets(server.url))
        patch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
        patch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
        for name in levels:
            logging.getLogger(name).setLevel(logging.DEBUG)
        whole = with_secrets(server.url)
        for flag, url in (("key", server.url), ("address", whole)):
            done = (
                ("eval", checkpoint, "--task", "tiny", "--include-path", root / "tasks", "--output-path",
                 root / f"out-{flag}", "--n-samples", "2", "--workers", "1", "--toxicity", "none", "--judge",
                 "none", "--generation-backend", "openai", "--generation-args",
                 f"base_url={url},api_key_env=SECRET_KEY,concurrency=2"),
                ("judge", "run", judged, "--judge", f"openai:{flag}", "--judge-base-url", url,
                 "--judge-api-key-env", "SECRET_KEY", "--output-path", root / f"judgements-{flag}"),
                ("leaderboard", root / f"out-{flag}", "--output-path", root / f"page-{flag}"),
            )  # fmt: skip
            said += [invoke(*verb).output for verb in done]
        for wrong in (f"{whole}\x07", whole.replace("http", "ftp"), whole.partition("//")[2]):
            said.append(
                invoke("judge", "run", judged, "--judge", "openai:m", "--judge-base-url", wrong).output
            )
        said.append(invoke(*done[0][:-1], f"base_url={whole},x={whole}").output)
        said.append(invoke(*done[0][:-1], f"base_url={whole},timeout={whole}").output)
        said += [check.detail for check in check_hub()]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.getLogger().removeHandler(handler)
    handler.close()
    return World(root, "\n".join(said), server)


def written(root: Path) -> dict[str, str]:
    """Every file's text."""
    found = {}
    for file in root.rglob("*"):
        if file.is_file():
            raw = file.read_bytes()
            raw = gzip.decompress(raw) if file.suffix == ".gz" else raw
            found[file.relative_to(root).as_posix()] = raw.decode("utf-8", "replace")
    return found


def test_no_file_and_no_line_holds_a_secret_in_any_form(world: World):
    texts = {**written(world.root), "what was said": world.said}
    wanted = {(one, name): told(name, form) for one in SECRETS for name, form in forms(one).items()}
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    wanted["user and password", "Basic"] = basic
    leaks = [(*of, file) for file, text in texts.items() for of, form in wanted.items() if form in text]
    assert leaks == []


def test_what_was_done_was_done_and_each_server_got_its_secrets(world: World):
    """Else the test above would hold of nothing."""
    files = written(world.root)
    for flag in ("key", "address"):
        samples = [
            text
            for name, text in files.items()
            if name.startswith(f"out-{flag}/results") and "samples" in name
        ]
        assert any(HIDDEN in text for text in samples)
        assert any(
            f"judgements-{flag}" in name and "replies" in name and HIDDEN in files[name] for name in files
        )
        assert any(name.startswith(f"page-{flag}/") for name in files)
    assert "HTTP Request: POST" in files["log.txt"]
    keys = {one.headers.get("authorization") for one in world.server.asked if "token=" not in one.path}
    assert f"Bearer {KEY}" in keys
    known = [one for one in world.server.asked if "token=" in one.path and "completions" in one.path]
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert {one.headers["authorization"] for one in known} == {f"Basic {basic}"}
    assert {urlsplit(one.path).query for one in known} == {f"token={quote(TOKEN, safe='')}"}
