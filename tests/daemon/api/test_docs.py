"""docs/api.md tells what is so."""

from __future__ import annotations

import re

from daemon.api import routes
from tests.daemon.api.documented import PAGE, written


async def test_each_example_is_the_real_answer():
    """Every answer on the page is the one that a daemon gives; `documented` writes them anew."""
    assert await written() == PAGE.read_text()


def test_every_route_and_parameter_is_on_the_page():
    """Nothing that the table knows is left out."""
    text = PAGE.read_text()
    for route in (*routes.READING, routes.ACTION):
        assert f"`{route.method} {route.path}`" in text
        for parameter in route.parameters:
            assert f"`{parameter.name}`" in text
    assert len(re.findall(r"^GET ", text, re.MULTILINE)) >= len(routes.READING)
