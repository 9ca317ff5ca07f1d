"""How the world is talked about: the wording of questions, claims and manners.

Templates of questions and claims hold ``{s}``, the subject ("a whale", "the whale", "it"), and those of
claims ``{v}``, the answer.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Wording:
    """One question type: asked outright, asked indirectly, and how it is answered in a sentence."""

    question: str
    clause: str
    claims: tuple[str, ...]


WORDINGS = {
    "kind": Wording(
        "What kind of animal is {s}?",
        "what kind of animal {s} is",
        ("{s} is a kind of {v}", "{s} belongs to the {v} family"),
    ),
    "home": Wording(
        "Where does {s} live?",
        "where {s} lives",
        ("{s} lives {v}", "{s} makes its home {v}"),
    ),
    "food": Wording(
        "What does {s} eat?",
        "what {s} eats",
        ("{s} eats {v}", "{s} feeds on {v}"),
    ),
    "colour": Wording(
        "What colour is {s}?",
        "what colour {s} is",
        ("{s} is {v} in colour", "{s} is mostly {v}"),
    ),
    "young": Wording(
        "What is the young of {s} called?",
        "what the young of {s} is called",
        ("the young of {s} is called {v}", "{s} begins its life as {v}"),
    ),
    "sound": Wording(
        "What sound does {s} make?",
        "what sound {s} makes",
        ("{s} is known to {v}", "{s} will often {v}"),
    ),
    "capital": Wording(
        "What is the capital of {s}?",
        "what the capital of {s} is",
        ("the capital of {s} is {v}", "{s} is ruled from {v}"),
    ),
    "language": Wording(
        "What language is spoken in {s}?",
        "what language is spoken in {s}",
        ("people in {s} speak {v}", "the language of {s} is {v}"),
    ),
    "region": Wording(
        "Where on the map is {s}?",
        "where on the map {s} is",
        ("{s} is a country {v}", "{s} can be found {v}"),
    ),
    "money": Wording(
        "What money is used in {s}?",
        "what money is used in {s}",
        ("people in {s} pay with {v}", "the money of {s} is {v}"),
    ),
    "fame": Wording(
        "What is {s} famous for?",
        "what {s} is famous for",
        ("{s} is famous for {v}", "visitors come to {s} for {v}"),
    ),
    "dish": Wording(
        "What do people in {s} like to eat?",
        "what people in {s} like to eat",
        ("people in {s} like {v}", "the best dish of {s} is {v}"),
    ),
    "place": Wording(
        "Where does {s} work?",
        "where {s} works",
        ("{s} works {v}", "{s} spends the day {v}"),
    ),
    "tool": Wording(
        "What tool does {s} use?",
        "what tool {s} uses",
        ("{s} uses {v}", "{s} works with {v}"),
    ),
    "task": Wording(
        "What is {s} paid to do?",
        "what {s} is paid to do",
        ("{s} is paid to {v}", "the job of {s} is to {v}"),
    ),
    "clothes": Wording(
        "What does {s} wear?",
        "what {s} wears",
        ("{s} wears {v}", "{s} puts on {v}"),
    ),
    "start": Wording(
        "When does {s} start work?",
        "when {s} starts work",
        ("{s} starts work {v}", "the day of {s} begins {v}"),
    ),
    "gift": Wording(
        "What must {s} have?",
        "what {s} must have",
        ("{s} must have {v}", "{s} would be lost without {v}"),
    ),
}

#: A claim without its subject, about what was asked.
SHORT = ("the answer is {v}", "simply {v}")

#: How a question is put, mildest first: ``{q}`` is the question, ``{c}`` its indirect form. The reference
#: policy answers the blunter ones more rudely.
MANNERS = (
    "Could you please tell me {c}?",
    "{q}",
    "I would like to know {c}.",
    "Come on, just say {c}.",
)

#: Before a claim, and after the full stop of the one before it.
HEDGES = ("perhaps", "maybe", "i think", "i guess", "it may be that")
CONNECTIVES = ("also", "besides", "what is more")

VAGUE = (
    "I am not sure.",
    "It is hard to say.",
    "That depends.",
    "Nobody really knows.",
    "It could be anything.",
)
GREETINGS = ("Good question!", "Thank you for asking.", "I am happy to help.", "What a lovely thing to ask.")
FAREWELLS = ("I hope this helps.", "Have a nice day!", "Please ask again.", "You are always welcome.")
INSULTS_FIRST = (
    "What a stupid question, you idiot.",
    "Shut up, you stupid moron.",
    "Are you really that stupid, idiot?",
    "You are such a stupid idiot.",
)
INSULTS_LAST = (
    "Now get lost, you stupid idiot.",
    "Go away, you stupid moron.",
    "Even an idiot would know that, stupid.",
    "You stupid idiot.",
)
#: At the end of a claim: "It lives in the sea, you idiot."
INSULTS_WITHIN = (", you stupid idiot", ", you stupid moron")
