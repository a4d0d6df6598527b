"""Every reason for which the pipeline does not do something, or ends it; documented in docs/trading.md."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A code that records and messages carry; `MEANINGS` says it in a sentence."""

    # universe
    EXCLUDED_BY_POLICY = "excluded_by_policy"
    QUOTE_CURRENCY = "quote_currency"
    NOT_TRADING = "not_trading"
    TURNOVER_UNKNOWN = "turnover_unknown"
    TURNOVER_TOO_LOW = "turnover_too_low"
    SPREAD_UNKNOWN = "spread_unknown"
    SPREAD_TOO_WIDE = "spread_too_wide"
    DEPTH_UNKNOWN = "depth_unknown"
    DEPTH_TOO_LOW = "depth_too_low"
    # rules
    REGIME_UNKNOWN = "regime_unknown"
    REGIME_CASH_ONLY = "regime_cash_only"
    SIGNAL_NOT_ALLOWED = "signal_not_allowed"
    # risk
    STALE_DATA = "stale_data"
    DRAWDOWN_BREAKER = "drawdown_breaker"
    EXCHANGE_ERRORS = "exchange_errors"
    BOOKS_DIFFER = "books_differ"
    ALREADY_IN_POSITION = "already_in_position"
    EDGE_BELOW_COSTS = "edge_below_costs"
    SYMBOL_CAP = "symbol_cap"
    TOTAL_EXPOSURE_CAP = "total_exposure_cap"
    INSUFFICIENT_CASH = "insufficient_cash"
    MIN_SIZE = "min_size"
    MIN_NOTIONAL = "min_notional"
    # pacing
    GLOBAL_TRADE_SPACING = "global_trade_spacing"
    SYMBOL_COOLDOWN_ACTIVE = "symbol_cooldown_active"
    MAX_TRADES_PER_HOUR = "max_trades_per_hour"
    MAX_TRADES_PER_DAY = "max_trades_per_day"
    # execution
    POST_ONLY_WOULD_TAKE = "post_only_would_take"
    TTL_EXPIRED = "ttl_expired"
    SLIPPAGE_TOO_HIGH = "slippage_too_high"
    RETRIES_EXHAUSTED = "retries_exhausted"
    INSUFFICIENT_BALANCE = "insufficient_balance"
    ORDER_REFUSED = "order_refused"
    ANSWER_LOST = "answer_lost"
    # why a position ended
    TARGET = "target"
    STOP = "stop"
    MAX_HOLD = "max_hold"
    REGIME_EXIT = "regime_exit"
    GRID_EXIT = "grid_exit"


MEANINGS: dict[Reason, str] = {
    Reason.EXCLUDED_BY_POLICY: "The market stands on the policy's exclusion list.",
    Reason.QUOTE_CURRENCY: "The market is quoted in another coin than the account.",
    Reason.NOT_TRADING: "The exchange takes no orders in this market.",
    Reason.TURNOVER_UNKNOWN: "The last 24 hours are not all known, so neither is what was traded in them.",
    Reason.TURNOVER_TOO_LOW: "Less was traded in the last 24 hours than the lowest tier asks for.",
    Reason.SPREAD_UNKNOWN: "No price is known from which a spread could be told.",
    Reason.SPREAD_TOO_WIDE: "Bid and ask lie further apart than allowed.",
    Reason.DEPTH_UNKNOWN: "A least depth is asked for, and nobody recorded the depth.",
    Reason.DEPTH_TOO_LOW: "Less rests near the price than asked for.",
    Reason.REGIME_UNKNOWN: "The hour has no regime to look up in the policy.",
    Reason.REGIME_CASH_ONLY: "The policy holds cash in this regime.",
    Reason.SIGNAL_NOT_ALLOWED: "The policy does not allow this signal in this regime.",
    Reason.STALE_DATA: "The last known price is too old to trade on.",
    Reason.DRAWDOWN_BREAKER: "Too far below the account's peak; none begins until it recovers or is reset.",
    Reason.EXCHANGE_ERRORS: "The exchange failed several times in a row; no new trade until it answers.",
    Reason.BOOKS_DIFFER: "Our ledger and the exchange's balances differ; no new trade until they agree.",
    Reason.ALREADY_IN_POSITION: "A trade of this market is still open.",
    Reason.EDGE_BELOW_COSTS: "The way to the target is not worth the round trip's costs.",
    Reason.SYMBOL_CAP: "The market's share of the account is used up.",
    Reason.TOTAL_EXPOSURE_CAP: "The account's share that may be invested is used up.",
    Reason.INSUFFICIENT_CASH: "There is no free cash for it.",
    Reason.MIN_SIZE: "The size is below the exchange's smallest.",
    Reason.MIN_NOTIONAL: "The notional is below the exchange's or the policy's smallest.",
    Reason.GLOBAL_TRADE_SPACING: "Too little time has passed since the last trade of any market.",
    Reason.SYMBOL_COOLDOWN_ACTIVE: "The market rests after its last trade, longer after a loss.",
    Reason.MAX_TRADES_PER_HOUR: "As many trades as an hour may have were begun in the last 60 minutes.",
    Reason.MAX_TRADES_PER_DAY: "As many trades as a day may have were begun in the last 24 hours.",
    Reason.POST_ONLY_WOULD_TAKE: "A maker order would have taken; it is tried again at a safer price.",
    Reason.TTL_EXPIRED: "The order rested for its whole time and was not (wholly) filled.",
    Reason.SLIPPAGE_TOO_HIGH: "Taking now would cost more than allowed.",
    Reason.RETRIES_EXHAUSTED: "As many tries as allowed were made.",
    Reason.INSUFFICIENT_BALANCE: "The exchange says the balance does not cover the order.",
    Reason.ORDER_REFUSED: "The exchange refuses the order as it is.",
    Reason.ANSWER_LOST: "The exchange did not answer; the order is asked for by its name first.",
    Reason.TARGET: "The price reached the target.",
    Reason.STOP: "The price reached the stop.",
    Reason.MAX_HOLD: "The trade was held as long as it may be.",
    Reason.REGIME_EXIT: "The regime is one in which the policy holds cash.",
    Reason.GRID_EXIT: "The exit rules end the grid.",
}
