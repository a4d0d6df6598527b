"""The index's tables: small codes in few bytes, and the views that give an analyst the names back.

A bar of a series has one place, `series id * 2**23 + open_ts // timeframe`: one whole number is the primary
key of a row, so that a series lies together on the disk in the order of time and needs no other index.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

from regime.components.states import (
    FULL_REGIMES,
    MOMENTA,
    SIMPLIFIED,
    TRENDS,
    VOLATILITIES,
)
from regime.series import (
    MOMENTUM_OF_FULL,
    NO_VERDICT,
    SIMPLIFIED_OF_FULL,
    TREND_OF_FULL,
    VERDICTS,
    VOLATILITY_OF_FULL,
)

SCHEMA_VERSION = 1  # of an SQLite file; PostgreSQL has the revisions in `migrations`
BAR_BITS = 23  # 15-minute bars fit until the year 2209
CONFIDENCE_BITS = 14  # ten-thousandths
VERDICT_CODES = len(VERDICTS) + 1  # and none
STATE_BITS = CONFIDENCE_BITS + 7  # 18 regimes x 5 verdict codes fit 7 bits

_Big = BigInteger().with_variant(Integer(), "sqlite")  # in SQLite only INTEGER is the key of the tree itself

metadata = MetaData()

rules = Table(
    "rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("engine_version", Integer, nullable=False),
    Column("parameters", Text, nullable=False),
    UniqueConstraint("engine_version", "parameters", name="rules_are_named_once"),
)

fillings = Table(
    "fillings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("created_ts", _Big, nullable=False, comment="epoch seconds, whole minutes"),
    Column("source", Text, nullable=False, comment="commit of the data repository"),
    Column("rules", Integer, ForeignKey("rules.id"), nullable=False),
    comment="one row a write pass: where regime rows come from, by what rules, and when",
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("symbol", Text, nullable=False),
    Column("timeframe", Text, nullable=False),
    Column("seconds", Integer, nullable=False, comment="of the timeframe"),
    Column("rules", Integer, ForeignKey("rules.id"), nullable=False),
    Column("price_scale", _Big, nullable=False),
    Column("volume_scale", _Big, nullable=False),
    Column("first_ts", _Big, comment="open of the first regime row, epoch seconds"),
    Column("last_ts", _Big),
    Column("filled_to_ts", _Big, nullable=False),
    Column("source", Text, nullable=False),
    Column("revision", _Big, nullable=False),
    Column("updated_us", _Big, nullable=False, comment="epoch microseconds"),
    Column("counts", LargeBinary, nullable=False, comment="regime.series.RegimeCounts"),
    UniqueConstraint("symbol", "timeframe", name="series_are_named_once"),
)

candle_rows = Table(
    "candle_rows",
    metadata,
    Column("place", _Big, primary_key=True, autoincrement=False),
    Column("open", _Big, nullable=False),
    Column("high", _Big, nullable=False),
    Column("low", _Big, nullable=False),
    Column("close", _Big, nullable=False),
    Column("volume", _Big, nullable=False),
)

regime_rows = Table(
    "regime_rows",
    metadata,
    Column(
        "place",
        _Big,
        ForeignKey("candle_rows.place", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("state", Integer, nullable=False, comment="code * 2**14 + confidence in ten-thousandths"),
    Column("filling", Integer, nullable=False, comment="fillings.id"),
)

period_rows = Table(
    "period_rows",
    metadata,
    Column("place", _Big, primary_key=True, autoincrement=False, comment="of the first bar"),
    Column("bars", Integer, nullable=False),
    Column("regime", SmallInteger, nullable=False),
    Column("previous", SmallInteger),
)

regime_codes = Table(
    "regime_codes",
    metadata,
    Column("code", SmallInteger, primary_key=True, autoincrement=False),
    Column("trend_state", Text, nullable=False),
    Column("volatility_state", Text, nullable=False),
    Column("momentum_state", Text, nullable=False),
    Column("full_regime", Text, nullable=False),
    Column("simplified_regime", Text, nullable=False),
    Column("verdict", Text),
)


def code_names() -> list[dict[str, int | str | None]]:
    """Return the rows of `regime_codes`: what each code stands for."""
    return [
        {
            "code": full * VERDICT_CODES + verdict + 1,
            "trend_state": TRENDS[TREND_OF_FULL[full]].value,
            "volatility_state": VOLATILITIES[VOLATILITY_OF_FULL[full]].value,
            "momentum_state": MOMENTA[MOMENTUM_OF_FULL[full]].value,
            "full_regime": name,
            "simplified_regime": SIMPLIFIED[SIMPLIFIED_OF_FULL[full]].value,
            "verdict": None if verdict == NO_VERDICT else VERDICTS[verdict].value,
        }
        for full, name in enumerate(FULL_REGIMES)
        for verdict in range(NO_VERDICT, len(VERDICTS))
    ]


# Of an SQLite file; those of PostgreSQL stand in `migrations`.
VIEWS = (
    """
CREATE VIEW candles AS
SELECT s.symbol, s.timeframe,
    strftime('%Y-%m-%dT%H:%M:%SZ', (r.place & 8388607) * s.seconds, 'unixepoch') AS open_time,
    r.open * 1.0 / s.price_scale AS open,
    r.high * 1.0 / s.price_scale AS high,
    r.low * 1.0 / s.price_scale AS low,
    r.close * 1.0 / s.price_scale AS close,
    r.volume * 1.0 / s.volume_scale AS volume
FROM series s
JOIN candle_rows r ON r.place >= s.id * 8388608 AND r.place < (s.id + 1) * 8388608
""",
    """
CREATE VIEW market_regimes AS
SELECT s.symbol, s.timeframe,
    strftime('%Y-%m-%dT%H:%M:%SZ', (r.place & 8388607) * s.seconds, 'unixepoch') AS open_time,
    n.trend_state, n.volatility_state, n.momentum_state, n.full_regime, n.simplified_regime, n.verdict,
    (r.state & 16383) / 10000.0 AS confidence,
    strftime('%Y-%m-%dT%H:%M:%SZ', f.created_ts, 'unixepoch') AS created_at
FROM series s
JOIN regime_rows r ON r.place >= s.id * 8388608 AND r.place < (s.id + 1) * 8388608
JOIN regime_codes n ON n.code = r.state >> 14
JOIN fillings f ON f.id = r.filling
""",
)
