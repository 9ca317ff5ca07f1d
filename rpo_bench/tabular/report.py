"""The results as a table, as Markdown and as plain data for JSON."""

import dataclasses
import math
from typing import Any

from rpo_bench.tabular.truth import Regime, Truth
from rpo_bench.tabular.verify import Verification

_DATA: dict[Regime, str] = {"on_policy": "π_ref", "off_policy": "μ", "rollouts": "π_θ"}


def heading(found: Verification) -> str:
    """The heading of the table."""
    claim = next((truth.claim for truth in found.truths if truth.claim is not None), None)
    noise = f", rewards with Gumbel noise of scale {found.noise:g}" if found.noise else ""
    if claim is None:
        return f"{found.method}: regret against the optimum of equal KL{noise}"
    return f"{found.method}: KL to {claim}, in nats{noise}"


def table(found: Verification) -> tuple[list[str], list[list[str]]]:
    """Columns and rows: the data's policy and the strength by row, K by column."""
    ks = sorted({truth.condition.k for truth in found.truths})
    limits = {truth.condition.k for truth in found.truths if truth.condition.limit}
    columns = ["data from", found.strength_name]
    columns += [f"K = {k}" for k in sorted(found.missing)]
    columns += ["K → ∞" if k in limits else f"K = {k}" for k in ks]
    columns += ["regret at equal KL", "nearest policy"]
    rows = []
    strengths = list(dict.fromkeys(truth.condition.strength for truth in found.truths))
    for data in found.verdicts:
        for strength in strengths:
            line = [t for t in found.truths if (t.condition.data, t.condition.strength) == (data, strength)]
            line.sort(key=lambda truth: truth.condition.k)
            last = line[-1]
            cells = ["–"] * len(found.missing) + [_cell(truth) for truth in line]
            like = f"{last.nearest.name} (off by {last.nearest.distance:.2f})"
            rows.append([_DATA[data], f"{strength:g}", *cells, _number(last.regret), like])
    return columns, rows


def notes(found: Verification) -> list[str]:
    """The notes below the table: verdicts, missing conditions, violated properties."""
    said = [f"Data from {_DATA[data]}: {verdict.text}." for data, verdict in found.verdicts.items()]
    if any(map(_restless, found.truths)):
        said.append("→: training doesn't converge; the number is from its last step.")
    said += [f"K = {k}: {why}" for k, why in sorted(found.missing.items())]
    if not found.contract.coefficient_holds:
        said.append(
            "BROKEN: −∇loss is not the mean of the declared coefficient times ∇log π; they differ by "
            f"{found.contract.coefficient_error:.2g} of the largest coefficient."
        )
    if not found.contract.split_holds:
        said.append(
            "BROKEN: the loss is not a mean over rows: micro-batches change it by "
            f"{found.contract.split_error:.2g} of itself."
        )
    return said


def markdown(found: Verification) -> str:
    """A section: heading, table, notes."""
    columns, rows = table(found)
    lines = [f"### {heading(found)}", "", _line(columns), _line(["---"] * len(columns))]
    lines += [_line(row) for row in rows]
    return "\n".join([*lines, "", *[f"- {note}" for note in notes(found)], ""])


def as_dict(found: Verification) -> dict[str, Any]:
    """Plain data for JSON; numbers that aren't finite are null."""
    plain = dataclasses.asdict(found)
    plain["contract"] |= {
        "coefficient_holds": found.contract.coefficient_holds,
        "split_holds": found.contract.split_holds,
    }
    for truth, plain_truth in zip(found.truths, plain["truths"], strict=True):
        plain_truth["reached"] = truth.reached
    plain["missing"] = {str(k): why for k, why in found.missing.items()}
    result: dict[str, Any] = _finite(plain)
    return result


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _cell(truth: Truth) -> str:
    """KL to the claim, or regret without one; with its noise if that is not negligible."""
    value = truth.regret if truth.kl is None else truth.kl
    noise = f" ±{truth.noise:.2g}" if truth.kl is not None and truth.noise >= 0.0005 else ""
    return _number(value) + noise + (" →" if _restless(truth) else "")


def _restless(truth: Truth) -> bool:
    return not truth.at_rest and not truth.reached


def _number(value: float) -> str:
    if not math.isfinite(value):
        return "∞"
    return "0" if abs(value) < 5e-4 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
