"""The values of `dashboard.pages`, read from a data repository."""

from dashboard.reading.reader import PageReader

__all__ = ["PageReader"]
