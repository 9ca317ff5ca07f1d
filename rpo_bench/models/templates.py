"""What templates write: a prompt's text up to where the response begins, and what ends the response."""

from collections.abc import Iterable
from typing import Any

from rpo_bench.data.conversation import Conversation
from rpo_bench.errors import UserError, first_line
from rpo_bench.spec.schema import PromptFormat

#: Some chat templates (Llama 3's) write today's date into the prompt unless they are told one.
_DATE = "26 Jul 2024"
#: Says that date to a template whose caller can't.
DATED = f"{{%- set date_string = '{_DATE}' -%}}"
_MARK = "response-goes-here"
#: Who speaks in a system turn, as templates call it.
SYSTEM_ROLES = ("system", "developer")


def written_prompt(tokenizer: Any, text: str, prompt_format: PromptFormat | None) -> str:
    """The prompt as its format writes it, up to where the response begins."""
    if isinstance(text, Conversation):
        return _written_turns(tokenizer, text, prompt_format)
    if prompt_format is None:
        return text
    if prompt_format.kind == "chat":
        return chat_text(tokenizer, prompt_format, text)
    return _layout(prompt_format)[0].replace("{prompt}", text)


def after_response(tokenizer: Any, prompt_format: PromptFormat) -> str:
    """What a format writes behind a response."""
    if prompt_format.kind == "chat":
        return chat_text(tokenizer, prompt_format, "prompt", _MARK).rpartition(_MARK)[2]
    return _layout(prompt_format)[1]


def chat_text(
    tokenizer: Any,
    prompt_format: PromptFormat,
    prompt: str,
    response: str | None = None,
    *,
    begun: bool = True,
) -> str:
    """A conversation as the template writes it: up to where the response begins, or with the response.

    The turns of a prompt that is a conversation stay as they are; the format's system turn comes before them
    where they have none of their own. ``begun=False`` leaves out what the template writes before a response.
    """
    turns = messages_of(prompt)
    if prompt_format.system is not None and turns[0]["role"] not in SYSTEM_ROLES:
        turns.insert(0, {"role": "system", "content": prompt_format.system})
    if response is not None:
        turns.append({"role": "assistant", "content": response})
    written: str = tokenizer.apply_chat_template(
        turns,
        chat_template=prompt_format.template,
        tokenize=False,
        add_generation_prompt=begun and response is None,
        date_string=_DATE,
    )
    return written


def messages_of(prompt: str) -> list[dict[str, str]]:
    """A prompt's turns as chat templates take them; of a text its one turn, the user's."""
    return prompt.messages if isinstance(prompt, Conversation) else [{"role": "user", "content": prompt}]


def check_turns(tokenizer: Any, prompts: Iterable[str], prompt_format: PromptFormat | None) -> None:
    """Checks that a format can write every prompt that is a conversation; raises UserError otherwise."""
    for prompt in prompts:
        if isinstance(prompt, Conversation):
            written_prompt(tokenizer, prompt, prompt_format)


def _written_turns(tokenizer: Any, prompt: Conversation, prompt_format: PromptFormat | None) -> str:
    """A conversation, each of whose turns the template has to show."""
    start = repr(prompt.turns[0].content[:40])
    if prompt_format is None or prompt_format.kind != "chat":
        raise UserError(
            f"The conversation that begins {start} has several turns, and only a chat template can show "
            "them: say --prompt-format chat, or name a .jinja file."
        )
    try:
        written = chat_text(tokenizer, prompt_format, prompt)
    except Exception as error:  # whatever a template raises
        reason = first_line(error)
        raise UserError(
            f"The chat template can't write the conversation that begins {start}: {reason}."
        ) from error
    for role, content in prompt.turns:  # what an assistant thought may be taken out of earlier turns
        if role != "assistant" and content.strip() not in written:
            raise UserError(
                f"The chat template leaves out the '{role}' turn {content[:40]!r} of a conversation: give "
                "another one by --prompt-format FILE.jinja."
            )
    return written


def _layout(prompt_format: PromptFormat) -> tuple[str, str]:
    """What a template writes up to the response, and after it."""
    before, _, after = (prompt_format.template or "").partition("{response}")
    return before, after
