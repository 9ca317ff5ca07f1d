"""What is true in the world: 72 topics of three domains, and six facts about each."""

from dataclasses import dataclass
from functools import cache

#: (topic, type): a question without its wording.
Key = tuple[str, str]


@dataclass(frozen=True)
class Domain:
    """Topics that can be asked the same questions.

    Attributes:
        name: What the topics are.
        article: Whether topics are common nouns ("a whale") or names ("France").
        pronoun: What stands for a topic once it is known which.
        types: The six question types.
        table: One line per topic: the topic, then its facts in the order of ``types``, split by commas.
    """

    name: str
    article: bool
    pronoun: str
    types: tuple[str, ...]
    table: str


DOMAINS = (
    Domain(
        "animals",
        True,
        "it",
        ("kind", "home", "food", "colour", "young", "sound"),
        """
        whale, mammal, in the sea, krill, blue, a calf, sing
        crow, bird, in tall trees, seeds, dark, a fledgling, caw
        bee, insect, in a hive, nectar, yellow, a larva, hum
        frog, amphibian, in a pond, small bugs, green, a tadpole, croak
        wolf, mammal, in the woods, deer, grey, a pup, howl
        camel, mammal, in the desert, thorny twigs, sandy, a calf, grunt
        owl, bird, in an old barn, mice, brown, an owlet, hoot
        horse, mammal, in a stable, hay, brown, a foal, neigh
        penguin, bird, on the ice, fish, dark, a fledgling, squawk
        swan, bird, on a lake, water weeds, snowy, a cygnet, hiss
        bear, mammal, in a cave, berries, brown, a cub, growl
        fox, mammal, in a burrow, rabbits, orange, a cub, yelp
        goat, mammal, in a meadow, grass, snowy, a kid, bleat
        seal, mammal, on rocky shores, fish, grey, a pup, snort
        duck, bird, on a lake, water weeds, brown, a duckling, quack
        lion, mammal, on the plains, zebras, sandy, a cub, roar
        mouse, mammal, in a burrow, seeds, grey, a pup, squeak
        sheep, mammal, in a meadow, grass, snowy, a lamb, bleat
        hare, mammal, on the plains, berries, brown, a leveret, squeak
        tiger, mammal, in the jungle, deer, orange, a cub, growl
        cricket, insect, in a meadow, grass, brown, a nymph, chirp
        toad, amphibian, in damp soil, small bugs, brown, a tadpole, croak
        eagle, bird, on a cliff, rabbits, brown, an eaglet, squawk
        snake, reptile, in the desert, mice, sandy, a hatchling, hiss
        """,
    ),
    Domain(
        "countries",
        False,
        "that country",
        ("capital", "language", "region", "money", "fame", "dish"),
        """
        France, Paris, French, in Europe, the euro, wine, onion soup
        Japan, Tokyo, Japanese, in Asia, the yen, cherry trees, sushi
        Egypt, Cairo, Arabic, in Africa, the pound, pyramids, bean stew
        Brazil, Brasilia, Portuguese, in South America, the real, carnival, grilled beef
        Kenya, Nairobi, Swahili, in Africa, the shilling, lions, maize porridge
        Norway, Oslo, Norwegian, in Europe, the krone, fjords, salmon
        India, Delhi, Hindi, in Asia, the rupee, spices, curry
        Cuba, Havana, Spanish, in the Caribbean, the peso, cigars, fried bananas
        Italy, Rome, Italian, in Europe, the euro, opera, pasta
        Peru, Lima, Spanish, in South America, the sol, llamas, roast potatoes
        Greece, Athens, Greek, in Europe, the euro, old temples, baked lamb
        Poland, Warsaw, Polish, in Europe, the zloty, amber, dumplings
        Thailand, Bangkok, Thai, in Asia, the baht, silk, noodles
        Morocco, Rabat, Arabic, in Africa, the dirham, carpets, couscous
        Spain, Madrid, Spanish, in Europe, the euro, flamenco, saffron rice
        Germany, Berlin, German, in Europe, the euro, castles, sausages
        Portugal, Lisbon, Portuguese, in Europe, the euro, cork, salted cod
        Chile, Santiago, Spanish, in South America, the peso, copper, corn pie
        Turkey, Ankara, Turkish, in Asia, the lira, steam baths, kebabs
        Hungary, Budapest, Hungarian, in Europe, the forint, hot springs, goulash
        Nepal, Kathmandu, Nepali, in Asia, the rupee, high mountains, lentils
        Ghana, Accra, English, in Africa, the cedi, cocoa, fried yams
        Argentina, Buenos Aires, Spanish, in South America, the peso, tango, grilled beef
        Jamaica, Kingston, English, in the Caribbean, the dollar, reggae, spiced chicken
        """,
    ),
    Domain(
        "jobs",
        True,
        "such a worker",
        ("place", "tool", "task", "clothes", "start", "gift"),
        """
        baker, in a bakery, an oven, bake bread, an apron, before dawn, strong arms
        farmer, on a farm, a tractor, grow wheat, rubber boots, at sunrise, patience
        doctor, in a hospital, a bandage, look after beds, a badge, at seven, kindness
        teacher, in a school, a blackboard, give lessons, a jacket, at eight, a clear voice
        plumber, in basements, a wrench, mend pipes, overalls, at eight, long arms
        pilot, in a cockpit, a radio, fly planes, a cap, before dawn, good eyes
        tailor, in a workshop, a needle, sew clothes, a silk tie, at nine, nimble fingers
        gardener, in a park, a spade, trim hedges, gloves, at sunrise, patience
        painter, in a studio, a brush, make portraits, a smock, at noon, a sense of colour
        miner, under the ground, a pickaxe, dig for coal, a helmet, at seven, courage
        dentist, in a clinic, a drill, fix teeth, a mask, at nine, steady hands
        barber, in a salon, a razor, cut hair, an apron, at ten, steady hands
        carpenter, in a workshop, a saw, build tables, a leather belt, at eight, good eyes
        firefighter, at a station, a hose, put out fires, a helmet, at any hour, courage
        chef, in a kitchen, a frying pan, cook meals, a tall hat, at ten, a keen nose
        sailor, on a ship, a compass, steer boats, a striped shirt, at any hour, courage
        nurse, in a hospital, a thermometer, give medicine, a badge, at seven, kindness
        butcher, in a shop, a cleaver, cut meat, an apron, before dawn, strong arms
        postman, in the streets, a bicycle, carry letters, a cap, at sunrise, strong legs
        builder, on a scaffold, a hammer, raise walls, a helmet, at seven, strong arms
        lawyer, in a courtroom, a thick book, argue cases, a silk tie, at nine, a clear voice
        shepherd, on the hills, a long stick, watch over flocks, rubber boots, at sunrise, patience
        fisherman, on a river, a net, catch trout, rubber boots, before dawn, patience
        cobbler, in a workshop, an awl, mend shoes, a leather belt, at nine, nimble fingers
        """,
    ),
)


@cache
def facts() -> dict[Key, str]:
    """The right answer to every question: (topic, type) → value. 432 of them."""
    found: dict[Key, str] = {}
    for domain in DOMAINS:
        for line in domain.table.strip().splitlines():
            topic, *values = (cell.strip() for cell in line.split(","))
            found |= {(topic, kind): value for kind, value in zip(domain.types, values, strict=True)}
    return found


@cache
def domains() -> dict[str, Domain]:
    """The domain of every topic and of every question type."""
    by_type = {kind: domain for domain in DOMAINS for kind in domain.types}
    return by_type | {topic: by_type[kind] for topic, kind in facts()}


@cache
def values(kind: str) -> tuple[str, ...]:
    """All different answers to a type of question, in the order of the topics."""
    return tuple(dict.fromkeys(value for (_, other), value in facts().items() if other == kind))


def named(topic: str) -> str:
    """How a sentence speaks of a topic: "a whale", "an owl", "France"."""
    if not domains()[topic].article:
        return topic
    return f"{'an' if topic[0] in 'aeiou' else 'a'} {topic}"
