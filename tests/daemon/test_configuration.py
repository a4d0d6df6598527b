from pathlib import Path

import pytest

from daemon.configuration import known_variables, load_settings
from market.errors import ConfigInvalid

GOOD = """
data_repository: {base_path: data}
exchanges:
  kucoin: {kind: kucoin}
markets:
  - {exchange: kucoin, symbol: ETH-USDT}
"""


@pytest.fixture
def config(tmp_path):
    def write(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return write


def problems(path, environment=None):
    with pytest.raises(ConfigInvalid) as caught:
        load_settings(path, environment or {})
    return caught.value.problems


def test_a_small_configuration_has_documented_defaults(config):
    """Every threshold has a default; the key is the symbol, the state lies beside the data."""
    settings = load_settings(config(GOOD), {"PATH": "/bin"})
    assert settings.markets[0].key == "ETH-USDT"
    assert settings.state_path == Path("data.state")
    assert settings.store().base_path == Path("data")
    assert settings.http.host == "127.0.0.1"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD + "colection: {}\n", ["colection: unknown key", "did you mean 'collection'?"]),
        (GOOD + "http: {prot: 1}\n", ["http.prot: unknown key", "did you mean 'port'?"]),
        (
            GOOD.replace("symbol: ETH-USDT", "symbol: ETH-USDT, sybol: 1"),
            ["markets.0.sybol", "did you mean 'symbol'?"],
        ),
        (
            GOOD.replace("kind: kucoin", "kind: kucoin, base_ur: 1"),
            ["exchanges.kucoin.base_ur", "'base_url'"],
        ),
        (GOOD + "http: {port: 99999}\n", ["http.port", "65535", "99999"]),
        (GOOD.replace("data_repository: {base_path: data}", ""), ["data_repository: is required"]),
        (GOOD + "  - {exchange: kucoin, symbol: ETH-USDT}\n", ["the key ETH-USDT stands 2 times"]),
        (
            GOOD + "  - {exchange: binance, symbol: BTC-USDT}\n",
            ["no exchange 'binance'", "configured: kucoin"],
        ),
        (
            GOOD + "  - {exchange: kucoin, symbol: BTC-USDT, key: ../x}\n",
            ["markets.1.key", "not a market key"],
        ),
        (GOOD + "  - {exchange: kucoin, symbol: 'BTC/USDT'}\n", ["markets.1.symbol"]),
        (
            GOOD.replace("kind: kucoin", "kind: kucoin, api_key: abc"),
            ["exchanges.kucoin.api_key: a credential stands in"],
        ),
        (GOOD.replace("kind: kucoin", "kind: kucoin, passphrase: abc"), ["a credential stands in"]),
        (
            GOOD.replace("base_path: data", "base_path: data, remote: 'https://me:pw@host/x'"),
            ["holds a credential"],
        ),
        ("- 1\n", ["holds list, expected a mapping"]),
        ("a: 1\na: 2\n", ["a"]),
        ("a: [1\n", ["config.yaml"]),
        (
            GOOD.replace("ETH-USDT", "ETH-BTC") + "mode: paper\n",
            ["trading.universe.quote: no market is quoted in USDT"],
        ),
    ],
)
def test_each_mistake_is_told_with_path_origin_and_advice(config, text, words):
    """Fail fast, in words that say what to change."""
    told = " | ".join(problems(config(text)))
    for word in words:
        assert word in told, told


def test_a_token_in_the_remote_is_a_credential_too(config):
    """https://TOKEN@host would be shown by `config show` and written to .git/config."""
    (told,) = problems(
        config(GOOD.replace("base_path: data", "base_path: data, remote: 'https://ghp_x@host/x'"))
    )
    assert "holds a credential" in told
    assert "ghp_x" not in told


def test_every_problem_is_told_at_once(config):
    """Nobody mends a configuration one restart at a time."""
    told = problems(
        config(GOOD + "http: {port: -1, prot: 2}\ncolection: 1\n"), {"MARKET_MAKER_HTTP_HSOT": "x"}
    )
    assert len(told) == 4


