"""Every signal by name, and the ones that a configuration switches on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from market.errors import ConfigInvalid
from trading.sections import known_names, read_section
from trading.signals.base import Signal, SignalConfig
from trading.signals.grid import GridSignal, GridSignalConfig
from trading.signals.mean_reversion import MeanReversionConfig, MeanReversionSignal
from trading.signals.momentum import MomentumConfig, MomentumSignal
from trading.signals.price_move import PriceMoveConfig, PriceMoveSignal
from trading.signals.regime import RegimeSignal, RegimeSignalConfig

WHERE = "trading.signals"


@dataclass(frozen=True, slots=True)
class SignalEntry:
    """How one signal is made from its settings."""

    config: type[SignalConfig]
    signal: Callable[[Any], Signal]

    def made(self, settings: object, where: str) -> Signal:
        """Return the signal.

        Raises:
            ConfigInvalid: One line for every wrong setting.
        """
        return self.signal(read_section(self.config, settings, where))


SIGNALS: Mapping[str, SignalEntry] = {
    PriceMoveSignal.name: SignalEntry(PriceMoveConfig, PriceMoveSignal),
    MomentumSignal.name: SignalEntry(MomentumConfig, MomentumSignal),
    MeanReversionSignal.name: SignalEntry(MeanReversionConfig, MeanReversionSignal),
    GridSignal.name: SignalEntry(GridSignalConfig, GridSignal),
    RegimeSignal.name: SignalEntry(RegimeSignalConfig, RegimeSignal),
}


def build(settings: Mapping[str, Mapping[str, object]]) -> tuple[Signal, ...]:
    """Return the signals that are named, in the order of the registry, whatever the order of the names.

    Args:
        settings: Name to the settings that differ from the defaults; who is not named is off.

    Raises:
        ConfigInvalid: Every unknown name and every wrong setting of the others, a line each.
    """
    problems = [
        f"{WHERE}.{name}: unknown signal; {known_names(name, SIGNALS)}"
        for name in settings
        if name not in SIGNALS
    ]
    found: list[Signal] = []
    for name, entry in SIGNALS.items():
        if name not in settings:
            continue
        try:
            found.append(entry.made(settings[name], f"{WHERE}.{name}"))
        except ConfigInvalid as error:
            problems += error.problems
    if problems:
        raise ConfigInvalid(*problems)
    return tuple(found)
