"""The notebook of the documentation runs from its first cell to its last, in a kernel of its own."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

#: The notebook's own settings, and what the test adds to them: fewer steps and prompts.
SETTINGS = "seeds=[0, 1],"
FEWER = 'seeds=[0, 1], training={"steps": 2}, evaluation={"limit": 4},'
NOTEBOOK = Path(__file__).parents[1] / "docs" / "examples" / "quickstart.ipynb"


@pytest.mark.slow
def test_the_quickstart_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert notebook.cells[1].source.count(SETTINGS) == 1
    notebook.cells[1].source = notebook.cells[1].source.replace(SETTINGS, FEWER)
    NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "runs" / "quickstart" / "leaderboard" / "index.html").is_file()
    shown = [cell.outputs[-1]["data"]["text/plain"] for cell in notebook.cells[4:] if cell.get("outputs")]
    assert "reference" in shown[0]
    assert "rpo" in shown[1]
    assert shown[-1] == "5"


def test_it_is_committed_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
