"""The pages as texts: whole without script, hostile words harmless, the same bytes, small, quick."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from dashboard import render
from dashboard.assets import Shipped, shipped
from dashboard.pages import Tone, Trouble
from dashboard.render import Place, embedded, inline, market_page, missing_page, overview_page, policy
from tests.dashboard import samples

FILE = Place(is_live=False, root="../")
LIVE = Place(is_live=True)
MOST_BYTES = 2_000_000
VOID = {"meta", "link", "input", "img", "br"}


class Read(HTMLParser):
    """What a browser without script is shown: elements with attributes, and each one's text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, **dict(attributes), "text": "", "from": len(self.texts)}
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.elements.append({"tag": tag, **dict(attributes), "text": ""})

    def handle_endtag(self, tag):
        assert self.open and self.open[-1]["tag"] == tag, f"</{tag}> closes <{self.open[-1]['tag']}>"
        element = self.open.pop()
        element["text"] = "".join(self.texts[element["from"] :])

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag, **wanted):
        return [
            each
            for each in self.elements
            if each["tag"] == tag and all(each.get(name) == value for name, value in wanted.items())
        ]

    def styled(self, name):
        return [each for each in self.elements if name in (each.get("class") or "").split()]


@pytest.fixture
def without_libraries(monkeypatch):
    lacks = ("echarts 6.1.0 is not installed: `make assets` packs it", "idiomorph 0.8.0 is not installed")
    monkeypatch.setattr(render, "shipped", lambda: Shipped({}, lacks))
    render.policy.cache_clear()
    yield
    render.policy.cache_clear()


def pages():
    yield from (
        market_page(make(), place)
        for make in (samples.quiet, samples.leaving, samples.stale, samples.bare, samples.hostile)
        for place in (FILE, LIVE)
    )
    yield from (overview_page(samples.overview(n), place) for n in (0, 6) for place in (FILE, LIVE))
    yield missing_page("Not here", "no such market", LIVE)


def test_every_page_is_well_formed_and_says_its_landmarks():
    """Elements closed in order; one main, one h1, headings without a gap, names that are there, ids once."""
    for text in pages():
        page = Read(text)
        assert page.open == []
        assert len(page.all("main")) == len(page.all("h1")) == 1
        levels = [int(each["tag"][1]) for each in page.elements if re.fullmatch("h[1-6]", each["tag"])]
        assert all(after <= before + 1 for before, after in pairwise(levels)), levels
        ids = [each["id"] for each in page.elements if "id" in each]
        assert len(ids) == len(set(ids))
        named = [each["aria-labelledby"] for each in page.elements if "aria-labelledby" in each]
        assert set(named) <= set(ids)
        assert all(each.get("aria-label") for each in page.all("svg", role="img"))
        assert all(each.get("scope") in {"col", "row"} for each in page.all("th"))
        assert page.all("a", href="#main")


def test_every_badge_has_a_shape_and_a_word():
    """Never colour alone, whatever the name, known or not."""
    for text in pages():
        for badge in Read(text).styled("badge"):
            shape, _, word = badge["text"].partition(" ")
            assert shape in "●■◆▲○□✚", badge
            assert word.strip(), badge


def test_a_grid_trader_sees_at_once_what_to_do():
    """Before any detail: regime, exit state, advice, until when; what waits for an answer comes first."""
    page = Read(market_page(samples.leaving(), LIVE))
    (brief,) = page.styled("brief")
    told = " ".join(brief["text"].split())
    assert told == ("▲ Trend ■ Mandatory exit ■ Stop grid valid until 15 Mar 01:00 UTC (in 48 min)")
    headings = [each["text"].split()[0] for each in page.all("h2")]
    assert headings[:2] == ["What", "Now"]
    quiet = [each["text"].split()[0] for each in Read(market_page(samples.quiet(), LIVE)).all("h2")]
    assert quiet[:2] == ["Now", "What"]


