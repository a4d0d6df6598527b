"""Would it have made money: recorded hours through the desk, many grids over the same candles, reports."""
