"""Faults of servers × the clients that ask them: each ends in one sentence, in time and within bounds."""

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from fault_server import Asked, FaultServer, faults_serving, good, http

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.judge.backends.openai import OpenAIJudge
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.protocol import Pair
from rpo_bench.judge.running import plan_of, run_judge
from rpo_bench.judge.storage import open_store
from rpo_bench.models.backends.protocol import Request
from rpo_bench.models.backends.server import CompletionsServer
from rpo_bench.spec.sections import Decoding, ServerSettings

SHORT, LONG = 0.5, 20.0  # seconds of a request: where nothing whole ever comes, and where it does
LARGEST = 100_000  # bytes of an answer


@dataclass(frozen=True)
class Outcome:
    """What came of asking: what is kept of a reply, or the sentence that a user reads; and the retries."""

    kept: str = ""
    sentence: str = ""
    retries: int = 0


def by_judge(url: str, folder: Path, retries: int = 0, seconds: float = LONG) -> Outcome:
    """One call of a judge, stored as a run stores it."""
    judge = OpenAIJudge(
        "m", load_template("verdict"), base_url=url, timeout=seconds, max_retries=retries, reply_bytes=LARGEST
    )
    asked = Pair("p/0", "t", Prompt(prompt_id="p", text="a question"), "m", "b", "a long answer", "short")
    plan = plan_of([asked])
    plan = replace(plan, calls=dict(list(plan.calls.items())[:1]))
    try:
        with open_store(folder / "judge", judge.identity) as store:
            account = run_judge(judge, plan, store)
    except UserError as error:
        return Outcome(sentence=str(error))
    kept = (folder / "judge/replies.jsonl").read_text(encoding="utf-8")
    why = [*account.failed, *account.unscored]
    return Outcome("" if why else kept, "; ".join(why), account.retries)


def by_generation(url: str, folder: Path, retries: int = 0, seconds: float = LONG) -> Outcome:
    """One sample of a server of completions."""
    settings = ServerSettings(base_url=url, timeout=seconds, concurrency=1)
    server = CompletionsServer(settings, Path("runs/ckpt"), retries=retries, reply_bytes=LARGEST)
    try:
        answer = server.sample([Request((1, 2), "a question", 0)], Decoding(max_new_tokens=4), (1,))
    except UserError as error:
        said = str(error)
        _, _, number = said.partition("after ")
        return Outcome(sentence=said, retries=int(number.partition(" ")[0] or 0))
    kept = json.dumps([[one.text, one.token_ids, one.logps] for one in answer.sampled])
    return Outcome(kept=kept)


Ask = Callable[..., Outcome]
CLIENTS: dict[str, tuple[Ask, str]] = {
    "judge": (by_judge, "/chat/completions"),
    "generation": (by_generation, "/completions"),
    "list of models": (by_generation, "/models"),
}


def dripping(head: bytes, drop: bytes) -> Iterator[bytes]:
    yield head
    while True:
        time.sleep(0.05)
        yield drop


