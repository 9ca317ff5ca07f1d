"""Metrics of lm-eval's numbers, and the tax by hand."""

import pytest
from needed import needed

from rpo_bench.lm_eval.schema import PARTS, DocScore, Measured
from rpo_bench.lm_eval.values import alignment_tax, harness_metrics

needed("lm_eval", "lm-eval isn't installed")


def docs(scores: list[float], metric: str = "acc") -> list[DocScore]:
    return [
        DocScore(task="t", metric=metric, doc_id=i, doc_hash=f"h{i}", score=score)
        for i, score in enumerate(scores)
    ]


def measured(scores: list[float], metric: str = "acc", better: bool | None = True, **more: float) -> Measured:
    results = {
        "alias": "t",
        f"{metric},none": sum(scores) / len(scores),
        f"{metric}_stderr,none": 0.1,
        **more,
    }
    parts = {part: {"t": None} for part in PARTS} | {
        "results": {"t": results},
        "versions": {"t": 2},
        "n-shot": {"t": 0},
        "higher_is_better": {"t": {metric: better}},
        "n-samples": {"t": {"original": 99, "effective": len(scores)}},
    }
    return Measured(parts=parts, docs=tuple(docs(scores, metric)))


def test_a_share_has_wilsons_interval_over_documents():
    found = harness_metrics(measured([1.0] * 6 + [0.0] * 4), "id")
    assert set(found) == {"lm_eval/t/acc"}, "a standard error is no metric"
    value = found["lm_eval/t/acc"]
    assert (value.interval.point, value.interval.method, value.interval.n) == (0.6, "wilson", 10)
    assert value.interval.levels == ("documents",)
    assert (value.unit, value.higher_is_better, value.scored) == ("share", True, 10)
    assert "t version 2, 0 examples" in value.backend


def test_a_number_that_is_no_mean_over_documents_has_no_interval():
    value = harness_metrics(measured([1.0, 0.0], **{"bleu,none": 31.4}), "id")["lm_eval/t/bleu"]
    assert (value.interval.point, value.interval.low) == (31.4, None)


def test_the_tax_is_the_paired_loss_whichever_way_is_better():
    """Before 1 1 1 0, after 0 1 1 1: one document lost, one gained; perplexity 3 → 5 is a loss of 2."""
    after = measured([0.0, 1.0, 1.0, 1.0])
    found = alignment_tax(docs([1.0, 1.0, 1.0, 0.0]), after.docs, harness_metrics(after, "id"), "id")
    value = found["alignment_tax/t/acc"]
    assert (value.interval.point, value.interval.method, value.interval.n) == (0.0, "bootstrap", 4)
    assert value.interval.low < 0 < value.interval.high
    assert value.higher_is_better is False
    worse = measured([5.0, 7.0], "ppl", better=False)
    found = alignment_tax(docs([3.0, 4.0], "ppl"), worse.docs, harness_metrics(worse, "id"), "id")
    assert found["alignment_tax/t/ppl"].interval.point == pytest.approx(2.5)


def test_only_the_same_documents_are_paired_and_equal_differences_have_no_interval():
    after = measured([0.0, 0.0, 1.0])
    before = [*docs([1.0, 1.0]), DocScore(task="t", metric="acc", doc_id=2, doc_hash="other", score=1.0)]
    value = alignment_tax(before, after.docs, harness_metrics(after, "id"), "id")["alignment_tax/t/acc"]
    assert (value.interval.point, value.interval.low, value.scored) == (1.0, None, 2)
    assert value.unscored == {"the base model has no score of the document": 1}


def test_pairing_is_tighter_than_the_difference_of_two_shares():
    """200 documents, 100 right before; five of those are lost: 0.025 ± 0.02, not ± 0.1."""
    before = [1.0] * 100 + [0.0] * 100
    after = measured([0.0] * 5 + before[5:])
    value = alignment_tax(docs(before), after.docs, harness_metrics(after, "id"), "id")["alignment_tax/t/acc"]
    assert value.interval.point == pytest.approx(0.025)
    assert value.interval.high - value.interval.low < 0.05
    assert value.interval.low > 0