def test_stale_data_is_unmistakable():
    """On top whatever else is damaged, the word beside the regime, the figures told as last known."""
    text = market_page(samples.stale(), LIVE)
    page = Read(text)
    alarms = [each["text"] for each in page.styled("trouble")]
    assert "Advice is withheld" in alarms[0]
    assert "3 h 12 min old" in alarms[0]
    assert "What to do: regimed status" in alarms[0]
    assert "the KPIs" in alarms[1]
    assert "◆ Stale" in page.styled("brief")[0]["text"]
    assert page.styled("stale")
    assert any(each["text"].startswith("Last known") for each in page.all("h2"))
    told = overview_page(samples.overview(), LIVE)
    assert "newest candle is 3 h old" in told
    untold = replace(samples.stale(), troubles=())
    assert "Advice is withheld" in Read(market_page(untold, LIVE)).styled("trouble")[0]["text"]


@pytest.mark.parametrize(("state", "told"), [(None, "2 grids, state not known"), ("NORMAL", "Normal")])
def test_a_running_grid_without_a_state_is_never_no_grid(state, told):
    """Grids run, but the newest record has no state of them: that is said, on both pages and at the grid."""
    row = samples.row(exit_state=state, grids=2, unwatched=1 if state else 2)
    running = samples.grid(exit_state=None, states=())
    page = market_page(replace(samples.quiet(), now=row, grids=(running,)), LIVE)
    whole = overview_page(replace(samples.overview(), markets=(row,)), LIVE)
    for text in (page, whole):
        assert "no grid runs" not in text.lower()
        words = [" ".join(each["text"].split()) for each in Read(text).styled("badge")]
        assert f"○ {'1 grid' if state else '2 grids'}, state not known" in words
        assert any(told in each for each in words)
    assert "Runs, state not known" in page
    none = samples.row(exit_state=None, grids=0)
    assert "no grid runs" in market_page(replace(samples.quiet(), now=none), LIVE)
    assert "no grid runs" in overview_page(replace(samples.overview(), markets=(none,)), LIVE)


def test_only_the_newest_hour_is_now():
    """A span that ends five hours ago, on the newest day, is no now."""
    older = replace(samples.quiet(), is_newest=False)
    told = [" ".join(each["text"].split()) for each in Read(market_page(older, LIVE)).all("h2")]
    assert told[0].startswith("At the end")
    assert not any(each.startswith("Now") for each in told)


def test_hostile_words_are_words():
    """In no page does a foreign text become an element, an attribute, a link's target or an expression."""
    text = market_page(samples.hostile(), replace(LIVE, form_error=samples.HOSTILE, note=samples.HOSTILE))
    page = Read(text)
    assert page.all("img") == []
    assert len(page.all("script")) == 2 + 2 + 1  # data of two charts, two libraries, ours
    assert "49" not in "".join(each["text"] for each in page.all("h1"))
    assert not any(name.startswith("on") for each in page.elements for name in each)
    assert "</script><script>alert" not in text
    assert "<img src=x" not in text
    assert page.all("h1")[0]["text"].startswith('</script><script>alert(1)</script>"><img')
    links = [each["href"] for each in page.all("a")] + [each["action"] for each in page.all("form")]
    assert all(re.fullmatch(r"[/#][A-Za-z0-9%/._-]*", each) for each in links), links
    data = [json.loads(each["text"]) for each in page.all("script", type="application/json")]
    assert data[1]["title"][0]["text"].startswith(samples.HOSTILE)
    row = samples.row(samples.HOSTILE, stale=samples.HOSTILE, action=samples.HOSTILE)
    whole = replace(samples.overview(), markets=(row,))
    assert Read(overview_page(whole, LIVE)).all("img") == []
    assert Read(missing_page(samples.HOSTILE, samples.HOSTILE, LIVE)).all("img") == []


