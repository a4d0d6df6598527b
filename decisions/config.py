"""The numbers of advising: how long it stands, how long to rest after it, how sure is sure enough."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class AdviceConfig(BaseModel):
    """The `advice:` section of the configuration; minutes count from the close of the analysed hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kill_switch: bool = Field(
        default=False, description="True withholds every setup; stops are still advised."
    )
    setup_expires_min: int = Field(60, ge=5, le=120, description="A setup is over after so long, minutes.")
    cooldown_stopped_min: int = Field(60, ge=0, le=10080, description="No setup after a stop, minutes.")
    cooldown_declined_min: int = Field(
        120, ge=0, le=180, description="No setup after a declined or expired one, minutes."
    )
    louder_in_trend_min: int = Field(
        15, ge=1, le=1440, description="An unanswered stop is told louder, minutes."
    )
    louder_in_transition_min: int = Field(30, ge=1, le=1440, description="The same in TRANSITION, minutes.")
    louder_in_range_min: int = Field(60, ge=1, le=1440, description="The same in a range verdict, minutes.")
    adjust_spacings: float = Field(
        1.0, gt=0, le=20, description="Centre moved by more spacings than this: ADJUST."
    )
    fresh_hours: int = Field(24, ge=24, le=168, description="Bars after a stop before new bounds are drawn.")
