"""Finds the base models of a run, checks that they are complete, and hashes their content."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from pathlib import Path

from rpo_bench.data.limits import lowest
from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_folder
from rpo_bench.models.architecture import refuse_dtype
from rpo_bench.models.folder import check_model_folder, is_adapter, read_json
from rpo_bench.models.hub import FLAG, fetch_model, is_hub_name
from rpo_bench.spec.schema import RunSpec
from rpo_bench.spec.sections import LoadingSpec, PromptFormat
from rpo_bench.spec.trust import Trust
from trainers.rates import model_width

_CHECKS = 3  # increase this when the checks change
_WHOLE_CHECK_BYTES = 2_000_000_000  # larger models: planning loads only the config and tokenizer


@dataclass(frozen=True)
class Use:
    """How the models of a run are used.

    Attributes:
        prompt_format: the value of ``--prompt-format``; None: not given.
        system_prompt: the system prompt of a chat format.
        loading: how they are loaded, with the revision of hub models.
        flag: the flag that named them, for messages.
        max_length: of prompts and responses, in tokens; None: what the model has positions for.
    """

    prompt_format: str | None = None
    system_prompt: str | None = None
    loading: LoadingSpec = field(default_factory=LoadingSpec)
    flag: str = FLAG
    max_length: int | None = None

    @classmethod
    def of(cls, spec: RunSpec) -> "Use":
        """Takes the settings from a run's spec."""
        return cls(spec.prompt_format, spec.system_prompt, spec.loading, max_length=spec.data.max_length)


@dataclass(frozen=True)
class BaseModel:
    """A base model.

    Attributes:
        name: Its name in results.
        path: Its folder.
        hash: Content hash of the folder.
        is_encoder_decoder: Whether prompts go to an encoder.
        context: Context length in tokens, ``--max-length`` at most; None where positions are relative. For an
            encoder-decoder, the limit on the prompt.
        bytes: Size of its folder.
        prompt_format: The prompt format; None: prompts are used as they are.
        loading: How it is loaded; for hub models with the commit.
        hub: Its name on the hub; None for a folder.
        response_limit: A separate limit on response tokens, or None.
        width: Of the hidden states.
        max_length: ``--max-length``, which the limits above don't exceed.
    """

    name: str
    path: Path
    hash: str
    is_encoder_decoder: bool
    context: int | None
    bytes: int
    prompt_format: PromptFormat | None = None
    loading: LoadingSpec = field(default_factory=LoadingSpec)
    hub: str | None = None
    response_limit: int | None = None
    width: int = 0
    max_length: int | None = None

    @property
    def limit(self) -> str:
        """What limits prompts, for messages."""
        if self.context is not None and self.context == self.max_length:
            return f"--max-length {self.max_length:,}"
        return f"the context of {self.name} ({self.context:,} tokens)"

    @property
    def architecture(self) -> str:
        """Either "decoder" or "encoder-decoder"."""
        return "encoder-decoder" if self.is_encoder_decoder else "decoder"


def find_models(
    names: Sequence[str], own: Mapping[str, Path], trust: Trust, cache: Path | None, use: Use | None = None
) -> list[BaseModel]:
    """Finds the base models of a run: the task's own, folders, or hub models.

    Args:
        names: The names given with ``--models``.
        own: The task's own models: name → folder.
        trust: Permissions for loading models.
        cache: Folder that stores which models passed the checks; None: don't store.
        use: How the models are used; None: the defaults, without chat templates.

    Raises:
        UserError: a model is missing or unusable, or two have the same name.
    """
    models = [find_model(name, own, trust, cache, use) for name in names]
    for i, model in enumerate(models):
        twin = next((other for other in models[:i] if other.name == model.name), None)
        if twin is not None:
            raise UserError(
                f"--models: {twin.path} and {model.path} are both called '{model.name}': rename a folder."
            )
    return models


