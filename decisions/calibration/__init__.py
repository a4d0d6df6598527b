"""What the rules were worth on recorded candles: measured, with intervals, beside plain rivals. Pure."""
