from __future__ import annotations

import threading

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from collectors import kept
from infraspectre.serving.logs import with_trace
from infraspectre.telemetry import (
    MOST_ATTRIBUTES,
    MOST_LINKS,
    MOST_SIGNS,
    MOST_SPANS,
    UNTRACED,
    Context,
    Meter,
    Span,
    chosen_parent,
    install,
    note,
    request_span,
    span,
    stage,
    traceparent,
)

SAMPLED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
"""The example of the specification (W3C Trace Context section 3.2.4)."""
NOT_SAMPLED = SAMPLED[:-1] + "0"


def test_a_meter_measures_what_was_spent() -> None:
    meter = Meter()
    sum(range(300_000))
    cost = meter.cost()
    assert 0 < cost.elapsed_s < 60
    assert 0 < cost.cpu_s < 60
    assert cost.peak_rss_bytes > 1 << 20


def test_a_traceparent_is_read_and_written() -> None:
    context = Context.of(SAMPLED)
    assert context == Context(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7, is_sampled=True)
    assert str(context) == SAMPLED
    later = Context.of("cc" + SAMPLED[2:] + "-what-the-future-will-be-like")
    assert later == context


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        SAMPLED.upper(),
        SAMPLED + "-more",
        SAMPLED + "x",
        "ff" + SAMPLED[2:],
        "cc" + SAMPLED[2:] + ".more",
        "00-" + "0" * 32 + SAMPLED[35:],
        SAMPLED[:36] + "0" * 16 + "-01",
        SAMPLED.replace("-", "_"),
        SAMPLED + "\n",
        "cc" + SAMPLED[2:] + "-" + "x" * 1_000,
    ],
)
def test_what_is_no_traceparent_is_ignored(text: str) -> None:
    assert Context.of(text) is None


@given(st.text(max_size=80))
def test_nothing_that_is_sent_as_one_breaks_a_reader(text: str) -> None:
    context = Context.of(text)
    assert context is None or Context.of(str(context)) == context


def test_without_a_tracer_nothing_is_made() -> None:
    assert span("a") is UNTRACED
    assert stage("a") is UNTRACED
    with span("a", parent=SAMPLED) as traced:
        traced.set({"a": 1})
        traced.keep()
        assert traceparent() == traced.traceparent == ""


def test_spans_belong_to_those_around_them() -> None:
    with kept() as spans, span("outer") as outer:
        with span("inner") as inner:
            assert traceparent() == inner.traceparent
        assert traceparent() == outer.traceparent
        assert not spans  # a trace is told as a whole
    assert [each.name for each in spans] == ["inner", "outer"]
    assert spans[0].parent_id == spans[1].span_id
    assert spans[0].trace is spans[1].trace
    assert spans[0].ended <= spans[1].ended
    assert traceparent() == ""


def test_what_began_elsewhere_goes_on_here() -> None:
    with kept(ratio=0.0) as spans:
        span("told", parent=SAMPLED).end()
        span("not told", parent=NOT_SAMPLED).end()
        span("new").end()
    assert [each.name for each in spans] == ["told"]
    assert (f"{spans[0].trace.trace_id:032x}", f"{spans[0].parent_id:016x}") == tuple(SAMPLED.split("-")[1:3])


def test_a_span_named_from_elsewhere_lies_within_one_around_of_the_same_trace() -> None:
    with kept() as spans, span("outer", parent=SAMPLED) as outer:
        span("inner", parent=SAMPLED).end()
        assert isinstance(outer, Span)
    assert spans[0].parent_id == outer.span_id


def test_the_share_that_is_told_is_the_share_that_was_asked_for() -> None:
    with kept(ratio=0.25) as spans:
        for _ in range(4_000):
            span("a").end()
    assert 800 < len(spans) < 1_200


