"""Training by an offline method in rounds: on responses of the policy itself, sampled anew each round."""

import copy
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainers.arguments import arguments_of
from trainers.device import process_device
from trainers.drawing import GroupSource, World
from trainers.errors import UserError
from trainers.examples import Examples
from trainers.fitting import finish, run_trainer, value_of, with_adapters, without_adapters
from trainers.gradients import GradientScales
from trainers.kept_checkpoints import KeptCheckpoints
from trainers.launcher import outside_launcher
from trainers.layouts import checked_layout
from trainers.memory import peak_memory_bytes, reset_peak_memory
from trainers.objective import OfflineMethod
from trainers.offline import OfflineTrainer, Probe, Progress
from trainers.offline_step import TrainingInputs
from trainers.precision import DType, resolve_dtype
from trainers.prepare import OfflineData
from trainers.ranks import ALONE, Ranks
from trainers.rates import learning_rates
from trainers.recomputing import enable_recomputing
from trainers.reference import compute_logps
from trainers.rollout_backend import RolloutBackend
from trainers.round_checks import check_rounds
from trainers.round_files import ROUND_FILE, RoundState, plain_state, restored_state
from trainers.rounds import Labeller, Round, RoundSource, draws_of
from trainers.seen import Seen, seen_offline
from trainers.settings import FitResult, TrainingSettings
from trainers.sharding import Spread, lockstep_layout
from trainers.training_log import read_training_log