def find_model(
    name: str, own: Mapping[str, Path], trust: Trust, cache: Path | None, use: Use | None = None
) -> BaseModel:
    """Finds one base model by its name in the task, its folder, or its name on the hub."""
    use = use or Use()
    folder = own.get(name) or Path(name).expanduser()
    short = name if name in own else folder.resolve().name
    commit = None
    if name not in own and not folder.exists():
        folder, commit = _from_hub(name, own, trust, use)
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
    _check_loading(folder, use.loading, trust)
    return BaseModel(
        short,
        folder.resolve(),
        content,
        facts.is_encoder_decoder,
        lowest(facts.context, use.max_length),
        size,
        _format(folder, short, facts.is_encoder_decoder, trust, use),
        use.loading.model_copy(update={"revision": commit}),
        None if commit is None else name,
        lowest(facts.response_limit, use.max_length),
        facts.width,
        use.max_length,
    )


def _check_loading(folder: Path, loading: LoadingSpec, trust: Trust) -> None:
    """Refuses loading settings that the model doesn't support, before training starts."""
    kind = str(read_json(folder / "config.json").get("model_type", ""))
    refuse_dtype(str(folder), kind, loading.dtype, "--model-dtype")
    if loading.quantization is not None and find_spec("bitsandbytes") is None:
        raise UserError(
            f"--quantization {loading.quantization}: bitsandbytes isn't installed: pip install bitsandbytes."
        )
    if loading.attn_implementation is not None:
        from rpo_bench.models.loading import check_attention

        check_attention(str(folder), loading.attn_implementation, trust.trust_remote_code)


def _format(folder: Path, name: str, is_encoder_decoder: bool, trust: Trust, use: Use) -> PromptFormat | None:
    from rpo_bench.models.loading import load_tokenizer
    from rpo_bench.models.prompt_formats import resolve_format

    if use.prompt_format == "none" and use.system_prompt is None:
        return None
    tokenizer = load_tokenizer(str(folder), trust.trust_remote_code)
    return resolve_format(use.prompt_format, use.system_prompt, tokenizer, name, is_encoder_decoder)


@dataclass(frozen=True)
class _Facts:
    is_encoder_decoder: bool
    context: int | None
    response_limit: int | None
    width: int
    checks: int  # version of the checks it passed; another version means checking again


def _read(file: Path) -> _Facts | None:
    try:
        found = _Facts(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return None  # damaged, or from an earlier version: check again
    return found if found.checks == _CHECKS else None


def _inspect(folder: Path, trust: Trust) -> _Facts:
    """Loads the model, unless it is large, to check that it is complete and its tokenizer fits."""
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    if weights <= _WHOLE_CHECK_BYTES:
        from rpo_bench.models.hf import HFModel

        model = HFModel.load(
            folder,
            device="cpu",
            allow_pickle=trust.allow_pickle,
            trust_remote_code=trust.trust_remote_code,
        )
        model.check()
        limits = model.positions
        width = model_width(model.model)
        return _Facts(model.is_encoder_decoder, limits.prompt, limits.response, width, _CHECKS)
    from rpo_bench.models.loading import load_config, load_tokenizer
    from rpo_bench.models.positions import positions_of

    config = load_config(str(folder), trust.trust_remote_code)
    load_tokenizer(str(folder), trust.trust_remote_code)
    limits = positions_of(config)
    width = int(config.get_text_config().hidden_size)
    return _Facts(bool(config.is_encoder_decoder), limits.prompt, limits.response, width, _CHECKS)


def _from_hub(name: str, own: Mapping[str, Path], trust: Trust, use: Use) -> tuple[Path, str]:
    """Downloads a hub model or uses its local copy; returns folder and commit."""
    if not is_hub_name(name):
        hint = did_you_mean(name, own) if own else " Make one with rpo-bench base."
        raise UserError(
            f"{use.flag}: there is no folder '{name}', and the task has no model of that name.{hint}"
        )
    fetched = fetch_model(
        name, use.loading.revision, trust.allow_pickle, trust.trust_remote_code, flag=use.flag
    )
    return fetched.folder, fetched.commit
