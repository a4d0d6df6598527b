"""The HTTP API over markets, regimes and records: one table of routes checks requests and describes them."""
