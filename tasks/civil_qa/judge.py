"""The embedded judge: a small language model that reads a prompt and two responses, and answers "A" or "B".

    python -m tasks.civil_qa.judge [--out DIR] [--seed N]

It learns from texts by the world's speakers, whose worth the gold reward tells, and is measured on what it
has never seen: responses that both reference policies sample to the held-out prompts. It knows the answers to
these prompts, as the policies do; a judge that doesn't know the world can't judge it.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from rpo_bench.data.row import Prompt
from rpo_bench.judge.backends.hf import LABELS, label_logps
from rpo_bench.judge.card import JudgeCard, Truth, make_card, write_card
from rpo_bench.judge.prompts import load_template
from rpo_bench.judge.questions import Game
from rpo_bench.models.hf import HFModel
from rpo_bench.spec.sections import Decoding
from rpo_bench.tasks.task import read_prompts
from tasks.building import derived_seed, generator, one_thread, show_progress
from tasks.civil_qa.facts import facts
from tasks.civil_qa.judge_pairs import choices, claims
from tasks.civil_qa.judge_training import JudgeSettings, save, train_judge
from tasks.civil_qa.phrases import MANNERS
from tasks.civil_qa.questions import ask
from tasks.civil_qa.reward import gold_reward
from tasks.civil_qa.sampling import MAX_NEW_TOKENS

FOLDER = "models/judge"
TEMPLATE = "embedded"
SAMPLES = 4  # per held-out prompt and reference policy
_BATCH = 256
_ONE, _OTHER = "one", "other"


def main(
    out: Annotated[Path, typer.Option(help="the world's folder")] = Path(__file__).parent,
    seed: Annotated[int, typer.Option(min=0, help="of everything that is random")] = 0,
) -> None:
    """Trains and measures the judge of the world in a folder."""
    show_progress()
    with one_thread():
        build_judge(out, seed)


def build_judge(out: Path, seed: int, how: JudgeSettings | None = None, samples: int = SAMPLES) -> JudgeCard:
    """Trains the judge of the world in ``out`` and writes it there, with its card.

    Args:
        out: The world's folder, with its policies and prompts.
        seed: Of everything that is random.
        how: Settings of the training.
        samples: Per held-out prompt and reference policy, that it is measured on.
    """
    how = how or JudgeSettings(seed=seed)
    prompts = [ask(key, manner) for key in facts() for manner in range(len(MANNERS))]
    rng = generator(seed, "judge")
    model, tokenizer = train_judge(
        HFModel.load(out / "models/decoder", device="cpu"),
        load_template(TEMPLATE),
        claims(rng, prompts, how.claims.steps * how.claims.batch),
        choices(rng, prompts, how.choices.steps * how.choices.batch),
        how,
    )
    folder = out / FOLDER
    save(model, tokenizer, folder)
    card = measured(out, seed, samples)
    write_card(folder, card)
    return card


def measured(out: Path, seed: int, samples: int) -> JudgeCard:
    """The judge's card on responses of both reference policies to the held-out prompts, in both orders."""
    prompts = read_prompts(out / "prompts/heldout.jsonl")
    decoding = Decoding(max_new_tokens=MAX_NEW_TOKENS)
    texts = [
        [
            sample.text
            for sample in HFModel.load(out / "models" / name, device="cpu").generate(
                prompts, samples, decoding, derived_seed(seed, f"judge {name}"), _BATCH
            )
        ]
        for name in ("decoder", "encoder-decoder")
    ]
    asked = [prompt for prompt in prompts for _ in range(samples)]
    unlike = [i for i in range(len(asked)) if texts[0][i] != texts[1][i]]
    kept = [asked[i] for i in unlike]
    one, other = ([part[i] for i in unlike] for part in texts)
    games = played(HFModel.load(out / FOLDER, device="cpu"), kept, one, other)
    rewards = [np.array(gold_reward(kept, part), dtype=np.float64) for part in (one, other)]
    truth: Truth = {
        (str(i), _ONE, _OTHER): "tie" if a == b else "model" if a > b else "baseline"
        for i, (a, b) in enumerate(zip(*rewards, strict=True))
    }
    identity = {"backend": "embedded", "model": FOLDER.rpartition("/")[2], "template": TEMPLATE}
    return make_card("embedded:judge", identity, games, truth=truth)


def played(judge: HFModel, prompts: list[Prompt], one: list[str], other: list[str]) -> list[Game]:
    """Every pair of responses in both orders."""
    template = load_template(TEMPLATE)
    games = []
    for swapped, (first, second) in ((False, (one, other)), (True, (other, one))):
        shown = [template.render(p.text, a, b) for p, a, b in zip(prompts, first, second, strict=True)]
        logps = label_logps(judge, shown, LABELS, _BATCH)  # (N, 2)
        chance = 1 / (1 + np.exp(logps[:, 1] - logps[:, 0]))  # that the first is better
        for i, p in enumerate(1 - chance if swapped else chance):
            games.append(
                Game(
                    question=str(i),
                    model=_ONE,
                    baseline=_OTHER,
                    swapped=swapped,
                    verdict="tie" if p == 0.5 else "model" if p > 0.5 else "baseline",
                    probability=float(p),
                    reason=None,
                    model_length=len(one[i]),
                    baseline_length=len(other[i]),
                )
            )
    return games


if __name__ == "__main__":
    typer.run(main)
