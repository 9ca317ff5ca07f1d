"""Diversity by hand, against sacreBLEU, and with intervals that cover."""

import math

import numpy as np
import pytest
import sacrebleu

from rpo_bench.data.words import ngrams, words
from rpo_bench.metrics.bleu import leave_one_out_bleu
from rpo_bench.metrics.diversity import (
    Distinct,
    DistinctWithin,
    NgramEntropy,
    SelfBleu,
    SelfBleuWithin,
    UniqueShare,
    UniqueShareWithin,
    diversity_metrics,
)
from rpo_bench.metrics.protocol import CorpusMetric, MetricContext, Unscored
from rpo_bench.stats.jackknife import jackknife_interval

WORDS = [f"w{i}" for i in range(40)]


def groups_of(samples: list) -> list[list]:
    names = dict.fromkeys(sample.prompt_id for sample in samples)
    return [[sample for sample in samples if sample.prompt_id == name] for name in names]


def random_texts(rng: np.random.Generator, prompts: int, samples: int, longest: int = 8) -> list[list[str]]:
    """Zipf-like words, each prompt with a favourite, as answers to a question have."""
    weights = 1 / np.arange(1, 41)
    weights /= weights.sum()
    found = []
    for _ in range(prompts):
        own = str(rng.choice(WORDS))
        lengths = rng.integers(1, longest + 1, size=samples)
        found.append([" ".join([own, *rng.choice(WORDS, size=n, p=weights)]) for n in lengths])
    return found


def test_words_are_lower_cased_and_punctuation_counts():
    assert words("Don't  STOP, it’s 2 late!") == ["don't", "stop", ",", "it’s", "2", "late", "!"]
    assert words("Été 東京") == ["été", "東", "京"]
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert ngrams(["a"], 2) == []


def test_distinct_n_by_hand(build):
    """ "a b a b", "a b c": bigrams ab ba ab | ab bc: 3 kinds of 5. Unigrams a b c: 3 of 7."""
    groups = groups_of(build([["a b a b"], ["a b c"]]))
    assert Distinct(1).compute(groups) == pytest.approx(3 / 7)
    assert Distinct(2).compute(groups) == pytest.approx(3 / 5)
    assert Distinct(3).compute(groups) == pytest.approx(3 / 3)
    assert DistinctWithin(2).compute(groups_of(build([["a b a b", "a b c"]]))[0]) == pytest.approx(3 / 5)


def test_unique_share_ignores_case_and_spacing(build):
    samples = build([["A  cat", "a cat"], ["a dog", "a cat"]])
    assert UniqueShare().compute(groups_of(samples)) == pytest.approx(2 / 4)
    assert [UniqueShareWithin().compute(group) for group in groups_of(samples)] == [0.5, 1.0]


def test_entropy_by_hand(build):
    """Bigrams ab ×3 and bc ×1: H = log 4 − (3 log 3)/4 = .5623 nats; all alike: 0."""
    assert NgramEntropy().compute(groups_of(build([["a b c"], ["a b", "a b"]]))) == pytest.approx(
        0.56234, abs=1e-5
    )
    assert NgramEntropy().compute(groups_of(build([["a b"], ["a b"]]))) == 0


def test_leaving_a_prompt_out_is_computing_without_it(build):
    rng = np.random.default_rng(0)
    groups = groups_of(build([*random_texts(rng, 12, 3), ["", ""]]))
    for metric in (Distinct(1), Distinct(2), Distinct(3), UniqueShare(), NgramEntropy()):
        np.testing.assert_allclose(
            metric.left_out(groups), CorpusMetric.left_out(metric, groups), err_msg=metric.name
        )


