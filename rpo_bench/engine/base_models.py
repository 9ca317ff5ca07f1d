"""The base models of a run: found by name, checked to be whole, known by their content."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rpo_bench.atomic import atomic_file
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.hashing import hash_folder
from rpo_bench.models.folder import check_model_folder, is_adapter

_WHOLE_CHECK_BYTES = 2_000_000_000  # beyond, only a model's config and tokenizer are loaded when planning


@dataclass(frozen=True)
class Trust:
    """What is allowed when models are loaded."""

    trust_remote_code: bool = False
    allow_pickle: bool = False


@dataclass(frozen=True)
class BaseModel:
    """A base model.

    Attributes:
        name: What results call it.
        path: Its folder.
        hash: Content hash of the folder.
        is_encoder_decoder: Whether prompts go to an encoder.
        context: Tokens that it takes, or None where positions are relative.
        bytes: Size of its folder.
    """

    name: str
    path: Path
    hash: str
    is_encoder_decoder: bool
    context: int | None
    bytes: int

    @property
    def architecture(self) -> str:
        """Either "decoder" or "encoder-decoder"."""
        return "encoder-decoder" if self.is_encoder_decoder else "decoder"


def find_models(
    names: Sequence[str], own: Mapping[str, Path], trust: Trust, cache: Path | None
) -> list[BaseModel]:
    """The base models that a run names: the task's own, folders, or models of the hub.

    Args:
        names: As given with ``--models``.
        own: The task's own models: name → folder.
        trust: What is allowed.
        cache: Where it is remembered that a folder was found whole; None: nowhere.

    Raises:
        UserError: a model can't be found or used, or two have the same name.
    """
    models = [find_model(name, own, trust, cache) for name in names]
    for i, model in enumerate(models):
        twin = next((other for other in models[:i] if other.name == model.name), None)
        if twin is not None:
            raise UserError(
                f"--models: {twin.path} and {model.path} are both called '{model.name}': rename a folder."
            )
    return models


def find_model(name: str, own: Mapping[str, Path], trust: Trust, cache: Path | None) -> BaseModel:
    """One base model, by a name that the task gives it, by its folder, or by its name on the hub."""
    folder = own.get(name) or Path(name).expanduser()
    short = name if name in own else folder.resolve().name
    if name not in own and not folder.exists():
        folder = _from_hub(name, own)
    if is_adapter(folder):
        raise UserError(f"{folder} is an adapter, not a whole model: merge it into its base model first.")
    check_model_folder(folder, trust.allow_pickle)
    content = hash_folder(folder)
    known = None if cache is None else cache / f"model-{content[:32]}.json"
    facts = _read(known) if known is not None and known.is_file() else None
    if facts is None:
        facts = _inspect(folder, trust)
        if known is not None:
            with atomic_file(known) as file:
                file.write_text(json.dumps(asdict(facts)))
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return BaseModel(short, folder.resolve(), content, facts.is_encoder_decoder, facts.context, size)


@dataclass(frozen=True)
class _Facts:
    is_encoder_decoder: bool
    context: int | None


def _read(file: Path) -> _Facts | None:
    try:
        return _Facts(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return None  # damaged: found out anew


def _inspect(folder: Path, trust: Trust) -> _Facts:
    """Loads the model, unless it is large, to see that it is whole and its tokenizer fits."""
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if weights <= _WHOLE_CHECK_BYTES:
        from rpo_bench.models.hf import HFModel

        model = HFModel.load(
            folder,
            device="cpu",
            allow_pickle=trust.allow_pickle,
            trust_remote_code=trust.trust_remote_code,
        )
        return _Facts(model.is_encoder_decoder, model.context)
    from transformers import AutoConfig

    from rpo_bench.models.loading import load_tokenizer

    config = AutoConfig.from_pretrained(folder, trust_remote_code=trust.trust_remote_code)
    load_tokenizer(str(folder), trust.trust_remote_code)
    return _Facts(bool(config.is_encoder_decoder), getattr(config, "max_position_embeddings", None))


def _from_hub(name: str, own: Mapping[str, Path]) -> Path:
    """Fetches a model from the hub, or takes it from the local copy of it."""
    if "/" not in name or name.startswith((".", "/", "~")) or name.count("/") > 1:
        hint = did_you_mean(name, own) if own else " Make one with rpo-bench base."
        raise UserError(
            f"--models: there is no folder '{name}', and the task has no model of that name.{hint}"
        )
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors*", "*.model", "*.txt"]))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(".")
        raise UserError(
            f"--models: there is no folder '{name}', and it could not be had from the hub: {reason}."
        ) from error
