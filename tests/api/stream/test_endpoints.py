from __future__ import annotations

from infraspectre.api.stream.endpoints import server_sent


def test_what_somebody_posted_ends_no_line_of_server_sent_events() -> None:
    text = '{"type":"events","subscription":"s","events":[{"data":{"a":\r\r1,\r\n"b":2}}],"position":"e.1"}'
    sent = server_sent(text)
    assert sent == f"event: events\nid: e.1\ndata: {text.replace(chr(13), ' ').replace(chr(10), ' ')}\n\n"
    assert "\r" not in sent
