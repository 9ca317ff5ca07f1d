"""Every method has its page, and what the page states is what the code does."""

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from rpo_bench.methods import METHODS
from trainers.objective import Batch, Method, OfflineMethod
from trainers.online import Minibatch, Rollouts

PAGES = Path(__file__).parents[1] / "docs" / "methods"
NAMES = list(METHODS)
PLAIN = [name for name in NAMES if METHODS.get(name)().name == name]
OFFLINE = [name for name in PLAIN if isinstance(METHODS.get(name)(), OfflineMethod)]


def page_of(method: Method) -> str:
    return (PAGES / f"{method.name}.md").read_text(encoding="utf-8")


def rows_after(page: str, heading: str) -> list[list[str]]:
    """The cells of the table under a heading, header and rule left out."""
    section = page.partition(f"{heading}\n")[2].lstrip().partition("\n\n")[0]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in section.splitlines()[2:]]


def plain_of(name: str) -> Method | None:
    """The method of which ``name`` is a line of configuration, with the same options; None for none."""
    method = METHODS.get(name)()
    if method.name != name:
        return METHODS.get(method.name)()
    options = [field.name for field in dataclasses.fields(method)]
    for other in map(METHODS.get, PLAIN):
        same = [field.name for field in dataclasses.fields(other())] == options
        if same and type(other()) in type(method).__mro__[1:]:
            return other()
    return None


def changed(method: Method, plain: Method) -> dict[str, object]:
    """The options whose defaults differ."""
    values = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    return {name: value for name, value in values.items() if value != getattr(plain, name)}


@pytest.mark.parametrize("name", NAMES)
def test_the_page_names_the_method_and_its_options_for_it(name: str):
    """``rpo-released`` = ``rpo(tau=5.0, partition=released, logp=mean)``."""
    method = METHODS.get(name)()
    page, plain = page_of(method), plain_of(name)
    if plain is None:
        assert f"`{name}`" in page
        return
    options = ", ".join(f"{option}={value}" for option, value in changed(method, plain).items())
    assert f"`{name}` = `{plain.name}({options})`" in page


@pytest.mark.parametrize("name", PLAIN)
class TestThePage:
    def test_has_the_equation_the_paper_and_the_axes(self, name: str):
        method = METHODS.get(name)()
        page = page_of(method)
        assert f"```text\n{method.equation}\n```" in page
        assert f"Paper: {method.paper}" in page
        facts = dict(rows_after(page, "\n```\n"))
        assert facts["prompts"] == method.axes.prompts
        assert facts["responses"] == method.axes.responses
        assert facts["gradient coefficient"] == method.axes.coefficient
        assert facts["data"].startswith(", ".join(sorted(need.value for need in method.needs)))
        assert facts["rewards"].startswith("z-scored") == getattr(method, "zscore_rewards", False)
        strengths = ", ".join(f"{strength:g}" for strength in method.default_strengths)
        assert facts["strength"] == f"`{method.strength_name}`: {strengths}"
        assert facts["learning rate"] == f"{method.default_learning_rate:g}"

    def test_lists_the_options_with_their_defaults(self, name: str):
        method = METHODS.get(name)()
        listed = {row[0]: row[1] for row in rows_after(page_of(method), "## Options")}
        plain = plain_of(name)
        every = {f.name: getattr(method, f.name) for f in dataclasses.fields(method)}
        if isinstance(method, OfflineMethod):
            for field in dataclasses.fields(OfflineMethod):  # on the index page
                del every[field.name]
        own = every if plain is None else changed(method, plain)  # the others are on the plain one's page
        assert listed == {f"`{option}`": str(value) for option, value in own.items()}

    def test_names_every_value_of_a_choice(self, name: str):
        method, page = METHODS.get(name)(), page_of(METHODS.get(name)())
        for choices in re.findall(r"Literal\[([^\]]*)\]", str(type(method).__annotations__)):
            for choice in re.findall(r"'(\w+)'", choices):
                assert choice in page


@pytest.mark.parametrize("name", OFFLINE)
def test_the_page_names_everything_that_is_logged(name: str):
    method = METHODS.get(name)()
    numbers = torch.linspace(-1, 1, 4)
    batch = Batch(
        policy_logps=numbers - 5,
        reference_logps=numbers * 0 - 5,
        lengths=torch.ones(4),
        reward=numbers,
        desirable=numbers > 0,
        log_partition=numbers,
        value=numbers.clone().requires_grad_(),
        partner_log_ratio=numbers,
    )
    batch = dataclasses.replace(batch, statistic=method.statistic(batch))
    for logged in method.loss(batch).logged:
        assert f"`{logged}`" in page_of(method)


@pytest.mark.parametrize("name", [name for name in PLAIN if name not in OFFLINE])
def test_the_page_names_everything_that_an_online_surrogate_logs(name: str):
    method = METHODS.get(name)()
    numbers = torch.full((2, 1), -1.0)
    rollouts = Rollouts(
        rewards=torch.tensor([0.0, 1.0]),
        groups=torch.zeros(2, dtype=torch.long),
        mask=torch.ones(2, 1, dtype=torch.bool),
        behaviour_logps=numbers,
        proximal_logps=numbers,
        reference_logps=numbers,
        finished=torch.ones(2, dtype=torch.bool),
        age=torch.zeros(2),
        values=numbers if method.uses_critic else None,
    )
    advantages, returns = method.advantages(rollouts)
    logged = method.surrogate(
        Minibatch(rollouts, advantages, returns, numbers, rollouts.values, 2, 2, longest=1)
    ).logged
    assert logged
    for number in logged:
        assert f"`{number}`" in page_of(method)


def test_the_index_lists_the_options_of_every_offline_method():
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    listed = {row[0]: row[1] for row in rows_after(index, "### In rounds")}
    assert listed == {f"`{field.name}`": str(field.default) for field in dataclasses.fields(OfflineMethod)}


def test_the_index_links_every_page():
    index = (PAGES / "README.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", index))
    assert {f"{METHODS.get(name)().name}.md" for name in NAMES} <= linked


@pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target
