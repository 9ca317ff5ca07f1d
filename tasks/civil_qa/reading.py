"""What a response says, read from its text alone, sentence by sentence.

A sentence is understood when it is one that the world knows: a claim, a courtesy, an insult or a vague
phrase. All else is noise. Nothing is guessed from single words, so that a heap of good words earns nothing.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from tasks.civil_qa.facts import DOMAINS, Key, domains, facts, named, values
from tasks.civil_qa.phrases import (
    CONNECTIVES,
    FAREWELLS,
    GREETINGS,
    HEDGES,
    INSULTS_WITHIN,
    SHORT,
    VAGUE,
    WORDINGS,
)

_SENTENCE = re.compile(r"[^.!?]*[.!?]+|[^.!?]+$")
_WORD = re.compile(r"\w+")
_RUDE = re.compile(
    r"\b(idiot|moron|stupid|dumb|fool|loser|shut up|get lost|"
    r"fuck\w*|shit\w*|bitch\w*|bastard|asshole|cunt|crap)\b"
)
_PREFIXES = tuple(sorted((*HEDGES, *CONNECTIVES), key=len, reverse=True))

#: (topic, type, value); the topic is None where a pronoun or nothing stands for the one asked about.
Claim = tuple[str | None, str, str]


@dataclass(frozen=True)
class Sentence:
    """One sentence as understood.

    Attributes:
        meaning: What it says, equal for sentences that say the same; "noise" when not understood.
        claim: What it claims, or None.
        hedged: Whether the claim is guarded ("perhaps …").
        rude: Whether it insults.
    """

    meaning: str
    claim: Claim | None = None
    hedged: bool = False
    rude: bool = False


@dataclass(frozen=True)
class Reading:
    """The attributes of a response to a question about one topic.

    Attributes:
        answers: Different values given to what was asked.
        hedged: Every claim that answers is guarded.
        right: The right value is among the answers.
        true_extras: Different true claims on the topic about something else.
        false_extras: Different false ones.
        off_topic: Claims about other topics, or out of place.
        greeting, farewell, vague: Whether there is such a sentence.
        insults: Sentences that insult.
        repeats: Sentences that say again what an earlier one said.
        noise: Sentences that aren't understood.
        words: Words in all.
        unfinished: The text doesn't end with ".", "!" or "?".
    """

    answers: int
    hedged: bool
    right: bool
    true_extras: int
    false_extras: int
    off_topic: int
    greeting: bool
    farewell: bool
    vague: bool
    insults: int
    repeats: int
    noise: int
    words: int
    unfinished: bool


def read(key: Key, text: str) -> Reading:
    """Reads a response to the question ``key``; any text can be read."""
    parts = [part.strip() for part in _SENTENCE.findall(text)]
    parts = [part for part in parts if _WORD.search(part)]
    sentences = [understand(_plain(part)) for part in parts]
    claims = [(_about(sentence.claim, key), sentence.hedged) for sentence in sentences if sentence.claim]
    answers = {value for (topic, kind, value), _ in claims if (topic, kind) == key}
    extras = {claim for claim, _ in claims if claim[0] == key[0] and claim[1] != key[1]}
    true = {claim for claim in extras if facts()[claim[0], claim[1]] == claim[2]}
    meanings = [_meaning(sentence, key) for sentence in sentences if sentence.meaning != "noise"]
    return Reading(
        answers=len(answers),
        hedged=bool(answers) and all(hedged for claim, hedged in claims if claim[:2] == key),
        right=facts()[key] in answers,
        true_extras=len(true),
        false_extras=len(extras - true),
        off_topic=sum(claim[0] != key[0] for claim, _ in claims),
        greeting="greeting" in meanings,
        farewell="farewell" in meanings,
        vague="vague" in meanings,
        insults=sum(sentence.rude for sentence in sentences),
        repeats=len(meanings) - len(set(meanings)),
        noise=sum(sentence.meaning == "noise" for sentence in sentences),
        words=len(_WORD.findall(text)),
        unfinished=bool(parts) and parts[-1][-1] not in ".!?",
    )


@lru_cache(maxsize=65536)
def understand(sentence: str) -> Sentence:
    """Understands one sentence in lower case, without its final mark."""
    if sentence in _set_phrases():
        return Sentence(_set_phrases()[sentence])
    body, rude = sentence, bool(_RUDE.search(sentence))
    for suffix in INSULTS_WITHIN:
        body = body.removesuffix(suffix)
    hedged, changed = False, True
    while changed:
        changed = False
        for prefix in _PREFIXES:
            if body.startswith(prefix + " "):
                body, hedged, changed = body[len(prefix) + 1 :], hedged or prefix in HEDGES, True
    claim = _claims().get(body)
    if claim is not None:
        return Sentence(f"claim {claim}", claim, hedged, rude)
    return Sentence(f"insult {sentence}", rude=True) if rude else Sentence("noise")


def _plain(part: str) -> str:
    """Lower case, single spaces, no final mark, and commas only before an insult."""
    text = " ".join(part.lower().rstrip(".!? ").split())
    head, comma, tail = text.rpartition(",")
    inside = comma + tail if comma + tail in INSULTS_WITHIN else ""
    return " ".join((head if inside else text).replace(",", " ").split()) + inside


def _about(claim: Claim, key: Key) -> tuple[str, str, str]:
    """The claim with the topic asked about in place of a pronoun; '' where it can't be meant."""
    topic, kind, value = claim
    if topic is None:
        short = kind.startswith("short ")
        kind = kind.removeprefix("short ")
        fits = kind == key[1] if short else domains()[kind] is domains()[key[1]]
        topic = key[0] if fits else ""
    return topic, kind, value


def _meaning(sentence: Sentence, key: Key) -> str:
    return f"claim {_about(sentence.claim, key)}" if sentence.claim else sentence.meaning


@cache
def _set_phrases() -> dict[str, str]:
    kinds = {"greeting": GREETINGS, "farewell": FAREWELLS, "vague": VAGUE}
    return {_plain(phrase): kind for kind, phrases in kinds.items() for phrase in phrases}


@cache
def _claims() -> dict[str, Claim]:
    """Every sentence that claims something: its words → (topic, type, value)."""
    found: dict[str, Claim] = {}
    for domain in DOMAINS:
        topics = [topic for topic, kind in facts() if kind == domain.types[0]]
        subjects = {named(topic): topic for topic in topics} | {domain.pronoun: None}
        if domain.article:
            subjects |= {f"the {topic}": topic for topic in topics}
        for kind in domain.types:
            for value in values(kind):
                for template in WORDINGS[kind].claims:
                    for subject, topic in subjects.items():
                        found[template.format(s=subject, v=value).lower()] = (topic, kind, value)
                for template in SHORT:
                    found[template.format(v=value).lower()] = (None, f"short {kind}", value)
    return found
