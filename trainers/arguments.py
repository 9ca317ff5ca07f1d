"""Our training settings as those of ``transformers.Trainer``."""

from collections.abc import Mapping
from pathlib import Path

from transformers import TrainingArguments

from trainers.device import process_device
from trainers.settings import Optim, TrainingSettings

#: Our name of an optimiser → transformers' name.
_OPTIMISERS: Mapping[Optim, str] = {
    "adamw": "adamw_torch_fused",
    "adafactor": "adafactor",
    "adamw-8bit": "adamw_bnb_8bit",
    "paged-adamw-8bit": "paged_adamw_8bit",
}


def arguments_of(settings: TrainingSettings, learning_rate: float, folder: Path) -> TrainingArguments:
    """The settings in the words of ``transformers``."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=1,  # of steps: one item of the loader is a whole optimiser batch
        learning_rate=learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=settings.warmup_steps,
        weight_decay=settings.weight_decay,
        adam_beta1=settings.adam_betas[0],
        adam_beta2=settings.adam_betas[1],
        max_grad_norm=0.0,  # the trainer scales and clips gradients itself
        optim=_OPTIMISERS[settings.optim],
        logging_strategy="steps",
        logging_steps=1,
        logging_nan_inf_filter=False,
        save_strategy="steps" if settings.save_every else "no",
        save_steps=settings.save_every or settings.steps,
        save_total_limit=2,
        seed=settings.seed,
        use_cpu=process_device().type == "cpu",
        disable_tqdm=True,
        remove_unused_columns=False,
        report_to="none",  # the training log tells trackers, for every engine alike
    )
    arguments._n_gpu = min(1, arguments.n_gpu)  # one device per run: parallelism is by process
    return arguments
