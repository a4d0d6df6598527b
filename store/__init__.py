"""The data repository: snapshots, candles and records as files, and Git as their history."""
