"""The base models of a run: found by name, checked to be whole, known by their content."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rpo_bench.errors import UserError, did_you_mean
from rpo_bench.files.atomic import atomic_file
from rpo_bench.files.hashing import hash_folder
from rpo_bench.models.architecture import refuse_dtype
from rpo_bench.models.folder import check_model_folder, is_adapter, read_json
from rpo_bench.models.hub import FLAG, fetch_model, is_hub_name
from rpo_bench.spec.schema import LoadingSpec, PromptFormat, RunSpec
from rpo_bench.spec.trust import Trust

_CHECKS = 2  # raised when a model is checked for more
_WHOLE_CHECK_BYTES = 2_000_000_000  # beyond, only a model's config and tokenizer are loaded when planning


@dataclass(frozen=True)
class Use:
    """How the models of a run are used.

    Attributes:
        prompt_format: as ``--prompt-format`` says it; None: nothing was said.
        system_prompt: of a chat format.
        loading: how they are loaded, and which revision of those from the hub.
        flag: what names them, for messages.
    """

    prompt_format: str | None = None
    system_prompt: str | None = None
    loading: LoadingSpec = field(default_factory=LoadingSpec)
    flag: str = FLAG

    @classmethod
    def of(cls, spec: RunSpec) -> "Use":
        """What a run's spec says."""
        return cls(spec.prompt_format, spec.system_prompt, spec.loading)


@dataclass(frozen=True)
class BaseModel:
    """A base model.

    Attributes:
        name: What results call it.
        path: Its folder.
        hash: Content hash of the folder.
        is_encoder_decoder: Whether prompts go to an encoder.
        context: Tokens that it takes, or None where positions are relative; of an encoder-decoder those of
            a prompt.
        bytes: Size of its folder.
        prompt_format: What is written around prompts; None: nothing.
        loading: How it is loaded; of one from the hub with the commit.
        hub: Its name on the hub; None for a folder.
        response_limit: Tokens that a response may take by itself, or None.
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

    @property
    def architecture(self) -> str:
        """Either "decoder" or "encoder-decoder"."""
        return "encoder-decoder" if self.is_encoder_decoder else "decoder"


def find_models(
    names: Sequence[str], own: Mapping[str, Path], trust: Trust, cache: Path | None, use: Use | None = None
) -> list[BaseModel]:
    """The base models that a run names: the task's own, folders, or models of the hub.

    Args:
        names: As given with ``--models``.
        own: The task's own models: name → folder.
        trust: What is allowed.
        cache: Where it is remembered that a folder was found whole; None: nowhere.
        use: How they are used; None: as they are, with none that has a chat template.

    Raises:
        UserError: a model can't be found or used, or two have the same name.
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
    """One base model, by a name that the task gives it, by its folder, or by its name on the hub."""
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
        facts.context,
        size,
        _format(folder, short, facts.is_encoder_decoder, trust, use),
        use.loading.model_copy(update={"revision": commit}),
        None if commit is None else name,
        facts.response_limit,
    )


def _check_loading(folder: Path, loading: LoadingSpec, trust: Trust) -> None:
    """Refuses what a model can't be loaded in, before anything is trained."""
    kind = str(read_json(folder / "config.json").get("model_type", ""))
    refuse_dtype(str(folder), kind, loading.dtype, "--model-dtype")
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
    checks: int  # which checks it has passed: another number means that they are made anew


def _read(file: Path) -> _Facts | None:
    try:
        found = _Facts(**json.loads(file.read_text()))
    except (ValueError, TypeError):
        return None  # damaged or of an earlier version: found out anew
    return found if found.checks == _CHECKS else None


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
        model.check()
        return _Facts(model.is_encoder_decoder, model.positions.prompt, model.positions.response, _CHECKS)
    from rpo_bench.models.loading import load_config, load_tokenizer
    from rpo_bench.models.positions import positions_of

    config = load_config(str(folder), trust.trust_remote_code)
    load_tokenizer(str(folder), trust.trust_remote_code)
    limits = positions_of(config)
    return _Facts(bool(config.is_encoder_decoder), limits.prompt, limits.response, _CHECKS)


def _from_hub(name: str, own: Mapping[str, Path], trust: Trust, use: Use) -> tuple[Path, str]:
    """Fetches a model from the hub, or takes the local copy of it; returns folder and commit."""
    if not is_hub_name(name):
        hint = did_you_mean(name, own) if own else " Make one with rpo-bench base."
        raise UserError(
            f"{use.flag}: there is no folder '{name}', and the task has no model of that name.{hint}"
        )
    fetched = fetch_model(
        name, use.loading.revision, trust.allow_pickle, trust.trust_remote_code, flag=use.flag
    )
    return fetched.folder, fetched.commit
