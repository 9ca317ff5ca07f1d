"""``rpo-bench base`` from the outside: what it makes, prints and refuses."""

import json

import pytest

from rpo_bench.cli.main import main

SMALL = ["--hidden-size", "16", "--layers", "1", "--steps", "3", "--batch-size", "4"]


@pytest.fixture
def rows(tmp_path):
    file = tmp_path / "rows.jsonl"
    lines = [{"prompt": f"Say {i}", "response": f"{i} it is", "reward": i % 3} for i in range(40)]
    file.write_text("\n".join(map(json.dumps, lines)))
    return file


def run(monkeypatch, *arguments):
    monkeypatch.setattr("sys.argv", ["rpo-bench", "base", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.mark.parametrize("arch", ["decoder", "encoder-decoder"])
def test_a_model_folder_is_made(arch, rows, tmp_path, monkeypatch, capsys):
    out = tmp_path / "model"
    assert run(monkeypatch, "--data", rows, "--arch", arch, "--out", out, *SMALL) in (0, None)
    printed = capsys.readouterr()
    assert "held-out perplexity" in printed.out
    assert printed.err == ""
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {file.name for file in out.iterdir()}


def test_a_folder_that_is_no_model_is_left_alone(rows, tmp_path, monkeypatch, capsys):
    precious = tmp_path / "thesis"
    precious.mkdir()
    (precious / "chapter1.tex").write_text("…")
    assert run(monkeypatch, "--data", rows, "--out", precious, "--overwrite", *SMALL) == 2
    assert "exists and is not a model folder" in capsys.readouterr().err
    assert (precious / "chapter1.tex").exists()


def test_a_model_is_replaced_only_when_asked(rows, tmp_path, monkeypatch, capsys):
    out = tmp_path / "model"
    command = ["--data", rows, "--out", out, *SMALL]
    run(monkeypatch, *command)
    before = (out / "model.safetensors").read_bytes()
    assert run(monkeypatch, *command, "--seed", "1") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert (out / "model.safetensors").read_bytes() == before
    assert run(monkeypatch, *command, "--seed", "1", "--overwrite") in (0, None)
    assert (out / "model.safetensors").read_bytes() != before


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--hidden-size", "40", "--heads", "3"], "--hidden-size 40"),
        (["--vocab-size", "100"], "--vocab-size 100 is too small"),
        (["--learning-rate", "nan"], "'--learning-rate': it isn't a finite number"),
        (["--heldout-fraction", "1.5"], "--heldout-fraction 1.5"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(arguments, sentence, rows, tmp_path, monkeypatch, capsys):
    out = tmp_path / "model"
    assert run(monkeypatch, "--data", rows, "--out", out, *SMALL, *arguments) == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert "Traceback" not in error
    assert not out.exists()


def test_a_missing_file_is_named(tmp_path, monkeypatch, capsys):
    assert run(monkeypatch, "--data", tmp_path / "nowhere.txt", "--out", tmp_path / "model") == 2
    assert "nowhere.txt" in capsys.readouterr().err
