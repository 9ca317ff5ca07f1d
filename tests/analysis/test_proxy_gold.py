"""Where gold turns down while the proxy rises, out of stored results."""

import numpy as np
import pytest
from results_factory import PROMPTS, cell_spec, write_cell
from run_cli import invoke

from rpo_bench.analysis.proxy_gold import proxy_gold_report
from rpo_bench.errors import UserError
from rpo_bench.files.json_lines import write_json_lines
from rpo_bench.results.samples import ScoreLine


def write_scores(folder, kl, proxy, gold, seed):
    """One sample per prompt around these means, which they have exactly."""
    rng = np.random.default_rng([seed, round(1000 * kl)])
    noise = rng.normal(0, 0.05, (3, PROMPTS))
    noise -= noise.mean(1, keepdims=True)
    lines = [
        ScoreLine(
            prompt_id=f"p{p:03}",
            sample=0,
            scores={
                "kl": kl + noise[0, p],
                "proxy_reward": proxy + noise[1, p],
                "reward": gold + noise[2, p],
            },
        )
        for p in range(PROMPTS)
    ]
    write_json_lines(folder / "scores.jsonl.gz", lines)


@pytest.fixture
def results(tmp_path):
    """KL 0.25, 1, 4 (d = ½, 1, 2): proxy gains d; gold gains d(2 − d), largest at d = 1 with 1, none at 2."""
    root = tmp_path / "results"
    write_scores(write_cell(root, cell_spec("reference", None)), 0.0, 0.1, -0.2, 9)
    for seed in (0, 1, 2):
        for strength, d in ((1.0, 0.5), (0.3, 1.0), (0.1, 2.0)):
            folder = write_cell(root, cell_spec("rpo", strength, seed))
            write_scores(folder, d**2, 0.1 + d, -0.2 + d * (2 - d), seed)
    return root


def test_the_peak_the_decline_and_the_gap_are_found(results):
    """Peak at KL 1; decline 1 − 0; proxy less gold at d = 2: 2 − 0."""
    (row,) = proxy_gold_report([results]).rows
    assert (row.method, row.strengths, row.seeds) == ("rpo", 3, 3)
    assert row.peak_kl.point == pytest.approx(1.0, abs=1e-6)
    assert row.decline.point == pytest.approx(1.0, abs=1e-6)
    assert row.gap.point == pytest.approx(2.0, abs=1e-6)
    assert row.furthest_kl == pytest.approx(4.0, abs=1e-6)
    assert row.peaked == 1.0
    assert row.peak_kl.low < 1 < row.peak_kl.high


def test_a_seed_that_lacks_a_strength_is_left_out(results):
    (lost,) = results.glob("**/rpo-0.1-2-*")
    (lost / "result.json").unlink()
    report = proxy_gold_report([results])
    assert report.rows[0].seeds == 2
    assert any("can't be used" in note for note in report.notes)


def test_the_verb_prints_a_table_and_json(results):
    done = invoke("overoptimisation", results)
    assert done.exit_code == 0, done.output
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("rpo")]
    assert line.split()[1:4] == ["3", "3", "4.00"]
    assert "100%" in line
    assert '"peak_kl"' in invoke("overoptimisation", results, "--json").stdout


def test_without_a_proxy_there_is_nothing_to_tell(tmp_path):
    write_cell(tmp_path, cell_spec("reference", None))
    write_cell(tmp_path, cell_spec("rpo", 0.3))
    with pytest.raises(UserError, match="no method has a gold and a proxy reward at two strengths"):
        proxy_gold_report([tmp_path])
