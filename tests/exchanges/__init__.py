"""Tests of the exchanges package."""
