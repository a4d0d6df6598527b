"""The soak's own judgement: a leak, an owed hour and a bad end are found; a calm run meets every goal."""

from dataclasses import replace

import pytest

from tests.drills.soak import Plan, Run, Sample, goals, main, market_sections, page

CALM = Sample(
    at=0.0,
    memory_mb=300.0,
    descriptors=40,
    children=0,
    threads=12,
    lag_p99_ms=4.0,
    repository_mb=20.0,
    files=900,
    owed=0,
    unpushed=0,
    judged=20,
    maintained_ago_s=None,
)


def run(**changes):
    """Two hours, a sample a minute; each change is a figure by minute."""
    made = Run(Plan(20, 60.0, 120.0, 1, 240.0, 60.0), exit_code=0)
    for minute in range(121):
        found = {name: change(minute) for name, change in changes.items()}
        made.samples.append(replace(CALM, at=float(minute), **found))
    return made


def missed(told):
    return [goal for goal, _, is_met in goals(told) if not is_met]


def test_a_calm_run_meets_every_goal():
    """Nothing grows, nothing is owed, the end is in order; caches that fill at the beginning are no leak."""
    assert missed(run()) == []
    assert missed(run(memory_mb=lambda minute: 200.0 + min(minute, 30) * 5)) == []


@pytest.mark.parametrize(
    ("change", "goal"),
    [
        ({"memory_mb": lambda minute: 300.0 + minute * 0.5}, "memory grows"),
        ({"descriptors": lambda minute: 40 + minute // 10}, "descriptors grow"),
        ({"children": lambda _: 2}, "no child process"),
        ({"lag_p99_ms": lambda minute: 80.0 if minute == 90 else 4.0}, "loop lag"),
        ({"owed": lambda minute: 21 if minute == 120 else 0}, "is owed"),
    ],
)
def test_what_grows_or_stays_behind_is_found(change, goal):
    """Each figure against its goal, one at a time."""
    (found,) = missed(run(**change))
    assert goal in found


def test_a_bad_end_is_found():
    """A kill, a finding of `verify` and a missing hour each miss their goal."""
    told = run()
    told.exit_code, told.findings, told.holes = None, ["a file"], 1
    assert len(missed(told)) == 3


def test_the_page_has_what_is_needed_to_run_it_again():
    """Seed, rate, samples, maintenance and trouble stand on it."""
    told = run(maintained_ago_s=lambda minute: None if minute < 10 else float((minute % 24) * 3600))
    told.troubles.append((3.0, "the remote hangs for 45 s"))
    text = page(told, {"command": "`make soak`"})
    for words in (
        "seed: 1",
        "20 markets, 60 times",
        "121 samples",
        "minute 3 the remote hangs",
        "`make soak`",
    ):
        assert words in text
    assert told.maintained == 6
    assert f"packed {told.maintained} times" in text


def test_twenty_markets_over_three_symbols_have_keys_of_their_own():
    """The sandbox has few symbols; a key is what is unique."""
    keys = [section["key"] for section in market_sections(20)]
    assert len(set(keys)) == 20
    assert keys[0] == "ETH-USDT" and keys[3] == "ETH-USDT.2"


def test_an_unknown_option_is_refused(capsys):
    """Nothing is soaked by mistake."""
    with pytest.raises(SystemExit):
        main(["--hours", "2"])
    assert "unrecognized" in capsys.readouterr().err
