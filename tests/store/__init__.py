"""Tests of the data repository: real files, real Git."""
