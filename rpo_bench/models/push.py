"""Pushes a checkpoint to the Hugging Face hub."""

import os
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.remote.urls import Address, error_line


def push_to_hub(folder: str | Path, repo: str, *, private: bool = True) -> str:
    """Uploads a checkpoint folder and its model card to a repository, creating it if missing.

    Args:
        folder: the checkpoint.
        repo: ``OWNER/NAME``.
        private: whether a new repository is private; existing ones are unchanged.

    Returns:
        The repository's URL.

    Raises:
        UserError: the hub can't be reached or refuses; the folder is unchanged.
    """
    from huggingface_hub import HfApi

    folder = Path(folder)
    check_name(repo)
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such checkpoint to push.")
    try:
        api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="rpo-bench")
        address = api.create_repo(repo, private=private, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repo, commit_message="Checkpoint by rpo-bench")
    except Exception as error:  # no network, no token, no right, a full quota …
        raise UserError(
            f"{folder} can't be pushed to {repo}: {error_line(error)}; it is kept: log in with "
            "'hf auth login' or set HF_TOKEN, check that the hub can be reached (HF_HUB_OFFLINE, "
            "HF_ENDPOINT), and run the same command again."
        ) from error
    return str(Address(str(address)))


def check_name(repo: str) -> None:
    """Raises UserError for what can't be ``OWNER/NAME``."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError as error:
        reason = error_line(error).partition(": '")[0]
        raise UserError(f"--push-to-hub {repo}: write OWNER/NAME ({reason}).") from error
    if repo.count("/") != 1:
        raise UserError(f"--push-to-hub {repo}: write OWNER/NAME, with your name or your organisation's.")
