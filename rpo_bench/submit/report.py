"""What was checked of a contribution, and what came of it."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, computed_field

from rpo_bench.spec.schema import Frozen

Status = Literal["ok", "warning", "failed"]

#: As many findings of one check are listed.
MOST = 8


class Check(Frozen):
    """One thing that a contribution has to be."""

    name: str
    status: Status
    said: str = Field(description="what was found, in one sentence")
    findings: tuple[str, ...] = Field((), description="where it isn't so")
    advice: str = Field("", description="what to do")


class SubmitReport(Frozen):
    """All checks of a folder."""

    format_version: Literal[1] = 1
    folder: str
    records: int
    checks: tuple[Check, ...]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def passed(self) -> bool:
        """Whether nothing failed; warnings don't count."""
        return all(check.status != "failed" for check in self.checks)


def ruled(
    name: str, good: str, bad: str, findings: Iterable[str], advice: str, otherwise: Status = "failed"
) -> Check:
    """A check that is fine when nothing was found.

    Args:
        name: Its name.
        good: What is said when nothing was found.
        bad: What is said otherwise; ``{n}`` is the number of findings.
        findings: Where it isn't so; a long list is cut.
        advice: What to do then.
        otherwise: Its status then.
    """
    found = tuple(findings)
    if not found:
        return Check(name=name, status="ok", said=good)
    listed = found if len(found) <= MOST else (*found[:MOST], f"and {len(found) - MOST} more")
    said = bad.format(n=len(found))
    return Check(name=name, status=otherwise, said=said, findings=listed, advice=advice)
