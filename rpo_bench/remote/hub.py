"""The Hugging Face hub: reachability, commits of names, and explanations of errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rpo_bench.errors import UserError
from rpo_bench.remote.urls import Address, error_line

Kind = Literal["model", "dataset"]
_TIMEOUT = 5.0  # seconds; libraries would try again for half a minute


def resolve_commit(name: str, kind: Kind, flag: str, revision: str | None = None) -> str | None:
    """The current commit of a revision of a model or dataset.

    Sends one request without retries, so that an unreachable hub is detected at once.

    Args:
        name: ``owner/name``.
        kind: Model or dataset.
        flag: The flag that named it, for messages.
        revision: A branch, tag or commit; None: the latest.

    Returns:
        The commit's hash; None in offline mode (HF_HUB_OFFLINE).

    Raises:
        UserError: The hub doesn't have it, refuses access, or can't be reached.
    """
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return None
    api = HfApi()
    ask = api.model_info if kind == "model" else api.dataset_info
    try:
        found = ask(name, revision=revision, timeout=_TIMEOUT)
    except Exception as error:
        raise UserError(explained(name, kind, flag, revision, error)) from error
    return None if found.sha is None else str(found.sha)


def explained(name: str, kind: Kind, flag: str, revision: str | None, error: Exception) -> str:
    """One sentence on why a model or dataset can't be loaded from the hub, and what to do."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    hub = Address(constants.ENDPOINT)
    where = f"{flag}{name}" if flag.endswith(":") else f"{flag} {name}".strip()
    status = getattr(getattr(error, "response", None), "status_code", None)
    if isinstance(error, GatedRepoError) or status == 403:
        return (
            f"{where}: the {kind} is gated: request access on {hub}/{name}, then log in with "
            "'hf auth login' or set HF_TOKEN."
        )
    if isinstance(error, RevisionNotFoundError):
        return f"{where}: the {kind} has no revision '{revision}': give a branch, tag or commit of it."
    if isinstance(error, RepositoryNotFoundError) or status in (401, 404):
        return (
            f"{where}: there is no such folder, and the hub has no public {kind} of that name: check the "
            "spelling, or set HF_TOKEN if it is private."
        )
    if constants.HF_HUB_OFFLINE or isinstance(error, OfflineModeIsEnabled):
        return (
            f"{where}: there is no such folder, and no copy from the hub on this machine; HF_HUB_OFFLINE "
            "prevents downloads: give a folder, or unset it."
        )
    if isinstance(error, HfHubHTTPError) and not isinstance(error, LocalEntryNotFoundError) and status:
        return f"{where}: {hub} answered with {status}: try again later, or give a folder."
    return (
        f"{where}: there is no such folder, and {hub} can't be reached ({error_line(error)}): "
        "give a folder, set HF_ENDPOINT to a mirror, or HF_HUB_OFFLINE=1 to use the copies on this machine."
    )


def why_unreachable() -> str | None:
    """Why the hub can't be reached; None if it answers. Sends one request without retries."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    try:
        get_session().head(constants.ENDPOINT, timeout=_TIMEOUT)
    except Exception as error:
        return error_line(error)
    return None


@contextmanager
def no_waiting() -> Iterator[str | None]:
    """Makes libraries use local copies, or fail at once, if the hub can't be reached.

    ``datasets`` would otherwise retry for a minute and a half.

    Yields:
        Why it can't be reached; None if it can.
    """
    import datasets
    from huggingface_hub import constants

    why = why_unreachable()
    switches: tuple[Any, ...] = (constants, datasets.config)
    before = [module.HF_HUB_OFFLINE for module in switches]
    try:
        for module in switches if why is not None else ():
            module.HF_HUB_OFFLINE = True
        yield why
    finally:
        for module, value in zip(switches, before, strict=True):
            module.HF_HUB_OFFLINE = value
