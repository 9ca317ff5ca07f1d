"""Caches results of ``verify`` until the command is done, so that an interrupted command can continue."""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path

import rpo_bench
import trainers
from rpo_bench.files.hashing import hash_folder, hash_json
from rpo_bench.tabular.verify import Verification
from trainers.whole_files import whole_file


@dataclass(frozen=True)
class Kept:
    """Results of one command, in the user's cache.

    Attributes:
        folder: of this command; other commands and other code use other folders.
    """

    folder: Path

    @classmethod
    def of(cls, request: list[str]) -> "Kept":
        """The cache for a request, with the code as part of the key."""
        code = [hash_folder(Path(trainers.__path__[0])), hash_folder(Path(rpo_bench.__path__[0]) / "tabular")]
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(base / "rpo-bench" / "verify" / hash_json([*code, rpo_bench.__version__, *request])[:24])

    def read(self, number: int) -> Verification | None:
        """The cached result of a method; None if there is none."""
        try:
            found = pickle.loads((self.folder / str(number)).read_bytes())
        except Exception:  # none, cut short, or of another version of a library
            return None
        return found if isinstance(found, Verification) else None

    def write(self, number: int, found: Verification) -> None:
        """Caches a result; does nothing if the cache can't be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self.folder / str(number)) as temporary:
                temporary.write_bytes(pickle.dumps(found))
        except OSError:
            return

    def done(self, count: int) -> None:
        """Clears the cache at the end of the command."""
        for number in range(count):
            (self.folder / str(number)).unlink(missing_ok=True)