def test_what_fails_is_told_whatever_was_drawn() -> None:
    with kept(ratio=0.0) as spans:
        with pytest.raises(ValueError, match="no"), span("outer"), span("inner"):
            raise ValueError("no")
        span("fine").end()
    assert [(each.name, each.attributes["error.type"]) for each in spans] == [
        ("inner", "ValueError"),
        ("outer", "ValueError"),
    ]


def test_a_trace_that_is_kept_says_so_from_then_on() -> None:
    with kept(ratio=0.0), span("a") as traced:
        assert traced.traceparent.endswith("-00")
        traced.keep()
        assert traced.traceparent.endswith("-01")


def test_callers_are_followed_or_linked() -> None:
    with kept() as spans:
        request_span("GET", SAMPLED).end()
    with kept(follows_callers=False) as others:
        request_span("GET", SAMPLED).end()
    assert f"{spans[0].trace.trace_id:032x}" == SAMPLED[3:35]
    assert f"{others[0].trace.trace_id:032x}" != SAMPLED[3:35]
    assert [str(link) for link in others[0].links] == [SAMPLED]


def test_spans_are_bounded() -> None:
    with kept() as spans:
        wide = span("wide", attributes={f"a{number}": "x" * 1_000 for number in range(100)})
        wide.link(f"00-{number:032x}-{number:016x}-01" for number in range(1, 200))
        wide.end()
        with span("outer"):
            for _ in range(2 * MOST_SPANS):
                span("inner").end()
    assert len(spans[0].attributes) == MOST_ATTRIBUTES
    assert max(len(str(value)) for value in spans[0].attributes.values()) == MOST_SIGNS
    assert len(spans[0].links) == MOST_LINKS
    assert len(spans) == 1 + MOST_SPANS + 1


def test_addresses_are_shown_only_where_they_may_be() -> None:
    about = {"client.address": "192.0.2.1", "url.scheme": "https"}
    with kept() as spans:
        span("a", attributes=about).end()
    with kept(shows_addresses=True) as others:
        span("a", attributes=about).end()
    assert spans[0].attributes == {"url.scheme": "https"}
    assert others[0].attributes == about


def test_spans_that_end_in_threads_after_the_first_are_told() -> None:
    with kept() as spans:
        with span("outer"):
            late = span("late")
        thread = threading.Thread(target=late.end)
        thread.start()
        thread.join()
    assert [each.name for each in spans] == ["outer", "late"]


def test_a_stage_is_measured_and_traced() -> None:
    found: list[tuple[str, float]] = []
    install(observe=lambda name, seconds: found.append((name, seconds)))
    try:
        with stage("axon"):
            pass
    finally:
        install()
    [(name, seconds)] = found
    assert name == "axon"
    assert 0 <= seconds < 1
    with kept() as spans:
        with stage("alone"):
            pass
        with span("work"), stage("soma"):
            pass
    assert [each.name for each in spans] == ["soma", "work"]


def test_what_took_long_is_noted_with_its_beginning() -> None:
    with kept() as spans:
        note("alone", 1_000)
        with span("work"):
            note("detector scan", 1_000, error="ValueError")
    assert (spans[0].began, spans[0].attributes) == (1_000, {"error.type": "ValueError"})
    assert spans[0].ended > 1_000


def test_a_trace_that_is_told_is_preferred_as_parent() -> None:
    assert chosen_parent([NOT_SAMPLED, SAMPLED]) == SAMPLED
    assert chosen_parent([NOT_SAMPLED]) == NOT_SAMPLED
    assert chosen_parent([]) == ""


def test_lines_of_the_log_name_their_span() -> None:
    with kept() as spans, span("a"):
        event = with_trace(None, "", {"event": "x"})
    assert event == {
        "event": "x", "trace_id": f"{spans[0].trace.trace_id:032x}", "span_id": f"{spans[0].span_id:016x}"
    }  # fmt: skip
    assert with_trace(None, "", {"event": "x"}) == {"event": "x"}
    assert structlog.contextvars.get_contextvars() == {}
