"""``rpo-bench leaderboard``: from stored results to the page, or to one sentence."""

import json
import signal
import socket
from urllib.request import urlopen

import pytest
from results_factory import cell_spec, write_cell, write_world
from run_cli import invoke, spawn

from rpo_bench.files.hashing import hash_json


@pytest.fixture
def output(tmp_path):
    """What a run leaves: results below its output folder."""
    write_world(tmp_path / "run" / "results", ["rpo", "kto"], seeds=2, strengths=(0.3,))
    return tmp_path / "run"


def test_the_page_goes_where_the_run_would_put_it_and_the_table_is_printed(output):
    done = invoke("leaderboard", output)
    assert done.exit_code == 0
    assert (output / "leaderboard" / "index.html").is_file()
    assert "nats of KL" in done.stdout
    assert done.stdout.splitlines()[-1] == f"Page: {output / 'leaderboard' / 'index.html'}"


def test_a_results_folder_and_an_output_path_can_be_named(output, tmp_path):
    assert invoke("leaderboard", output / "results").exit_code == 0
    assert (output / "leaderboard" / "index.html").is_file()
    assert invoke("leaderboard", output, "--output-path", tmp_path / "site").exit_code == 0
    assert (tmp_path / "site" / "index.html").is_file()


def test_results_of_two_runs_make_one_board(output, tmp_path):
    write_world(tmp_path / "other" / "results", ["dro"], seeds=2, strengths=(0.3,))
    done = invoke("leaderboard", output, tmp_path / "other", "--output-path", tmp_path / "site")
    assert all(name in done.stdout for name in ("rpo", "kto", "dro"))


def test_check_tells_an_old_page_by_its_exit_code(output):
    invoke("leaderboard", output)
    assert invoke("leaderboard", output, "--check").exit_code == 0
    write_cell(output / "results", cell_spec("dro", 0.3))
    done = invoke("leaderboard", output, "--check")
    assert done.exit_code == 1
    assert "is out of date: rebuild it without --check" in done.output


def test_a_broken_result_is_named_and_the_rest_go_on(output):
    folder = write_cell(output / "results", cell_spec("dro", 0.3))
    (folder / "result.json").write_text("{")
    done = invoke("leaderboard", output)
    assert done.exit_code == 0
    assert f"Left out: {folder}: result.json is not JSON" in done.output


def spoil(output):
    """A record cut short, one of another program, of a newer version, of an earlier one, and a lost one."""
    root = output / "results"
    folders = {name: write_cell(root, cell_spec("dro", 0.3, seed)) for seed, name in enumerate(KINDS)}
    files = {name: folder / "result.json" for name, folder in folders.items()}
    files["damaged"].write_text(files["damaged"].read_text()[:200])
    files["foreign"].write_text('{"results": {"hellaswag": 0.3}}')
    files["newer"].write_text(
        files["newer"].read_text().replace('"schema_version": 1', '"schema_version": 9')
    )
    files["unfinished"].unlink()
    old = json.loads(files["older"].read_text())
    del old["spec"]["data"]["variant"]  # as before that setting existed
    identity = {key: value for key, value in old["spec"].items() if key != "model_path"}
    for group, left_out in (("data", "file"), ("training", "reward")):
        identity[group] = {key: value for key, value in old["spec"][group].items() if key != left_out}
    files["older"].write_text(json.dumps(old | {"cell": hash_json(identity)}))
    return folders


KINDS = ("damaged", "foreign", "newer", "unfinished", "older")
COUNTED = "4 left out (1 damaged, 1 unfinished, 1 of another program, 1 of a newer version)"
AGED = "1 record of an earlier version, upgraded"


def test_whatever_is_wrong_is_named_and_counted_and_the_rest_published(output):
    folders = spoil(output)
    done = invoke("leaderboard", output)
    page = (output / "leaderboard" / "index.html").read_text()
    assert done.exit_code == 0
    assert f"6 checkpoints shown, {COUNTED}." in done.output
    assert AGED in done.output
    assert COUNTED in page
    assert AGED in page
    for name, folder in folders.items():
        assert (f"Left out: {folder}" in done.output) is (name != "older")
        assert (f"<code>{folder.relative_to(output).as_posix()}</code>" in page) is (name != "older")
    assert "dro" in done.stdout  # the upgraded one


def test_contributed_rows_are_marked_in_the_table_and_told_in_the_footer(output):
    for seed in (0, 1):
        write_cell(output / "results" / "community" / "ada", cell_spec("mine", 0.3, seed))
    done = invoke("leaderboard", output)
    page = (output / "leaderboard" / "index.html").read_text()
    assert "mine (community: ada)" in done.stdout
    assert '<span class="ink">mine (community: ada)</span>' in page
    assert "that the project did not rerun: 2 checkpoints by ada." in page.split("<footer>")[1]


def test_check_names_what_is_broken_and_writes_nothing(output):
    folders = spoil(output)
    done = invoke("leaderboard", output, "--check")
    assert done.exit_code == 1
    assert all(f"Left out: {folders[name]}" in done.output for name in KINDS[:4])
    assert done.stderr.startswith("Check failed: ")
    assert not (output / "leaderboard").exists()


def test_check_and_serve_do_not_go_together(output):
    assert invoke("leaderboard", output, "--check", "--serve").exit_code == 2


def test_a_port_in_use_is_one_sentence_and_nothing_is_built(output):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = invoke("leaderboard", output, "--serve", "--port", taken.getsockname()[1])
    assert done.exit_code == 2
    assert "is in use: choose another with --port" in done.output
    assert not (output / "leaderboard").exists()


def test_serve_shows_the_page_until_ctrl_c(output):
    with spawn("leaderboard", output, "--serve", "--port", 0) as process:
        line = next(line for line in process.stdout if line.startswith("Open http://127.0.0.1:"))
        with urlopen(line.split()[1], timeout=10) as answer:
            assert answer.read() == (output / "leaderboard" / "index.html").read_bytes()
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
        assert process.wait(10) == 0
    assert said.strip() == "Stopped."


@pytest.mark.parametrize("made", [True, False])
def test_nothing_to_show_is_one_sentence(tmp_path, made):
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    done = invoke("leaderboard", folder)
    assert done.exit_code == 2
    assert done.output.strip().startswith(f"{folder}: there ")
    assert len(done.output.strip().splitlines()) == 1
