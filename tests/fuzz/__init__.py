"""Fuzzers: spoilt bytes into each parser of what comes from outside, which takes or refuses them."""
