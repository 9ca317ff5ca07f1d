"""What ``verify`` has found, kept until the command is done: stopped in between, it needn't find it again."""

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
    """Findings of one command, in the user's cache.

    Attributes:
        folder: of this command; another command, or other code, has another.
    """

    folder: Path

    @classmethod
    def of(cls, asked: list[str]) -> "Kept":
        """For methods and questions in the form of texts; the code that answers them is part of the key."""
        code = [hash_folder(Path(trainers.__path__[0])), hash_folder(Path(rpo_bench.__path__[0]) / "tabular")]
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        return cls(base / "rpo-bench" / "verify" / hash_json([*code, rpo_bench.__version__, *asked])[:24])

    def read(self, number: int) -> Verification | None:
        """What was found of a method; None where nothing was kept."""
        try:
            found = pickle.loads((self.folder / str(number)).read_bytes())
        except Exception:  # none, cut short, or of another version of a library
            return None
        return found if isinstance(found, Verification) else None

    def write(self, number: int, found: Verification) -> None:
        """Keeps what was found; a cache that can't be written to keeps nothing."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with whole_file(self.folder / str(number)) as temporary:
                temporary.write_bytes(pickle.dumps(found))
        except OSError:
            return

    def done(self, count: int) -> None:
        """The command is done: its next run finds everything anew."""
        for number in range(count):
            (self.folder / str(number)).unlink(missing_ok=True)
