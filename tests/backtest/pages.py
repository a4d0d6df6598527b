"""A report read back: its tags in order, its tables by name, its values as the page holds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from backtest.report import html

_EMPTY = {"meta", "link"}


@dataclass
class Cell:
    """A table's cell, a heading or a definition: its words, and the exact value behind them."""

    text: str = ""
    exact: str | None = None


@dataclass
class Parsed(HTMLParser):
    """A page; fails where tags are not closed in order.

    Attributes:
        tags: All of them in order, with the names of their attributes.
        tables: By the label of the region that holds it, rows of cells.
        tiles: Terms of definitions with what is told of them.
        items: Of lists, by their class.
        ids, refs: Every id, and every id that an attribute refers to.
    """

    tags: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    tables: dict[str, list[list[Cell]]] = field(default_factory=dict)
    tiles: dict[str, list[Cell]] = field(default_factory=dict)
    items: dict[str, list[str]] = field(default_factory=dict)
    ids: list[str] = field(default_factory=list)
    refs: list[str] = field(default_factory=list)
    pictures: int = 0
    _open: list[str] = field(default_factory=list)
    _cell: Cell = field(default_factory=Cell)
    _region: str = ""
    _term: str = ""
    _item: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self.tags.append((tag, tuple(found)))
        if tag not in _EMPTY and not self.get_starttag_text().endswith("/>"):
            self._open.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.refs += found.get("aria-labelledby", "").split()
        self.pictures += found.get("role") == "img"
        if found.get("role") == "region":
            self._region = found["aria-label"]
            assert self._region not in self.tables, f"two tables are called {self._region}"
            self.tables[self._region] = []
        elif tag == "tr":
            self.tables[self._region].append([])
        elif tag == "data":
            self._cell.exact = found["value"]
        elif tag in {"th", "td", "dt", "dd", "li", "h1", "strong"}:
            self._cell = Cell()
            self._item = found.get("class", "")

    def handle_endtag(self, tag: str) -> None:
        if self.get_starttag_text().endswith("/>") and (not self._open or self._open[-1] != tag):
            return
        assert self._open.pop() == tag, f"{tag} closes another tag, line {self.getpos()[0]}"
        self._cell.text = self._cell.text.strip()
        if tag in {"th", "td"}:
            self.tables[self._region][-1].append(self._cell)
        elif tag == "dt":
            self._term = self._cell.text
        elif tag == "dd":
            self.tiles.setdefault(self._term, []).append(self._cell)
        elif tag == "li":
            self.items.setdefault(self._item, []).append(self._cell.text)
        elif tag in {"h1", "strong"}:
            self.tiles[tag] = [self._cell]
        if tag != "data":
            self._cell = Cell()

    def handle_data(self, data: str) -> None:
        self._cell.text += data

    def whole(self) -> Parsed:
        """Return itself once every tag is closed."""
        self.close()
        assert not self._open, self._open
        return self


def parsed(page: str) -> Parsed:
    """Return a page read back."""
    found = Parsed()
    found.feed(page)
    return found.whole()


def page_of(value: dict[str, object]) -> Parsed:
    """Return the page of a result, read back."""
    return parsed(html(value))
