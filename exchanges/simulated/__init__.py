"""A simulated exchange: the trading port over minutes that are fed to it. No money moves here."""
