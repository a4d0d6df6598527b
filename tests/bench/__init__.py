"""Tests of the benches: that they run and what they say, never how fast."""
