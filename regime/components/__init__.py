"""The three-dimensional regime: trend, volatility and momentum of every bar, beside the verdict."""
