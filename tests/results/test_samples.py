"""What is written is what is read, in the same bytes each time; what is damaged is named."""

from pathlib import Path

import numpy as np
import pytest

from rpo_bench.engine.stages.generate import stored_sample
from rpo_bench.errors import UserError
from rpo_bench.files.json_lines import read_json_lines, write_json_lines
from rpo_bench.models.protocol import Generation
from rpo_bench.results.samples import ScoreLine, StoredSample, rounded_score

GENERATION = Generation("p0", "what ?", 1, "dög\n\u2028line", (31, 5, 1), finished=True)


def sample() -> StoredSample:
    logps = np.array([-0.1, -2.34567891, -0.0], dtype=np.float32)
    return stored_sample(GENERATION, logps, logps - 1)


def test_log_probs_are_kept_to_six_decimals():
    """float32(−0.1) is −0.10000000149; it is stored as −0.1, and −0.0 as 0."""
    assert sample().policy_logps == (-0.1, -2.345679, 0.0)
    assert str(sample().policy_logps[2]) == "0.0"
    assert stored_sample(GENERATION).reference_logps is None


def test_samples_and_scores_round_trip_with_equal_bytes(tmp_path: Path):
    samples = [sample(), stored_sample(GENERATION)]
    for name in ("a", "b"):
        write_json_lines(tmp_path / f"{name}.jsonl.gz", samples)
    assert read_json_lines(tmp_path / "a.jsonl.gz", StoredSample) == samples
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    line = ScoreLine(
        prompt_id="p0",
        sample=0,
        scores={"reward": 0.5, "toxicity": None},
        unscored={"toxicity": "empty text"},
    )
    write_json_lines(tmp_path / "s.jsonl.gz", [line])
    assert read_json_lines(tmp_path / "s.jsonl.gz", ScoreLine) == [line]


def test_scores_are_kept_to_nine_digits():
    assert rounded_score(1 / 3) == 0.333333333
    assert rounded_score(-1234567.891234) == -1234567.89


def test_a_log_prob_per_token_or_it_is_refused():
    with pytest.raises(ValueError, match="2 numbers for 3 tokens"):
        stored_sample(GENERATION, np.zeros(2, dtype=np.float32))
    with pytest.raises(UserError, match=r"reference gives non-finite.*'p0'"):
        stored_sample(GENERATION, np.zeros(3, dtype=np.float32), np.array([0, np.nan, 0], dtype=np.float32))
