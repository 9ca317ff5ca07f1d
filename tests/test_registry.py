"""The registry and the plug-ins: names, lazy import, and sentences for what goes wrong."""

import importlib
import multiprocessing
import os
import sys

import pytest

from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.registry import PLUGINS_VARIABLE, Registry, load_plugin, load_plugins


def fruits(**more):
    return Registry(
        "fruit",
        "rpo_bench.no_such_group",
        {"loads": "json:loads", "nested": "json:JSONDecoder.decode", **more},
    )


class TestRegistry:
    def test_resolves_a_name_on_first_use(self, monkeypatch):
        monkeypatch.delitem(sys.modules, "this", raising=False)
        registry = fruits(zen="this:d")
        assert list(registry) == ["loads", "nested", "zen"]
        assert "this" not in sys.modules, "listing names imports nothing"

    def test_gives_the_thing_itself_and_attributes_of_classes(self):
        import json

        assert fruits().get("loads") is json.loads
        assert fruits().get("nested") is json.JSONDecoder.decode

    def test_takes_names_at_run_time(self):
        registry = fruits()
        registry.add("apple", 1)
        assert (registry.get("apple"), "apple" in registry) == (1, True)

    def test_refuses_two_things_of_one_name_but_not_the_same_twice(self):
        registry = fruits()
        registry.add("apple", "json:dumps")
        registry.add("apple", "json:" + "dumps")
        with pytest.raises(
            UserError, match=r"^The fruit 'apple' is defined twice: rename the one in your plug-in\.$"
        ):
            registry.add("apple", "json:loads")

    def test_knows_what_was_meant(self):
        with pytest.raises(UserError, match=r"^Unknown fruit 'lods'\. Did you mean 'loads'\?$"):
            fruits().get("lods")
        with pytest.raises(UserError, match=r"^Unknown fruit 'xyz'\. Known: loads, nested\.$"):
            fruits().get("xyz")

    @pytest.mark.parametrize("target", ["no_such_module:x", "json:no_such_attribute"])
    def test_says_what_cannot_be_imported(self, target):
        with pytest.raises(UserError, match=rf"^The fruit 'bad' \({target}\) can't be imported: "):
            fruits(bad=target).get("bad")

    def test_has_the_names_that_installed_packages_add(self, tmp_path, monkeypatch):
        """A real distribution on the path: its entry points are read as installed ones are."""
        info = tmp_path / "orchard-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: orchard\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[rpo_bench.test_fruits]\npear = orchard_fruits:pear\n")
        (tmp_path / "orchard_fruits.py").write_text("pear = 'a pear'\n")
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()
        registry = Registry("fruit", "rpo_bench.test_fruits", {"apple": "json:loads"})
        assert sorted(registry) == ["apple", "pear"]
        assert registry.get("pear") == "a pear"


class TestDidYouMean:
    def test_names_the_nearest(self):
        assert did_you_mean("kot", ["kto", "sft"]) == " Did you mean 'kto'?"

    def test_or_all_when_none_is_near(self):
        assert did_you_mean("zzz", ["sft", "kto"]) == " Known: kto, sft."

    def test_or_nothing_when_there_are_none(self):
        assert did_you_mean("zzz", []) == ""


@pytest.fixture
def clean(monkeypatch):
    """No plug-ins in the environment before, and none left over in this process after."""
    monkeypatch.setenv(PLUGINS_VARIABLE, "")
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("rpo_bench_plugin_"):
            del sys.modules[name]


#: Leaves a trace of every import in this process; its trial is made in a child.
COUNTING = """
import multiprocessing, pathlib
log = pathlib.Path(__file__).with_suffix(".log")
if multiprocessing.parent_process() is None:
    log.write_text((log.read_text() if log.exists() else "") + "imported ")
"""


def log_of(plugin):
    return plugin.with_suffix(".log").read_text().split()


def load_in_worker(_):
    load_plugins()
    return sorted(name for name in sys.modules if name.startswith("rpo_bench_plugin_"))


@pytest.mark.usefixtures("clean")
class TestPlugins:
    def write(self, folder, name="extra", text=COUNTING):
        folder.mkdir(exist_ok=True)
        path = folder / f"{name}.py"
        path.write_text(text)
        return path

    def test_are_imported_once(self, tmp_path, monkeypatch):
        plugin = self.write(tmp_path)
        load_plugin(plugin)
        monkeypatch.chdir(tmp_path)
        load_plugin(type(plugin)("extra.py"))
        assert log_of(plugin) == ["imported"]

    def test_of_one_name_in_two_folders_are_two(self, tmp_path):
        plugins = [self.write(tmp_path / name) for name in ("a", "b")]
        load_plugins(plugins)
        assert [log_of(plugin) for plugin in plugins] == [["imported"], ["imported"]]

    def test_are_handed_on_to_worker_processes(self, tmp_path, monkeypatch):
        """Spawned workers share nothing but the environment; relative paths are made absolute for them."""
        self.write(tmp_path, "one")
        two = self.write(tmp_path, "two")
        monkeypatch.setenv(PLUGINS_VARIABLE, str(two))
        monkeypatch.chdir(tmp_path)
        load_plugins([type(two)("one.py")])
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            (names,) = pool.map(load_in_worker, [None])
        assert [name.split("_")[3] for name in names] == ["one", "two"]

    @pytest.mark.parametrize(
        ("text", "sentence"),
        [
            ("1 / 0", "importing it failed: ZeroDivisionError: division by zero."),
            ("def", "importing it failed: SyntaxError: "),
            ("import no_such_module", "importing it failed: ModuleNotFoundError: No module named"),
        ],
    )
    def test_that_fail_are_one_sentence_and_can_be_mended(self, tmp_path, text, sentence):
        plugin = self.write(tmp_path, text=text)
        with pytest.raises(UserError) as raised:
            load_plugin(plugin)
        assert str(raised.value).startswith(f"--plugin {plugin}: {sentence}")
        plugin.write_text(COUNTING)
        os.utime(plugin, (0, 0))  # another time than the compiled one's
        load_plugin(plugin)
        assert log_of(plugin) == ["imported"]

    def test_keep_their_own_sentences(self, tmp_path):
        plugin = self.write(
            tmp_path, text="from rpo_bench.errors import UserError\nraise UserError('Give me x.')"
        )
        with pytest.raises(UserError, match=r"^Give me x\.$"):
            load_plugin(plugin)

    def test_must_be_python_files(self, tmp_path):
        with pytest.raises(UserError, match="there is no such file"):
            load_plugin(tmp_path / "none.py")
        text = tmp_path / "notes.txt"
        text.write_text("hello")
        with pytest.raises(UserError, match="not a Python file"):
            load_plugin(text)


class TestAFileThatIsPluginAndPackage:
    def test_registers_under_the_name_that_its_entry_point_gave(self):
        import json

        registry = fruits(loads="json:loads")
        registry.add("loads", json.loads)
        assert registry.get("loads") is json.loads
