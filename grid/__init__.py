"""Grids: what one is, what it costs, and what it would have earned on recorded minutes. Pure."""
