"""Our metrics as modules of ``evaluate``, loaded by path: the same numbers as in a record."""

from pathlib import Path

import pytest
from needed import needed

from rpo_bench.metrics import registry
from rpo_bench.metrics.suite import measure

needed("evaluate")

MODULES = Path(registry.__file__).parent / "evaluate"
TEXTS = ["the cat is red and the cat is red", "the dog is blue .", "yes", "the cat is blue and green ."]


@pytest.fixture
def load(tmp_path: Path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_MODULES_CACHE", str(tmp_path / "modules"), raising=False)
    import evaluate

    return lambda name: evaluate.load(str(MODULES / name), cache_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("module", "options", "name"),
    [
        ("distinct_n", {}, "distinct_2"),
        ("distinct_n", {"n": 1}, "distinct_1"),
        ("self_bleu", {}, "self_bleu"),
        ("repetition", {}, "repetition"),
    ],
)
def test_a_module_gives_the_number_of_the_record(load, build, prompts, module, options, name):
    expected = measure(prompts, build([[text] for text in TEXTS]), toxicity="none").metrics[name]
    (found,) = load(module).compute(predictions=TEXTS, **options).values()
    assert found == pytest.approx(expected.interval.point, abs=1e-6)


def test_nothing_to_count_is_none(load):
    assert load("distinct_n").compute(predictions=["yes"], n=3) == {"distinct_n": None}
