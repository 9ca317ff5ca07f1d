"""Files and folders that exist whole or not at all, whatever ends the writing."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from rpo_bench.errors import UserError
from rpo_bench.files.atomic import atomic_file, atomic_folder, explained


def half_written(file):
    file.write_text("ha")
    raise ZeroDivisionError


class TestFile:
    def test_appears_whole(self, tmp_path):
        target = tmp_path / "new" / "result.json"
        with atomic_file(target) as temporary:
            temporary.write_text("whole")
            assert not target.exists()
        assert target.read_text() == "whole"
        assert list(target.parent.iterdir()) == [target]

    def test_stays_as_it_was_when_the_writing_fails(self, tmp_path):
        target = tmp_path / "result.json"
        target.write_text("old")
        with pytest.raises(ZeroDivisionError), atomic_file(target) as temporary:
            half_written(temporary)
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]


class TestFolder:
    def test_appears_whole_and_replaces_the_old_one(self, tmp_path):
        target = tmp_path / "stage"
        target.mkdir()
        (target / "old").touch()
        with atomic_folder(target) as temporary:
            (temporary / "new").touch()
            assert [p.name for p in target.iterdir()] == ["old"]
        assert [p.name for p in target.iterdir()] == ["new"]
        assert list(tmp_path.iterdir()) == [target]

    def test_does_not_appear_when_the_writing_fails(self, tmp_path):
        target = tmp_path / "stage"
        with pytest.raises(ZeroDivisionError), atomic_folder(target) as temporary:
            half_written(temporary / "half")
        assert not target.exists()

    def test_of_a_killed_process_is_begun_anew(self, tmp_path):
        """A process is killed with half of its files written; the next attempt has none of them."""
        target = tmp_path / "stage"
        code = f"""
            import pathlib, time
            from rpo_bench.files.atomic import atomic_folder
            with atomic_folder(pathlib.Path({str(target)!r})) as folder:
                (folder / "half").touch()
                time.sleep(60)
        """
        process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
        while not list(tmp_path.glob("*/half")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert list(tmp_path.glob("*/half"))
        assert not target.exists()
        with atomic_folder(target) as temporary:
            (temporary / "whole").touch()
        assert [p.name for p in target.iterdir()] == ["whole"]
        assert list(tmp_path.iterdir()) == [target]


class TestSentences:
    @pytest.mark.parametrize("make", [atomic_file, atomic_folder])
    def test_name_a_path_that_cannot_be_written(self, tmp_path, make):
        blocking = tmp_path / "file"
        blocking.touch()
        with (
            pytest.raises(UserError, match=r"result can't be written: (Not a directory|File exists)"),
            make(blocking / "result"),
        ):
            pass

    @pytest.mark.parametrize(
        "error",
        [
            OSError(errno.ENOSPC, "No space left on device"),
            Exception("Error while serializing: I/O error: No space left on device (os error 28)"),
            RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"),
        ],
        ids=["system", "safetensors", "torch.save"],
    )
    def test_name_a_full_disk_whichever_library_met_it(self, tmp_path, error):
        """The messages are those that the libraries gave on a file system of 64 kB."""
        with (
            pytest.raises(UserError, match=r"can't be written: No space left on device"),
            explained(tmp_path),
        ):
            raise error

    @pytest.mark.parametrize(
        "error",
        [
            FileNotFoundError(errno.ENOENT, "No such file", "other"),
            ConnectionResetError(),
            ValueError("os error"),
        ],
    )
    def test_leave_alone_what_is_no_trouble_with_writing(self, tmp_path, error):
        with pytest.raises(type(error)), explained(tmp_path):
            raise error

    def test_keep_a_sentence_that_is_one_already(self, tmp_path):
        with pytest.raises(UserError, match=r"^Give another\.$"), explained(tmp_path):
            raise UserError("Give another.")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write into a read-only folder")
    def test_name_a_read_only_folder(self, tmp_path):
        tmp_path.chmod(0o500)
        with (
            pytest.raises(UserError, match="can't be written: Permission denied"),
            atomic_folder(tmp_path / "x"),
        ):
            pass
