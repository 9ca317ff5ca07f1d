"""Converts records of public datasets to rows: demonstrations, scored responses or preference pairs."""

import string
from collections.abc import Iterator, Mapping
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from rpo_bench.data.excerpt import excerpt, listed
from rpo_bench.data.fields import MESSAGE, BadRecordError, kept, unicode
from rpo_bench.data.numbers import NotANumberError, as_number
from rpo_bench.data.row import Row
from rpo_bench.data.shapes import common_prompt, pair_of, prompt_id_of
from rpo_bench.data.sources import Record
from rpo_bench.errors import UserError
from rpo_bench.spec.settings import Settings

_DEMONSTRATION = 1.0  # the reward of a demonstration


class IncompleteError(Exception):
    """A record lacks a value; the text names it."""


class RecordShape(Settings):
    """Describes how to convert a record to a prompt and responses.

    Columns may be nested: ``prompt.text`` is ``text`` within ``prompt``. Templates contain columns in braces.
    There are three shapes. ``response`` alone is a demonstration. ``response`` with ``reward`` is a scored
    response, or one per item of the list ``responses``. ``chosen`` with ``rejected`` is a preference pair.
    """

    prompt: str | None = Field(
        None,
        description='template of columns, such as "Question: {question}\\nAnswer:"; None, for a pair: the '
        "dialogue that both have in common",
    )
    response: str | None = Field(None, description="template of the response; within an item of 'responses'")
    responses: str | None = Field(None, description="column with a list of responses")
    reward: str | None = Field(None, description="column with the number; within an item of 'responses'")
    reward_scale: float = Field(1.0, description="rewards are multiplied by it: -1 where less is better")
    chosen: str | None = Field(None, description="template of the preferred response")
    rejected: str | None = Field(None, description="template of the other one")
    remove_prefix: str = Field("", description="taken off the beginning of responses that have it")
    keep: tuple[str, ...] = Field((), description="columns that the reward wants to see, as metadata")
    skip_incomplete: bool = Field(
        False, description="leave out records without a value or without responses, instead of stopping"
    )

    @field_validator("prompt", "response", "chosen", "rejected")
    @classmethod
    def _is_template(cls, value: str | None) -> str | None:
        list(string.Formatter().parse(value or ""))  # raises ValueError for unbalanced braces
        return value

    @model_validator(mode="after")
    def _is_one_shape(self) -> Self:
        if (self.chosen is None) != (self.rejected is None):
            raise ValueError("'chosen' and 'rejected' belong together: give both or neither")
        if (self.chosen is None) == (self.response is None):
            raise ValueError("give either 'response', or 'chosen' and 'rejected'")
        if self.prompt is None and self.chosen is None:
            raise ValueError("'prompt' is missing; only preference pairs of whole dialogues don't need it")
        if self.chosen is not None and (self.reward is not None or self.responses is not None):
            raise ValueError("a preference pair has no 'reward' and no 'responses': leave them out")
        if self.responses is not None and self.reward is None:
            raise ValueError("'responses' needs 'reward', the column of an item with its number")
        return self

    @property
    def scored(self) -> bool:
        """Whether the responses have rewards or preferences, rather than being demonstrations."""
        return self.chosen is not None or self.reward is not None

    def rows_of(self, record: Record, place: str) -> list[Row]:
        """Converts a record to rows.

        Args:
            record: The record.
            place: Its source, for messages.

        Raises:
            UserError: It can't be read, lacks a column, or has an invalid value; names its place.
            IncompleteError: A column is empty, and the shape skips such records.
        """
        where = f"{place} {record.where}"
        if record.problem:
            raise _unusable(where, record.problem)
        if self.chosen is not None and self.rejected is not None:
            return self._pair(record, where, self._filled(self.chosen, record.value, where))
        prompt = self._prompt(self._filled(str(self.prompt), record.value, where), where)
        items: list[Mapping[str, Any]] = [record.value]
        if self.responses is not None:
            items = self._items(record.value, where)
        return [
            Row(
                prompt=prompt,
                response=self._filled(str(self.response), item, where).removeprefix(self.remove_prefix),
                reward=self._reward(item, where),
                prompt_id=prompt_id_of(prompt),
                metadata=self._metadata(record, where),
                source=where,
            )
            for item in items
        ]

    def _pair(self, record: Record, where: str, chosen: str) -> list[Row]:
        rejected = self._filled(str(self.rejected), record.value, where)
        if self.prompt is None:
            try:
                prompt = common_prompt(chosen, rejected)
            except BadRecordError as error:
                if self.skip_incomplete:
                    raise IncompleteError(str(error)) from error
                raise _unusable(where, str(error)) from error
            chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
        else:
            prompt = self._prompt(self._filled(self.prompt, record.value, where), where)
        others = self._metadata(record, where)
        return [
            Row(
                prompt=prompt,
                response=response.removeprefix(self.remove_prefix),
                reward=float(preferred),
                prompt_id=prompt_id_of(prompt),
                pair=pair_of(record),
                metadata=others,
                source=where,
            )
            for response, preferred in ((chosen, True), (rejected, False))
        ]

    def _prompt(self, text: str, where: str) -> str:
        if text.strip():
            return text
        raise self._incomplete(f"{where}: the prompt is empty")

    def _items(self, value: Mapping[str, Any], where: str) -> list[Mapping[str, Any]]:
        found = self._column(value, str(self.responses), where)
        if isinstance(found, Mapping):  # a list of records stored by columns
            found = _turned_round(found)
        if not isinstance(found, list) or not all(isinstance(item, Mapping) for item in found):
            raise _unusable(where, f"the column '{self.responses}' isn't a list of records")
        if not found:
            raise self._incomplete(f"{where}: the column '{self.responses}' is empty")
        return found

    def _reward(self, value: Mapping[str, Any], where: str) -> float:
        if self.reward is None:
            return _DEMONSTRATION
        found = self._column(value, self.reward, where)
        try:
            return as_number(as_number(found, textual=True) * self.reward_scale)
        except NotANumberError as error:
            raise _unusable(where, f"the column '{self.reward}' is {error}") from None

    def _metadata(self, record: Record, where: str) -> dict[str, Any]:
        columns = {column: self._column(record.value, column, where) for column in self.keep}
        try:
            return kept(columns, record.textual)
        except BadRecordError as error:
            raise _unusable(where, str(error)) from error

    def _filled(self, template: str, value: Mapping[str, Any], where: str) -> str:
        """A template filled with a record's columns."""
        return "".join(
            part for piece in _pieces(template) for part in (piece[0], self._text(value, piece[1], where))
        )

    def _text(self, value: Mapping[str, Any], column: str | None, where: str) -> str:
        if column is None:
            return ""
        try:
            return unicode(str(self._column(value, column, where)), f"the column '{column}'")
        except BadRecordError as error:
            raise _unusable(where, str(error)) from None

    def _column(self, value: Mapping[str, Any], column: str, where: str) -> Any:
        """A column's value by its dotted path; errors list the existing columns."""
        here: Any = value
        path = [column] if column in value else column.split(".")
        for i, name in enumerate(path):
            if not isinstance(here, Mapping) or name not in here:
                inner = f" within '{'.'.join(path[:i])}'" if i else ""
                there = listed(here) if isinstance(here, Mapping) else f"no columns but {excerpt(repr(here))}"
                raise _unusable(where, f"the column '{column}' is missing; there are{inner} {there}")
            here = here[name]
            if here is None:
                raise self._incomplete(f"{where}: the column '{column}' is empty")
        return here

    def _incomplete(self, reason: str) -> Exception:
        return IncompleteError(reason) if self.skip_incomplete else UserError(f"{reason}.")


def _turned_round(columns: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Transposes a list of records stored by columns; None if it isn't one."""
    if not all(isinstance(column, list) for column in columns.values()):
        return None
    if len({len(column) for column in columns.values()}) > 1:
        return None
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _unusable(where: str, reason: str) -> UserError:
    return UserError(f"{where}: {excerpt(reason, MESSAGE)}.")


def _pieces(template: str) -> Iterator[tuple[str, str | None]]:
    for text, column, _, _ in string.Formatter().parse(template):
        yield text, column
