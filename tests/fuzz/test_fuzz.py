"""The fuzzers' short form, and each input that once broke a parser."""

from __future__ import annotations

import pytest

from market.errors import DataInvalid
from store.calibration_files import decode_calibration, encode_calibration
from tests.fuzz.__main__ import NAMES, fuzzed
from tests.fuzz.http_target import ANSWER_WITHIN_S, Talk, asked, with_server
from tests.fuzz.targets import TARGETS
from tests.store.test_calibration_files import made

INPUTS = {"snapshot": 400, "yaml": 300, "kucoin": 600, "http": 150}


@pytest.mark.parametrize("name", NAMES)
def test_a_parser_takes_or_refuses_and_never_breaks(name):
    """Spoilt bytes are an error of the kind that the caller knows, never a surprise."""
    run = fuzzed(name, 600, seed=1, most=INPUTS[name])  # by count: a busy machine is no finding
    assert run.count == INPUTS[name]
    assert run.found == {}
    assert len(run.outcomes) > 1  # some are taken, some refused: it is no wall that is fuzzed


# A name longer than a file's may be was looked for on the disk: 500 instead of 400.
LONG_NAME = b"GET /decisions/2026-01-05/dec-ETH-USDT-01000%s HTTP/1.1\r\nHost: 127.0.0.1\r\n%s\r\n"
BROKE = [LONG_NAME % (b"1" * 5000, b"Accept: text/html\r\n"), LONG_NAME % (b"1" * 240, b"")]


def test_requests_that_once_broke_the_server_are_refused():
    """What the fuzzer found: each is answered with a 4xx, and the server goes on."""

    def work(port):
        answers = [asked(port, data, patience_s=ANSWER_WITHIN_S)[0].split(b" ", 2)[1] for data in BROKE]
        return answers, Talk(port).is_alive()

    assert with_server(work) == ([b"400"] * len(BROKE), True)


@pytest.mark.parametrize("key", ["ETH/USDT", "''", "ETH-USDt"])
def test_a_calibration_of_a_market_that_is_no_key_is_refused(key):
    """What the fuzzer found: a ValueError, which no reader of calibrations expects."""
    path, file = made()
    data = encode_calibration(file).replace(b"key: ETH-USDT", f"key: {key}".encode())
    with pytest.raises(DataInvalid, match=r"key, month: .* but the path names another"):
        decode_calibration(data, path)


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_samples(name):
    """What is spoilt was valid before, so that inputs reach what lies behind the first check."""
    for target in TARGETS[name]():
        assert [target.parse(sample) for sample in target.samples[:2]].count(True) >= 1
