"""Ratios against a named peer or limit, measured in one run: `python -m bench` or `make bench`."""