@pytest.mark.parametrize("hostile", ["</script>", "<!--", "&lt;", "\u2028", "\u2029", "]]>"])
def test_data_in_a_page_ends_no_script(hostile):
    """No character of markup is left, and what is read is what was meant."""
    text = str(embedded({"name": hostile}))
    assert not set(text) & set("<>&\u2028\u2029")
    assert json.loads(text) == {"name": hostile}


def test_an_inlined_library_ends_no_script():
    """Within its texts, as a library may hold them."""
    assert inline('a="</script><!--"') == 'a="<\\/script><\\!--"'


def test_the_same_values_give_the_same_bytes():
    """No clock, no order of a set, no random name."""
    for make in (samples.quiet, samples.leaving, samples.year):
        assert market_page(make(), FILE) == market_page(make(), FILE)
    assert overview_page(samples.overview(40), FILE) == overview_page(samples.overview(40), FILE)


def test_a_page_without_libraries_is_whole_and_says_so(without_libraries):
    """Drawings, ribbons and tables; one line why they are plain and what to run."""
    text = market_page(samples.leaving(), FILE)
    page = Read(text)
    assert len(page.styled("plot")) == 1 + 9
    assert len(page.styled("ribbon")) == 3
    (regimes,) = page.all("svg", **{"aria-label": "Regimes over time"})
    assert "Neutral" in regimes["text"] and "Range" in regimes["text"]
    assert "Charts are plain drawings: echarts 6.1.0 is not installed" in page.styled("lacks")[0]["text"]
    assert "make assets" in page.styled("lacks")[0]["text"]
    assert "plain drawings" not in overview_page(samples.overview(), FILE)
    candles = next(each for each in page.all("div") if (each.get("aria-label") or "").startswith("Candles"))
    assert candles["text"].count("UTC") == 24
    assert "2,0" in candles["text"]
    figures = next(each for each in page.all("div") if (each.get("aria-label") or "").startswith("Figures"))
    assert figures["text"].count("UTC") == 24
    assert "Efficiency ratio (24)" in figures["text"]
    assert len(text) < 150_000


def test_a_script_runs_by_its_hash_alone():
    """Each inlined script's hash stands in the policy; nothing comes from elsewhere or is evaluated."""
    text = market_page(samples.quiet(), FILE)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    assert len(scripts) == len(shipped().assets) if len(shipped().assets) < 2 else len(scripts) == 2
    told = policy(is_live=False)
    assert f'content="{told.replace(chr(39), "&#39;")}"' in text
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in told
    for each in (told, policy()):
        assert each.startswith("default-src 'none'; script-src ")
        assert "unsafe-eval" not in each
        assert "script-src 'unsafe" not in each
        assert "://" not in each
    assert "connect-src 'self'" in policy()
    assert "connect-src" not in told


def test_a_live_page_names_its_libraries_by_their_bytes():
    """Kept for ever under an address that changes with them; a file has them within and links to no site."""
    live = Read(market_page(samples.quiet(), LIVE))
    found = [each["src"] for each in live.all("script") if each.get("src")]
    assert found == [f"/assets/{each.address}" for each in shipped().assets.values()]
    assert live.all("main")[0]["data-refresh"] == "20"
    text = market_page(samples.quiet(), FILE)
    file = Read(text)
    assert [each for each in file.all("script") if each.get("src")] == []
    assert "data-refresh" not in file.all("main")[0]
    assert file.all("form") == []
    assert {each["href"] for each in file.all("a")} == {
        "#main",
        "../index.html",
        f"../{samples.KEY}/2026-03-13.html",
    }


def test_a_set_of_files_links_to_what_it_has():
    """A day that was not exported is no link."""
    bound = replace(FILE, can_link=lambda _, day: day == "2026-03-14")
    assert f"../{samples.KEY}/" not in market_page(samples.quiet(), bound)
    told = Read(overview_page(samples.overview(), replace(bound, root="")))
    links = {each["href"] for each in told.all("a")}
    assert f"{samples.KEY}/2026-03-14.html" in links
    assert not any("DOT" in each for each in links)


