"""Numbers and how they are reported: a figure is several runs of one measurement, beside its limit and its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median


def percentile(sorted_values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the sorted values lie; the nearest rank, nothing interpolated."""
    return sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))]


@dataclass(slots=True, kw_only=True)
class Figure:
    """One measured quantity. `limit` names an entry of the limits that were measured in the same run.

    `lower_is_better` for times and memory. `target` is what the project promises; None for a number to look at.
    """

    name: str
    unit: str
    runs: list[float] = field(default_factory=list)
    limit: str | None = None
    limit_value: float | None = None
    target: float | None = None
    lower_is_better: bool = False
    remarks: dict[str, object] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        if self.target is None:
            return None
        return self.median <= self.target if self.lower_is_better else self.median >= self.target

    def as_json(self) -> dict[str, object]:
        out: dict[str, object] = {
            "name": self.name,
            "unit": self.unit,
            "median": rounded(self.median),
            "min": rounded(min(self.runs)),
            "max": rounded(max(self.runs)),
            "runs": len(self.runs),
        }
        if self.target is not None:
            out["target"] = ("at most " if self.lower_is_better else "at least ") + f"{self.target:g}"
            out["met"] = self.met
        if self.limit_value is not None:
            out["limit"] = self.limit
            out["limit_value"] = rounded(self.limit_value)
            out["share_of_limit"] = rounded(self.median / self.limit_value)
        return out | self.remarks


def rounded(value: float) -> float:
    """Four significant digits: the machine's noise is larger than the fifth."""
    return float(f"{value:.4g}")
