"""How much of a prompt and a response a model has room for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """How many tokens fit.

    Attributes:
        context: tokens that the model takes, or None for no limit: prompt and response together for a
            decoder-only model, each by itself for an encoder-decoder.
        response: tokens of a response, end-of-sequence included, or None for no limit of its own.
        is_encoder_decoder: which of the two the model is.
    """

    context: int | None
    response: int | None
    is_encoder_decoder: bool

    def fits(self, prompt: int, response: int) -> bool:
        """Whether a prompt and a response of so many tokens can be used uncut."""
        kept_prompt, kept_response = self.kept(prompt, response)
        return kept_prompt == prompt and kept_response == response

    def kept(self, prompt: int, response: int, least: int = 1) -> tuple[int, int]:
        """How many tokens of each are kept when too long ones are cut.

        A decoder-only model's response may fill the context but for half of it, or for the whole prompt
        where that is shorter; the prompt gets what is left. It keeps ``least`` tokens.
        """
        if self.response is not None:
            response = min(response, self.response)
        if self.context is None:
            return prompt, response
        if self.is_encoder_decoder:
            return min(prompt, self.context), min(response, self.context)
        response = min(response, self.context - min(prompt, max(self.context // 2, least)))
        return min(prompt, self.context - response), response
