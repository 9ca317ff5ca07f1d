"""What is published of a judge: who it is and its card. Its replies, which are many, stay with the run."""

import shutil
from pathlib import Path

from rpo_bench.judge.card import CARD_FILE
from rpo_bench.judge.storage import FOLDER, IDENTITY_FILE, judge_folders


def publish_cards(output: Path, into: Path) -> int:
    """Copies the cards of an output's judges to ``<into>/judgements``; returns how many there were."""
    found = [folder for folder in judge_folders(output) if (folder / CARD_FILE).is_file()]
    for folder in found:
        target = into / FOLDER / folder.name
        target.mkdir(parents=True, exist_ok=True)
        for name in (IDENTITY_FILE, CARD_FILE):
            shutil.copyfile(folder / name, target / name)
    return len(found)
