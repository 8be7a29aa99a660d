"""The events in flows have the fields that log sources name, whatever a log left out."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from flow_rows import SCHEMA, flow, frame
from infraspectre.soma.hosts import located
from infraspectre.soma.sigma import fields
from infraspectre.soma.sigma.fields import STREAMS, Stream

REQUESTS = {
    "http_methods": ["GET", "POST"],
    "http_hosts": ["a.example", "b.example"],
    "http_uris": ["/x/run.PHP?cmd=1", "http://c.example/y"],
    "http_user_agents": ["one", ""],
    "http_statuses": [200],
    "http_request_body_bytes": 7,
}


def events(stream: Stream, **columns: Any) -> list[dict[str, Any]]:
    return stream.events(located(frame([flow(), flow(1, **columns)]))).to_dicts()


def named(category: str, stream: Stream, event: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of an event as a category of log sources calls them."""
    view = next(view for view in stream.views if view.source.category == category)
    return {name: event[column] for name, column in view.fields.items()}


@pytest.mark.parametrize("stream", STREAMS)
def test_streams_and_their_views_are_made_of_columns_that_exist(stream: Stream) -> None:
    assert stream.inputs <= set(located(frame([])).columns)
    empty = located(pl.DataFrame(schema=SCHEMA))
    assert all(set(view.fields.values()) <= set(stream.events(empty).columns) for view in stream.views)


def test_a_stream_can_be_left_with_the_columns_that_are_asked_for() -> None:
    stream = fields.HTTP.picked({"url"})
    assert {"http_hosts", "http_uris"} <= stream.inputs < fields.HTTP.inputs
    assert events(stream, **REQUESTS)[0]["url"] == "http://a.example/x/run.PHP?cmd=1"
    assert "method" not in events(stream, **REQUESTS)[0]


def test_each_request_is_an_event_of_its_flow() -> None:
    one, two = (named("proxy", fields.HTTP, event) for event in events(fields.HTTP, **REQUESTS))
    assert (one["c-uri"], two["c-uri"]) == ("http://a.example/x/run.PHP?cmd=1", "http://c.example/y")
    assert (one["cs-uri-stem"], one["c-uri-extension"]) == ("/x/run.PHP", "PHP")
    assert (one["c-useragent"], two["c-useragent"]) == (["one"], [""])
    assert (one["src_ip"], one["dst_ip"]) == ("10.0.0.5", "10.0.0.9")
    assert [event["flow"] for event in events(fields.HTTP, **REQUESTS)] == [1, 1]


def test_values_of_which_it_is_unknown_whose_they_are_belong_to_each_event() -> None:
    one, two = events(fields.HTTP, **REQUESTS)
    assert one["status_code"] == two["status_code"] == [200]
    assert one["request_body_len"] is None
    (single,) = events(fields.HTTP, http_methods=["GET"], http_request_body_bytes=7)
    assert single["request_body_len"] == 7


def test_questions_have_their_types_and_the_answers_of_the_flow() -> None:
    asked = {"dns_queries": ["a.example", "b.example"], "dns_query_types": ["A", "TXT"], "dns_answers": ["192.0.2.1"]}
    _, two = (named("dns", fields.DNS, event) for event in events(fields.DNS, **asked, dns_response_codes=["REFUSED"]))
    assert (two["query"], two["record_type"], two["answer"]) == (["b.example"], ["TXT"], ["192.0.2.1"])
    assert events(fields.DNS, **asked, dns_response_codes=["REFUSED"])[0]["rejected"] is True
    assert events(fields.DNS, **asked, dns_response_codes=["NXDOMAIN"])[0]["rejected"] is False


def test_connections_speak_the_languages_of_firewalls_and_hosts() -> None:
    answered, silent = events(fields.CONNECTION, resp_packets=0, tls_server_name="a.example")
    assert named("firewall", fields.CONNECTION, answered)["action"] == "accept"
    assert named("firewall", fields.CONNECTION, silent)["action"] is None
    host = named("network_connection", fields.CONNECTION, silent)
    assert (host["DestinationHostname"], host["DestinationPort"], host["Initiated"]) == ("a.example", 443, "true")
    assert named("network", fields.CONNECTION, answered)["network.type"] == "ipv4"


def test_zeek_writes_versions_serials_and_ciphers_its_own_way() -> None:
    (session,) = events(fields.TLS, tls_version="TLSv1.2")
    assert session["version"] == "TLSv12"
    (certificate,) = events(fields.CERTIFICATE, tls_certificate_subjects=["CN=a"], tls_certificate_serials=["08BB00EE"])
    assert certificate["certificate.serial"] == ["8BB00EE"]
    (ticket,) = events(fields.KERBEROS, kerberos_messages=["TGS-REQ", "TGS-REP"], kerberos_ticket_cipher=23)
    assert (ticket["request_type"], ticket["cipher"]) == (["TGS", None], "rc4-hmac")


def test_commands_are_parted_from_their_arguments() -> None:
    (user, quit_) = events(fields.FTP, ftp_commands=["USER a b", "QUIT"])
    assert (user["command"], user["arg"], quit_["command"], quit_["arg"]) == ("USER", "a b", "QUIT", None)
