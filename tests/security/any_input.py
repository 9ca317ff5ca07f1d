"""Inputs of every kind for property tests: JSON of any shape, texts with what texts may hold."""

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: The same examples in every run, whatever the machine, and as many as given.
EVERY_TIME = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)

#: Texts that mean something to somebody: a parser, a terminal, a tokenizer, a shell, a template.
TELLING = (
    "", " ", "\0", "\n", "\r", "\ufeff", "\u2028", "\u202e", "\x1b[2J", "\ud800", "\udfff\ud800",
    "nan", "inf", "1e999", "-1", "1_000", "١٢٣", "0x10", " 1 ", "true", "null",
    "[]", "{}", "[1, 2]", "[1,", "['a']", "(1,)", "[{", "[[[[", '{"a": 1, "a": 2}',
    "../../etc/passwd", "{prompt}", "{{7*7}}", "=1+1", "</s>", "\n\nHuman: a\n\nAssistant: b",
    "a" * 300, "e\u0301" * 20,
)  # fmt: skip
texts = st.one_of(
    st.sampled_from(TELLING),
    st.text(st.characters(exclude_categories=()), max_size=12),  # half surrogate pairs too
)
numbers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**18, 10**400, -(10**4000)]),
    st.floats(),
    st.sampled_from([1e38, 1e39, -1e308, 5e-324]),
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts)


def values(keys: st.SearchStrategy[str] = texts, leaves: int = 6) -> st.SearchStrategy[Any]:
    """Anything that JSON, as Python writes it, can hold."""
    return st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.dictionaries(keys, inner, max_size=4),
            st.integers(1, 120).flatmap(lambda depth: inner.map(lambda one: nested(one, depth))),
        ),
        max_leaves=leaves,
    )


def nested(value: Any, depth: int) -> Any:
    """A value within so many lists."""
    for _ in range(depth):
        value = [value]
    return value
