"""What is published of a judge: who it is and its card. Its replies, which are many, stay with the run."""

from pathlib import Path

from rpo_bench.files.reading import read_bytes
from rpo_bench.judge.card import CARD_FILE, read_card
from rpo_bench.judge.storage import FOLDER, IDENTITY_FILE, judge_folders, read_identity


def publish_cards(output: Path, into: Path) -> int:
    """Copies the cards of an output's judges to ``<into>/judgements``; returns how many there were.

    Raises:
        UserError: One of them is damaged.
    """
    found = [folder for folder in judge_folders(output) if read_card(folder) is not None]
    for folder in found:
        read_identity(folder)
        target = into / FOLDER / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for name in (IDENTITY_FILE, CARD_FILE):
            (target / name).write_bytes(read_bytes(folder / name))
    return len(found)
