"""``judge run`` and ``judge parse`` over stored results."""

import json
from pathlib import Path

import pytest
from judge_servers import KEY, completion, longer, serving, verdict
from judge_worlds import write_judged
from run_cli import invoke

from rpo_bench.judge.storage import judge_folders, load_games
from rpo_bench.results.store import read_results

TEXTS = {
    "reference": ["no", "no", "same", "no"],
    "rpo": ["yes, gladly", "n", "same", "yes"],
    "sft": ["yes", "no!", "so", "no"],
}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return write_judged(tmp_path / "run", TEXTS)


def test_a_server_judges_every_checkpoint_against_the_reference(output: Path, monkeypatch):
    """Two checkpoints × 4 prompts × 2 orders = 16 games; two pairs are identical and take no call."""
    monkeypatch.setenv("MY_KEY", KEY)
    with serving(lambda shown, _: verdict(longer(shown))) as server:
        asked = (
            "judge", "run", output, "--judge", "openai:m", "--judge-base-url", server.url,
            "--judge-api-key-env", "MY_KEY", "--judge-price-in", "10", "--judge-price-out", "10",
        )  # fmt: skip
        plan = json.loads(invoke(*asked, "--dry-run", "--json").stdout)
        assert (plan["games"], plan["identical"], plan["calls"]) == (16, 4, 12)
        assert plan["cost"] > 0
        assert server.asked == []
        ended = invoke(*asked, "--json")
        assert ended.exit_code == 0, ended.output
        account = json.loads(ended.stdout)
        assert (account["made"], account["scored"], account["cost"]) == (12, 12, pytest.approx(12 * 0.0011))
        assert json.loads(invoke(*asked, "--json").stdout)["made"] == 0
        assert len(server.asked) == 12
    (folder,) = judge_folders(output)
    games = load_games(folder)
    rpo = {(g.question, g.verdict) for g in games if g.model.startswith("rpo")}
    assert rpo == {("p000/0", "model"), ("p001/0", "baseline"), ("p002/0", "tie"), ("p003/0", "model")}
    assert {g.baseline.split("-")[0] for g in games} == {"reference"}
    labels = {stored.record.spec.name for stored in read_results(output).records}
    assert {g.model for g in games} <= labels
    assert not any(KEY in file.read_text() for file in folder.iterdir())
    assert KEY not in ended.output


def test_replies_are_read_anew_without_a_call(output: Path):
    with serving(lambda *_: completion("I can't say")) as server:
        assert (
            invoke("judge", "run", output, "--judge", "openai:m", "--judge-base-url", server.url).exit_code
            == 0
        )
    (folder,) = judge_folders(output)
    file = folder / "replies.jsonl"
    file.write_text(file.read_text().replace("I can't say", '{\\"verdict\\": \\"tie\\"}'))
    ended = invoke("judge", "parse", output, "--json")
    assert json.loads(ended.stdout)[0]["Tie"] == 16
    assert '"verdict": "tie"' in (folder / "verdicts.jsonl").read_text()


def test_a_function_judges_and_methods_can_be_chosen(output: Path, tmp_path: Path):
    file = tmp_path / "mine.py"
    file.write_text(
        "def longer(prompt, first, second):\n    return len(first) / (len(first) + len(second))\n"
    )
    asked = ("judge", "run", output / "results", "--judge", f"python:{file}:longer", "--against", "sft")
    ended = invoke(*asked, "--methods", "rpo")
    assert ended.exit_code == 0, ended.output
    games = load_games(judge_folders(output)[0])
    assert {g.model.split("-")[0] for g in games} == {"rpo"}
    first = next(g for g in games if g.question == "p000/0" and g.swapped)
    assert first.probability == pytest.approx(11 / 14)
    file.write_text("def longer(prompt, first, second):\n    return first / 0\n")
    broken = invoke(*asked)
    assert broken.exit_code == 2
    assert "mine.py, line 2" in broken.stderr


def test_every_pair_meets_in_a_round_robin(output: Path):
    asked = ("judge", "run", output, "--judge", "python:x:y", "--against", "all")
    assert "there is no file x" in invoke(*asked).stderr
    plan = invoke("judge", "run", output, "--judge", "openai:m", "--judge-base-url", "http://127.0.0.1:9/v1",
                  "--against", "all", "--dry-run", "--json")  # fmt: skip
    assert json.loads(plan.stdout)["games"] == 3 * 4 * 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--judge", "gpt"), "write openai:MODEL"),
        (("--judge", "openai:m"), "set RPO_TEST_NO_KEY"),
        (("--judge", "openai:m", "--judge-base-url", "localhost:80"), "http://"),
        (("--judge", "hf:nowhere"), "there is no such folder"),
        (("--judge", "gold", "--against", "sfr"), "Did you mean 'sft'"),
        (("--judge", "openai:m", "--judge-max-cost", "1"), "--judge-price-in"),
        (("--judge", "openai:m", "--judge-template", "none.txt"), "there is no such file"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(output: Path, monkeypatch, flags, said: str):
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    ended = invoke("judge", "run", output, *flags, "--judge-api-key-env", "RPO_TEST_NO_KEY")
    assert ended.exit_code == 2, ended.output
    assert said in " ".join(ended.stderr.split())


def test_without_judgements_there_is_nothing_to_read(output: Path):
    assert "there are no judgements here" in invoke("judge", "parse", output).stderr