def test_a_secret_is_never_repeated_in_a_message(config):
    """The message names the place, not the value."""
    told = " ".join(problems(config(GOOD.replace("kind: kucoin", "kind: kucoin, secret: hunter2"))))
    assert "hunter2" not in told
    told = " ".join(
        problems(config(GOOD.replace("base_path: data", "base_path: data, remote: 'https://me:hunter2@h/x'")))
    )
    assert "hunter2" not in told


def test_the_environment_is_laid_over_the_file(config):
    """Variable names are derived from the model; numbers and paths arrive as what they are."""
    settings = load_settings(
        config(GOOD),
        {
            "MARKET_MAKER_DATA_REPOSITORY_BASE_PATH": "elsewhere",
            "MARKET_MAKER_HTTP_PORT": "9000",
            "MARKET_MAKER_EXCHANGES_KUCOIN_BASE_URL": "http://127.0.0.1:1",
            "MARKET_MAKER_MARKETS": '[{"exchange": "kucoin", "symbol": "BTC-USDT"}]',
            "MARKET_MAKER_STATE_DIR": "null",
        },
    )
    assert settings.data_repository.base_path == Path("elsewhere")
    assert settings.http.port == 9000
    assert settings.exchanges["kucoin"].base_url == "http://127.0.0.1:1"
    assert settings.markets[0].key == "BTC-USDT"


def test_a_misspelt_variable_is_an_error_with_the_nearest_name(config):
    """A typo in the environment is not silence."""
    (told,) = problems(config(GOOD), {"MARKET_MAKER_DATA_REPOSITORY_BASEPATH": "x"})
    assert told.startswith("MARKET_MAKER_DATA_REPOSITORY_BASEPATH: no such setting")
    assert "did you mean MARKET_MAKER_DATA_REPOSITORY_BASE_PATH?" in told


def test_a_bad_value_names_the_variable_it_came_from(config):
    """The operator sees which of the two places to mend."""
    (told,) = problems(config(GOOD), {"MARKET_MAKER_HTTP_PORT": "many"})
    assert "http.port" in told
    assert "MARKET_MAKER_HTTP_PORT" in told


def test_what_kubernetes_injects_is_let_be(config):
    """A Service called market-maker puts variables of our prefix into every pod."""
    injected = {
        "MARKET_MAKER_SERVICE_HOST": "10.0.0.1",
        "MARKET_MAKER_SERVICE_PORT": "80",
        "MARKET_MAKER_SERVICE_PORT_HTTP": "80",
        "MARKET_MAKER_PORT": "tcp://10.0.0.1:80",
        "MARKET_MAKER_PORT_80_TCP": "tcp://10.0.0.1:80",
        "MARKET_MAKER_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert load_settings(config(GOOD), injected)


def test_the_hash_covers_rules_and_not_places(config):
    """The same rules on another machine are the same configuration; another threshold is not."""
    here = load_settings(config(GOOD), {}).config_hash()
    moved = {
        "MARKET_MAKER_DATA_REPOSITORY_BASE_PATH": "x",
        "MARKET_MAKER_HTTP_PORT": "1",
        "MARKET_MAKER_STATE_DIR": "s",
    }
    assert load_settings(config(GOOD), moved).config_hash() == here
    assert load_settings(config(GOOD), {"MARKET_MAKER_COLLECTION_SETTLE_S": "7"}).config_hash() != here
    assert load_settings(config(GOOD + "regime: {score_model: classic}\n"), {}).config_hash() != here


def test_no_two_settings_share_a_variable():
    """Underscores in names could make two paths one variable."""
    names = known_variables({"exchanges": {"kucoin": {}}})
    assert len(set(names.values())) == len(names)
    assert names["MARKET_MAKER_DATA_REPOSITORY_BASE_PATH"] == ("data_repository", "base_path")


def test_a_missing_file_says_where_to_start(tmp_path):
    """The first message a new user may see."""
    (told,) = problems(tmp_path / "no.yaml")
    assert "start from config/config.yaml" in told
