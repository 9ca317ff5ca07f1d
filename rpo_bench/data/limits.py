"""Limits on the tokens of prompts and responses."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits in tokens.

    Attributes:
        context: context length, or None for no limit: prompt plus response for a decoder-only model, each
            separately for an encoder-decoder.
        response: limit on a response, including end-of-sequence, or None for no separate limit.
        is_encoder_decoder: whether the model is an encoder-decoder.
    """

    context: int | None
    response: int | None
    is_encoder_decoder: bool

    def fits(self, prompt: int, response: int) -> bool:
        """Whether a prompt and a response of these lengths fit uncut."""
        kept_prompt, kept_response = self.kept(prompt, response)
        return kept_prompt == prompt and kept_response == response

    def kept(self, prompt: int, response: int, least: int = 1) -> tuple[int, int]:
        """The numbers of tokens to keep after cutting.

        In a decoder-only model, the prompt is guaranteed half of the context, or its whole length if that is
        less. The response may use the rest. The prompt keeps at least ``least`` tokens.
        """
        if self.response is not None:
            response = min(response, self.response)
        if self.context is None:
            return prompt, response
        if self.is_encoder_decoder:
            return min(prompt, self.context), min(response, self.context)
        response = min(response, self.context - min(prompt, max(self.context // 2, least)))
        return min(prompt, self.context - response), response


def lowest(*limits: int | None) -> int | None:
    """The lowest of some limits; None where there is none."""
    return min((limit for limit in limits if limit is not None), default=None)
