"""What does not fit is named by file, line and field, whichever log it stands in."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

import infraspectre
from infraspectre.app import open_source
from infraspectre.errors import InputError
from infraspectre.settings import Settings

ZEEK = (
    "#separator \\x09\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tproto\n"
    "#types\ttime\tstring\taddr\tport\taddr\tenum\n"
)
EVE = '{"event_type":"flow","flow_id":1,"src_ip":"10.0.0.1","dest_ip":"10.0.0.2","proto":"TCP","flow":'
CSV = "Dst Port,Flow Duration,Protocol,Src IP\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f"{ZEEK}1.5\tC1\t10.0.0.1\tmany\t10.0.0.2\ttcp\n", "log:4: id.orig_p: 'many' is not a port"),
        (f"{ZEEK}1.5\tC1\t10.0.0.1\n", "log:4: has 3 fields where the header names 6"),
        (f"{ZEEK}soon\tC1\t10.0.0.1\t1\t10.0.0.2\ttcp\n", "log:4: ts: is not a time"),
        (f"{ZEEK}1e300\tC1\t10.0.0.1\t1\t10.0.0.2\ttcp\n", "log:4: ts: is not a time"),
        (f"{ZEEK}1.5\tC1\t-\t1\t10.0.0.2\ttcp\n", "log:4: id.orig_h: is missing"),
        ('{"id.orig_h":"10.0.0.1"}\n', "log:1: ts: is missing"),
        (f"{EVE}null}}\n", "log:1: flow: is missing"),
        (f'{EVE}{{"start":"soon","end":"later"}}}}\n', "log:1: flow.start: 'soon' is not a time"),
        ('{"event_type":"stats"}\n[1]\n', "log:2: is not a JSON object"),
        ('{"event_type":"stats"}\n{"event_type":\n', "log:2: is not valid JSON"),
        (f"{CSV}80,soon,6,10.0.0.1\n", "log:2: flow duration: 'soon' cannot be read"),
        (f"{CSV}80,1,6,10.0.0.999\n", "log:2: src ip: '10.0.0.999' cannot be read"),
        (f"{CSV}80,1\n", "log:2: has 2 cells where the header names 4"),
    ],
)
def test_mistakes_have_a_place(tmp_path: Path, text: str, place: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        list(infraspectre.flows(path))
    assert place in str(caught.value)
    assert str(caught.value).startswith(str(path))


FLOW = f'{EVE}{{"start":"2026-01-01T00:00:00Z","end":"2026-01-01T00:00:01Z"}}}}\n'


@pytest.mark.parametrize(
    ("text", "loss"),
    [
        (f"{ZEEK}1.5\tC1\t10.0.0.1\t1\t10.0.0.2\ttcp\n2.5\tC2\t10.0.0.1\n", "line 5: has 3 fields where"),
        (f"{FLOW}{FLOW[:60]}", "line 2: is not valid JSON"),
        (f"{CSV}80,1,6,10.0.0.1\n80,soon,6,10.0.0.1\n", "line 3: flow duration: 'soon' cannot be read"),
    ],
    ids=["zeek", "eve", "table"],
)
def test_a_log_is_read_as_far_as_it_goes(tmp_path: Path, text: str, loss: str) -> None:
    path = tmp_path / "log"
    path.write_text(text)
    source = open_source([path], "full", Settings())
    assert sum(map(len, source)) == 1
    assert source.account().unreadable[str(path)].startswith(loss)
    assert source.account().has_losses


def test_a_cut_gzip_file_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    path = tmp_path / "conn.log.gz"
    lines = "".join(f"{at}.5\tC{at}\t10.0.0.1\t1\t10.0.0.2\ttcp\n" for at in range(1000))
    path.write_bytes(gzip.compress((ZEEK + lines).encode())[:-500])
    source = open_source([path], "full", Settings())
    assert 0 < sum(map(len, source)) < 1000
    assert "cannot be read further" in source.account().unreadable[str(path)]


def test_a_protocol_log_that_breaks_off_costs_its_own_rest_alone(tmp_path: Path) -> None:
    (tmp_path / "conn.log").write_text(f"{ZEEK}1.5\tC1\t10.0.0.1\t1\t10.0.0.2\ttcp\n")
    (tmp_path / "dns.log").write_text("#fields\tuid\tquery\n#types\tstring\tstring\nC1\ta.example\nC1\n")
    source = open_source([tmp_path], "full", Settings())
    (batch,) = source
    assert batch.frame["dns_queries"].to_list() == [["a.example"]]
    assert list(source.account().unreadable) == [str(tmp_path / "dns.log")]


def test_a_folder_without_connections_is_named(tmp_path: Path) -> None:
    from infraspectre.adapters.zeek import zeek_source

    with pytest.raises(InputError, match="holds no connection log"):
        zeek_source([str(tmp_path)])


def test_numbers_that_no_column_holds_are_unknown(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(
        '{"ts":1.5,"id.orig_h":"10.0.0.1","id.orig_p":70000,"id.resp_h":"10.0.0.2","proto":"tcp","orig_pkts":-1,'
        f'"resp_pkts":"{"9" * 5000}"}}'
    )
    (batch,) = infraspectre.flows(path)
    assert batch.frame["orig_port"].to_list() == [None]
    assert batch.frame["orig_packets"].to_list() == [None]
    assert batch.frame["resp_packets"].to_list() == [None]


@pytest.mark.parametrize("text", [FLOW, f"{CSV}80,1,6,10.0.0.1\n"], ids=["eve", "table"])
def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log"
    path.write_text(text, encoding="utf-8-sig")
    (batch,) = infraspectre.flows(path)
    assert batch.frame["duration_ms"].null_count() == 0


def test_identities_survive_readers_of_json_that_know_floating_point_alone(tmp_path: Path) -> None:
    path = tmp_path / "conn.log"
    path.write_text(ZEEK + "".join(f"1.5\tC{n}\t10.0.0.1\t1\t10.0.0.2\ttcp\n" for n in range(50)))
    (batch,) = infraspectre.flows(path)
    assert batch.frame["flow_id"].n_unique() == 50
    assert batch.frame["flow_id"].to_numpy().max() < 2**53
