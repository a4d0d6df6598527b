"""docs/agents.md: what it says can be done as it stands there."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from mcp import Client
from mcp.client.stdio import StdioServerParameters

from daemon.agent_tools import INSTRUCTIONS, TOOLS
from tests.cycle.processes import REGIMED, ROOT
from tests.daemon.histories import two_markets

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "agents.md").read_text()
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)]
SECTIONS = dict(re.findall(r"^### (\w+)\n(.*?)(?=^### |\Z)", PAGE, flags=re.DOTALL | re.MULTILINE))


async def test_the_configuration_on_the_page_starts_the_server(tmp_path):
    """Its arguments, with the real command and repository in the place of the example paths."""
    (server,) = BLOCKS[0]["mcpServers"].values()
    assert server["command"].endswith("/regimed") and server["args"][-1] == "/data"
    command, *module = REGIMED
    arguments = [*module, *server["args"][:-1], str(two_markets(tmp_path))]
    real = StdioServerParameters(command=command, args=arguments, env=dict(os.environ), cwd=ROOT)
    async with Client(real) as client:
        assert [tool.name for tool in (await client.list_tools()).tools] == [tool.name for tool in TOOLS]


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_each_tool_stands_on_the_page_as_it_is(tool):
    """Description and every argument in today's words, a question that fits its schema, and an answer."""
    section = SECTIONS[tool.name]
    assert " ".join(tool.description.split()) in " ".join(section.split())
    for name, argument in tool.input["properties"].items():
        assert f"| `{name}` |" in section and argument["description"] in section
    asked = json.loads(re.findall(r"```json\n(.*?)```", section, flags=re.DOTALL)[0])
    Draft202012Validator(tool.input).validate(asked)
    (answer,) = re.findall(r"```text\n(.*?)```", section, flags=re.DOTALL)
    assert set(json.loads(answer)) == set(tool.output["required"])


def test_the_rules_stand_on_the_page_as_agents_are_told_them():
    """Word by word."""
    assert " ".join(INSTRUCTIONS.split()) in " ".join(PAGE.split())
