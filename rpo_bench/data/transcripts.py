r"""Transcripts ("\n\nHuman: …\n\nAssistant:") as conversations, for models with a chat template."""

import re
from collections.abc import Sequence

from rpo_bench.data.conversation import Conversation, Turn
from rpo_bench.data.row import Prompt, Row

_ROLES = {"Human": "user", "Assistant": "assistant"}
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


def conversation_of(text: str) -> str:
    """The conversation that a prompt's text is a transcript of; any other prompt is returned as it is.

    A transcript begins with a human's turn and ends where the assistant's next one begins. A single turn is
    its text.
    """
    if isinstance(text, Conversation):
        return text
    before, *parts = _TURN.split(text)
    turns = [Turn(_ROLES[name], said.strip()) for name, said in zip(parts[::2], parts[1::2], strict=True)]
    if before or len(turns) < 2 or turns[0].role != "user" or turns[-1] != Turn("assistant", ""):
        return text
    if not all(turn.content for turn in turns[:-1]):
        return text
    return turns[0].content if len(turns) == 2 else Conversation(turns[:-1])


def spoken_rows(rows: Sequence[Row]) -> list[Row]:
    """Rows with transcripts as conversations, their responses without the spaces around them."""
    found = []
    for row in rows:
        prompt = conversation_of(row.prompt)
        changes = {"prompt": prompt, "response": row.response.strip()}
        found.append(row if prompt is row.prompt else row.model_copy(update=changes))
    return found


def spoken_prompts(prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
    """Prompts with transcripts as conversations."""
    changed = ((prompt, conversation_of(prompt.text)) for prompt in prompts)
    return tuple(
        prompt if text is prompt.text else prompt.model_copy(update={"text": text})
        for prompt, text in changed
    )
