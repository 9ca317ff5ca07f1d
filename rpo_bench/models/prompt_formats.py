"""From what ``--prompt-format`` says to a format that fits a model's tokenizer; nothing is guessed."""

from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError, first_line
from rpo_bench.files.hashing import hash_json
from rpo_bench.models.templates import chat_text
from rpo_bench.spec.schema import PromptFormat

FLAG = "--prompt-format"
_CHAT_FILE = ".jinja"  # how the name of a chat template ends


def resolve_format(
    asked: str | None, system: str | None, tokenizer: Any, model: str, is_encoder_decoder: bool
) -> PromptFormat | None:
    """The format of a model's prompts; None: they go in as they are.

    Args:
        asked: ``none``, ``chat``, or a file: a chat template (``.jinja``), or a text with ``{prompt}`` in it.
        system: What a chat's system turn says.
        tokenizer: The model's.
        model: What messages call the model.
        is_encoder_decoder: Whether its prompts go to an encoder.

    Raises:
        UserError: Nothing was said of a model with a chat template, or what was said doesn't fit.
    """
    _check(asked, system, getattr(tokenizer, "chat_template", None), model, is_encoder_decoder)
    if asked is None or asked == "none":
        return None
    if asked == "chat":
        return _tried(_chat(None, tokenizer.get_chat_template(), system), tokenizer, model)
    text = _read(Path(asked))
    if asked.endswith(_CHAT_FILE):
        return _tried(_chat(text, text, system), tokenizer, model)
    return _template(Path(asked), text)


def _check(asked: str | None, system: str | None, own: Any, model: str, is_encoder_decoder: bool) -> None:
    """Refuses what doesn't fit a model whose tokenizer has the chat template ``own``, or none."""
    is_chat = asked == "chat" or (asked or "").endswith(_CHAT_FILE)
    if asked is None and own:
        raise UserError(
            f"The tokenizer of {model} has a chat template, as instruct models do: say {FLAG} chat to put "
            f"prompts through it, or {FLAG} none to give them as they are."
        )
    if system is not None and not is_chat:
        raise UserError(
            f"--system-prompt needs {FLAG} chat (or a .jinja file): nothing else has a system turn."
        )
    if is_chat and is_encoder_decoder:
        raise UserError(
            f"{FLAG} {asked}: {model} is an encoder-decoder model, whose responses are no part of a chat: "
            "use none, or a text file with {prompt} in it."
        )
    if asked == "chat" and not own:
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
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UserError(
            f"{FLAG} {file}: {reason}; choose none, chat, or a file with a template in it."
        ) from error


def _template(file: Path, text: str) -> PromptFormat:
    before, _, after = text.partition("{response}")
    if "{prompt}" not in before or "{prompt}" in after or "{response}" in after:
        raise UserError(
            f"{FLAG} {file}: a template has {{prompt}} where the prompt goes, and after it, at most once, "
            "{response} where the response begins."
        )
    return PromptFormat(kind="template", template=text, hash=hash_json([text, None]))


def _tried(prompt_format: PromptFormat, tokenizer: Any, model: str) -> PromptFormat:
    """Writes a conversation by the template, to see that it takes one."""
    try:
        asked = chat_text(tokenizer, prompt_format, "some-prompt")
        whole = chat_text(tokenizer, prompt_format, "some-prompt", "some-response")
    except Exception as error:  # whatever a template raises
        reason = first_line(error)
        what = "a system prompt and a user's turn" if prompt_format.system is not None else "a user's turn"
        raise UserError(f"{FLAG}: the chat template of {model} can't write {what}: {reason}.") from error
    if "some-prompt" not in asked or "some-response" not in whole:
        raise UserError(f"{FLAG}: the chat template of {model} leaves out the prompt or the response.")
    return prompt_format
