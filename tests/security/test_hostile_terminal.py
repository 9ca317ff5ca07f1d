"""Nothing that others wrote commands a terminal or reorders it: by every verb, and by every way to print."""

import io
import json
import logging
import re
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from results_factory import cell_spec, write_cell, write_world
from rich.live import Live
from rich.progress import Progress
from rich.table import Table
from rich.text import Text
from site_pages import add_samples
from tqdm import tqdm
from verbs import commands

import rpo_bench
from rpo_bench.cli.console import print_exact, print_facts, print_json, print_table, say
from rpo_bench.cli.main import app
from rpo_bench.cli.stored import skipped
from rpo_bench.terminal.guard import GuardedStream, guarded
from rpo_bench.terminal.screen import err, out
from rpo_bench.terminal.visible import visible, visible_json, visible_lines

#: What each can do: titles, colours, links, hiding, going back, the clipboard, reordering, being unseen.
ATTACKS = {
    "title": "\x1b]0;owned\x07",
    "colour": "\x1b[38;5;123m",
    "link": "\x1b]8;;http://evil.example\x1b\\click\x1b]8;;\x1b\\",
    "clipboard": "\x1b]52;c;cm0gLXJm\x07",
    "screen": "\x1b[2J\x1b[H",
    "conceal": "\x1b[8mhidden",
    "answerback": "\x1b[c\x05",
    "c1": "\x9b31m\x9d0;x\x9c\x85",
    "back": "good\x08\x08\x08\x08evil",
    "return": "good\revil",
    "feed": "\x0b\x0c\x7f",
    "null": "a\0b",
    "override": "\u202egnp.exe\u202c",
    "embedding": "\u202ax\u202b",
    "isolate": "\u2066x\u2067y\u2068z\u2069",
    "marks": "\u200e\u200f\u061c",
    "zero width": "r\u200bp\u200do\ufeff\u2060",
    "tags": "".join(chr(0xE0000 + ord(one)) for one in "run this"),
    "joiners as bits": "x\U0001f469\u200d\u200c\u200d\u200c",
    "variants": "r\ufe00p\u034fo\u180b \uffa0\u17b4",
    "separators": "one\u2028two\u2029",
    "surrogate": "half \ud83d",
}
#: What a name on a command line, or in a file, can hold of it.
HOSTILE = (
    "".join(text for name, text in ATTACKS.items() if name not in ("null", "surrogate")) + "[red]x[/red]"
)
UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u061c\u2028-\u202e\u2060-\u206f\u17b4\uffa0\ufeff\ud800-\udfff"
    "\U000e0000-\U000e0fff]|[\u200c\u200d][\u200c\u200d]|[ -~][\u200c\u200d\u034f\u180b\ufe00]"
)
#: As we spell it, or as the library of the command line does.
SPELT = re.compile(r"⟨U\+001B⟩|\\x1b")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture(params=[Terminal, io.StringIO], ids=["terminal", "pipe"])
def screen(request, monkeypatch):
    """What becomes standard output and error; dumb, so that not even our own styles are escapes."""
    monkeypatch.setenv("TERM", "dumb")
    return request.param()


@contextmanager
def on(screen):
    """Standard output and error go there, unguarded."""
    with redirect_stdout(screen), redirect_stderr(screen):
        yield


def _live(text):
    table = Table(text)
    table.add_row(text, Text(text))
    with Live(table, console=err(), auto_refresh=False):
        print(text)  # noqa: T201 (what a library says meanwhile)


def _progress(text):
    with Progress(console=err()) as bar:
        bar.update(bar.add_task("x", total=1), description=text.replace("[", "("))


def _tqdm(text):
    with tqdm(total=2, desc=text, file=sys.stderr) as bar:
        bar.update()


def _traceback(text):
    try:
        raise ValueError(text)
    except ValueError:
        sys.excepthook(*sys.exc_info())


def _logging(text):
    handler = logging.StreamHandler()
    logging.getLogger("hostile").addHandler(handler)
    logging.getLogger("hostile").warning("%s", text)
    logging.getLogger("hostile").removeHandler(handler)


