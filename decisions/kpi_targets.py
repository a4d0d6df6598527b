"""What the KPIs should reach, and the windows that they are counted in."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from decisions.adverse import AdverseConfig
from regime.config import Section, Share


class Side(StrEnum):
    """On which side of a target a value meets it."""

    AT_LEAST = ">="
    AT_MOST = "<="
    BELOW = "<"


class Target(Section):
    """What a figure should reach, and what would be better still."""

    side: Side = Field(description="On which side of the target a value meets it.")
    target: float = Field(description="What should be reached.")
    stretch: float | None = Field(None, description="What would be better still.")

    def is_met_by(self, value: float) -> bool:
        if self.side is Side.AT_LEAST:
            return value >= self.target
        return value <= self.target if self.side is Side.AT_MOST else value < self.target


class TargetsConfig(Section):
    """The targets of the figures that have one; ERT in minutes, EAW in hours, the rest shares."""

    slar: Target = Target(side=Side.AT_LEAST, target=0.95)
    prr: Target = Target(side=Side.AT_LEAST, target=0.30, stretch=0.75)
    ttdr: Target = Target(side=Side.AT_LEAST, target=0.75, stretch=0.80)
    fer: Target = Target(side=Side.BELOW, target=0.30)
    ert_p90: Target = Target(side=Side.AT_MOST, target=120, stretch=30)
    eaw_median: Target = Target(side=Side.AT_LEAST, target=24)
    eaw_p10: Target = Target(side=Side.AT_LEAST, target=2)
    mec: Target = Target(side=Side.AT_LEAST, target=1.0)


class KpisConfig(Section):
    """The `kpis:` section."""

    adverse: AdverseConfig = AdverseConfig()
    earliest_h: int = Field(48, ge=1, le=168, description="An alert so long before A is in time, hours.")
    latest_h: int = Field(2, ge=0, le=168, description="An alert at least so long before A, hours.")
    mandatory_min: int = Field(
        60, ge=1, le=1440, description="Stopped so soon after MANDATORY_EXIT, minutes."
    )
    fewest: int = Field(10, ge=1, le=1000, description="Cases below which a figure is insufficient.")
    low_share: Share = Field(0.10, description="The quantile that stands for a bad case of EAW.")
    high_share: Share = Field(0.90, description="The quantile that stands for a bad case of ERT.")
    targets: TargetsConfig = TargetsConfig()
