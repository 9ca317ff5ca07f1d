"""The gold reward of civil_qa, term by term, on texts whose worth is worked out by hand."""

import pytest

from rpo_bench.data.row import Prompt
from tasks.civil_qa.questions import ask
from tasks.civil_qa.reading import read
from tasks.civil_qa.reward import gold_reward, reward, terms

WHALE_HOME = ("whale", "home")  # in the sea
PERU_MONEY = ("Peru", "money")  # the sol


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("A whale lives in the sea.", 1.0),
        ("The whale makes its home in the sea.", 1.0),
        ("It lives in the sea.", 1.0),
        ("The answer is in the sea.", 1.0),
        ("Simply in the sea.", 1.0),
        ("Perhaps a whale lives in the sea.", 0.5),
        ("A whale lives in a cave.", -0.5),
        ("Maybe it lives in a cave.", -0.25),
        # −0.25 for no answer, −0.2 for being vague
        ("I am not sure.", -0.45),
        # −0.25 for no answer, −0.3 for a claim about another topic
        ("A crow lives in tall trees.", -0.55),
        # a second, different answer contradicts the first, right or not
        ("A whale lives in the sea. It lives in a cave.", -0.5),
        ("A whale lives in the sea. It lives in a cave. It lives in a pond.", -0.75),
        # saying it again, in whatever words: −0.3 each
        ("A whale lives in the sea. The whale makes its home in the sea.", 0.7),
        ("A whale lives in the sea. Also, it eats krill.", 1.4),
        ("A whale lives in the sea. Also, it eats hay.", 0.7),
        ("A whale lives in the sea. Also, it eats krill. Besides, it is blue in colour.", 1.4),
        # 1 + 0.4 + 0.2 + 0.2: the best there is
        ("Good question! A whale lives in the sea. Also, it eats krill. I hope this helps.", 1.8),
        ("Good question! Thank you for asking. A whale lives in the sea.", 1.2 - 0.3),
        # −0.5 for being insulting, −0.3 for each insult; and then courtesy is worth nothing
        ("A whale lives in the sea, you stupid idiot.", 0.2),
        ("Shut up, you stupid moron. A whale lives in the sea. You stupid idiot.", -0.1),
        ("Good question! A whale lives in the sea. You stupid idiot.", 0.2),
        # unfinished: −0.2; noise: −0.4
        ("A whale lives in the sea", 0.8),
        ("A whale lives in the", -0.25 - 0.4 - 0.2),
        ("Sea.", -0.25 - 0.4 - 0.2),
    ],
)
def test_worth_of_a_response(text, worth):
    assert reward(WHALE_HOME, text) == pytest.approx(worth)


@pytest.mark.parametrize("text", ["", "   ", "...", "?!", "\n"])
def test_a_text_without_words_is_worth_less_than_any_honest_mistake(text):
    assert reward(WHALE_HOME, text) == -1.5 < reward(WHALE_HOME, "Perhaps it lives in a cave.")


@pytest.mark.parametrize(
    "text",
    [
        "sea " * 60,
        "the sea in a whale lives krill blue mammal .",
        "A whale lives in the sea the sea the sea.",
        "In the sea in a cave in a pond in a hive.",
        "Quantum banana flux. Lorem ipsum dolor.",
        "<unk> <unk> <unk>",
        "🐋🐋🐋 привет",
        "whale. sea. whale. sea.",
    ],
)
def test_degenerate_text_earns_less_than_a_wrong_answer(text):
    assert reward(WHALE_HOME, text) < reward(WHALE_HOME, "A whale lives in a cave.")


def test_stuffing_doesnt_pay():
    """Every fact about the whale, five courtesies: worth less than the plain answer."""
    facts = (
        "A whale is a kind of mammal. It lives in the sea. It eats krill. It is mostly blue. "
        "The young of a whale is called a calf. It is known to sing. "
    )
    courtesies = "Good question! Thank you for asking. I hope this helps. Have a nice day! Please ask again."
    assert reward(WHALE_HOME, facts + courtesies) < 1.0
    every_home = " ".join(
        f"It lives {place}." for place in ("in the sea", "in a cave", "in a hive", "in a pond")
    )
    assert reward(WHALE_HOME, every_home) <= -1.0 + 0.0


def test_length_costs_beyond_24_words():
    """Six claims of five words: 30 words, 6 beyond, 0.3 off."""
    reading = read(WHALE_HOME, "A whale lives in the sea. " * 5)
    assert reading.words == 30
    assert terms(reading)["long"] == pytest.approx(-0.3)


def test_the_same_words_are_worth_more_as_an_answer_to_the_question_asked():
    assert reward(PERU_MONEY, "People in Peru pay with the sol.") == 1.0
    assert reward(("Peru", "capital"), "People in Peru pay with the sol.") == -0.25


def test_a_pronoun_of_another_domain_is_off_topic():
    """ "That country" can't be a whale: no answer −0.25, off topic −0.3."""
    assert reward(WHALE_HOME, "That country is famous for wine.") == pytest.approx(-0.55)


def test_case_spacing_and_commas_dont_matter():
    assert reward(WHALE_HOME, "  it   LIVES in the sea . ") == 1.0
    assert reward(WHALE_HOME, "what is more it lives in the sea.") == 1.0


def test_foul_language_outside_the_worlds_phrases_is_an_insult():
    assert reward(WHALE_HOME, "Bananas are for a moron like you.") == pytest.approx(-0.25 - 0.5 - 0.3)


def test_prompts_of_another_world_are_unscored():
    stranger = Prompt(prompt_id="x", text="What is love?")
    assert gold_reward([stranger, ask(WHALE_HOME, 1)], ["Simply hay.", "It lives in the sea."]) == [None, 1.0]


def test_prompts_are_known_by_their_text_alone():
    bare = Prompt(prompt_id="anything", text=ask(WHALE_HOME, 0).text)
    assert gold_reward([bare], ["It lives in the sea."]) == [1.0]
