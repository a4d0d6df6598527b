"""How orders are worked: maker first, how long, how often, and what taking may cost."""

from __future__ import annotations

from pydantic import Field

from regime.config import Section


class ExecutionConfig(Section):
    """The `execution:` part of the trading configuration."""

    maker_ttl_s: int = Field(600, ge=60, le=3600, description="A maker entry rests for so long, seconds.")
    maker_tries: int = Field(3, ge=1, le=20, description="Maker entries, the first included, before taking.")
    safer_ticks: int = Field(
        1, ge=1, le=1000, description="Price increments further from the market after a post-only refusal."
    )
    take_after_maker: bool = Field(
        default=True, description="Take at the market when no maker entry was filled and it is cheap enough."
    )
    max_slippage_bps: float = Field(
        25.0, ge=0, le=1000, description="How much worse than the trigger's price an entry may execute, bps."
    )
