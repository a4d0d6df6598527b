import logging

import pytest
import structlog

from bench.__main__ import BENCHES, main
from bench.figures import Against, Figure, at_most, p99, rounded, times_better
from bench.report import Told, page, table


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_runs_and_holds_each_figure_against_something_named(name):
    """A bench that no longer runs, or measures nothing, is found before somebody needs it."""
    figures = BENCHES[name].run(quick=True)
    assert figures
    assert len({(figure.what, figure.against.name) for figure in figures}) == len(figures)
    for figure in figures:
        assert figure.value > 0
        assert figure.against.value > 0
        assert figure.against.name
        assert figure.unit


def test_a_figure_is_read_without_an_exponent():
    """Milliseconds of every size stand in one column."""
    assert [rounded(value) for value in (0.01234, 1.5, 70.0, 3370.4)] == ["0.0123", "1.5", "70", "3,370"]


def test_the_log_of_the_process_is_as_before():
    """The daemon's log is redirected for a bench and for no longer."""
    before = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    BENCHES["cycles"].run(quick=True)
    assert (structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level) == before


def test_a_ratio_says_which_side_is_better_and_a_limit_is_only_approached():
    """Better and worse cannot be mixed up."""
    peer, limit = Against("peer", 100.0), Against("limit", 2.0, is_limit=True)
    assert Figure("a", 4.0, "ms", peer).ratio == "25 x better"
    assert Figure("a", 400.0, "ms", peer).ratio == "4 x worse"
    assert Figure("a", 4.0, "ms", limit).ratio == "2 x the limit"
    assert times_better(25, 4.0, peer).is_met
    assert not times_better(26, 4.0, peer).is_met
    assert at_most(4, 4.0, "ms").is_met
    assert not at_most(3.9, 4.0, "ms").is_met


def test_p99_of_a_few_values_is_the_largest():
    """A slow hour is not interpolated away."""
    assert p99([1.0, 2.0, 9.0]) == 9.0
    assert p99([float(n) for n in range(1, 1001)]) == 991.0


def test_the_page_holds_the_story_the_facts_and_whether_a_goal_was_missed():
    """Evidence can be read and run again."""
    missed = Figure("an hour", 70.0, "ms", Against("peer of it", 140.0), (at_most(60, 70.0, "ms"),))
    told = Told("cycles", "What it is.\n\nWhat the peer has not.", [missed])
    text = page([told], {"command": "`python -m bench`"})
    assert "- command: `python -m bench`" in text
    assert "What the peer has not." in text
    assert "| an hour | 70 ms | peer: peer of it | 140 ms | 2 x better | <= 60 ms: MISSED |" in text
    assert "MISSED" in table([missed])


def test_saving_asks_for_the_date_and_a_name_must_be_known(capsys):
    """Nothing is guessed."""
    for arguments, said in ((["--save"], "--date"), (["cycle"], "cycles")):
        with pytest.raises(SystemExit):
            main(arguments)
        assert said in capsys.readouterr().err


def test_the_command_line_runs_what_is_named_and_saves_it(capsys, tmp_path, monkeypatch):
    """`python -m bench NAME --quick` prints one table, and `--save` keeps it under its name."""
    monkeypatch.setattr("bench.__main__.EVIDENCE", tmp_path / "evidence")
    assert main(["analysis", "--quick", "--save", "--date", "2026-01-31"]) == 0
    printed = capsys.readouterr().out
    assert "TA-Lib" in printed
    assert "<=" not in printed
    saved = (tmp_path / "evidence" / "bench-analysis.md").read_text()
    assert "- date: 2026-01-31" in saved
    assert "- command: `python -m bench analysis --quick --save --date 2026-01-31`" in saved
    assert "forgets everything between two" in saved
    assert "an hour, from scratch, median" in saved
