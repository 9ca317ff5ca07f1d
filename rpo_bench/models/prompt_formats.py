"""Resolves ``--prompt-format`` to a format that fits the model's tokenizer; nothing is guessed."""

from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError, first_line
from rpo_bench.files.hashing import hash_json
from rpo_bench.models.templates import chat_text
from rpo_bench.spec.sections import PromptFormat

FLAG = "--prompt-format"
_CHAT_FILE = ".jinja"  # suffix of chat template files


def resolve_format(
    requested: str | None, system: str | None, tokenizer: Any, model: str, is_encoder_decoder: bool
) -> PromptFormat | None:
    """The format of a model's prompts; None: they are used as they are.

    Args:
        requested: ``none``, ``chat``, a chat template file (``.jinja``), or a text file with ``{prompt}``.
        system: The system prompt of a chat.
        tokenizer: The model's tokenizer.
        model: The model's name in messages.
        is_encoder_decoder: Whether its prompts go to an encoder.

    Raises:
        UserError: The model has a chat template and no format was given, or the format doesn't fit.
    """
    _check(requested, system, getattr(tokenizer, "chat_template", None), model, is_encoder_decoder)
    if requested is None or requested == "none":
        return None
    if requested == "chat":
        return _tried(_chat(None, tokenizer.get_chat_template(), system), tokenizer, model)
    text = _read(Path(requested))
    if requested.endswith(_CHAT_FILE):
        return _tried(_chat(text, text, system), tokenizer, model)
    return _template(Path(requested), text)


def _check(requested: str | None, system: str | None, own: Any, model: str, is_encoder_decoder: bool) -> None:
    """Refuses formats that don't fit a model whose tokenizer has the chat template ``own``, or none."""
    is_chat = requested == "chat" or (requested or "").endswith(_CHAT_FILE)
    if requested is None and own:
        raise UserError(
            f"The tokenizer of {model} has a chat template, as instruct models do: give {FLAG} chat to use "
            f"it for prompts, or {FLAG} none to use prompts as they are."
        )
    if system is not None and not is_chat:
        raise UserError(
            f"--system-prompt needs {FLAG} chat (or a .jinja file): other formats have no system turn."
        )
    if is_chat and is_encoder_decoder:
        raise UserError(
            f"{FLAG} {requested}: {model} is an encoder-decoder model, which doesn't support chat formats: "
            "use none, or a text file with {prompt} in it."
        )
    if requested == "chat" and not own:
        raise UserError(
            f"{FLAG} chat: the tokenizer of {model} has no chat template: give one as a .jinja file, a text "
            "file with {prompt} in it, or none."
        )


def _chat(given: str | None, used: str, system: str | None) -> PromptFormat:
    return PromptFormat(kind="chat", template=given, system=system, hash=hash_json([used, system]))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't a text file"
        raise UserError(f"{FLAG} {file}: {reason}; choose none, chat, or a template file.") from error


def _template(file: Path, text: str) -> PromptFormat:
    before, _, after = text.partition("{response}")
    if "{prompt}" not in before or "{prompt}" in after or "{response}" in after:
        raise UserError(
            f"{FLAG} {file}: a template needs {{prompt}} where the prompt goes, and may have one "
            "{response} after it, where the response begins."
        )
    return PromptFormat(kind="template", template=text, hash=hash_json([text, None]))


def _tried(prompt_format: PromptFormat, tokenizer: Any, model: str) -> PromptFormat:
    """Checks the template by writing a conversation with it."""
    try:
        requested = chat_text(tokenizer, prompt_format, "some-prompt")
        whole = chat_text(tokenizer, prompt_format, "some-prompt", "some-response")
    except Exception as error:  # a template may raise anything
        reason = first_line(error)
        what = "a system prompt and a user's turn" if prompt_format.system is not None else "a user's turn"
        raise UserError(f"{FLAG}: the chat template of {model} can't write {what}: {reason}.") from error
    if "some-prompt" not in requested or "some-response" not in whole:
        raise UserError(f"{FLAG}: the chat template of {model} leaves out the prompt or the response.")
    return prompt_format
