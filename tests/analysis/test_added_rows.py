"""Whatever single row is added to a board, nobody else's rank, best group or KL budget changes."""

import shutil

import pytest
from results_factory import cell_spec, write_cell
from worlds import write_points, write_scored

from rpo_bench.analysis.board import make_board
from rpo_bench.analysis.build import compare
from rpo_bench.analysis.section import Options
from rpo_bench.results.store import read_results
from rpo_bench.site.row_ranks import row_ranks
from rpo_bench.spec.sections import MethodSpec, TrainingSpec

SHIFT = (-0.1, 0.1, -0.1, 0.1)  # by prompt
LUCK = (-0.1, 0.1, 0.0, 0.05, -0.05)  # by seed
BASELINES = {"rpo": (1.5, 1.0), "sft": (1.0, 0.95), "kto": (0.5, 0.2)}  # KL and reward at the furthest
RPO = MethodSpec(name="rpo")
MINE = MethodSpec(name="mine")
PLUGIN = MethodSpec(name="mine", source="9" * 16)
NAMESAKE = MethodSpec(name="rpo", source="9" * 16)


def add_row(root, kl, reward, count=1, *, method=MINE, **changes):
    """A row of some training seeds."""
    for seed in range(count):
        spec = cell_spec(strength=0.3, seed=seed, **changes).model_copy(update={"method": method})
        values = {"kl": [kl] * 4, "reward": [reward + LUCK[seed] + shift for shift in SHIFT]}
        write_scored(root, spec, values)


@pytest.fixture(scope="module")
def board(tmp_path_factory):
    points = {
        name: {
            strength: [(share * kl, share * reward + luck) for luck in LUCK]
            for strength, share in ((1.0, 0.5), (0.1, 1.0))
        }
        for name, (kl, reward) in BASELINES.items()
    }
    return write_points(tmp_path_factory.mktemp("board") / "results", points, reference=-0.5)


ADDED = {
    "one seed, far below the reference": lambda root: add_row(root, 0.1, -9.0),
    "one seed, far above, far away": lambda root: add_row(root, 19.0, 9.0),
    "one seed of a checkpoint trained elsewhere": lambda root: add_row(root, 3.0, 2.0, method=PLUGIN),
    "one seed of a baseline at another strength": lambda root: add_row(root, 0.9, -3.0, method=RPO),
    "one seed of a baseline trained otherwise": lambda root: add_row(
        root, 0.9, 5.0, method=RPO, training=TrainingSpec(steps=7)
    ),
    "one seed that diverged": lambda root: write_cell(root, cell_spec("sft", 0.7), status="diverged"),
    "several seeds, the best of all": lambda root: add_row(root, 4.0, 9.0, 5, method=PLUGIN),
    "several seeds, hardly moved": lambda root: add_row(root, 0.01, -0.5, 5, method=PLUGIN),
    "several seeds under a baseline's name": lambda root: add_row(root, 4.0, 9.0, 5, method=NAMESAKE),
    "a few seeds of a method of ours": lambda root: add_row(root, 4.0, 9.0, 3, method=MethodSpec(name="dro")),
    "several seeds, contributed": lambda root: add_row(root / "community" / "ada", 4.0, 9.0, 5, method=RPO),
}


def told(root):
    """What the page says of every row, and compare of every method."""
    (section,) = make_board(results := read_results(root), None, [root]).sections
    ranks = row_ranks(make_board(results, None, [root]))
    known = {row.key: row.method for row in section.rows}
    (compared,) = compare([str(root)], [], Options(resamples=200, prompts=0, metrics=("reward",))).sections
    of_compare = {one.label: one.ranks for one in compared.standings}
    assert of_compare == {one.label: one.ranks for one in section.ranking.standings}
    assert compared.budgets == (section.ranking.budget,)
    return section.ranking.budget, section.ranking.leader.label, known, ranks


@pytest.mark.parametrize("added", ADDED)
def test_an_added_row_moves_nobody_else(board, tmp_path, added):
    before = told(board)
    root = shutil.copytree(board, tmp_path / "results")
    ADDED[added](root)
    budget, leader, methods, ranks = told(root)
    assert len(methods) == len(before[2]) + 1
    assert (budget, leader) == before[:2]
    assert {key: methods[key] for key in before[2]} == before[2]
    assert {key: ranks.get(key) for key in before[2]} == {key: before[3].get(key) for key in before[2]}
    (new,) = set(methods) - set(before[2])
    if added.startswith("one seed"):
        assert new not in ranks
    elif "hardly" in added:
        assert not ranks[new].best
    else:
        assert (ranks[new].best, ranks[new].ranks, ranks[new].of) == (True, "1", 4)


def test_before_anything_is_added_the_baselines_are_ranked(board):
    """At 1 nat: rpo has 2/3, sft 0.95 and kto 0.2, where it ends."""
    budget, leader, methods, ranks = told(board)
    assert (budget, leader) == (1.0, "sft")
    assert {methods[key]: (one.ranks, one.best) for key, one in ranks.items()} == {
        "sft": ("1", True),
        "rpo": ("2", False),
        "kto": ("3", False),
    }


def test_what_was_added_and_leads_is_told_and_one_seed_named(board, tmp_path):
    root = shutil.copytree(board, tmp_path / "results")
    add_row(root, 4.0, 9.0, 5, method=PLUGIN)
    add_row(root, 4.0, -1.0, method=MethodSpec(name="loose"))
    (section,) = make_board(read_results(root), None, [root]).sections
    assert section.verdict.leader == "sft"
    first, second = section.verdict.notes[:2]
    assert first.startswith("mine was added to the baselines and earns 0.9")
    assert first.endswith(" more than their best.")
    assert second == "Not ranked, with one training seed: loose (−0.650 here)."


def test_where_all_have_one_seed_all_are_shown_and_none_is_ranked(tmp_path):
    root = write_points(tmp_path, {"rpo": {0.1: [(1.0, 1.0)]}, "sft": {0.1: [(1.0, 0.1)]}})
    (section,) = make_board(read_results(root), None, [root]).sections
    assert [(one.label, one.ranks, one.best) for one in section.ranking.standings] == [
        ("rpo", None, False),
        ("sft", None, False),
    ]
    assert "With one training seed the intervals cover only the prompts" in section.verdict.text