WAYS = {
    "sentence": say,
    "string": lambda text: out().print(text),
    "styled": lambda text: out().print(text, style="bold"),
    "text": lambda text: out().print(Text(text)),
    "title": lambda text: print_table(text, (text, "b"), [(text, 1.0), ("x", None)]),
    "facts": lambda text: print_facts({"name": text, text[:9]: ""}),
    "skipped": lambda text: skipped(text, text),
    "json": lambda text: print_json({text: [text]}),
    "live": _live,
    "progress": _progress,
    "tqdm": _tqdm,
    "print": lambda text: print(text),  # noqa: T201 (what a library says)
    "writelines": lambda text: sys.stderr.writelines([text, text]),
    "warning": lambda text: sys.stderr.write(warnings.formatwarning(text, UserWarning, text, 1)),
    "logging": _logging,
    "traceback": _traceback,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_every_way_to_print_spells_out_what_commands_a_terminal(screen, way, attack):
    with on(screen), guarded():
        way(f"before {attack} after")
    shown = screen.getvalue()
    assert "before" in shown
    assert "after" in shown or way is _progress, "a bar cuts what it is called"
    if way is _tqdm:
        shown = re.sub(r"(?m)(^|\r)\r", "", shown).replace("\r", "\n")  # the bar's own
    assert not UNSAFE.search(shown.replace("\r\x1b[2K", "").replace("\x1b[?25h", "").replace("\x1b[?25l", ""))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_what_programs_read_is_exact(screen, attack):
    """JSON says the very text, in letters that are seen; other text is spelt out on a terminal alone."""
    value = {f"key {attack}": ["text", attack, 0.1, float("inf")]}
    with on(screen):
        print_json(value)
    assert json.loads(screen.getvalue()) == {f"key {attack}": ["text", attack, 0.1, None]}
    assert not UNSAFE.search(screen.getvalue())
    screen.seek(0)
    screen.truncate()
    with on(screen):
        print_exact(attack)
    assert screen.getvalue() == (visible_lines(attack) if screen.isatty() else attack)


READABLE = [
    "naïve e\u0301tude",
    "مرحبا بالعالم",
    "שלום עולם",
    "می\u200cخواهم",
    "क्\u200dष",
    "日本語",
    "1\ufe0f\u20e3 ❤\ufe0f\u200d🔥 ᠠ\u180bᠡ",
    "👩\u200d💻 🏳️\u200d🌈 👍🏽",
    "τ − ± ⟨x⟩ �",
]


@pytest.mark.parametrize("text", READABLE)
def test_what_people_write_stays_as_it_is(screen, text):
    assert visible(text) == visible_lines(text) == visible_json(text) == text
    with on(screen):
        out().print(text)
    assert screen.getvalue().rstrip("\n") == text


def test_markup_emoji_names_and_links_are_text(screen):
    text = "[red]a[/] :skull: [link=http://evil.example]b[/link] [/]"
    with on(screen):
        out().print(text)
        print_table("", (text,), [(text,)])
    assert screen.getvalue().count(text) == 3


def test_a_guard_is_put_once_and_taken_away(screen):
    with on(screen):
        with guarded():
            assert isinstance(sys.stdout, GuardedStream)
            first = sys.stdout
            with guarded():
                assert sys.stdout is first
            assert sys.stdout.isatty() is screen.isatty()
        assert sys.stdout is screen


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Results whose task, model, methods, strengths, prompts and broken records are hostile; data as well."""
    root = tmp_path_factory.mktemp("hostile")
    names = {"task": f"task {HOSTILE}", "model": f"model {HOSTILE}"}
    write_world(root / "results", [f"rpo {HOSTILE}", "dro"], seeds=1, strengths=(0.1, 1.0), **names)
    add_samples(root / "results")
    folder = write_cell(root / "results", cell_spec("broken", 0.3), strength_name=HOSTILE)
    record = json.loads((folder / "result.json").read_text())
    record["metrics"][HOSTILE] = {HOSTILE: 1}
    (folder / "result.json").write_text(json.dumps(record))
    rows = [{"prompt": f"{HOSTILE} {i}", "response": HOSTILE, "reward": i % 2} for i in range(20)]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / HOSTILE).mkdir(parents=True)
    (root / "bad.jsonl").write_text(json.dumps({HOSTILE: HOSTILE, "prompt": "x"}) + "\n")
    return root


#: A command line for every verb, by which something hostile is shown.
LINES = {
    "train-and-eval": lambda at: ["--methods", HOSTILE],
    "train": lambda at: ["--method", HOSTILE],
    "tune": lambda at: ["--methods", HOSTILE],
    "eval": lambda at: [at / HOSTILE],
    "base": lambda at: ["--data", at / "bad.jsonl", "--output-path", at / "base"],
    "reward-model": lambda at: [
        "--model",
        HOSTILE,
        "--data",
        at / "bad.jsonl",
        "--output-path",
        at / "model",
    ],
    "data": lambda at: [HOSTILE],
    "data check": lambda at: [at / "bad.jsonl"],
    "methods": lambda at: [HOSTILE],
    "methods show": lambda at: [HOSTILE],
    "verify": lambda at: [HOSTILE],
    "tasks": lambda at: [HOSTILE],
    "tasks show": lambda at: [HOSTILE],
    "compare": lambda at: [at / "results", "--resamples", 100],
    "aggregate": lambda at: [at / "results"],
    "judge run": lambda at: [at / "results", "--judge", HOSTILE],
    "judge parse": lambda at: [at / HOSTILE],
    "judge scores": lambda at: [at / "results", "--judge", HOSTILE],
    "judge ranking": lambda at: [at / "results", "--judge", HOSTILE],
    "judge audit": lambda at: [at / "results", "--judge", HOSTILE],
    "judge import": lambda at: [at / HOSTILE],
    "stability": lambda at: [at / "results"],
    "overoptimisation": lambda at: [at / HOSTILE],
    "oracle": lambda at: ["--task", HOSTILE],
    "score": lambda at: [at / "results", "--metrics", "distinct_n"],
    "publish": lambda at: [at / "results", "--output-path", at / "published"],
    "submit check": lambda at: [at / "results"],
    "export": lambda at: [at / "results", "--output-path", at / "exported"],
    "leaderboard": lambda at: [at / "results", "--output-path", at / "page"],
    "doctor": lambda at: ["--output-path", at / HOSTILE],
}


def run(screen, *words):
    """The command line in this process, on that screen."""
    with on(screen), pytest.raises(SystemExit):
        app([str(word) for word in words], prog_name="rpo-bench")


def test_every_verb_has_a_line():
    assert sorted(LINES) == sorted(commands())


@pytest.fixture
def dumb_terminal(monkeypatch):
    """One on which not even our own styles are escapes."""
    monkeypatch.setenv("TERM", "dumb")
    return Terminal()


@pytest.mark.parametrize("verb", LINES)
def test_every_verb_spells_out_hostile_text(dumb_terminal, world, verb):
    run(dumb_terminal, *verb.split(), *LINES[verb](world))
    shown = dumb_terminal.getvalue()
    assert SPELT.search(shown), "nothing hostile was shown: the test has no teeth"
    assert not UNSAFE.search(shown)
    assert "Traceback" not in shown


@pytest.mark.parametrize("verb", LINES)
def test_every_verb_spells_out_a_flag_it_does_not_know(dumb_terminal, verb):
    run(dumb_terminal, *verb.split(), f"--{HOSTILE}")
    assert SPELT.search(dumb_terminal.getvalue())
    assert not UNSAFE.search(dumb_terminal.getvalue())


#: Who may speak past the one console: help and version, Ctrl-C, logs of workers, and what it is made of.
OTHERS = {
    "cli/main.py": {"typer.echo"},
    "cli/data.py": {"typer.echo"},
    "cli/frame.py": {"sys.stderr"},
    "cli/stopping.py": {"sys.stderr"},
    "__main__.py": {"sys.stderr"},
    "engine/pool/worker.py": {"sys.stdout", "sys.stderr"},
    "plugins/trial.py": {"sys.stdout", "sys.stderr"},  # which it closes
    "models/backends/vllm_engine.py": {"sys.stderr"},
    "models/backends/vllm_rollouts.py": {"sys.stderr"},
    "terminal/guard.py": {"sys.stdout", "sys.stderr"},
    "terminal/screen.py": {"sys.stdout", "sys.stderr", "Console("},
    "cli/console.py": {"sys.stdout"},
}


def test_all_others_speak_through_the_one_console():
    home = Path(rpo_bench.__file__).parent
    spoken = re.compile(r"typer\.echo|click\.echo|sys\.std(?:out|err)|(?<!\w)Console\(")
    for file in home.rglob("*.py"):
        found = set(spoken.findall(file.read_text(encoding="utf-8")))
        odd = found - OTHERS.get(str(file.relative_to(home)), set())
        assert not odd, f"{file} speaks by {odd}: use rpo_bench.terminal.screen or rpo_bench.cli.console"
