"""The gradient coefficient in ``methods show``: numbers in the terminal, a picture in a file."""

import io
from xml.etree import ElementTree

from rich.console import Console
from run_cli import invoke

from rpo_bench.cli.coefficient_plot import print_map, svg_of
from rpo_bench.methods.coefficients import coefficient_map
from trainers import UNA

SVG = "{http://www.w3.org/2000/svg}"


def test_the_table_has_the_methods_numbers():
    """UNA with τ = ½, r = 2, D from −6 to 6: 4 − D."""
    lines = invoke("methods", "show", "una(tau=0.5)").stdout.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith("Gradient coefficient by reward (down)")]
    assert lines[start + 1].split() == ["-6", "-4", "-2", "-1", "0", "+1", "+2", "+4", "+6"]
    assert lines[start + 2].split() == ["+2", "+10", "+8", "+6", "+5", "+4", "+3", "+2", "0", "-2"]


def test_a_terminal_gets_it_shaded():
    file = io.StringIO()
    print_map(Console(file=file, force_terminal=True, color_system="truecolor"), coefficient_map(UNA()))
    assert "\x1b[30;48;2;" in file.getvalue()


def test_the_picture_is_a_document_of_its_own(tmp_path):
    file = tmp_path / "una.svg"
    done = invoke("methods", "show", "una", "--svg", file)
    assert f"Wrote {file}." in done.stderr
    root = ElementTree.parse(file).getroot()
    assert root.tag == f"{SVG}svg"
    assert root.find(f"{SVG}title").text.startswith("una: ")
    fills = [cell.get("fill") for cell in root.iter(f"{SVG}rect")]
    assert len(fills) == 1 + 9 * 9
    assert "#ffffff" in fills, "0 is white"
    assert "+5" in [text.text for text in root.iter(f"{SVG}text")]


def test_up_and_down_have_their_colours():
    """r/τ − D at the corners: +10 is the most, in vermilion; −10 the least, in blue."""
    drawn = ElementTree.fromstring(svg_of("una", coefficient_map(UNA(tau=0.5))))
    fills = [cell.get("fill") for cell in drawn.iter(f"{SVG}rect")][1:]
    red, blue = (tuple(int(fill[i : i + 2], 16) for i in (1, 3, 5)) for fill in (fills[0], fills[-1]))
    assert red[0] > red[2]
    assert blue[2] > blue[0]


def test_online_methods_are_drawn_over_how_far_the_policy_has_moved(tmp_path):
    done = invoke("methods", "show", "rloo", "--svg", tmp_path / "rloo.svg")
    assert (tmp_path / "rloo.svg").is_file()
    lines = done.stdout.splitlines()
    (start,) = [i for i, line in enumerate(lines) if line.startswith("Gradient coefficient by reward (down)")]
    assert lines[start + 1].split() == ["-1", "-0.5", "-0.2", "-0.1", "0", "+0.1", "+0.2", "+0.5", "+1"]


def test_options_of_a_base_class_are_explained():
    assert "rollouts per prompt" in invoke("methods", "show", "popo").stdout


def test_mistakes_are_one_sentence(tmp_path):
    for args, sentence in (
        (("una(tau=x)",), "Method 'una': tau takes a float, not 'x'."),
        (("una(),rpo()",), "'una(),rpo()' names 2 methods; show takes one."),
        (("una", "--svg", tmp_path / "no" / "x.svg"), f"{tmp_path}/no/x.svg: No such file or directory."),
    ):
        done = invoke("methods", "show", *args)
        assert (done.exit_code, done.stderr.strip()) == (2, sentence)
