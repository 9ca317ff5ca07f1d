"""A reward or classifier that comes later is scored, not trained for again."""

import pytest

from rpo_bench.engine.scoring_advice import only_scoring
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import MethodSpec


def run(**evaluation):
    return RunSpec(task="t", models=("m",), methods=(MethodSpec(name="sft"),), evaluation=evaluation)


@pytest.mark.parametrize(
    ("differs", "later", "advice"),
    [
        (("evaluation.reward",), {"reward": "hf:rm"}, "--reward hf:rm --as reward"),
        (("the content of the task", "evaluation.reward"), {"reward": "hf:rm"}, "--reward hf:rm --as reward"),
        (("evaluation.toxicity",), {"toxicity": "none"}, "--toxicity none --overwrite"),
        (("evaluation.reward", "training.steps"), {"reward": "hf:rm"}, None),
        (("the content of the task",), {}, None),
        ((), {}, None),
    ],
)
def test_scoring_alone_is_told_from_another_run(differs, later, advice):
    there, here = dict.fromkeys(differs, 0), dict.fromkeys(differs, 1)
    assert only_scoring(run(), run(**later), there, here) == advice