@outside_launcher()
def fit_rounds(
    method: OfflineMethod,
    model: Any,
    world: World,
    settings: TrainingSettings,
    out_dir: Path,
    *,
    logged: Examples | None = None,
    labelled: Labeller = lambda examples: examples,
    tokenizer: Any = None,
    probe: Probe | None = None,
    progress: Progress | None = None,
    ranks: Ranks = ALONE,
    backend: RolloutBackend | None = None,
) -> FitResult:
    """Trains ``model`` by ``method`` in rounds; the model as it is given is the initial reference.

    A round samples the policy as often as an online method would in the same steps, ``batch_size`` responses
    a step, times ``method.fresh``. The output folder and resuming work as in ``fit``.

    Args:
        method: the objective, with ``rounds`` above 0.
        model: a transformers causal or encoder-decoder model; it is changed in place.
        world: prompts and reward.
        settings: everything else.
        out_dir: the output folder, created if missing.
        logged: logged rows: the rest of a mixture, and rewards of reference samples.
        labelled: labels rows desirable or not by the method's rule.
        tokenizer: saved with the checkpoint.
        probe: as in ``fit``.
        progress: as in ``fit``.
        ranks: as in ``fit``.
        backend: samples in place of the policy's own passes.

    Raises:
        UserError: an option is out of range, or the reward fails.
    """
    if (out_dir / "fit.json").is_file():
        return FitResult.load(out_dir / "fit.json")
    kept = KeptCheckpoints(out_dir, settings.keep_checkpoints, tokenizer)
    kept.check(bool(probe and settings.probe_every))
    check_rounds(method, settings.steps, settings.batch_size)
    device = process_device()
    if not ranks.sharded:  # else each rank moves its part
        model.to(device)
    model.eval()
    dtype = resolve_dtype(settings.dtype, model)
    torch.manual_seed(settings.seed)
    layout = lockstep_layout(checked_layout(model, world.layout), ranks)
    if settings.gradient_checkpointing:
        enable_recomputing(model)
    world = dataclasses.replace(world, layout=layout)
    rate, beside = learning_rates(method, model, settings)
    network = value_of(method, model)
    if settings.lora is None:
        initial, policy = (Spread(each, ranks, device, dtype) for each in (copy.deepcopy(model), model))
    else:
        policy = initial = Spread(with_adapters(model, settings.lora), ranks, device, dtype)
    value = None if network is None else Spread(network, ranks, device, dtype)
    adapters, most = settings.lora is not None, settings.micro_batch_size

    def scored(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        return compute_logps(policy.module, prompts, responses, layout, dtype, ranks, most)

    def referred(prompts: Sequence[Sequence[int]], responses: Sequence[Sequence[int]]) -> NDArray[np.float64]:
        with without_adapters(initial.module, adapters):
            return compute_logps(initial.module, prompts, responses, layout, dtype, ranks, most)

    size = round(settings.batch_size * method.fresh)
    source = GroupSource(draws_of(method), policy, world, settings.seed, size, dtype, backend)
    rounds = RoundSource(method, source, settings, scored, referred, logged=logged, labelled=labelled)
    inputs = _Inputs(rounds, initial, adapters, layout, dtype)
    state = restored_state(out_dir / "partial", rounds)
    first = state or RoundState(rounds.sample(0))
    data = cast("OfflineData", inputs.data(first.round))  # if None, no step reads it
    training = TrainingInputs(
        rounds.method, data, layout, dtype, settings.micro_batch_size, settings.tokens_per_micro_batch, ranks
    )
    arguments = arguments_of(settings, rate, out_dir / "partial")
    scales = GradientScales(settings.clipping, settings.max_grad_norm)
    trainer = RoundsTrainer(policy, arguments, training, value, beside, scales, inputs, first)
    trainer.probe, trainer.probe_every, trainer.progress = probe, settings.probe_every, progress
    trainer.kept = kept
    reset_peak_memory(device)
    reason = run_trainer(trainer, settings, out_dir)
    mean, sd = rounds.scale if rounds.scale is not None and method.zscore_rewards else (0.0, 1.0)
    result = FitResult(
        status="completed" if reason is None else "diverged",
        reason=reason,
        steps=trainer.state.global_step,
        seconds=ranks.from_first(read_training_log(out_dir / "train_log.jsonl"))[-1].get("seconds", 0.0),
        tokens=trainer.tokens,
        peak_memory_bytes=max(ranks.every(peak_memory_bytes(device))),
        dtype=dtype,
        plan_hash="",
        reward_mean=mean,
        reward_sd=sd,
        rollouts=source.counts["rollouts"],
        seen=trainer.seen,
    )
    if reason is None and not trainer.seen.presentations:
        raise UserError(
            f"{method.name} learnt nothing in {method.rounds} rounds: all rewards of each prompt's responses "
            "are equal. Give another reward, more samples, or a base model that succeeds now and then."
        )
    return finish(result, policy, tokenizer, out_dir)


@dataclasses.dataclass(frozen=True)
class _Inputs:
    """What makes the data of a round."""

    rounds: RoundSource
    initial: Spread
    adapters: bool
    layout: Any
    dtype: DType

    def data(self, of: Round) -> OfflineData | None:
        """The round's rows, prepared."""
        with without_adapters(self.initial.module, self.adapters):
            return self.rounds.data(of, self.initial.module, self.layout, self.dtype, self.initial.ranks)


class RoundsTrainer(OfflineTrainer):
    """The offline engine on rows that change from round to round."""

    def __init__(
        self,
        policy: Spread,
        args: Any,
        inputs: TrainingInputs,
        value: Spread | None,
        value_learning_rate: float,
        scales: GradientScales,
        sources: _Inputs,
        state: RoundState,
    ) -> None:
        """As the base class, with where rounds come from and the present one."""
        super().__init__(policy, args, inputs, value, value_learning_rate, scales)
        self.sources = sources
        self.present, self.teaches = state, bool(inputs.data)
        self.first_step = sources.rounds.first_step(state.round.index)

    def training_step(self, model: Any, inputs: dict[str, Tensor], num_items_in_batch: Any = None) -> Tensor:
        """A step on the round's rows, which are sampled at its first step."""
        step = int(inputs["step"])
        index = self.sources.rounds.round_of(step)
        if index != self.present.round.index:
            past = (*self.present.past, self._seen_of_round(step))
            prompts = self.present.prompts | self._prompts_of_round(step)
            model.eval()
            self.present = RoundState(self.sources.rounds.sample(index), past, prompts)
            self.first_step = step
            data = self.sources.data(self.present.round)
            self.teaches = data is not None
            self.work.data = data or self.work.data
        about = {"round": float(index), "effective_samples": self.present.round.effective}
        if self.present.round.mismatch is not None:
            about["logp_mismatch"] = self.present.round.mismatch
        counts = self.sources.rounds.source.counts
        about |= {"rollouts": float(counts["rollouts"])}
        if not self.teaches:  # no two responses differ in reward: a step without a gradient
            self._logged = {"log_ratio": 0.0, **about}
            return torch.zeros((), device=self.args.device)
        loss = super().training_step(model, inputs, num_items_in_batch)
        self._logged |= about
        return loss

    @property
    def seen(self) -> Seen:
        """The data that the training used."""
        parts = (*self.present.past, self._seen_of_round(self.state.global_step))
        # A logged row counts in every round that draws it.
        rows = self.sources.rounds.source.counts["rollouts"] + sum(part.rows for part in parts)
        shown = sum(part.presentations for part in parts)
        paired = [part for part in parts if part.pairs is not None]
        return Seen(
            rows=rows,
            rows_used=sum(part.rows_used for part in parts),
            prompts=len(self.present.prompts | self._prompts_of_round(self.state.global_step)),
            presentations=shown,
            tokens=sum(part.tokens for part in parts),
            epochs=shown / max(1, rows),
            pairs=sum(part.pairs or 0 for part in paired) if paired else None,
            pairs_used=sum(part.pairs_used or 0 for part in paired) if paired else None,
        )

    def _prompts_of_round(self, step: int) -> frozenset[tuple[int, ...]]:
        """The prompts that the present round has used before a step."""
        if not self.teaches or step <= self.first_step:
            return frozenset()
        data = self.work.data
        used = np.unique(data.units[data.plan.batches[: step - self.first_step]])
        return frozenset(tuple(data.examples.prompts[row]) for row in used)

    def _seen_of_round(self, step: int) -> Seen:
        """What the present round has used before a step; its ``rows`` are the logged ones alone."""
        data, rows = self.work.data, len(self.present.round.examples) - self.present.round.rollouts
        done = step - self.first_step
        if not self.teaches or done <= 0:
            return Seen(rows, 0, 0, 0, 0, 0.0)
        return seen_offline(data.units, data.examples.groups, data.lengths, data.plan.batches[:done], rows)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if output_dir is not None:
            torch.save(plain_state(self.present, self.sources.rounds), Path(output_dir) / ROUND_FILE)
