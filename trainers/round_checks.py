"""Which options of a method in rounds make sense, checked before anything is trained."""

import dataclasses

from trainers.errors import UserError
from trainers.objective import Need, OfflineMethod


def check_rounds(method: OfflineMethod, steps: int, batch_size: int) -> None:
    """Checks the options of a method in rounds.

    Args:
        method: the method.
        steps: of the training.
        batch_size: rows per step.

    Raises:
        UserError: an option is out of range or has no effect, or the method can't learn from such rows.
    """
    name, rounds = method.name, method.rounds
    if rounds < 0 or rounds > steps:
        raise UserError(f"{name}: rounds is from 0 to the number of steps, {steps}, not {rounds}.")
    if not rounds:
        _check_idle(method)
        return
    _check_rows(method, batch_size)
    if not own_samples(method):
        if getattr(method, "partition", None) == "leave_one_out":
            raise UserError(
                f"{name}: partition=leave_one_out estimates Z of whoever wrote the rows: in rounds give "
                "partition=self_normalised, or reference=previous without logged rows."
            )
        if getattr(method, "quantiles", None) == "group":
            raise UserError(
                f"{name}: quantiles=group ranks a response among those of whoever wrote the rows: in rounds "
                "give quantiles=reference_rewards."
            )
    if method.reference == "previous" and not _corrects(method):
        raise UserError(
            f"{name}: reference=previous corrects rewards by τ log π_t/π_ref, which takes a method that "
            "regresses on rewards with a τ and sums log-probs: omit it."
        )


def _check_idle(method: OfflineMethod) -> None:
    """Refuses options of rounds without rounds: they would do nothing."""
    for option in dataclasses.fields(OfflineMethod):
        if getattr(method, option.name) != option.default:
            raise UserError(f"{method.name}: {option.name} has an effect in rounds alone: give rounds=N too.")


def _check_rows(method: OfflineMethod, batch_size: int) -> None:
    """Refuses rounds whose rows can't be as many as asked for, or can't be learnt from."""
    name, samples, fresh = method.name, method.samples, method.fresh
    least = 2 if method.needs & {Need.PAIR, Need.GROUP} else 1
    if samples < least:
        what = "makes pairs of a prompt's responses" if Need.PAIR in method.needs else "groups responses"
        raise UserError(f"{name} {what}: samples is at least {least}, not {samples}.")
    if samples > batch_size:
        raise UserError(f"{name}: batch_size {batch_size} holds no group of {samples} rollouts: raise it.")
    if not 0 < fresh <= 1:
        raise UserError(f"{name}: fresh is above 0 and at most 1, not {fresh:g}.")
    share = batch_size * fresh
    if fresh < 1 and (abs(share - round(share)) > 1e-6 or round(share) % samples):
        raise UserError(
            f"{name}: fresh={fresh:g} of {batch_size} rows is {share:g}, which {samples} samples to a prompt "
            "don't divide: change one of them."
        )


def own_samples(method: OfflineMethod) -> bool:
    """Whether a round's rows are all samples of its reference."""
    return method.reference == "previous" and method.fresh == 1


def _corrects(method: OfflineMethod) -> bool:
    """Whether r − τ log π_t/π_ref is the reward that the method regresses on against π_t."""
    plain = type(method).transformed is OfflineMethod.transformed
    return method.strength_name == "tau" and plain and getattr(method, "logp", "sum") == "sum"
