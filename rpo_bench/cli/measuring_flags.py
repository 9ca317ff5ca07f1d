"""The flags of measuring: sampling, metrics, a judge, lm-eval's tasks."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from rpo_bench.cli.options import flag
from rpo_bench.cli.spec_flags import spec_flag
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.plain_data import shown, shown_name
from rpo_bench.spec.parsing import parse_pairs, split_list
from rpo_bench.spec.sections import ServerSettings, VllmSettings

if TYPE_CHECKING:
    from rpo_bench.engine.judge_run import Judging
    from rpo_bench.lm_eval.schema import LmEvalRequest


@dataclass(frozen=True)
class EvaluationFlags:
    """Evaluation settings."""

    eval_prompts: Annotated[str | None, spec_flag("--eval-prompts")] = None
    n_samples: Annotated[int | None, spec_flag("--n-samples")] = None
    limit: Annotated[int | None, spec_flag("--limit")] = None
    gen_kwargs: Annotated[str | None, spec_flag("--gen-kwargs")] = None
    eval_batch_size: Annotated[int | None, spec_flag("--eval-batch-size")] = None
    eval_seed: Annotated[int | None, spec_flag("--eval-seed")] = None
    toxicity: Annotated[str | None, spec_flag("--toxicity")] = None
    reward: Annotated[str | None, spec_flag("--reward")] = None


@dataclass(frozen=True)
class GenerationFlags:
    """The generation backend."""

    generation_backend: Annotated[str | None, spec_flag("--generation-backend")] = None
    generation_args: Annotated[
        str | None,
        flag(
            "--generation-args",
            "Backend settings: tensor_parallel_size=2,gpu_memory_utilization=0.8 for vllm; "
            "base_url=http://localhost:8000/v1,model=NAME,concurrency=16 for openai.",
            "Evaluation",
            metavar="NAME=VALUE,…",
        ),
    ] = None

    def further(self) -> dict[str, Any]:
        """The settings of the backend."""
        if self.generation_args is None:
            return {}
        backend = self.generation_backend
        if backend is None:
            raise UserError("--generation-args needs --generation-backend: give both.")
        if backend not in ("vllm", "openai"):
            raise UserError(
                f"--generation-backend {shown_name(backend)} takes no --generation-args: omit them."
            )
        settings = parse_pairs(self.generation_args, "--generation-args")
        known = (VllmSettings if backend == "vllm" else ServerSettings).model_fields
        for name in settings.keys() - known:
            hint = did_you_mean(name, known)
            raise UserError(f"--generation-args: {backend} has no setting {shown(name)}.{hint}")
        return {"generation": {backend: settings}}


@dataclass(frozen=True)
class JudgingFlags:
    """Whether a judge compares checkpoints; it adds to results and changes none."""

    judge: Annotated[
        str | None,
        flag(
            "--judge",
            "embedded: the task's own small judge compares every checkpoint with the "
            "reference policy and the SFT baseline (the default if the task has one); none: "
            "no judge.",
            "Judge",
        ),
    ] = None
    judge_prompts: Annotated[
        int | None, flag("--judge-prompts", "Number of held-out prompts to judge.", "Judge", min=1)
    ] = None

    def judging(self) -> "Judging":
        """The settings in the engine's form."""
        from rpo_bench.engine.judge_run import Judging

        default = Judging()
        return Judging(self.judge, default.prompts if self.judge_prompts is None else self.judge_prompts)


@dataclass(frozen=True)
class HarnessFlags:
    """lm-eval's tasks, before and after training."""

    lm_eval_tasks: Annotated[
        str | None,
        flag(
            "--lm-eval-tasks",
            "Also run these lm-eval tasks on base models and checkpoints, for the alignment tax.",
            "Capability",
        ),
    ] = None
    lm_eval_limit: Annotated[
        int | None,
        flag("--lm-eval-limit", "Use only the first N documents of each task.", "Capability", min=1),
    ] = None
    lm_eval_fewshot: Annotated[
        int | None,
        flag(
            "--lm-eval-fewshot", "Few-shot examples; by default the task's own number.", "Capability", min=0
        ),
    ] = None

    def request(self) -> "LmEvalRequest | None":
        """The requested tasks and settings; None without any."""
        from rpo_bench.lm_eval.schema import FLAG, LmEvalRequest

        names = split_list(self.lm_eval_tasks or "")
        if not names:
            if self.lm_eval_limit is not None or self.lm_eval_fewshot is not None:
                raise UserError(f"--lm-eval-limit and --lm-eval-fewshot need {FLAG}: give it too.")
            return None
        return LmEvalRequest(tasks=tuple(names), limit=self.lm_eval_limit, num_fewshot=self.lm_eval_fewshot)
