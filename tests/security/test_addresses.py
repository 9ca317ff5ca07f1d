"""Addresses: no text of one holds a secret, the server gets all of it, and a wrong one is one sentence."""

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from results_factory import cell_spec

from rpo_bench.engine.inputs.sampling_checks import check_address
from rpo_bench.errors import UserError
from rpo_bench.judge.registry import JudgeOptions, make_judge
from rpo_bench.judge.storage import judge_folder
from rpo_bench.models.backends.server import checked_address
from rpo_bench.remote.urls import Address, api_key, query_secrets, without_secrets
from rpo_bench.spec.presets import run_spec
from rpo_bench.spec.sections import GenerationSpec, ServerSettings

#: An address → what is shown of it.
SHOWN = {
    "http://localhost:8000/v1": "http://localhost:8000/v1",
    "http://localhost:8000/v1/": "http://localhost:8000/v1",
    "http://user:hunter22@host:1/v1": "http://host:1/v1",
    "http://hunter22@host/v1": "http://host/v1",
    "http://user:@host/v1": "http://host/v1",
    "http://user:hunter%2F22@host/v1": "http://host/v1",
    "http://user:hun@ter22@host/v1": "http://host/v1",
    "http://user:hun/ter22@host/v1": "http://host/v1",
    "http://user:hun?ter22@host/v1": "http://host/v1",
    "http://user:hun#ter22@host/v1": "http://host/v1",
    "http://user:1234?ter22@host/v1": "http://host/v1",
    "http://host/v1?token=hunter22": "http://host/v1",
    "http://host/v1?a=b#hunter22": "http://host/v1",
    "http://host/v1;token=hunter22": "http://host/v1",
    "http://host/v1%3Ftoken=hunter22": "http://host/v1",
    "http://user:hunter22@[::1]:80/v1": "http://[::1]:80/v1",
    "HTTPS://user:hunter22@HOST/v1": "HTTPS://HOST/v1",
    "user:hunter22@host/v1": "host/v1",
    "//user:hunter22@host/v1": "host/v1",
    "user:hunter22@host": "host",
    " http://user:hunter22@host/v1 ": "http://host/v1",
    "http://user:hunter22@[host": "http://[host",
    "http://user:hunter22@host:port/v1": "http://host:port/v1",
    "ftp://user:hunter22@host": "ftp://host",
    "http:///hunter22@": "http://",
    "": "",
}

#: Everything that writes a value down.
WRITERS: dict[str, Callable[[Address], str]] = {
    "str": str,
    "repr": repr,
    "format": lambda address: f"{address} {address!r} {address:>80}",
    "percent": lambda address: "%s %r" % (address, address),  # noqa: UP031
    "JSON": json.dumps,
    "YAML": lambda address: yaml.safe_dump(ServerSettings(base_url=address).model_dump(mode="json")),
    "settings as JSON": lambda address: ServerSettings(base_url=address).model_dump_json(),
    "settings as Python's, as JSON": lambda address: json.dumps(
        ServerSettings(base_url=address).model_dump()
    ),
    "settings": lambda address: (
        f"{ServerSettings(base_url=address)!r} {vars(ServerSettings(base_url=address))}"
    ),
    "a judge": lambda address: repr(JudgeOptions(base_url=address)),
    "joined": lambda address: address + " " + ",".join([address]) + address.upper() + address[:],
}


@pytest.mark.parametrize("given", SHOWN, ids=range(len(SHOWN)))
def test_no_writer_writes_a_secret(given: str):
    address = Address(given)
    assert str(address) == SHOWN[given]
    for name, write in WRITERS.items():
        assert "ter22" not in write(address), name


@pytest.mark.parametrize("given", SHOWN, ids=range(len(SHOWN)))
def test_what_is_handed_on_in_memory_keeps_all(given: str):
    settings = ServerSettings(base_url=given)
    handed = (
        settings,
        copy.deepcopy(settings),
        pickle.loads(pickle.dumps(settings)),  # to a worker
        ServerSettings.model_validate(settings.model_dump()),
        settings.model_copy(update={"concurrency": 2}),
    )
    assert [one.base_url.whole for one in handed] == [given] * len(handed)
    assert ServerSettings.model_validate_json(settings.model_dump_json()).base_url.whole == SHOWN[given]


