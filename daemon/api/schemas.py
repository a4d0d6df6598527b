"""JSON schemas of the answers, for the description; the tests hold every answer against them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from daemon.regime_forms import LEGEND
from market.hours import Timeframe
from regime.components.states import FULL_REGIMES, MOMENTA, SIMPLIFIED, TRENDS, VOLATILITIES
from regime.series import CONFIDENCE_BINS, STORED, VERDICTS
from store.decision_files import ActionFile, DecisionFile
from store.kpi_files import KpisFile
from store.snapshots import SnapshotFile

Schema = dict[str, Any]
_NAMES = [each.value for each in SIMPLIFIED]
TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
TIME: Schema = {"type": "string", "format": "date-time"}


def ref(name: str) -> Schema:
    """Return a reference to a schema of the document."""
    return {"$ref": f"#/components/schemas/{name}"}


def enum(values: Sequence[str]) -> Schema:
    return {"type": "string", "enum": list(values)}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema, **bounds: int) -> Schema:
    return {"type": "array", "items": schema, **bounds}


def closed(properties: Mapping[str, Schema], optional: Sequence[str] = ()) -> Schema:
    """Return an object of these properties and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in optional],
        "additionalProperties": False,
    }


def by_regime(schema: Schema) -> Schema:
    return closed(dict.fromkeys(_NAMES, schema))


_REGIME = enum(_NAMES)
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}
_SERIES: dict[str, Schema] = {
    "symbol": TEXT,
    "timeframe": enum([each.value for each in Timeframe]),
    "start": TIME,
    "end": TIME,
}
_NEXT = or_null({"type": "string", "description": "The next page's `cursor`; null at the end."})
_CANDLE = dict.fromkeys(("open", "high", "low", "close", "volume"), NUMBER)
_BINS = listed(WHOLE, minItems=CONFIDENCE_BINS, maxItems=CONFIDENCE_BINS)

ROW = closed(
    {
        "open_time": TIME,
        "trend_state": enum([each.value for each in TRENDS]),
        "volatility_state": enum([each.value for each in VOLATILITIES]),
        "momentum_state": enum([each.value for each in MOMENTA]),
        "full_regime": enum(list(FULL_REGIMES)),
        "simplified_regime": _REGIME,
        "colour": enum([each["colour"] for each in LEGEND.values()]),
        "verdict": or_null(enum([each.value for each in VERDICTS])),
        "confidence": _SHARE,
        "source": enum(["stored", "computed"]),
        **_CANDLE,
    },
    optional=tuple(_CANDLE),
)
ROWS = closed(
    {
        **_SERIES,
        "legend": by_regime(closed({"colour": TEXT, "letter": TEXT, "pattern": TEXT})),
        "source": {
            **enum(["stored", "computed", "mixed"]),
            "description": "Where the page's rows come from; stored without any.",
        },
        "rows": listed(ref("Row")),
        "next": _NEXT,
    }
)
STATS = closed(
    {
        **_SERIES,
        "rows": WHOLE,
        "distribution": by_regime(
            closed({"bars": WHOLE, "share": or_null(_SHARE), "periods": WHOLE, "mean_bars": or_null(NUMBER)})
        ),
        "transitions": by_regime(closed({"counts": by_regime(WHOLE), "shares": by_regime(or_null(_SHARE))})),
        "confidence": closed({"bin_width": NUMBER, "all": _BINS, **dict.fromkeys(_NAMES, _BINS)}),
        "verdicts": closed({each.value: WHOLE for each in VERDICTS}),
    }
)
PERIOD = closed(
    {
        "simplified_regime": _REGIME,
        "previous_regime": or_null(_REGIME),
        "start": TIME,
        "end": TIME,
        "bars": {"type": "integer", "minimum": 1},
        "open": NUMBER,
        "close": NUMBER,
        "return_pct": NUMBER,
        "ongoing": {"type": "boolean"},
    }
)
PERIODS = closed({**_SERIES, "periods": listed(ref("Period")), "next": _NEXT})
TRANSITIONS = closed({**_SERIES, "transitions": listed(ref("Period")), "next": _NEXT})
MARKETS = closed(
    {
        "markets": listed(
            closed(
                {
                    "symbol": TEXT,
                    "configured": {"type": "boolean"},
                    "start": or_null(TIME),
                    "end": or_null(TIME),
                    "recorded_from": {
                        **closed({each.value: or_null(TIME) for each in Timeframe}),
                        "description": "When the bars of each timeframe begin, to the month where they are"
                        " coarse candles; null without any.",
                    },
                    "stored_to": closed({each.value: or_null(TIME) for each in STORED}),
                }
            )
        )
    }
)
DECISIONS = closed(
    {
        "decisions": listed(
            closed(
                {
                    "id": TEXT,
                    "market": TEXT,
                    "hour": TIME,
                    "grid_id": TEXT,
                    "type": TEXT,
                    "action": TEXT,
                    "verdict": or_null(TEXT),
                    "confidence": or_null(NUMBER),
                    "created_at": TIME,
                    "expires_at": or_null(TIME),
                    "actions": WHOLE,
                }
            )
        ),
        "damaged": {**listed(TEXT), "description": "Records of this page that cannot be read."},
        "next": _NEXT,
    }
)
DECISION = closed({"decision": ref("DecisionFile"), "actions": listed(ref("ActionFile"))})
GRIDS = closed(
    {
        "grids": listed(
            {
                "type": "object",
                "properties": {"grid_id": TEXT, "market": TEXT, "versions": listed({"type": "object"})},
                "required": ["schema_version", "grid_id", "market", "kind", "versions", "history"],
            }
        ),
        "damaged": {**listed(TEXT), "description": "Files that are not valid; the last valid form is told."},
    }
)
PROBLEM = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": TEXT,
        "instance": {"type": "string", "format": "uri-reference"},
        "parameter": closed({"name": TEXT, "found": or_null(TEXT), "expected": or_null(TEXT)}),
    },
    "required": ["type", "title", "status", "detail", "instance"],
    "additionalProperties": False,
}
RECORDED = closed({"commit": TEXT})


def components() -> dict[str, Schema]:
    """Return every schema that the document refers to; those of records come from what checks the files."""
    found: dict[str, Schema] = {
        "Row": ROW,
        "Rows": ROWS,
        "Stats": STATS,
        "Period": PERIOD,
        "Periods": PERIODS,
        "Transitions": TRANSITIONS,
        "Markets": MARKETS,
        "Decisions": DECISIONS,
        "Decision": DECISION,
        "Grids": GRIDS,
        "Problem": PROBLEM,
        "Recorded": RECORDED,
    }
    for model in (DecisionFile, ActionFile, KpisFile, SnapshotFile):
        told = model.model_json_schema(
            mode="serialization", by_alias=True, ref_template="#/components/schemas/{model}"
        )
        found |= told.pop("$defs", {})
        found[model.__name__] = told
    return found
