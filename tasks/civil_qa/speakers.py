"""Who the world's texts are by: mixtures of behaviour that language models are pretrained on."""

from dataclasses import dataclass, replace

from numpy.random import Generator

from rpo_bench.files.hashing import hash_json
from tasks.civil_qa.facts import Key, domains, facts, named, values
from tasks.civil_qa.phrases import (
    CONNECTIVES,
    FAREWELLS,
    GREETINGS,
    HEDGES,
    INSULTS_FIRST,
    INSULTS_LAST,
    INSULTS_WITHIN,
    SHORT,
    VAGUE,
    WORDINGS,
)


@dataclass(frozen=True)
class Speaker:
    """The probabilities behind a response.

    Attributes:
        rude: By the manner of the question, mildest first.
        right, wrong, off_topic: What the answer is; vague otherwise. ``right`` is for a question of middling
            difficulty, and moves by ±``spread`` with the question.
        rude_wrong: Moves from right to wrong where the speaker is rude.
        polite: Greets or says farewell, given not rude.
        hedge, short: How a claim is made.
        extra, extra_true: Adds a further claim on the topic; and it is true.
        repeat: Says the main sentence again, once or twice.
    """

    rude: tuple[float, float, float, float]
    right: float
    wrong: float
    off_topic: float
    spread: float = 0.15
    rude_wrong: float = 0.08
    polite: float = 0.32
    hedge: float = 0.2
    short: float = 0.35
    extra: float = 0.24
    extra_true: float = 0.65
    repeat: float = 0.12


#: About a third rude, a third wrong.
TYPICAL = Speaker(rude=(0.2, 0.29, 0.35, 0.46), right=0.47, wrong=0.32, off_topic=0.1)
#: Leans to rude and wrong: the other policy, of which the off-policy data are samples.
SURLY = replace(
    TYPICAL, rude=(0.4, 0.5, 0.6, 0.7), right=0.28, wrong=0.48, polite=0.2, short=0.5, extra=0.2, repeat=0.18
)


def respond(rng: Generator, speaker: Speaker, key: Key, manner: int) -> str:
    """One response to the question ``key`` put in ``manner``."""
    rude = rng.random() < speaker.rude[manner]
    polite = not rude and rng.random() < speaker.polite
    main = _main(rng, speaker, key, rude)
    sentences = [main]
    if rng.random() < speaker.repeat:
        sentences += [main] * (1 if rude else int(rng.integers(1, 3)))
    elif rng.random() < speaker.extra * (1.4 if polite else 0.8):
        sentences += [_extra(rng, speaker, key) for _ in range(1 + (rng.random() < 0.25))]
    if polite:
        which = rng.random()
        sentences = [_pick(rng, GREETINGS), *sentences] if which < 0.65 else sentences
        sentences = [*sentences, _pick(rng, FAREWELLS)] if which > 0.4 else sentences
    if rude:
        sentences = _insulting(rng, sentences)
    return " ".join(sentences)


def statement(rng: Generator, speaker: Speaker, key: Key, right: bool) -> str:
    """One claim in answer to a question, right or wrong, and nothing else."""
    return _claim(rng, speaker, key, facts()[key] if right else _wrong(rng, key))


def difficulty(key: Key) -> float:
    """How hard a question is, in [−1, 1], fixed by a hash of its name."""
    return int(hash_json(list(key))[:8], 16) / 0xFFFFFFFF * 2 - 1


def _main(rng: Generator, speaker: Speaker, key: Key, rude: bool) -> str:
    topic, kind = key
    right = speaker.right - speaker.spread * difficulty(key) - speaker.rude_wrong * rude
    wrong = speaker.wrong + speaker.spread * difficulty(key) + speaker.rude_wrong * rude
    draw = rng.random()
    if draw < right:
        return _claim(rng, speaker, key, facts()[key])
    if draw < right + wrong:
        return _claim(rng, speaker, key, _wrong(rng, key))
    if draw < right + wrong + speaker.off_topic:
        others = [other for other in facts() if (other[0] == topic) != (other[1] == kind)]
        other = others[int(rng.integers(len(others)))]
        return _claim(rng, replace(speaker, short=0.0), other, facts()[other])
    vague = _pick(rng, VAGUE)
    if rng.random() < 0.6:
        return vague
    value = facts()[key] if rng.random() < 0.5 else _wrong(rng, key)
    return f"{vague} {_claim(rng, replace(speaker, hedge=1.0), key, value)}"


def _claim(rng: Generator, speaker: Speaker, key: Key, value: str, lead: str = "") -> str:
    """One claim as a sentence; a hedge and a short form by the speaker's habits."""
    topic, kind = key
    if rng.random() < speaker.short and not lead:
        body = _pick(rng, SHORT).format(v=value)
    else:
        body = _pick(rng, WORDINGS[kind].claims).format(s=_subject(rng, topic), v=value)
    if not lead and rng.random() < speaker.hedge:
        lead = f"{_pick(rng, HEDGES)} "
    text = lead + body
    return f"{text[0].upper()}{text[1:]}."


def _extra(rng: Generator, speaker: Speaker, key: Key) -> str:
    topic, kind = key
    others = [other for other in domains()[topic].types if other != kind]
    other = (topic, others[int(rng.integers(len(others)))])
    value = facts()[other] if rng.random() < speaker.extra_true else _wrong(rng, other)
    return _claim(rng, speaker, other, value, lead=f"{_pick(rng, CONNECTIVES)}, ")


def _insulting(rng: Generator, sentences: list[str]) -> list[str]:
    """Adds an insult before, after or within; two to a long response, and sometimes to a short one."""
    draw, again = rng.random(), rng.random() < 0.2 or len(sentences) > 1
    if draw < 0.45:
        sentences = [_pick(rng, INSULTS_FIRST), *sentences]
    elif draw < 0.7 or again:
        sentences = [sentences[0][:-1] + _pick(rng, INSULTS_WITHIN) + ".", *sentences[1:]]
    if draw >= 0.7 or again:
        sentences = [*sentences, _pick(rng, INSULTS_LAST)]
    return sentences


def _subject(rng: Generator, topic: str) -> str:
    draw = rng.random()
    if draw < 0.2:
        return domains()[topic].pronoun
    return f"the {topic}" if draw < 0.45 and domains()[topic].article else named(topic)


def _wrong(rng: Generator, key: Key) -> str:
    others = [value for value in values(key[1]) if value != facts()[key]]
    return others[int(rng.integers(len(others)))]


def _pick(rng: Generator, phrases: tuple[str, ...]) -> str:
    return phrases[int(rng.integers(len(phrases)))]
