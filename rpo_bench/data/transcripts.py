r"""Transcripts ("\n\nHuman: …\n\nAssistant:") as conversations, for models with a chat template."""

import re

from rpo_bench.data.conversation import Conversation, Turn

_ROLES = {"Human": "user", "Assistant": "assistant"}
_TURN = re.compile(r"(?:\A\s*|\n\n)(Human|Assistant):")


def conversation_of(text: str) -> str:
    """The conversation that a prompt's text is a transcript of; any other prompt is returned as it is.

    A transcript begins with a human's turn and ends where the assistant's next one begins. What one of them
    says in several turns on end is one turn, as templates need it. A single turn is its text.
    """
    if isinstance(text, Conversation):
        return text
    before, *parts = _TURN.split(text)
    said = [(_ROLES[name], content.strip()) for name, content in zip(parts[::2], parts[1::2], strict=True)]
    if before or len(said) < 2 or said[0][0] != "user" or said[-1] != ("assistant", ""):
        return text
    turns: list[Turn] = []
    for role, content in said[:-1]:
        if not content:
            return text
        if turns and turns[-1].role == role:
            turns[-1] = Turn(role, f"{turns[-1].content}\n\n{content}")
        else:
            turns.append(Turn(role, content))
    if turns[-1].role == "assistant":
        return text
    return turns[0].content if len(turns) == 1 else Conversation(turns)
