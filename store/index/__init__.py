"""The derived index of regimes and candles: two engines, one interface, never the truth."""
