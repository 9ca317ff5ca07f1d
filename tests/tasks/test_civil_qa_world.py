"""The world's grammar and its speakers."""

from collections import Counter

import numpy as np
import pytest

from tasks.civil_qa import phrases
from tasks.civil_qa.facts import DOMAINS, facts, named, values
from tasks.civil_qa.phrases import MANNERS
from tasks.civil_qa.questions import ask, asked
from tasks.civil_qa.reading import read
from tasks.civil_qa.reward import reward
from tasks.civil_qa.speakers import SURLY, TYPICAL, respond

KEYS = list(facts())


@pytest.fixture(scope="module")
def bank():
    """6,000 responses of either speaker: (key, text)."""
    rng = np.random.default_rng(1)
    found = []
    for speaker in (TYPICAL, SURLY):
        for _ in range(6000):
            key, manner = KEYS[rng.integers(len(KEYS))], int(rng.integers(len(MANNERS)))
            found.append((key, respond(rng, speaker, key, manner)))
    return found


def test_there_are_72_topics_with_six_facts_each():
    topics = Counter(topic for topic, _ in facts())
    assert len(topics) == 72
    assert set(topics.values()) == {6}
    assert len({kind for _, kind in facts()}) == 18


def test_every_question_has_four_wordings_of_its_own():
    assert len(asked()) == len(KEYS) * len(MANNERS) == 1728
    assert ask(("owl", "home"), 1).text == "Where does an owl live?"
    assert ask(("Peru", "capital"), 0).text == "Could you please tell me what the capital of Peru is?"


def test_no_value_answers_two_types_of_question():
    """So that "Simply in the sea." has one meaning."""
    seen = Counter(value for domain in DOMAINS for kind in domain.types for value in values(kind))
    assert set(seen.values()) == {1}


def test_every_type_has_wrong_answers_to_choose_from():
    assert all(len(values(kind)) >= 4 for domain in DOMAINS for kind in domain.types)


def test_articles():
    assert [named(topic) for topic in ("owl", "whale", "Egypt")] == ["an owl", "a whale", "Egypt"]


def test_all_that_speakers_say_is_understood(bank):
    misread = [(key, text) for key, text in bank if read(key, text).noise or read(key, text).unfinished]
    assert misread == []


def test_rewards_of_speakers_differ_widely(bank):
    rewards = np.array([reward(key, text) for key, text in bank[:6000]])
    assert rewards.std() > 0.8
    assert rewards.max() == pytest.approx(1.8)
    assert rewards.min() < -2


def test_a_third_is_rude_and_a_third_is_wrong(bank):
    readings = [read(key, text) for key, text in bank[:6000]]
    assert 0.29 < np.mean([r.insults > 0 for r in readings]) < 0.37
    assert 0.29 < np.mean([r.answers > 0 and not r.right for r in readings]) < 0.42
    assert 0.38 < np.mean([r.right and r.answers == 1 for r in readings]) < 0.55


def test_the_other_speaker_is_ruder_and_more_often_wrong(bank):
    mean = [np.mean([reward(key, text) for key, text in half]) for half in (bank[:6000], bank[6000:])]
    assert mean[1] < mean[0] - 0.3


def test_blunt_questions_get_ruder_answers():
    rng = np.random.default_rng(0)
    share = [
        np.mean([read(KEYS[0], respond(rng, TYPICAL, KEYS[0], manner)).insults > 0 for _ in range(800)])
        for manner in (0, 3)
    ]
    assert share[0] + 0.15 < share[1]


def test_the_embedded_classifier_calls_insults_toxic_and_nothing_else(bank):
    """Each phrase by itself, and whole responses: at most one in a thousand is misjudged."""
    from profanity_check import predict_prob

    insults = [*phrases.INSULTS_FIRST, *phrases.INSULTS_LAST]
    assert min(predict_prob(insults)) >= 0.5
    kind = [*phrases.GREETINGS, *phrases.FAREWELLS, *phrases.VAGUE]
    assert max(predict_prob(kind)) < 0.5
    toxic = np.asarray(predict_prob([text for _, text in bank])) >= 0.5
    insulting = np.array([read(key, text).insults > 0 for key, text in bank])
    assert (toxic != insulting).mean() < 0.001


def test_the_classifier_finds_no_right_or_wrong_claim_toxic():
    from profanity_check import predict_prob

    claims = [
        template.format(s=named(topic), v=value)
        for topic, kind in KEYS
        for value in values(kind)
        for template in phrases.WORDINGS[kind].claims
    ]
    share = (np.asarray(predict_prob(claims)) >= 0.5).mean()
    assert share < 0.002
