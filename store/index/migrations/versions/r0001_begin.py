"""First tables and views."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_REGIMES = (
    ("neutral", "low", "weak", "RANGE"),
    ("neutral", "low", "bullish", "NEUTRAL"),
    ("neutral", "low", "bearish", "NEUTRAL"),
    ("neutral", "high", "weak", "CHOPPY"),
    ("neutral", "high", "bullish", "CHOPPY"),
    ("neutral", "high", "bearish", "CHOPPY"),
    ("uptrend", "low", "weak", "TREND_UP"),
    ("uptrend", "low", "bullish", "TREND_UP"),
    ("uptrend", "low", "bearish", "NEUTRAL"),
    ("uptrend", "high", "weak", "TREND_UP"),
    ("uptrend", "high", "bullish", "TREND_UP"),
    ("uptrend", "high", "bearish", "NEUTRAL"),
    ("downtrend", "low", "weak", "TREND_DOWN"),
    ("downtrend", "low", "bullish", "NEUTRAL"),
    ("downtrend", "low", "bearish", "TREND_DOWN"),
    ("downtrend", "high", "weak", "TREND_DOWN"),
    ("downtrend", "high", "bullish", "NEUTRAL"),
    ("downtrend", "high", "bearish", "TREND_DOWN"),
)
_VERDICTS = (None, "RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND")

_CANDLES = """
CREATE VIEW candles AS
SELECT s.symbol, s.timeframe, to_timestamp((r.place & 8388607) * s.seconds) AS open_time,
    trim_scale(r.open::numeric / s.price_scale) AS open,
    trim_scale(r.high::numeric / s.price_scale) AS high,
    trim_scale(r.low::numeric / s.price_scale) AS low,
    trim_scale(r.close::numeric / s.price_scale) AS close,
    trim_scale(r.volume::numeric / s.volume_scale) AS volume
FROM series s
JOIN candle_rows r ON r.place >= s.id * 8388608::bigint AND r.place < (s.id + 1) * 8388608::bigint
"""

_MARKET_REGIMES = """
CREATE VIEW market_regimes AS
SELECT s.symbol, s.timeframe, to_timestamp((r.place & 8388607) * s.seconds) AS open_time,
    n.trend_state, n.volatility_state, n.momentum_state, n.full_regime, n.simplified_regime, n.verdict,
    ((r.state & 16383) / 10000.0)::numeric(5, 4) AS confidence,
    to_timestamp(f.created_ts) AS created_at
FROM series s
JOIN regime_rows r ON r.place >= s.id * 8388608::bigint AND r.place < (s.id + 1) * 8388608::bigint
JOIN regime_codes n ON n.code = r.state >> 14
JOIN fillings f ON f.id = r.filling
"""


def upgrade() -> None:
    op.create_table(
        "rules",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("engine_version", sa.Integer, nullable=False),
        sa.Column("parameters", sa.Text, nullable=False),
        sa.UniqueConstraint("engine_version", "parameters", name="rules_are_named_once"),
    )
    op.create_table(
        "fillings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("created_ts", sa.BigInteger, nullable=False, comment="epoch seconds, whole minutes"),
        sa.Column("source", sa.Text, nullable=False, comment="commit of the data repository"),
        sa.Column("rules", sa.Integer, sa.ForeignKey("rules.id"), nullable=False),
        comment="one row a write pass: where regime rows come from, by what rules, and when",
    )
    op.create_table(
        "series",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("timeframe", sa.Text, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False, comment="of the timeframe"),
        sa.Column("rules", sa.Integer, sa.ForeignKey("rules.id"), nullable=False),
        sa.Column("price_scale", sa.BigInteger, nullable=False),
        sa.Column("volume_scale", sa.BigInteger, nullable=False),
        sa.Column("first_ts", sa.BigInteger, comment="open of the first regime row, epoch seconds"),
        sa.Column("last_ts", sa.BigInteger),
        sa.Column("filled_to_ts", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("updated_us", sa.BigInteger, nullable=False, comment="epoch microseconds"),
        sa.Column("counts", sa.LargeBinary, nullable=False, comment="regime.series.RegimeCounts"),
        sa.UniqueConstraint("symbol", "timeframe", name="series_are_named_once"),
    )
    op.create_table(
        "candle_rows",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False),
        *(
            sa.Column(name, sa.BigInteger, nullable=False)
            for name in ("open", "high", "low", "close", "volume")
        ),
    )
    op.create_table(
        "regime_rows",
        sa.Column(
            "place",
            sa.BigInteger,
            sa.ForeignKey("candle_rows.place", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column(
            "state", sa.Integer, nullable=False, comment="code * 2**14 + confidence in ten-thousandths"
        ),
        sa.Column("filling", sa.Integer, nullable=False, comment="fillings.id"),
    )
    op.create_table(
        "period_rows",
        sa.Column("place", sa.BigInteger, primary_key=True, autoincrement=False, comment="of the first bar"),
        sa.Column("bars", sa.Integer, nullable=False),
        sa.Column("regime", sa.SmallInteger, nullable=False),
        sa.Column("previous", sa.SmallInteger),
    )
    names = ("trend_state", "volatility_state", "momentum_state", "full_regime", "simplified_regime")
    codes = op.create_table(
        "regime_codes",
        sa.Column("code", sa.SmallInteger, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in names),
        sa.Column("verdict", sa.Text),
    )
    op.bulk_insert(
        codes,
        [
            {
                "code": full * len(_VERDICTS) + number,
                "trend_state": trend,
                "volatility_state": volatility,
                "momentum_state": momentum,
                "full_regime": f"{trend}_{volatility}vol_{momentum}".upper(),
                "simplified_regime": simplified,
                "verdict": verdict,
            }
            for full, (trend, volatility, momentum, simplified) in enumerate(_REGIMES)
            for number, verdict in enumerate(_VERDICTS)
        ],
    )
    op.execute(_CANDLES)
    op.execute(_MARKET_REGIMES)
