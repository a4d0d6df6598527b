"""The examples of docs/api.md: what a daemon after three simulated hours really answers.

`python -m tests.daemon.api.documented` writes them anew; a test keeps them true.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[3] / "docs" / "api.md"
_EXAMPLE = re.compile(
    r"(?P<ask>^GET (?P<path>\S+)\n```\n+```json\n)(?P<answer>.*?)(?P<end>\n```)", re.DOTALL | re.MULTILINE
)


def cut(value: Any, depth: int = 0) -> Any:
    """Return an answer with its lists, its wide inner objects and its long texts cut short."""
    if isinstance(value, list):
        return [cut(each, depth) for each in value[:1]] + ["…"] * (len(value) > 1)
    if isinstance(value, dict):
        most = len(value) if depth < 1 else 16 if depth < 2 else 2
        told = {name: cut(each, depth + 1) for name, each in list(value.items())[:most]}
        return told | ({"…": "…"} if most < len(value) else {})
    return f"{value[:40]}…" if isinstance(value, str) and len(value) > 60 else value


def shown(answer: Any) -> str:
    """Return an answer as JSON, a line for each member."""
    told = cut(answer)
    lines = [f"  {json.dumps(name)}: {json.dumps(told[name], ensure_ascii=False)}" for name in told]
    return "{\n" + ",\n".join(lines) + "\n}"


async def written() -> str:
    """Return the page with each example's answer as it is now."""
    from tests.daemon.api.test_records import daemon

    text = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        async with daemon(Path(folder), hours=3, token=False) as api:
            for path in dict.fromkeys(found["path"] for found in _EXAMPLE.finditer(text)):
                answer = await api.get(path)
                told = shown(answer.json())
                text = _EXAMPLE.sub(
                    lambda found, path=path, told=told: (
                        found["ask"] + told + found["end"] if found["path"] == path else found[0]
                    ),
                    text,
                )
    return text


if __name__ == "__main__":
    PAGE.write_text(asyncio.run(written()))
