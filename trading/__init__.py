"""From a judgement to sized orders: universe, signals, rules, risk, pacing, execution, ledger. Pure."""
