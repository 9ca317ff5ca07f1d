"""The frame of the command line, with a few verbs of its own where no real one will do."""

import errno
import os
import re
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from rpo_bench import __version__
from rpo_bench.cli.frame import CONTEXT, Verb, environment_variable, frame_class
from rpo_bench.cli.main import VERBS, app
from rpo_bench.errors import UserError

THIS = "test_cli_frame"
DOCS = Path(__file__).parents[2] / "docs"


def run(*args, on=app, **env):
    return CliRunner().invoke(on, list(args), env=env, prog_name="rpo-bench")


def typed(
    output_path: str = typer.Option("here", "--output-path"),
    seeds: str = typer.Option("0", "--seeds"),
    loud: bool = typer.Option(False, "--loud"),
    many: list[str] = typer.Option([], "--many"),  # noqa: B008 (typer's way)
) -> None:
    """Prints what it was given.

    Args:
        output_path: For programmers.
    """
    typer.echo(f"{output_path} {seeds} {loud} {many}")


def failing(kind: str) -> None:
    """Ends as it is told."""
    if kind == "user":
        raise UserError("The file is empty: give another.")
    if kind == "ctrl-c":
        raise KeyboardInterrupt
    if kind == "disk":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/disk")
    if kind == "memory":
        raise MemoryError
    if kind == "code":
        raise typer.Exit(7)
    raise ZeroDivisionError(kind)


ours = typer.Typer(cls=frame_class({
    "typed-verb": Verb(f"{THIS}:typed", "Prints."),
    "failing": Verb(f"{THIS}:failing", "Fails."),
    "absent": Verb("no_such_module:attribute", "Is not there."),
}), context_settings=CONTEXT)  # fmt: skip


@ours.callback()
def _root() -> None: ...


class TestSpeed:
    def test_help_and_completion_import_nothing_heavy(self):
        """In a fresh process: the help of all verbs, with the modules that must not have been imported."""
        code = """
            import contextlib, io, sys
            from rpo_bench.cli.main import app
            with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
                app(["--help"], prog_name="rpo-bench")
            assert "train-and-eval" in out.getvalue(), out.getvalue()
            heavy = {"torch", "numpy", "pandas", "transformers", "datasets", "pydantic", "yaml"}
            print(sorted(heavy & set(sys.modules)))
        """
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"

    def test_the_list_of_verbs_shows_a_line_for_each(self):
        shown = run("--help").stdout
        for name, verb in VERBS.items():
            assert name in shown
            assert verb.summary.split(",")[0].split()[0] in shown

    def test_a_verb_that_cannot_be_imported_leaves_the_others_alone(self):
        assert run("typed-verb", on=ours).exit_code == 0
        assert "absent" in run("--help", on=ours).stdout


class TestSpellings:
    @pytest.mark.parametrize("flag", ["--output-path", "--output_path", "--output-path=", "--output_path="])
    def test_hyphen_and_underscore_are_the_same_in_flags(self, flag):
        args = [flag + "a_b-c"] if flag.endswith("=") else [flag, "a_b-c"]
        assert run("typed-verb", *args, on=ours).stdout.startswith("a_b-c "), "the value stays as it is"

    def test_and_in_verbs(self):
        assert run("typed_verb", on=ours).exit_code == 0

    def test_version(self):
        assert run("--version").stdout == f"rpo-bench {__version__}\n"

    def test_no_verb_at_all_shows_the_help(self):
        done = run()
        assert (done.exit_code, "train-and-eval" in done.stdout) == (0, True)

    def test_help_texts_leave_out_what_is_for_programmers(self):
        shown = run("typed-verb", "-h", on=ours).stdout
        assert "Prints what it was given." in shown
        assert "For programmers" not in shown


class TestEnvironment:
    def test_every_flag_is_read_from_it(self):
        done = run(
            "typed-verb", on=ours,
            RPO_BENCH_OUTPUT_PATH="there", RPO_BENCH_SEEDS="1,2", RPO_BENCH_LOUD="1", RPO_BENCH_MANY="a b",
        )  # fmt: skip
        assert done.stdout == "there 1,2 True ['a', 'b']\n"

    def test_a_flag_wins_over_it(self):
        assert run("typed-verb", "--seeds", "5", on=ours, RPO_BENCH_SEEDS="1").stdout == "here 5 False []\n"

    def test_a_wrong_value_in_it_is_an_error(self):
        done = run("typed-verb", on=ours, RPO_BENCH_LOUD="perhaps")
        assert done.exit_code == 2
        assert "perhaps" in done.stderr

    def test_the_name_comes_from_the_long_spelling(self):
        assert environment_variable(["-o", "--output-path"]) == "RPO_BENCH_OUTPUT_PATH"
        assert environment_variable(["-o"]) is None


