import itertools
from collections import defaultdict
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market.hours import Hour, instant_iso
from notifications.anomalies import SETTLED, Condition, step
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level
from notifications.settings import PacingSettings

NOW = Hour.parse("2026-02-02T14").closes_at
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
PACING = PacingSettings()
LOW = Condition(
    "disk_low", "", Level.NORMAL, "the disk is low", "Make room.", detail="0.9 GB free (limit 1 GB)."
)
LOUD = Condition(
    "disk_low", "", Level.HIGH, "the disk is full", "Make room.", detail="0 GB free (limit 1 GB)."
)


def stale(key, group="markets of kucoin: no fresh hour"):
    detail = f"newest judged hour 2026-02-02T11 of {key}, 1.6 h old."
    return Condition(
        f"stale/{key}", key, Level.HIGH, f"{key}: no fresh hour", "Advice is withheld.", detail, group
    )


class Watch:
    """Steps through instants and keeps every notice beside when it was told."""

    def __init__(self, pacing=PACING):
        self.pacing, self.told, self.said = pacing, {}, []

    def see(self, at, *conditions):
        self.told, notices = step(self.told, conditions, at, self.pacing)
        self.said += [(at, notice) for notice in notices]
        return notices

    def minutes(self, start, count, *conditions):
        for minute in range(count):
            self.see(start + minute * MINUTE, *conditions)


def test_a_new_anomaly_is_told_at_once_with_all_that_an_operator_needs():
    """What, the value against its limit, since when, what to do, when again, and where to look."""
    (notice,) = Watch().see(NOW, LOW)
    assert notice.title == "the disk is low"
    assert notice.body == (
        "0.9 GB free (limit 1 GB). Make room. Since 2026-02-02 15:00 UTC; told again in 4 h while it lasts."
        " See /health."
    )
    assert (notice.level, notice.kind, notice.market, notice.at) == (Level.NORMAL, Kind.ANOMALY, "", NOW)
    assert notice.dedupe == "anomaly/disk_low/2026-02-02T15:00:00Z/1"


