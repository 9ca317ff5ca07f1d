"""``rpo-bench data check``: what it prints, what it warns of, and how it ends."""

import json

import pytest
from tiny_models import tiny_decoder, tiny_encoder_decoder
from typer.testing import CliRunner

from rpo_bench.cli.main import app


def check(*args, **env):
    return CliRunner().invoke(app, ["data", "check", *map(str, args)], env=env, prog_name="rpo-bench")


def jsonl(folder, records, name="rows.jsonl"):
    path = folder / name
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in records))
    return path


def flat(prompts=3, k=2):
    return [
        {"prompt": f"Question {p}?", "response": f"Answer {i}.", "reward": p + i / 4}
        for p in range(prompts)
        for i in range(k)
    ]


def test_the_report_says_what_is_there(tmp_path):
    """3 prompts with 2 responses: rewards 0, .25, 1, 1.25, 2, 2.25, whose mean is 1.125."""
    done = check(jsonl(tmp_path, flat()))
    assert done.exit_code == 0
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["rows", "6"] in lines
    assert ["prompts", "3"] in lines
    assert ["K", "=", "2", "3", "█" * 40] in lines
    header = lines.index(["min", "25", "%", "median", "75", "%", "max", "mean", "sd", "distinct"])
    assert lines[header + 1] == ["0", "0.4375", "1.125", "1.812", "2.25", "1.125", "0.826", "6"]
    assert "few_prompts" in done.stdout


def test_results_go_to_standard_output_and_progress_to_standard_error(tmp_path):
    path = jsonl(tmp_path, flat())
    done = check(path)
    assert str(path) not in done.stdout
    assert done.stderr == f"Reading {path} …\n"


def test_json_is_for_programs(tmp_path):
    done = check(jsonl(tmp_path, flat(k=1)), "--format", "json")
    report = json.loads(done.stdout)
    assert (report["rows"], report["prompts"], report["responses_per_prompt"]) == (3, 3, {"1": 3})
    assert report["reward"]["mean"] == 1.0
    assert {w["code"] for w in report["warnings"]} == {"single_response", "few_prompts", "discrete_rewards"}
    assert done.stderr == ""


def test_one_bad_line_fails_by_default_and_is_counted_on_request(tmp_path):
    records = flat()
    records[3:3] = ["{broken"]
    path = jsonl(tmp_path, records)
    failed = check(path)
    assert failed.exit_code == 2
    assert failed.stderr.endswith(
        f"{path} line 4: not JSON (Expecting property name enclosed in double quotes at column 2); "
        "fix it, or leave such records out with --skip-bad-lines.\n"
    )
    assert failed.stdout == ""
    passed = check(path, "--skip_bad_lines")
    assert passed.exit_code == 0
    assert f"{path}: 1 record left out (line 4: not JSON" in passed.stderr
    assert json.loads(check(path, "--skip-bad-lines", "--format", "json").stdout)["skipped"] == 1
    assert check(path, RPO_BENCH_SKIP_BAD_LINES="true").exit_code == 0


@pytest.mark.parametrize(
    ("records", "sentence"),
    [
        ([], "has no usable rows."),
        (flat(prompts=1), "has only one prompt: at least 2 are needed"),
        (
            [{"text": "a"}],
            "line 1: it has the columns text, which match none of the shapes {prompt, response, reward}",
        ),
        ([{**r, "split": "train"} for r in flat()], "puts every prompt in 'train' and none in 'test'"),
        ([*flat(), {**flat()[0], "reward": None}], "line 7: 'reward' is missing"),
        ([*flat(), '{"prompt": "a", "response": "b", "reward": NaN}'], "line 7: 'reward' is nan"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_and_exit_code_2(tmp_path, records, sentence):
    done = check(jsonl(tmp_path, records))
    assert (done.exit_code, done.stdout) == (2, "")
    reading, error = done.stderr.splitlines()
    assert reading.startswith("Reading ")
    assert sentence in error


def test_only_one_split_can_be_looked_at(tmp_path):
    rows = [{**r, "split": "train"} for r in flat()] + [{**r, "split": "dev"} for r in flat(prompts=2)]
    path = jsonl(tmp_path, rows)
    report = json.loads(check(path, "--split", "dev", "--format", "json").stdout)
    assert (report["rows"], report["splits"]) == (4, {"none": 4})


def test_brackets_in_the_data_are_text_and_no_markup(tmp_path):
    rows = [{"prompt": f"[/red] {i}", "response": "[bold]", "reward": i, "split": None} for i in range(3)]
    path = jsonl(tmp_path, [*rows, "[/x"], name="[dim]rows.jsonl")
    done = check(path, "--skip-bad-lines")
    assert done.exit_code == 0
    assert "[dim]rows.jsonl: 1 record left out" in done.stderr


def test_a_mistyped_flag_or_value_is_one_sentence(tmp_path):
    path = jsonl(tmp_path, flat())
    assert check(path, "--fromat", "json").stderr == "Unknown flag --fromat. Did you mean '--format'?\n"
    wrong = check(path, "--format", "yaml")
    assert wrong.exit_code == 2
    assert wrong.stderr.startswith("Invalid value for '--format': ")
    assert wrong.stderr.count("\n") == 1


def test_data_alone_shows_its_help():
    done = CliRunner().invoke(app, ["data"], prog_name="rpo-bench")
    assert done.exit_code == 0
    assert "check" in done.stdout


class TestTokens:
    ROWS = (
        '{"prompt": "what is the cat ?", "response": "yes good .", "reward": 1}\n'
        '{"prompt": "what is the dog ?", "response": "no .", "reward": 0}\n'
    )

    def test_are_counted_by_the_models_own_tokenizer(self, tmp_path):
        """Five words of prompt; three and two of response, each with its end."""
        file = tmp_path / "rows.jsonl"
        file.write_text(self.ROWS)
        folder = tiny_decoder(tmp_path / "decoder")
        for weights in folder.glob("*.safetensors"):
            weights.unlink()  # they aren't needed
        done = check(file, "--model", folder, "--format", "json")
        found = json.loads(done.stdout)["tokens"]
        prompt = found["prompt"]["minimum"]
        assert found["prompt"]["maximum"] == prompt
        assert (found["response"]["minimum"], found["response"]["maximum"]) == (3, 4)
        assert found["together"]["maximum"] == prompt + 4
        assert found["said"] == pytest.approx(7 / (2 * prompt + 7))
        assert (found["limit"], found["beyond"]) == (128, 0)
        shown = check(file, "--model", folder).stdout
        assert "0 of 2 rows are longer" in " ".join(shown.split())

    def test_rows_beyond_the_context_are_told(self, tmp_path):
        file = tmp_path / "rows.jsonl"
        file.write_text(
            json.dumps({"prompt": "cat " * 200, "response": "no .", "reward": 0}) + "\n" + self.ROWS
        )
        done = check(file, "--model", tiny_decoder(tmp_path / "decoder"))
        assert "positions for 128; 1 of 3 rows are longer" in " ".join(done.stdout.split())

    def test_a_model_without_limit_has_none(self, tmp_path):
        file = tmp_path / "rows.jsonl"
        file.write_text(self.ROWS)
        done = check(file, "--model", tiny_encoder_decoder(tmp_path / "t5"))
        assert "The model has no limit of its own" in " ".join(done.stdout.split())

    def test_a_missing_model_is_one_sentence(self, tmp_path):
        file = tmp_path / "rows.jsonl"
        file.write_text(self.ROWS)
        done = check(file, "--model", tmp_path / "nowhere")
        assert done.exit_code == 2
        assert done.stderr.count("\n") <= 3
