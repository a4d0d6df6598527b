"""A KuCoin-compatible REST server over recorded or simulated candles, with scriptable misbehaviour."""
