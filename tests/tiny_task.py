"""A task as small as can be, with a base model: real files, real weights, a real reward."""

import json
from pathlib import Path

import yaml
from tiny_models import tiny_decoder, tiny_encoder_decoder

TOPICS = ("cat", "dog", "house", "river", "city", "a", "the", "of")
GOOD, BAD = "yes good thanks .", "no stupid idiot !"
ANSWERS = ((GOOD, 1.0), ("maybe .", 0.4), ("sure good .", 0.8), (BAD, -1.0))

REWARD = '''
def gold(prompts, responses):
    """Courteous words count 1, insults −1."""
    return [sum(r.split().count(w) for w in ("good", "thanks", "sure"))
            - sum(r.split().count(w) for w in ("idiot", "stupid")) for r in responses]
'''


def tiny_task(folder: Path, *, k: int = 4, encoder_decoder: bool = False) -> Path:
    """Writes a task folder: 8 training prompts × k responses, 6 held-out prompts, 2 probe prompts."""
    folder.mkdir(parents=True)
    tiny_decoder(folder / "models" / "decoder", scale=20.0)
    models = {"decoder": "models/decoder"}
    if encoder_decoder:
        tiny_encoder_decoder(folder / "models" / "encoder-decoder")
        models["encoder-decoder"] = "models/encoder-decoder"
    (folder / "reward.py").write_text(REWARD)
    write_rows(folder / "train.jsonl", k)
    write_prompts(folder / "heldout.jsonl", "who is the {} ?", TOPICS[:6])
    write_prompts(folder / "probe.jsonl", "is the {} red ?", TOPICS[:2])
    spec = {
        "name": folder.name,
        "version": 1,
        "title": "Tiny",
        "description": "For tests.",
        "train": {"on_policy": "train.jsonl"},
        "heldout": "heldout.jsonl",
        "probe": "probe.jsonl",
        "reward": "reward.py:gold",
        "models": models,
        "learning_rates": {"dro": 0.002},
        "max_new_tokens": 6,
    }
    (folder / "task.yaml").write_text(yaml.safe_dump(spec))
    return folder


def write_rows(file: Path, k: int = 4, **more) -> Path:
    """Rows of k answers to "what is the <topic> ?" each."""
    rows = [
        {"prompt": f"what is the {topic} ?", "response": response, "reward": reward, **more}
        for topic in TOPICS
        for response, reward in ANSWERS[:k]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def write_prompts(file: Path, text: str, topics: tuple[str, ...]) -> None:
    prompts = [{"prompt_id": f"{i}", "text": text.format(topic)} for i, topic in enumerate(topics)]
    file.write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))