def test_advice_can_be_answered_only_where_that_works():
    """Live, with a token configured, while it waits: a form without script; else words where to answer."""
    page = Read(market_page(samples.leaving(), replace(LIVE, form_error="this is not the token")))
    (form,) = page.all("form", method="post")
    assert form["action"] == f"/decisions/{samples.leaving().current.id}"
    assert [each["name"] for each in page.all("input", type="password")] == ["token"]
    assert [each["value"] for each in page.all("button", name="answer")] == ["accept", "decline", "note"]
    assert "this is not the token" in form["text"]
    assert "value" not in page.all("input", name="token")[0]
    closed = replace(samples.leaving(), live=samples.live(may_answer=False))
    assert "http.token_file" in market_page(closed, LIVE)
    assert Read(market_page(closed, LIVE)).all("form", method="post") == []
    assert Read(market_page(samples.leaving(), FILE)).all("form") == []
    assert Read(market_page(samples.quiet(), LIVE)).all("form", method="post") == []


def card(advice, place=LIVE, **changes):
    page = Read(market_page(replace(samples.quiet(), current=advice, **changes), place))
    (found,) = [each for each in page.all("section") if "advice" in (each.get("class") or "")]
    return page, " ".join(found["text"].split())


@pytest.mark.parametrize(
    ("lapsed", "words"),
    [
        ("expired", "Expired unanswered."),
        ("overtaken", "Overtaken by a newer hour, unanswered."),
        ("withheld", "Withheld: what it was made of is old."),
    ],
)
def test_a_setup_that_lapsed_says_so_and_is_not_there_to_be_copied(lapsed, words):
    """Nobody answered in time: no figures for the exchange's form, no form."""
    page, told = card(samples.create_advice(is_open=False, lapsed=lapsed))
    assert words in told and "Nothing to answer" not in told
    assert page.styled("copy") == [] and page.all("form", method="post") == []


def test_an_old_stop_can_be_answered_behind_the_words_that_it_is_old():
    """As of its hour, withheld since: why; the form is folded behind that."""
    page, told = card(samples.stop_advice(expires_at=None, withheld="no candle for 5 h"))
    assert "As of 15 Mar 00:00 UTC; withheld since: no candle for 5 h" in told
    assert "Waits for your answer" not in told
    (folded,) = page.styled("old")
    assert "Answer it all the same" in folded["text"] and "Token" in folded["text"]
    (form,) = page.all("form", method="post")
    assert page.elements.index(folded) < page.elements.index(form)
    whole = replace(samples.overview(), open_advice=(samples.stop_advice(withheld="no candle for 5 h"),))
    assert "withheld since: no candle for 5 h" in overview_page(whole, LIVE)


def test_a_file_tells_as_of_when_it_is_and_asks_for_nothing():
    """Without a daemon's clock the newest close stands below, and what waited was open then."""
    page, told = card(samples.create_advice(), FILE, live=None)
    assert "Was open then." in told and "Waits for your answer" not in told
    assert "As of 15 Mar 00:00 UTC" in page.all("footer")[0]["text"]
    whole = Read(overview_page(replace(samples.overview(), live=None), FILE))
    assert "As of 15 Mar 00:00 UTC" in whole.all("footer")[0]["text"]
    assert whole.all("h2")[0]["text"] == "Was open then"


def test_a_proposal_is_there_to_be_copied():
    """The fields of the exchange's own form, and room for what was really set."""
    page = Read(market_page(replace(samples.quiet(), current=samples.create_advice()), LIVE))
    (copied,) = page.styled("copy")
    assert "Lowest price" in copied["text"]
    assert "61,240.0" in copied["text"]
    fields = [each["name"] for each in page.all("input") if "name" in each]
    assert fields == ["token", "note", "lower", "upper", "amount", "stop_loss", "from", "last"]


def test_outcomes_stand_beside_each_decision():
    """At 24 h, 72 h and 7 days: what came, in words, or until when it is open."""
    page = Read(market_page(samples.quiet(), LIVE))
    told = [" ".join(each["text"].split()) for each in page.styled("outcomes")]
    assert len(told) == 6
    assert told[0].startswith("24h●good: +4.20 USDT, right72h◆bad: -1.10 USDT, wrong7dopen until")


