"""The checks of a contribution and their results."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, computed_field

from rpo_bench.spec.settings import Frozen

Status = Literal["ok", "warning", "failed"]

#: Most findings to list for one check.
MOST = 8


class Check(Frozen):
    """One requirement of a contribution."""

    name: str
    status: Status
    said: str = Field(description="the result, in one sentence")
    findings: tuple[str, ...] = Field((), description="locations that violate it")
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
        """Whether no check failed; warnings don't count."""
        return all(check.status != "failed" for check in self.checks)


def ruled(
    name: str, good: str, bad: str, findings: Iterable[str], advice: str, otherwise: Status = "failed"
) -> Check:
    """A check that passes without findings.

    Args:
        name: Its name.
        good: The result without findings.
        bad: The result with findings; ``{n}`` is their number.
        findings: Locations that violate it; a long list is cut.
        advice: What to do about findings.
        otherwise: The status with findings.
    """
    found = tuple(findings)
    if not found:
        return Check(name=name, status="ok", said=good)
    listed = found if len(found) <= MOST else (*found[:MOST], f"and {len(found) - MOST} more")
    said = bad.format(n=len(found))
    return Check(name=name, status=otherwise, said=said, findings=listed, advice=advice)
