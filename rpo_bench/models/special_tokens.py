"""Counts texts that spell special tokens, and refuses prompts already written by a chat template."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.models.plain_text import begins_with_special, spelt
from rpo_bench.models.prompting import special_ids
from rpo_bench.spec.sections import PromptFormat

log = logging.getLogger(__name__)
WRITTEN_SHARE = 0.5  # if more prompts begin with a special token, a template has written them


def check_special(
    tokenizer: Any,
    prompts: Sequence[str],
    responses: Sequence[str] = (),
    prompt_format: PromptFormat | None = None,
) -> None:
    """Warns about texts that spell special tokens, which are read as plain text.

    Raises:
        UserError: Most prompts begin with a special token, so a chat template has already been applied.
    """
    distinct = list(dict.fromkeys(prompts))
    starts = Counter(start for p in distinct if (start := begins_with_special(tokenizer, p)) is not None)
    if starts.total() > WRITTEN_SHARE * len(distinct):
        raise UserError(
            f"{starts.total():,} of {len(distinct):,} prompts begin with the special token "
            f"'{starts.most_common(1)[0][0]}', as if a template had written them, and special tokens in data "
            "are read as plain text: give the raw texts or messages, and set the template with "
            "--prompt-format (chat, or a file)."
        )
    special = special_ids(tokenizer, prompt_format)
    found = [names for text in [*distinct, *responses] if (names := spelt(tokenizer, text, special))]
    if found:
        most = Counter(name for names in found for name in set(names)).most_common(1)[0][0]
        log.warning(
            "%s of %s prompts and responses spell special tokens of the tokenizer, such as '%s': they are "
            "read as plain text.",
            f"{len(found):,}", f"{len(distinct) + len(responses):,}", most,
        )  # fmt: skip
