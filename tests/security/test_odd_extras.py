"""What a record tells beyond its schema may be anything: commands and judges of a stranger's are texts."""

import json
from pathlib import Path

import pytest
from hostile import write_judge, write_results
from run_cli import invoke

#: What may stand under ``extra.judges``.
JUDGES = [
    None, 1, "x", [1], {"a": 1}, {"a": None}, {"a": {"flags": 1}}, {"a": {"flags": {"--judge": {}}}},
    {"a": {"commands": 1}}, {"a": {"commands": [1, {}, "y"]}},
    {"a": {"flags": {"x": "a b"}, "commands": ["y"]}},
]  # fmt: skip
COMMANDS = ["", "an unclosed 'quote", "&&", "rpo-bench train-and-eval --methods", "x\0y \u202e \x1b[31m"]


def put(folder: Path, **changes: object) -> None:
    """Changes a record in place, as win rates of the task's own judge and of another's would find it."""
    record = json.loads((folder / "result.json").read_text())
    rate = record["metrics"]["reward"] | {"unit": "against sft@3", "backend": "embedded:x 11111111"}
    record["metrics"]["win_rate"] = rate
    (folder / "result.json").write_text(json.dumps(record | changes))


@pytest.mark.parametrize("command", COMMANDS, ids=range(len(COMMANDS)))
def test_win_rates_are_written_into_records_that_tell_anything_of_judges(command: str, tmp_path: Path):
    good = write_results(tmp_path / "results")
    write_judge(tmp_path / "results" / "judgements" / "00000abc")
    for judges in [..., *JUDGES]:
        put(good[2], command=command, extra={} if judges is ... else {"judges": judges})
        ended = invoke("judge", "scores", tmp_path / "results", "--judge", "00000abc", "--write")
        assert ended.exit_code == 0, (judges, ended.output[-500:])