@pytest.mark.parametrize(
    "metric", [Distinct(2), NgramEntropy(), UniqueShare()], ids=lambda metric: metric.name
)
def test_the_jackknifes_interval_covers_where_the_bootstraps_would_not(build, metric: CorpusMetric):
    """The truth is the mean over many corpora of the same size. A bootstrap's resamples repeat a third of
    the prompts, so that all of them are less diverse than any corpus."""
    rng = np.random.default_rng(1)
    longest = 1 if metric.name == "unique_share" else 8  # longer texts hardly ever repeat
    corpora = [groups_of(build(random_texts(rng, 30, 3, longest))) for _ in range(120)]
    points = [metric.compute(groups) for groups in corpora]
    truth = float(np.mean(points))
    found = [
        jackknife_interval(point, metric.left_out(groups))
        for point, groups in zip(points, corpora, strict=True)
    ]
    assert 0.88 <= np.mean([interval.low <= truth <= interval.high for interval in found]) <= 1
    spread = np.mean([interval.high - interval.low for interval in found]) / 2 / 2.05
    assert spread == pytest.approx(np.std(points), rel=0.35)
    resampled = [[corpora[0][i] for i in rng.integers(0, 30, 30)] for _ in range(200)]
    assert np.quantile([metric.compute(groups) for groups in resampled], 0.975) < points[0]


def test_texts_that_are_all_different_have_a_bound_and_not_one_plus_minus_zero(build):
    groups = groups_of(build([[f"text {i}"] for i in range(40)]))
    interval = jackknife_interval(1.0, UniqueShare().left_out(groups), bounds=UniqueShare.bounds)
    assert (interval.high, interval.method) == (1.0, "rule-of-three")
    assert interval.low == pytest.approx(0.05 ** (1 / 40))


def test_self_bleu_is_sacrebleus_sentence_bleu_against_the_others():
    rng = np.random.default_rng(2)
    texts = [text.split() for group in random_texts(rng, 12, 2) for text in group]
    texts += [["w0"], ["w0", "w1"], ["nothing", "alike"], texts[0], texts[0]]
    ours = leave_one_out_bleu(texts)
    for index, text in enumerate(texts):
        others = [" ".join(other) for place, other in enumerate(texts) if place != index]
        theirs = sacrebleu.sentence_bleu(" ".join(text), others, tokenize="none", use_effective_order=True)
        assert 100 * ours[index] == pytest.approx(theirs.score, abs=1e-9), text
    assert ours[-1] == pytest.approx(1)
    assert ours[-3] == 0


def test_self_bleu_within_looks_at_one_prompt_only(build):
    samples = build([["a b c d", "a b c d"], ["e f g h", "i j k l"]])
    assert SelfBleuWithin().score([], samples) == pytest.approx([1, 1, 0, 0])
    assert SelfBleu().score([], samples) == pytest.approx([1, 1, 0, 0])
    crossed = build([["a b c d", "e f g h"], ["a b c d", "e f g h"]])
    assert SelfBleuWithin().score([], crossed) == pytest.approx([0, 0, 0, 0])
    assert SelfBleu().score([], crossed) == pytest.approx([1, 1, 1, 1])


def test_what_cannot_be_said_is_unscored(build):
    one = build([["a b"], ["c d"]])
    assert SelfBleuWithin().score([], one) == [Unscored("one sample per prompt")] * 2
    assert DistinctWithin(1).compute(one[:1]) == Unscored("one sample per prompt")
    empty = build([["", " "]])
    assert Distinct(1).compute([empty]) == Unscored("no words")
    assert DistinctWithin(1).compute(empty) == Unscored("no words")
    assert NgramEntropy().compute([empty]) == Unscored("no words")
    assert SelfBleu().score([], empty) == [Unscored("no words")] * 2
    assert SelfBleu().score([], build([["a"]])) == [Unscored("no other response")]
    assert math.isnan(NgramEntropy().left_out([one[:1]])[0])


def test_the_family_has_both_levels_under_different_names():
    names = [metric.name for metric in diversity_metrics(MetricContext())]
    assert len(set(names)) == len(names)
    assert {"distinct_2", "distinct_2_within", "self_bleu", "self_bleu_within", "unique_share"} <= set(names)
