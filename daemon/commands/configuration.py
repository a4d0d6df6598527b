"""`regimed config check|show|schema`."""

from __future__ import annotations

import sys

import typer
import yaml

from daemon.commands.sharing import ConfigOption, print_json, settings_of
from daemon.configuration import known_variables
from daemon.gate import refuse_live
from daemon.settings import Settings

config = typer.Typer(help="The configuration in force.", no_args_is_help=True, rich_markup_mode=None)


def register(app: typer.Typer) -> None:
    app.add_typer(config, name="config")


@config.command()
def check(config: ConfigOption = None) -> None:
    """Say whether the configuration can be used; every problem at once.

    Example: regimed config check --config config.yaml
    """
    settings = settings_of(config)
    refuse_live(settings)
    print(f"configuration is fine: {len(settings.markets)} markets, hash {settings.config_hash()}")
    if settings.in_shadow is not None:
        print(f"its shadow is fine: {settings.shadow}, hash {settings.in_shadow.config_hash()}")


@config.command()
def show(config: ConfigOption = None) -> None:
    """Print the effective configuration, defaults and environment included.

    Example: regimed config show | less
    """
    settings = settings_of(config)
    yaml.dump(
        settings.model_dump(mode="json"),
        sys.stdout,
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
    )


@config.command()
def schema() -> None:
    """Print the JSON schema, and the environment variable of every setting.

    Example: regimed config schema > regimed.schema.json
    """
    document = Settings.model_json_schema()
    document["x-environment"] = {name: ".".join(path) for name, path in sorted(known_variables({}).items())}
    print_json(document)
