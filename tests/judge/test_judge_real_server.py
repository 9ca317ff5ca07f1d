"""The whole path against ``transformers serve`` with a small chat model that always says the same."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from judge_worlds import write_judged
from needed import needed
from real_servers import transformers_serving
from run_cli import invoke
from sure_models import chat_model_saying

from rpo_bench.judge.storage import judge_folders, load_games

SAID = '{"verdict": "A"}'

needed("uvicorn", "transformers serve needs the extra transformers[serving]")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    folder = chat_model_saying(tmp_path / "chat", SAID)
    with transformers_serving(folder, tmp_path / "serve.log") as url:
        yield url, folder


@pytest.mark.slow
def test_a_real_server_judges_and_its_bias_is_seen(server: tuple[str, Path], tmp_path: Path):
    """The model prefers the first, so that each order is won by whoever is shown first."""
    url, folder = server
    output = write_judged(tmp_path / "run", {"reference": ["no", "well"], "rpo": ["yes", "well"]})
    asked = (
        "judge", "run", output, "--judge", f"openai:{folder}", "--judge-base-url", url, "--json",
        "--judge-max-tokens", "40", "--judge-concurrency", "2",
    )  # fmt: skip
    ended = invoke(*asked)
    assert ended.exit_code == 0, ended.output
    account = json.loads(ended.stdout)
    assert (account["made"], account["scored"], account["estimated"]) == (2, 2, 0), account
    assert account["tokens"][0] > 500
    (judged,) = judge_folders(output)
    verdicts = {(g.question, g.swapped): g.verdict for g in load_games(judged)}
    assert verdicts == {
        ("p000/0", False): "model",
        ("p000/0", True): "baseline",
        ("p001/0", False): "tie",
        ("p001/0", True): "tie",
    }
    assert SAID in json.loads((judged / "replies.jsonl").read_text().splitlines()[0])["attempts"][0]["text"]
    assert json.loads(invoke(*asked).stdout)["made"] == 0