def quality_section(**changes):
    page = Read(market_page(replace(samples.quiet(), **changes), LIVE))
    return [each for each in page.all("section") if each.get("aria-labelledby") == "quality"]


def test_sparse_hours_are_a_list_and_no_drawing():
    """Odd hours of a long span do not follow each other: no columns, no caption of all hours."""
    odd = [
        replace(each, hour_opens_at=samples.START + timedelta(days=9 * n))
        for n, each in enumerate(
            (samples.quality()[1], samples.quality()[13], replace(samples.quality()[17], is_damaged=True))
        )
    ]
    (told,) = quality_section(quality=odd, every_hour=False)
    words = " ".join(told["text"].split())
    assert "3 hours with missing or revised minutes" in words and "one column an hour" not in words
    assert "All hours" not in words and "cannot be read" in words and "not collected" not in words
    (none,) = quality_section(quality=(), every_hour=False)
    assert "No hour of this span lacks a minute" in none["text"]
    (day,) = quality_section()
    assert "All hours" in day["text"] and "one column an hour" in day["text"]
    assert "not collected" in day["text"]
    assert quality_section(quality=()) == []


def test_a_kpi_that_misses_its_target_does_not_show_it():
    """0.9496 of 0.95 is not 0.950."""
    missed = replace(samples.kpis().kpis[0], value=0.9496, target=0.95, meets=False)
    text = market_page(replace(samples.quiet(), kpis=replace(samples.kpis(), kpis=(missed,))), LIVE)
    assert "<td>0.9496</td>" in text and "<td>0.9500</td>" in text


def test_an_hour_without_all_is_told_as_such():
    """Nothing recorded: words instead of empty frames, and no library."""
    text = market_page(samples.bare(), FILE)
    assert "No candle of this span is recorded." in text
    assert "No recommendation is recorded." in text
    assert "no hour is judged yet" in text
    assert "echarts.apache" not in text
    assert len(text) < 40_000
    assert "No market has a record yet." in overview_page(samples.overview(0), LIVE)


@pytest.mark.parametrize("make", [samples.quiet, samples.leaving, samples.year, lambda: None])
def test_pages_are_small_and_quick(make):
    """With the library under 2 MB and drawn in under 2 s: a day, a year of hours, a thousand markets."""
    page = make()
    if page is None:
        whole = samples.overview(1000)
        began = time.process_time()
        text = overview_page(whole, FILE)
    else:
        began = time.process_time()
        text = market_page(page, FILE)
    assert time.process_time() - began < 2.0
    assert len(text.encode()) < MOST_BYTES


def test_what_was_just_done_is_told_once():
    """The note of the place stands on the page, and on no other."""
    told = market_page(samples.quiet(), replace(LIVE, note="Recorded: accepted by dashboard."))
    assert "Recorded: accepted by dashboard." in told
    assert 'class="note"' not in market_page(samples.quiet(), LIVE)


def test_troubles_are_named_with_their_remedy():
    """What, why, what to do; how bad it is as a word."""
    whole = replace(
        samples.overview(),
        troubles=(Trouble("metrics/x.yaml", "hours.3: damaged", "run verify", Tone.URGENT),),
    )
    (told, *_) = Read(overview_page(whole, LIVE)).styled("trouble")
    text = " ".join(told["text"].split())
    assert text == "■ Urgent metrics/x.yaml: hours.3: damaged What to do: run verify"


def test_a_long_span_says_its_years():
    """From the 14th of March to the 14th of March is a year."""
    page = replace(samples.quiet(), end=samples.START + timedelta(days=365))
    heading = Read(market_page(page, FILE)).all("h1")[0]["text"]
    assert "14 Mar 2026 00:00 UTC to 14 Mar 2027 00:00 UTC" in heading