def test_what_lasts_is_told_ever_more_rarely():
    """4 h, 8, 16, 32, 48, 48: an anomaly of a week is seven notices, not ten thousand."""
    watch = Watch()
    watch.minutes(NOW, 7 * 24 * 60, LOW)
    assert [(at - NOW) // HOUR for at, _ in watch.said] == [0, 4, 12, 28, 60, 108, 156]
    assert [notice.dedupe.rsplit("/", 1)[1] for _, notice in watch.said] == list("1234567")
    assert {notice.title for _, notice in watch.said} == {"the disk is low"}


def test_what_grows_louder_breaks_through_once_and_starts_the_back_off_anew():
    """From warning to error there is no waiting; falling back and rising again is not new."""
    watch = Watch()
    watch.minutes(NOW, 5 * 60, LOW)  # told at 0 and 4 h; next would be at 12 h
    at = NOW + 5 * HOUR
    assert [notice.level for notice in watch.see(at, LOUD)] == [Level.HIGH]
    assert watch.see(at + MINUTE, LOW) == []
    assert watch.see(at + 2 * MINUTE, LOUD) == []
    assert watch.see(at + 4 * HOUR - MINUTE, LOUD) == []
    (repeat,) = watch.see(at + 4 * HOUR, LOUD)
    assert "told again in 8 h" in repeat.body
    assert "Since 2026-02-02 15:00" in repeat.body


def test_what_is_over_is_told_once_and_quietly_with_how_long_it_lasted():
    """Not before half an hour without it."""
    watch = Watch()
    watch.minutes(NOW, 60, LOW)
    watch.minutes(NOW + HOUR, 120)
    (_, _first), (at, over) = watch.said
    assert at == NOW + HOUR + SETTLED
    assert (over.level, over.kind, over.title) == (Level.QUIET, Kind.ANOMALY, "over: the disk is low")
    assert over.body == ("It lasted 60 min, 2026-02-02 15:00 UTC to 2026-02-02 16:00 UTC, and was told once.")
    assert over.dedupe == f"anomaly/disk_low/{instant_iso(NOW)}/over"
    assert watch.told == {}


def test_what_comes_back_within_half_an_hour_never_went():
    """The same since, no new notice, and the back-off goes on as if it had stayed."""
    watch = Watch()
    for minute in range(10 * 60):
        watch.see(NOW + minute * MINUTE, *([LOW] if minute % 30 == 0 else []))
    assert [(at - NOW) // MINUTE for at, _ in watch.said] == [0, 4 * 60]
    assert watch.told["disk_low"].since == NOW


@pytest.mark.parametrize(("away", "notices"), [(29, 0), (30, 2)])
def test_half_an_hour_is_what_parts_two_anomalies(away, notices):
    """At 30 minutes the old one is over and a new one begins, with a since of its own."""
    watch = Watch()
    watch.see(NOW, LOW)
    watch.see(NOW + MINUTE)
    back = NOW + MINUTE + away * MINUTE
    said = watch.see(back, LOW)
    assert len(said) == notices
    assert watch.told["disk_low"].since == (back if notices else NOW)
    if notices:
        assert [notice.level for notice in said] == [Level.NORMAL, Level.QUIET]


def test_what_is_measured_seldom_is_over_later():
    """A cycle that is slow every other hour is one anomaly, not one every other hour."""
    watch = Watch()
    slow = replace(LOW, settled=timedelta(minutes=130))
    for hour in range(8):
        watch.minutes(NOW + hour * HOUR, 60, *([slow] if hour % 2 == 0 else []))
    watch.minutes(NOW + 8 * HOUR, 60)
    assert [(at - NOW) // HOUR for at, _ in watch.said] == [0, 4]
    (over,) = watch.see(NOW + 7 * HOUR + timedelta(minutes=130))
    assert over.level is Level.QUIET


def test_a_repeat_waits_until_the_anomaly_is_seen_again():
    """Nothing is repeated of what may be over."""
    watch = Watch()
    watch.minutes(NOW, 4 * 60 - 10, LOW)
    watch.minutes(NOW + 4 * HOUR - 10 * MINUTE, 20)
    assert len(watch.said) == 1
    assert len(watch.see(NOW + 4 * HOUR + 10 * MINUTE, LOW)) == 1


def test_ten_markets_of_one_exchange_are_one_notice():
    """One cause, one sound; each of the first eight is named with its values, the rest are counted."""
    watch = Watch()
    keys = [f"C{number:02}-USDT" for number in range(10)]
    (notice,) = watch.see(NOW, *map(stale, keys))
    assert notice.title == "10 markets of kucoin: no fresh hour"
    assert (notice.market, notice.dedupe) == ("", "anomaly/stale/C00-USDT/2026-02-02T15:00:00Z/1")
    assert all(key in notice.body for key in keys[:8])
    assert not any(key in notice.body for key in keys[8:])
    assert "; and 2 more. Advice is withheld. Since 2026-02-02 15:00 UTC;" in notice.body
    assert watch.see(NOW + MINUTE, *map(stale, keys)) == []
    assert len(watch.see(NOW + 4 * HOUR, *map(stale, keys))) == 1
    for gone in (5 * HOUR, 5 * HOUR + SETTLED):
        said = watch.see(NOW + gone)
    (over,) = said
    assert over.dedupe == "anomaly/stale/C00-USDT/2026-02-02T15:00:00Z/over"
    assert over.title == "over: 10 markets of kucoin: no fresh hour"
    assert "C06-USDT, C07-USDT: It lasted 5.0 h" in over.body
    assert over.body.count("It lasted") == 1  # what is the same for all is said once
    assert "; and 2 more." in over.body


def test_a_group_names_eight_without_counting_further():
    """Eight of eight: nobody is left to be counted."""
    (notice,) = Watch().see(NOW, *(stale(f"C{number}-USDT") for number in range(8)))
    assert "C7-USDT" in notice.body
    assert "more" not in notice.body


def test_what_joins_a_group_that_is_due_again_is_told_with_it():
    """Since the first of them, and again when the first of them is due."""
    watch = Watch()
    watch.see(NOW, stale("ETH-USDT"))
    (both,) = watch.see(NOW + 4 * HOUR, stale("BTC-USDT"), stale("ETH-USDT"))
    assert both.title == "2 markets of kucoin: no fresh hour"
    assert "Since 2026-02-02 15:00 UTC; told again in 4 h" in both.body
    assert both.dedupe == "anomaly/stale/BTC-USDT/2026-02-02T19:00:00Z/1"


def test_one_cause_that_reaches_two_groups_and_a_loner_is_three_notices():
    """Another exchange is another cause; one of a group alone speaks for itself."""
    said = Watch().see(NOW, stale("ETH-USDT"), stale("BTC-USDT"), stale("SOL-USDT", "markets of b: no"), LOW)
    assert [notice.level for notice in said] == [Level.HIGH, Level.HIGH, Level.NORMAL]
    assert {notice.title for notice in said} == {
        "2 markets of kucoin: no fresh hour",
        "SOL-USDT: no fresh hour",
        "the disk is low",
    }
    assert next(n for n in said if n.title.startswith("SOL")).market == "SOL-USDT"


def test_a_group_is_as_loud_as_its_loudest():
    """A slow market beside one that is much too slow sounds for the latter."""
    one = Condition("cycle_slow/A-B", "A-B", Level.NORMAL, "t", "b", "61 s", "markets slow")
    two = Condition("cycle_slow/C-D", "C-D", Level.HIGH, "t", "b", "301 s", "markets slow")
    assert [notice.level for notice in Watch().see(NOW, one, two)] == [Level.HIGH]


def test_a_clock_that_ran_ahead_does_not_silence_what_lasts():
    """What was noted in the future counts as noted now."""
    watch = Watch()
    watch.see(NOW + 30 * 24 * HOUR, LOW)
    assert watch.see(NOW, LOW) == []
    assert len(watch.see(NOW + 4 * HOUR, LOW)) == 1
    watch.see(NOW + 4 * HOUR)
    (over,) = watch.see(NOW + 5 * HOUR)
    assert "It lasted 0 min" in over.body


def test_a_shorter_limit_holds_at_once():
    """A pacing that was changed over a restart binds what is remembered."""
    watch = Watch()
    watch.minutes(NOW, 61 * 60, LOW)  # the next wait is 48 h
    watch.pacing = PacingSettings(anomaly_h=1, longest_h=2)
    assert watch.see(NOW + 62 * HOUR, LOW) != []
    early = Watch(PacingSettings(anomaly_h=8, longest_h=2))
    early.minutes(NOW, 5 * 60, LOW)
    assert [(at - NOW) // HOUR for at, _ in early.said] == [0, 2, 4]


NAMES = ["disk_low", "stale/ETH-USDT", "stale/BTC-USDT", "push_failing"]
GROUPS = ["", "markets: no fresh hour", "markets: no fresh hour", ""]
DAYS = 30


@st.composite
def months(draw):
    """For each name, the minutes of a month at which it begins, changes its level (or None: is gone)."""
    spans = st.lists(
        st.tuples(
            st.sampled_from([1, 5, 29, 30, 31, 60, 300, 1500, 9000]),
            st.sampled_from([None, None, Level.NORMAL, Level.HIGH]),
        ),
        max_size=12,
    )
    return {name: draw(spans) for name in NAMES}


def level_at(spans, minute):
    for length, level in spans:
        if minute < length:
            return level
        minute -= length
    return None


@settings(max_examples=40, deadline=None)
@given(months())
def test_a_month_of_anomalies_is_told_by_the_rules(month):
    """Whatever comes and goes: told at its first step, the gaps double, nothing twice, each end is told."""
    watch, seen, told_of = Watch(), defaultdict(list), defaultdict(list)
    edges = sorted(
        {0, *(sum(s[0] for s in spans[:n]) for spans in month.values() for n in range(len(spans) + 1))}
    )
    watched = {edge + off for edge in edges for off in range(-1, 33)}
    for minute in sorted(set(range(0, DAYS * 1440, 10)) | {m for m in watched if 0 <= m < DAYS * 1440}):
        at = NOW + minute * MINUTE
        levels = {name: level_at(spans, minute) for name, spans in month.items()}
        before = watch.told
        watch.see(
            at,
            *(
                Condition(name, "", level, name, "b", "d", GROUPS[NAMES.index(name)])
                for name, level in levels.items()
                if level is not None
            ),
        )
        for name, level in levels.items():
            if level is not None:
                seen[name].append(at)
                new = name not in before or watch.told[name].since != before[name].since
                if new or watch.told[name].times != before[name].times:
                    told_of[name, watch.told[name].since].append((at, level, new))
    dedupes = [notice.dedupe for _, notice in watch.said]
    assert len(dedupes) == len(set(dedupes))
    for (name, since), tellings in told_of.items():
        assert tellings[0][0] == since  # at its first step
        assert since in seen[name]
        wait, loudest = 4.0, tellings[0][1]
        for (earlier, _, _), (at, level, _) in itertools.pairwise(tellings):
            if level.rank > loudest.rank:
                wait, loudest = 4.0, level
                continue
            assert at - earlier >= timedelta(hours=wait)
            wait = min(2 * wait, 48.0)
    for name, at_all in seen.items():  # an anomaly begins anew only after half an hour without it
        begins = [since for told_name, since in told_of if told_name == name]
        gaps = [b for a, b in itertools.pairwise(at_all) if b - a > SETTLED]
        assert begins == [at_all[0], *gaps]
    ends = sum(dedupe.endswith("/over") for dedupe in dedupes)
    over = [notice for _, notice in watch.said if notice.dedupe.endswith("/over")]
    assert all(notice.level is Level.QUIET for notice in over)
    going_on = len(watch.told)
    ended = len(told_of) - going_on
    grouped = sum(
        int(notice.title.split()[1]) - 1 for notice in over if notice.title.endswith("no fresh hour")
    )
    assert ends + grouped == ended


@settings(max_examples=25, deadline=None)
@given(st.lists(st.booleans(), min_size=200, max_size=2000), st.integers(1, 29))
def test_a_flapping_anomaly_says_no_more_than_one_that_stays(flaps, longest_gap):
    """On and off, never away for half an hour: at most as many notices as if it had been there all along."""
    away, watch, steady = 0, Watch(), Watch()
    for minute, is_on in enumerate([True, *flaps]):
        away = 0 if is_on or away >= longest_gap else away + 1
        at = NOW + minute * MINUTE
        watch.see(at, *([LOW] if away == 0 else []))
        steady.see(at, LOW)
    assert 1 <= len(watch.said) <= len(steady.said)


@pytest.mark.parametrize("detail", ["", "d" * 2000])
def test_long_words_use_all_the_room_and_no_more(detail):
    """The facts give way to what to do, and both to where to look; what just fits is not cut."""
    (notice,) = Watch().see(NOW, replace(LOW, detail=detail, body="b" * 2000, title="t" * MOST_TITLE))
    assert len(notice.body) == MOST_BODY
    assert notice.body.count("b") >= 499
    assert notice.title == "t" * MOST_TITLE


def test_a_long_list_uses_all_the_room_and_no_more():
    """Each of the eight gets the same share, whatever the first of them says."""
    many = [
        replace(stale(f"C{number:02}"), detail=f"{number:02}{'d' * 298}", body="b" * 2000)
        for number in range(12)
    ]
    (notice,) = Watch().see(NOW, *many)
    assert MOST_BODY - 8 - len("; ") <= len(notice.body) <= MOST_BODY
    assert "…; and 4 more. bbb" in notice.body
    (notice,) = Watch().see(NOW, replace(many[0], detail=""), many[1])
    assert len(notice.body) <= MOST_BODY
    assert "b" * 499 in notice.body


@pytest.mark.parametrize(("minutes", "words"), [(119, "119 min"), (120, "2.0 h"), (150, "2.5 h")])
def test_how_long_it_lasted_is_said_in_the_unit_that_fits(minutes, words):
    """Minutes up to two hours."""
    watch = Watch()
    watch.see(NOW, LOW)
    watch.see(NOW + minutes * MINUTE)
    (over,) = watch.see(NOW + minutes * MINUTE + SETTLED)
    assert over.body.startswith(f"It lasted {words}, ")


TEXT = st.text(max_size=1500)


@given(
    st.lists(
        st.builds(
            Condition,
            st.text(min_size=1),
            TEXT,
            st.sampled_from(Level),
            TEXT,
            TEXT,
            TEXT,
            st.sampled_from(["", "g", "g" * 300]),
        ),
        max_size=12,
    )
)
def test_every_notice_fits_and_keeps_its_end(conditions):
    """However long an exchange's error is: within the limits, and where to look is never cut off."""
    watch = Watch()
    said = [*watch.see(NOW, *conditions)]
    for notice in said:
        assert notice.body.endswith("See /health.")
    said += watch.see(NOW + HOUR)
    said += watch.see(NOW + 2 * HOUR)
    assert all(len(notice.title) <= MOST_TITLE and len(notice.body) <= MOST_BODY for notice in said)
    assert watch.told == {}


def test_an_instant_of_another_zone_is_told_in_utc():
    """Whatever the caller's zone: messages speak UTC."""
    zone = timezone(timedelta(hours=2))
    (notice,) = Watch().see(datetime(2026, 2, 2, 17, tzinfo=zone), LOW)
    assert "Since 2026-02-02 15:00 UTC" in notice.body
