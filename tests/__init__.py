"""The suite mirrors the packages; `tests/cycle` drives the whole application."""
