"""The present round in a checkpoint: a resumed run can't sample it again, as the policy has moved on."""

import dataclasses
from pathlib import Path
from typing import Any

import torch

from trainers.checkpoints import complete_checkpoints
from trainers.errors import UserError
from trainers.examples import Examples
from trainers.rounds import Round, RoundSource
from trainers.seen import Seen

ROUND_FILE = "round.pt"


@dataclasses.dataclass
class RoundState:
    """The present round, and what the finished ones have seen.

    Attributes:
        past: of each finished round.
        prompts: the prompts used in them.
    """

    round: Round
    past: tuple[Seen, ...] = ()
    prompts: frozenset[tuple[int, ...]] = frozenset()


def plain_state(state: RoundState, rounds: RoundSource) -> dict[str, Any]:
    """The present round as plain values and tensors, for a checkpoint."""
    rows = state.round.examples
    known = rows.reference_rewards
    columns = {
        name: None if (column := getattr(rows, name)) is None else torch.as_tensor(column)
        for name in ("rewards", "groups", "behaviour_logps", "pairs", "labels")
    }
    return {
        "index": state.round.index,
        "prompts": [list(prompt) for prompt in rows.prompts],
        "responses": [list(response) for response in rows.responses],
        "columns": columns,
        "reference_rewards": None if known is None else {g: torch.as_tensor(r) for g, r in known.items()},
        "reference_logps": torch.as_tensor(state.round.reference_logps),
        "rollouts": state.round.rollouts,
        "effective": state.round.effective,
        "mismatch": state.round.mismatch,
        "past": [dataclasses.asdict(part) for part in state.past],
        "used": [list(prompt) for prompt in sorted(state.prompts)],
        "scale": rounds.scale,
        "source": rounds.source.state(),
    }


def restored_state(folder: Path, rounds: RoundSource) -> RoundState | None:
    """The round in which the latest checkpoint was written; None without one.

    Raises:
        UserError: its file is damaged.
    """
    checkpoint = next(complete_checkpoints(folder), None)
    if checkpoint is None:
        return None
    file = checkpoint / ROUND_FILE
    try:
        saved = torch.load(file, weights_only=True)
        columns: dict[str, Any] = {
            name: None if c is None else c.numpy() for name, c in saved["columns"].items()
        }
        known = saved["reference_rewards"]
        rewards = None if known is None else {g: r.numpy() for g, r in known.items()}
        rows = Examples(saved["prompts"], saved["responses"], reference_rewards=rewards, **columns)
        logps = saved["reference_logps"].numpy()
        rounds.scale = None if saved["scale"] is None else tuple(saved["scale"])
        rounds.source.load(saved["source"])
        past = tuple(Seen(**part) for part in saved["past"])
        used = frozenset(tuple(prompt) for prompt in saved["used"])
        found = Round(
            saved["index"], rows, logps, saved["rollouts"], saved["effective"], saved.get("mismatch")
        )
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError) as error:
        raise UserError(
            f"{file}: the rows of the round can't be read, so that its reference can't be rebuilt: delete "
            f"{folder} to train again from the start."
        ) from error
    return RoundState(found, past, used)