def endless(head: bytes, part: bytes) -> Iterator[bytes]:
    yield head
    for _ in range(20_000_000 // len(part)):
        yield part


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
_LONG = b"Content-Length: 200000000\r\n\r\n"
_CHUNK = b"2000\r\n" + b" " * 0x2000 + b"\r\n"

#: Fault → the bytes of its answers. None of them says anything that may be used.
FAULTS: dict[str, Callable[[], Iterator[bytes]]] = {
    "nothing comes": lambda: dripping(b"", b""),
    "the headers drip": lambda: dripping(_OK + b"X: ", b"x"),
    "the body drips": lambda: dripping(_OK + _LONG, b" "),
    "chunks drip": lambda: dripping(_OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "200 MB": lambda: endless(_OK + _LONG, b" " * 65536),
    "endless chunks": lambda: endless(_OK + b"Transfer-Encoding: chunked\r\n\r\n", _CHUNK),
    "an endless header": lambda: endless(_OK + b"X: ", b"x" * 65536),
    "a bomb": lambda: iter([http(gzip.compress(b" " * 20_000_000), Content_Encoding="gzip")]),
    "a page": lambda: iter([http(b"<html>Welcome</html>", kind="text/html")]),
    "a page called JSON": lambda: iter([http(b"<html>Welcome</html>")]),
    "no body": lambda: iter([http(b"")]),
    "no content": lambda: iter([http(b"", status="204 No Content")]),
    "a number": lambda: iter([http(b"7")]),
    "a list": lambda: iter([http(b"[]")]),
    "null": lambda: iter([http(b"null")]),
    "no choice": lambda: iter([http(b'{"choices": [], "data": 7}')]),
    "a choice that is none": lambda: iter([http(b'{"choices": [7], "data": [7]}')]),
    "a text that is none": lambda: iter(
        [http(b'{"choices": [{"text": [1], "message": {"content": [1]}}], "data": [[]]}')]
    ),
    "deep": lambda: iter([http(b"[" * 90_000)]),
    "a long number": lambda: iter([http(b'{"choices": ' + b"9" * 9_000 + b"}")]),
    "a codec that unpacks": lambda: iter([http(b"{}", kind="application/json; charset=zlib_codec")]),
    "a codec of texts": lambda: iter([http(b"{}", kind="application/json; charset=rot13")]),
    "a codec of names": lambda: iter([http(b"{}" * 900, kind="application/json; charset=idna")]),
    "not UTF-8": lambda: iter([http(b"\xff\xfe\x00{")]),
    "cut": lambda: iter([good(Asked("POST", "/v1/x", {}, b""))[:-20]]),
    "no HTTP": lambda: iter([b"220 mail.example ESMTP\r\n"]),
    "closed": lambda: iter([]),
    "HTTP 500": lambda: iter([http(b"{}", status="500 Oh")]),
    "HTTP 418 of no sentence": lambda: iter([http(b"\xff" * 50_000, status="418 Tea", kind="x/\xe9")]),
    "HTTP 999": lambda: iter([http(b"{}", status="999 What")]),
}


@pytest.mark.timeout(60)  # many of them would go on for ever
@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_in_time_and_nothing_of_it_is_kept(fault: str, client: str, tmp_path: Path):
    ask, path = CLIENTS[client]

    def answering(asked: Asked) -> Iterator[bytes]:
        return FAULTS[fault]() if path in asked.path else iter([good(asked)])

    seconds = SHORT if "drip" in fault or fault == "nothing comes" else LONG
    with faults_serving(answering) as server:
        outcome = ask(server.url, tmp_path, seconds=seconds)
    if client == "list of models" and fault.startswith("HTTP"):  # not every server has a list
        assert outcome.kept
        return
    assert outcome.sentence
    assert "\n" not in outcome.sentence
    assert len(outcome.sentence) < 400
    assert sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()) < 10_000


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_asked_but_the_server_that_was_named(client: str, status: int, tmp_path: Path):
    ask, path = CLIENTS[client]
    with faults_serving(lambda asked: iter([good(asked)])) as other:
        there = other.url.replace("http://", "http://user:hunter22@") + "/chat/completions?token=hunter22"

        def answering(asked: Asked) -> Iterator[bytes]:
            moved = http(b"", f"{status} Moved", Location=there)
            return iter([moved if path in asked.path else good(asked)])

        with faults_serving(answering) as server:
            outcome = ask(server.url, tmp_path)
    assert other.asked == []
    assert f"redirects to {other.url}/chat/completions, and" in outcome.sentence
    assert "hunter22" not in outcome.sentence


#: What a server may say that no file can hold as it is → what is kept of it.
TEXTS = {
    "half a pair": (r"wolf \ud83d {\"verdict\": \"A\"}", "wolf \ufffd"),
    "the other half": (r"\udc00 wolf {\"verdict\": \"A\"}", "\ufffd wolf"),
    "a whole pair": (r"\ud83d\ude00 wolf {\"verdict\": \"A\"}", "\U0001f600 wolf"),
    "nothing of it": (r"\u0000 wolf {\"verdict\": \"A\"}", "\x00 wolf"),
}


@pytest.mark.parametrize("client", ["judge", "generation"])
@pytest.mark.parametrize("text", TEXTS)
def test_of_a_text_that_no_file_can_hold_only_that_character_is_lost(client: str, text: str, tmp_path: Path):
    said, kept = TEXTS[text]
    ask, _ = CLIENTS[client]
    whole = '{"choices": [{"finish_reason": "stop", "text": "SAID", "message": {"content": "SAID"}}]}'

    def answering(asked: Asked) -> Iterator[bytes]:
        yield good(asked) if "models" in asked.path else http(whole.replace("SAID", said).encode())

    with faults_serving(answering) as server:
        outcome = ask(server.url, tmp_path)
    assert outcome.sentence == ""
    assert json.dumps(kept)[1:-1] in json.dumps(json.loads(outcome.kept.splitlines()[0]))


@pytest.mark.parametrize("client", ["judge", "generation"])
def test_a_sentence_of_a_server_may_hold_half_a_pair(client: str, tmp_path: Path):
    ask, path = CLIENTS[client]

    def answering(asked: Asked) -> Iterator[bytes]:
        failed = http(rb'{"error": {"message": "no \ud800"}}', "500 Oh")
        yield failed if path in asked.path else good(asked)

    with faults_serving(answering) as server:
        assert "HTTP 500" in ask(server.url, tmp_path).sentence


def _date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


#: Retry-After → requests after the first, of two that are allowed.
WAITS = {
    "none": (None, 2),
    "0.05": ("0.05", 2),
    "0": ("0", 2),
    "negative": ("-5", 2),
    "a date that is past": (_date(-60), 2),
    "not a number": ("nan", 2),
    "words": ("soon", 2),
    "an hour": ("3600", 0),
    "a date in an hour": (_date(3600), 0),
    "for ever": ("9" * 400, 0),
    "infinite": ("inf", 2),
}


@pytest.mark.parametrize("client", ["judge", "generation"])
@pytest.mark.parametrize("wait", WAITS)
def test_retries_are_those_that_were_made(
    client: str, wait: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("openai._base_client.MAX_RETRY_DELAY", 0.01)
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", 0.01)
    said, retries = WAITS[wait]
    ask, path = CLIENTS[client]

    def answering(asked: Asked) -> Iterator[bytes]:
        headers = {} if said is None else {"Retry-After": said}
        yield http(b"{}", "429 Slow", **headers) if path in asked.path else good(asked)

    with faults_serving(answering) as server:
        outcome = ask(server.url, tmp_path, retries=2)
    assert outcome.retries == retries == _requests(server, path) - 1
    assert "HTTP 429" in outcome.sentence


def _requests(server: FaultServer, path: str) -> int:
    return sum(path in one for one in server.paths)
