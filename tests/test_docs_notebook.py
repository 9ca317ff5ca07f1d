"""The notebook of the documentation runs from its first cell to its last."""

import ast
from pathlib import Path
from typing import Any

import nbformat

#: The notebook's own settings, and what the test adds to them: fewer steps and prompts.
SETTINGS = "seeds=[0, 1],"
FEWER = 'seeds=[0, 1], training={"steps": 2}, evaluation={"limit": 4},'
NOTEBOOK = Path(__file__).parents[1] / "docs" / "examples" / "quickstart.ipynb"


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """What a notebook shows of a cell: the value of its last line, None where that is no expression."""
    tree = ast.parse(source)
    last = tree.body[-1]
    if not isinstance(last, ast.Expr):
        return exec(compile(tree, "cell", "exec"), names)
    exec(compile(ast.Module(tree.body[:-1], []), "cell", "exec"), names)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), names)


def test_the_quickstart_runs(tmp_path, monkeypatch):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert notebook.cells[1].source.count(SETTINGS) == 1
    notebook.cells[1].source = notebook.cells[1].source.replace(SETTINGS, FEWER)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    results = [run_cell(cell.source, names) for cell in notebook.cells if cell.cell_type == "code"]
    assert (tmp_path / "runs" / "quickstart" / "leaderboard" / "index.html").is_file()
    rows, means, differences, measured = results[1:]
    assert set(rows["method"]) == {"reference", "sft", "rpo"}
    assert list(means.index) == ["reference", "rpo", "sft"]
    assert "rpo" in set(differences["first"]) | set(differences["second"])
    assert measured == len(rows) == 5


def test_it_is_committed_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
