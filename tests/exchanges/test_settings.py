"""Settings and mounted secrets: what is refused at boot, by name and without showing it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from exchanges.opening import open_exchange
from exchanges.settings import ExchangeSettings, KucoinSettings
from market.costs import Fees
from market.errors import ConfigInvalid


@pytest.fixture
def files(tmp_path):
    found = {}
    for name in ("key", "secret", "passphrase"):
        path = tmp_path / name
        path.write_text(f"the-{name}\n")
        found[f"{name}_file"] = path
    return found


async def test_secrets_come_from_mounted_files_without_their_line_ends(files, clock):
    """The three files make a client with keys that shows none of them."""
    exchange = open_exchange("kucoin", ExchangeSettings(**files), clock)
    assert exchange.has_keys
    assert exchange.name == "kucoin"
    assert exchange._credentials.passphrase.get_secret_value() == "the-passphrase"
    assert "the-" not in repr(exchange)
    await exchange.aclose()


async def test_without_files_there_are_only_market_data(clock):
    """No credentials configured is a normal way to run."""
    exchange = open_exchange("kucoin", ExchangeSettings(), clock)
    assert not exchange.has_keys
    await exchange.aclose()


def test_every_unusable_file_is_named_at_once_and_none_is_shown(files, clock):
    """Absent, empty or with a line break in it: each is named with its path, contents never appear."""
    files["key_file"].unlink()
    files["secret_file"].write_text("\n")
    files["passphrase_file"].write_text("two\nlines")
    with pytest.raises(ConfigInvalid) as raised:
        open_exchange("kucoin", ExchangeSettings(**files), clock)
    told = raised.value.problems
    assert [line.split(":")[0] for line in told] == [
        "exchanges.kucoin.key_file",
        "exchanges.kucoin.secret_file",
        "exchanges.kucoin.passphrase_file",
    ]
    assert "No such file" in told[0]
    assert "empty" in told[1]
    assert "printable ASCII" in told[2]
    assert "two" not in str(raised.value)


def test_a_file_that_cannot_be_one_secret_is_refused(files, clock):
    """A wrong mount (a whole configuration, a binary) is noticed before it is sent anywhere."""
    files["key_file"].write_bytes(b"x" * 5000)
    with pytest.raises(ConfigInvalid, match="expected one secret"):
        open_exchange("kucoin", ExchangeSettings(**files), clock)


def test_credentials_are_all_or_none(files):
    """Two of three files are a mistake, not a way to run."""
    del files["passphrase_file"]
    with pytest.raises(ValidationError, match="all or none"):
        ExchangeSettings(**files)


def test_keys_never_go_over_plain_http_to_another_machine(files):
    """TLS or this machine; without keys plain http is fine (a sandbox next door)."""
    with pytest.raises(ValidationError, match="use https"):
        ExchangeSettings(base_url="http://sandbox.example:8080", **files)
    assert ExchangeSettings(base_url="http://sandbox.example:8080").key_file is None
    for here in ("http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "https://api.kucoin.com"):
        assert ExchangeSettings(base_url=here, **files).base_url == here


@pytest.mark.parametrize(
    "address",
    ["api.kucoin.com", "ftp://x", "https://me:pw@x", "https://x/api", "https://x?a=1", "https://", ""],
)
def test_an_address_is_scheme_host_and_port(address):
    """A path or credentials in the address would be lost or shown: refused."""
    with pytest.raises(ValidationError) as raised:
        KucoinSettings(base_url=address)
    assert raised.value.error_count() == 1


def test_fees_are_the_kind_s_unless_told():
    """The account's own fees win over the exchange's list price."""
    assert ExchangeSettings().fees_in_force == Fees(maker_bps=10, taker_bps=10)
    own = Fees(maker_bps=2, taker_bps=7)
    assert ExchangeSettings(fees=own).fees_in_force == own


def test_an_unknown_field_is_an_error():
    """A misspelt setting must not be silently ignored, and a credential has no place here."""
    for wrong in ({"base_ulr": "x"}, {"api_key": "x"}, {"http": {"timeout": 3}}, {"resilience": {"trys": 3}}):
        with pytest.raises(ValidationError, match="Extra inputs"):
            ExchangeSettings.model_validate(wrong)
