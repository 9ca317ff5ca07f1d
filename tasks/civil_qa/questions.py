"""The prompts of the world: every question about every topic, put in four ways."""

from functools import cache

from rpo_bench.data.row import Prompt
from tasks.civil_qa.facts import Key, facts, named
from tasks.civil_qa.phrases import MANNERS, WORDINGS


def ask(key: Key, manner: int) -> Prompt:
    """The question ``key`` put in the given manner (an index into ``MANNERS``)."""
    topic, kind = key
    subject, wording = named(topic), WORDINGS[kind]
    question, clause = wording.question.format(s=subject), wording.clause.format(s=subject)
    metadata = {"topic": topic, "type": kind, "answer": facts()[key], "manner": manner}
    name = f"{topic.lower()}-{kind}-{manner}"
    return Prompt(prompt_id=name, text=MANNERS[manner].format(q=question, c=clause), metadata=metadata)


@cache
def asked() -> dict[str, Key]:
    """What every prompt's text asks: text → (topic, type). 1,728 of them."""
    return {ask(key, manner).text: key for key in facts() for manner in range(len(MANNERS))}