class TestEndings:
    @pytest.mark.parametrize(
        ("kind", "sentence", "code"),
        [
            ("user", "The file is empty: give another.", 2),
            ("ctrl-c", "Stopped. Run the same command again to continue.", 130),
            ("disk", "/full/disk: No space left on device.", 2),
            (
                "memory",
                "Out of memory: lower the batch size or the number of workers.",
                2,
            ),
        ],
    )
    def test_are_one_sentence_on_standard_error(self, kind, sentence, code):
        done = run("failing", kind, on=ours)
        assert (done.stdout, done.stderr, done.exit_code) == ("", f"{sentence}\n", code)

    def test_keep_the_code_that_a_verb_asks_for(self):
        assert run("failing", "code", on=ours).exit_code == 7

    def test_show_a_traceback_only_for_a_bug_and_say_that_it_is_one(self):
        done = run("failing", "bug", on=ours)
        assert done.exit_code == 1
        assert "ZeroDivisionError: bug" in done.stderr
        assert done.stderr.endswith("This is a bug in rpo-bench: please report it with the lines above.\n")

    @pytest.mark.parametrize(
        ("args", "sentence"),
        [
            (["typde-verb"], "Unknown verb 'typde-verb'. Did you mean 'typed-verb'?"),
            (["zzz"], "Unknown verb 'zzz'. Known: absent, failing, typed-verb."),
            (["typed-verb", "--seds", "1"], "Unknown flag --seds. Did you mean '--seeds'?"),
            (["typed-verb", "--seds=1"], "Unknown flag --seds. Did you mean '--seeds'?"),
            (["typed-verb", "--zzz"], "Unknown flag --zzz. See rpo-bench typed-verb --help."),
            (["typed-verb", "extra"], "Got unexpected extra argument"),
            (["typed-verb", "--seeds"], "Option '--seeds' requires an argument."),
            (["failing"], "Missing argument"),
        ],
    )
    def test_of_a_wrong_command_line_are_one_sentence(self, args, sentence):
        done = run(*args, on=ours)
        assert done.exit_code == 2
        assert done.stderr.startswith(sentence)
        assert done.stderr.count("\n") == 1
        assert done.stdout == ""

    def test_ctrl_c_in_a_real_process_ends_it_with_130(self, tmp_path):
        """The process reads rows that never come, and is interrupted."""
        endless = "import time, rpo_bench.cli.data as verb; verb.load_rows = lambda *_, **__: time.sleep(600)"
        listen = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # even under nohup
        code = f"{listen}; {endless}; from rpo_bench.cli.main import main; main()"
        process = subprocess.Popen(
            [sys.executable, "-c", code, "data", "check", str(tmp_path / "rows.jsonl")],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr.readline().startswith("Reading ")
        process.send_signal(signal.SIGINT)
        _, messages = process.communicate(timeout=60)
        assert messages == "Stopped. Run the same command again to continue.\n"
        assert process.returncode == 130

    @pytest.mark.parametrize("printer", ["typer.echo", "rich.console.Console().print"])
    def test_are_quiet_when_the_reader_leaves(self, printer, tmp_path):
        """The output is longer than a pipe holds, and nobody reads more than its first line."""
        script = tmp_path / "endless.py"
        script.write_text(ENDLESS.format(printer=printer))
        command = f"{sys.executable} {script} verb | head -1"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=60)
        assert (done.stdout, done.stderr) == ("line\n", "")


ENDLESS = """
import rich.console
import typer
from rpo_bench.cli.frame import CONTEXT, Verb, frame_class

def verb():
    out = {printer}
    for _ in range(20_000):
        out("line")

app = typer.Typer(cls=frame_class({{"verb": Verb("__main__:verb", "")}}), context_settings=CONTEXT)
app.callback()(lambda: None)
app()
"""

PLUGIN = """
from rpo_bench.methods import METHODS
from trainers.sft import SFT

METHODS.add("{name}", lambda: SFT(k=1))
"""


class TestPlugins:
    def write(self, folder, name):
        file = folder / f"{name}.py"
        file.write_text(PLUGIN.format(name=name))
        return str(file)

    def listed(self, *args, **env):
        """The methods that a fresh process lists."""
        done = subprocess.run(
            [sys.executable, "-c", "from rpo_bench.cli.main import main; main()", *args],
            capture_output=True, text=True, check=True, env={**os.environ, **env},
        )  # fmt: skip
        return set(re.findall(r"^[\w-]+", done.stdout, flags=re.MULTILINE))

    def test_add_methods_before_the_verb_after_it_and_by_the_environment(self, tmp_path):
        files = {name: self.write(tmp_path, name) for name in ("before", "after", "also", "around")}
        args = ["--plugin", files["before"], "methods", "--plugin", files["after"], "--plugin", files["also"]]
        found = self.listed(*args, RPO_BENCH_PLUGIN=files["around"])
        assert {"before", "after", "also", "around", "rpo"} <= found

    def test_of_the_documentation_works(self, tmp_path):
        plugin = tmp_path / "my_method.py"
        (example,) = re.findall(r"```python\n(.+?)```", (DOCS / "cli.md").read_text(), flags=re.DOTALL)
        plugin.write_text(example)
        assert "rpo-mean" in self.listed("methods", "--plugin", str(plugin))

    def test_that_fail_are_one_sentence(self, tmp_path):
        broken = tmp_path / "broken.py"
        broken.write_text("1 / 0")
        done = run("methods", "--plugin", str(broken))
        assert done.exit_code == 2
        assert (
            done.stderr == f"--plugin {broken}: importing it failed: ZeroDivisionError: division by zero.\n"
        )
        assert run("methods", "--plugin", "none.py").stderr.endswith("none.py: there is no such file.\n")