def test_who_a_server_is_does_not_depend_on_secrets(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def asked(url: str) -> tuple[str, Path, GenerationSpec]:
        generation = GenerationSpec(backend="openai", openai=ServerSettings(base_url=url))
        judge = make_judge("openai:m", JudgeOptions(base_url=url))
        cell = cell_spec("rpo", 0.3).model_copy(update={"generation": generation})
        return cell.hash, judge_folder(tmp_path, judge), generation

    assert asked("http://user:hunter22@host/v1?token=t0k3n") == asked("http://host/v1")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:hunter22@host/v1")
    assert judge_folder(tmp_path, make_judge("openai:m", JudgeOptions())) == asked("http://host/v1/")[1]


#: What no server can be asked at.
MALFORMED = {
    "no scheme": "user:hunter22@host/v1",
    "a host alone": "host",
    "nothing": "",
    "another scheme": "ftp://user:hunter22@host/v1",
    "a file": "file:///etc/passwd",
    "no host": "http://",
    "a user and no host": "http://user:hunter22@/v1",
    "half an IPv6 address": "http://user:hunter22@[::1/v1",
    "no IPv6 address": "http://user:hunter22@[zz]/v1",
    "a port that is none": "http://user:hunter22@host:x/v1",
    "a port beyond all": "http://user:hunter22@host:70000/v1",
    "a slash in a password": "http://user:hun/ter22@host/v1",
    "a question in a password": "http://user:hun?ter22@host/v1",
    "a space": "http://user:hunter22@ho st/v1",
    "a line": "http://user:hunter22@host/v1\nX: y",
    "a bell": "http://user:hunter22@host/v1\x07",
    "nothing in it": "http://user:hunter22@ho\x00st/v1",
    "half a pair": "http://user:hunter22@host\ud800/v1",
    "a long label": f"http://user:hunter22@{'a' * 64}.example/v1",
    "a long host": f"http://user:hunter22@{'a.' * 200}example/v1",
    "an empty label": "http://user:hunter22@a..example/v1",
    "parameters in its path": "http://user:hunter22@host/v1;token=x",
    "an escaped question": "http://user:hunter22@host/v1%3Ftoken=x",
    "a host from right to left": "http://user:hunter22@a\u202eb/v1",
}

CLIENTS: dict[str, Callable[[str], object]] = {
    "judge": lambda url: make_judge("openai:m", JudgeOptions(base_url=url, key_env="NO_KEY")),
    "generation": lambda url: check_address(
        run_spec(
            {
                "methods": [{"name": "reference"}],
                "generation": {"backend": "openai", "openai": {"base_url": url}},
            },
            "--generation-args",
        ).generation
    ),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", MALFORMED)
def test_an_address_that_no_server_has_is_one_sentence_at_once(name: str, client: str):
    with pytest.raises(UserError) as caught:
        CLIENTS[client](MALFORMED[name])
    said = str(caught.value)
    assert "ter22" not in said
    assert "--judge-" in said or ("--generation-args" in said and "base_url" in said)


@pytest.mark.parametrize("key", ["sk-schlüssel", "sk-\u200bkey", "sk-a\nb", "sk-a\x00b", "sk-😀", "ключ"])
def test_a_key_that_no_header_can_carry_is_one_sentence_without_it(key: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.environ", {"MY_KEY": key})  # a real environment can't hold all of these
    for ask in (
        lambda: make_judge("openai:m", JudgeOptions(base_url="http://host/v1", key_env="MY_KEY")),
        lambda: checked_address(ServerSettings(base_url="http://host/v1", api_key_env="MY_KEY")),
    ):
        with pytest.raises(UserError, match="MY_KEY isn't a valid key") as caught:
            ask()
        assert key not in str(caught.value)


def test_white_space_around_a_key_is_no_part_of_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", " sk-key\n")
    assert api_key("MY_KEY") == "sk-key"
    monkeypatch.setenv("MY_KEY", " ")
    assert api_key("MY_KEY") is None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("see http://user:hunter22@host/v1, then", "see http://host/v1, then"),
        ("--judge-base-url=user:hunter22@host/v1", "--judge-base-url=host/v1"),
        ("base_url=http://host/v1?token=hunter22,model=m", "base_url=http://host/v1"),
        (r"http:\/\/user:hunter22@host\/v1", "http://host/v1"),
        ("http:/user:hunter22@host/v1: no such file", "http:/host/v1: no such file"),
        ("see http://host/v1#access_token=hunter22", "see http://host/v1"),
        ("see http://host/v1?a=b;token=hunter22", "see http://host/v1"),
        ("see https://host/page#methods and C:/me:you@x", "see https://host/page#methods and C:/me:you@x"),
        ("https://host/search?q=wolf&page=2", "https://host/search?q=wolf&page=2"),
        ("write to bob@example.com or a: b@c", "write to bob@example.com or a: b@c"),
        ("--revision org/name@abc123 --strengths sft@8", "--revision org/name@abc123 --strengths sft@8"),
        ("what? a@b?", "what? a@b?"),
    ],
)
def test_addresses_within_a_text_lose_their_secrets_and_all_else_stays(text: str, kept: str):
    assert without_secrets(text) == kept


def test_what_of_a_query_is_likely_to_be_a_secret():
    query = "version=2024-02&token=abc&X-Amz-Signature=0f&page=2&q=wolf&id=Zk3yWITHs7ash00Zk3yWITH&api_key=k"
    assert query_secrets(query) == ["abc", "0f", "Zk3yWITHs7ash00Zk3yWITH", "k"]
