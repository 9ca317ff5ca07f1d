"""``rpo-bench leaderboard``: from stored results to the page, or to one sentence."""

import pytest
from results_factory import cell_spec, write_cell, write_world
from run_cli import invoke


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
    assert done.exit_code == 2
    assert "isn't the page of these results" in done.output


def test_a_broken_result_is_named_and_the_rest_go_on(output):
    folder = write_cell(output / "results", cell_spec("dro", 0.3))
    (folder / "result.json").write_text("{")
    done = invoke("leaderboard", output)
    assert done.exit_code == 0
    assert f"Left out: {folder}: result.json is not JSON" in done.output


@pytest.mark.parametrize("made", [True, False])
def test_nothing_to_show_is_one_sentence(tmp_path, made):
    folder = tmp_path / "empty"
    if made:
        folder.mkdir()
    done = invoke("leaderboard", folder)
    assert done.exit_code == 2
    assert done.output.strip().startswith(f"{folder}: there ")
    assert len(done.output.strip().splitlines()) == 1
