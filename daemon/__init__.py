"""The roof: the one place that reads a clock, builds real things and runs the hours."""
