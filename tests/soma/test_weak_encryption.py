"""Outdated and unvouched encryption is noted at low severity; current TLS and named servers are not."""

from __future__ import annotations

from flow_rows import flow, frame
from infraspectre.soma.weak_encryption import WeakEncryption
from soma_runs import found_in

SELF_SIGNED = {"tls_certificate_subjects": ["CN=a"], "tls_certificate_issuers": ["CN=a"], "tls_version": "TLSv1.2"}


def test_outdated_versions_are_noted() -> None:
    found = found_in(WeakEncryption, frame(flow(n, tls_version="TLSv1.0") for n in range(9)))
    assert [(each.category, each.severity) for each in found] == [("outdated_tls", "informational")]
    assert found[0].evidence.measures["flows"] == 9


def test_a_self_signed_certificate_at_a_bare_address_is_noted() -> None:
    found = found_in(WeakEncryption, frame([flow(0, resp_ip="203.0.113.9", **SELF_SIGNED)]))
    assert [(each.category, each.severity, each.resp) for each in found] == [
        ("self_signed_certificate", "low", "203.0.113.9")
    ]


def test_current_tls_is_quiet() -> None:
    issued = {"tls_certificate_subjects": ["CN=a"], "tls_certificate_issuers": ["CN=b"], "tls_version": "TLSv1.3"}
    named = {"tls_server_name": "a.example", "resp_ip": "203.0.113.9"}
    assert (
        found_in(WeakEncryption, frame([flow(0, **issued), flow(1, **named, **SELF_SIGNED), flow(2, **SELF_SIGNED)]))
        == []
    )
