"""Writes the first inputs of every fuzzer from simulated captures: `python fuzz/seeds.py`."""

from __future__ import annotations

import hashlib
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from infraspectre.simulation import simulate

CORPUS = Path(__file__).resolve().parent / "corpus"
SCENARIOS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("office", {}),
    ("brute-force", {"service": "ftp"}),
    ("brute-force", {"service": "ssh"}),
    ("brute-force", {"service": "rdp"}),
    ("lateral-movement", {}),
    ("web-attack", {}),
    ("dns-tunnel", {}),
    ("amplification", {}),
)
PORTS = {
    ("tcp", 21): "ftp", ("tcp", 22): "ssh", ("tcp", 25): "smtp", ("tcp", 80): "http", ("tcp", 88): "kerberos",
    ("tcp", 443): "tls", ("tcp", 445): "smb", ("tcp", 587): "smtp", ("tcp", 3389): "rdp", ("udp", 53): "dns",
    ("udp", 67): "dhcp", ("udp", 88): "kerberos", ("udp", 123): "ntp", ("tcp", 53): "dns",
}  # fmt: skip
SIMULATED_SESSIONS = {"dhcp": "dhcp", "kerberos": "krb5", "ntp": "ntp", "rdp": "rdp", "smb": "smb"}
"""Targets whose seeds also go to the sessions of the signature engine, by their names there."""
WRITTEN_SESSIONS = {
    "sip": b"INVITE sip:b@c SIP/2.0\r\nVia: d\r\nContent-Length: 12\r\n\r\nv=0\r\ns=call\r\nSIP/2.0 100 Trying\r\n\r\n",
    "mqtt": bytes.fromhex("101c00044d51545405c2003c0321001400000004757365720004706173732003018600820a0007000004")
    + b"news\x00" + bytes.fromhex("9004000700013009") + b"\x00\x03top\x00abc",
    "rfb": b"RFB 003.008\n\x01\x02" + bytes(16) + bytes(4) + bytes(20) + b"\x00\x00\x00\x04desk",
    "snmp": bytes.fromhex("301802010104067075626c6963a00b0201050201000201003000"),
    "ldap": bytes.fromhex("3024020107631f040664633d6c61620a01020a0100020100020100010100")
    + bytes.fromhex("87016330060402636e0000"),
    "ike": bytes.fromhex("ab" * 8 + "cd" * 8 + "0110020000000000000000340000001800000001000000010000000c01010001")
    + bytes.fromhex("0000000c010100008001000780020002"),
    "pgsql": b"\x00\x00\x00\x08\x04\xd2\x16/Q\x00\x00\x00\x0dselect 1\x00Z\x00\x00\x00\x05I",
    "nfs": struct.pack("!11I", 1 << 31 | 56, 1, 0, 2, 100003, 3, 3, 0, 0, 0, 0)
    + b"\x00\x00\x00\x04root\x00\x00\x00\x01a\x00\x00\x00",
    "dcerpc": bytes.fromhex("05000b0310000000480000000100000000000000000000000100000000000100")
    + bytes(16) + bytes.fromhex("01000000") + bytes(20)
    + bytes.fromhex("05000003100000001c0000000200000000000000000009004142"),
    "modbus": bytes.fromhex("00010000000b11100001000204000a0102"),
    "enip": bytes.fromhex("6f001800") + bytes(20) + bytes.fromhex("000000000000020000000000b20008000e03200124013007"),
    "dnp3": bytes.fromhex("05640bc40100020014e3c0c0013c02069f0d"),
    "template": b"5:Hello3:Bye",
}  # fmt: skip
"""First messages of protocols that no simulation speaks."""
WRITTEN_TALKS = {
    "irc": (
        b"PASS x\r\nNICK a\r\nUSER a 0 * :b c\r\nJOIN #d\r\nPRIVMSG #d :e\r\n",
        b":s NOTICE * :f\r\n@t=1 :s 332 a #d :.g\r\n",
    ),
    "stratum": (
        b'{"id":1,"method":"mining.subscribe","params":["a/1"]}\n{"method":"mining.authorize","params":["w.1","x"]}\n',
        b'{"method":"login","params":{"login":"w","pass":"x","agent":"b/2"}}\n',
        b'{"method":"job","params":{"blob":"07","job_id":"1"}}\n',
    ),
}
"""What is said first in protocols that the core knows and no simulation speaks."""
RULES = rb"""
alert http $HOME_NET any -> [10.0.0.0/8,!10.1.0.0/16] [80,8000:8080] (msg:"a\; b"; flow:established,to_server; \
  http.uri; url_decode; content:"/a|3b|b"; nocase; startswith; pcre:"/^x(y|z)[0-9]{2}$/Ri"; bsize:>5; sid:1; rev:2;)

alert tcp any any <> any !443 (content:"GET"; http_method; content:!"b"; distance:-1; within:4; isdataat:!5,relative; \
  byte_extract:2,0,n,relative,little; byte_test:1,!&,0x80,n; byte_jump:4,0,string,hex,post_offset -2; sid:2;)

# alert ip any any -> any any (sid:3;)
alert dns any any -> any any (dns.query; dotprefix; dataset:isset,seen,type string; dns.rrtype:!AAAA; \
  threshold:type limit, track by_src, count 1, seconds 9; sid:4;)

drop udp any any -> any any (flowbits:isset,a|b; flowint:c,+,1; xbits:set,d,track ip_pair,expire 9; ttl:10-20; \
  flags:S,12; base64_decode:bytes 9, offset 1; base64_data; content:!"x"; requires:version >= 7 < 9; sid:5;)

alert smb any any -> any any (dcerpc.iface:367abb81-9844-35f1-ad32-98f038001003,>1,any_frag; dcerpc.opnum:1,5-9; sid:6;)

suppress gen_id 1, sig_id 7, track by_either, ip [$HOME_NET,!10.0.0.1]
rate_filter gen_id 1, sig_id 0, track by_rule, count 1, seconds 2, new_action drop, timeout 30
"""
"""Rules and thresholds of every kind of syntax; each paragraph is a seed."""
ENGINE_RULES = rb"""
alert ip any any -> any any (ttl:>0; ip_proto:!50; fragbits:!M; flags:!R; \
  threshold:type both, track by_src, count 2, seconds 9; sid:1;)
alert tcp any any -> any any (flags:S,CE; window:!0; seq:1; stream_size:both,<,9999; sid:2;)
alert tcp any any -> any any (content:"|0d 0a|"; content:"o"; distance:-2; within:9; byte_jump:1,0,relative; \
  isdataat:1,relative; sid:3;)
alert tcp any any -> any any (flow:established,to_server,only_stream; content:"GET"; nocase; depth:9; endswith; \
  sid:4;)
alert tcp any any <> any any (content:"o"; pcre:"/(a|e)(?!x).{1,9}\1/Ri"; content:"t"; distance:0; flowbits:set,a; \
  flowint:n,+,1; sid:5;)
alert tcp any any -> any any (byte_extract:2,0,n; byte_test:2,>,n,1,relative; \
  byte_math:bytes 1, offset 0, oper +, rvalue n, result m; sid:6;)
alert udp any any -> any any (dsize:<400; content:"|00 00|"; offset:2; byte_jump:4,-4,relative,post_offset -3; \
  content:"|00|"; within:1; sid:7;)
alert udp any any -> any any (flowbits:isnotset,a; xbits:set,b,track ip_src,expire 9; \
  base64_decode:bytes 9, offset 1; base64_data; content:"a"; sid:8;)
alert http any any -> any any (http.method; content:"GET"; http.uri; to_lowercase; content:"/"; startswith; \
  pcre:"/^\/\w*$/"; sid:9;)
alert http any any -> any any (http.header; content:"host|3a|"; nocase; http.user_agent; content:!"x"; \
  urilen:<99; filestore; sid:10;)
alert http any any -> any any (flow:to_client; http.stat_code; content:"200"; file.data; content:"<"; \
  fast_pattern; entropy:value > 1; sid:11;)
alert dns any any -> any any (dns.query; dotprefix; content:"."; bsize:>3; \
  detection_filter:track by_dst, count 1, seconds 9; sid:12;)
alert tls any any -> any any (tls.sni; content:"."; xbits:isset,b,track ip_src; sid:13;)
alert tls any any -> any any (ja3.hash; content:!"00000000000000000000000000000000"; tls.version:1.2; sid:14;)
alert smb any any -> any any (smb.share; content:"$"; endswith; sid:15;)
alert dns any any -> any any (frame:dns.pdu; content:"|00 01|"; offset:1; sid:16;)
alert ssh any any -> any any (ssh.software; content:"SSH"; nocase; sid:17;)
alert ip any any -> any any (decode-event:ipv4.hlen_too_small; sid:18;)
alert tcp any any -> any any (stream-event:reassembly_overlap_different_data; sid:19;)
alert tcp any any -> any any (app-layer-event:applayer_mismatch_protocol_both_directions; sid:20;)
alert ftp any any -> any any (ftp.command; content:"PASS"; tag:session,3,packets; sid:21;)
drop icmp any any -> any any (itype:>0; icode:0; icmp_id:1; sid:22;)
pass tcp any any -> any any (app-layer-protocol:!failed; flow:not_established; sid:23;)
"""
"""Rules of every kind, for the packets of the seeds."""
SEEDS, SEED_BYTES = 6, 2048
"""Inputs for each target, and the longest of them."""
MATCHED_BYTES = 512
"""Bytes in which patterns are looked for: it is done one by one, too."""
FRAMES, MANY_FRAMES = 12, 40
"""Packets in a seed that is a capture, and in one that is read with rules."""
ETHERNET, RAW_IP, NULL, SLL = 1, 101, 0, 113
"""Link types, as registered at tcpdump.org/linktypes.html."""

Side = tuple[str, bytes, bool]
"""Target, address and port of the originator, and whether it is the one who speaks."""


def main() -> None:
    """Replace the seeds; other files of the corpora stay."""
    for target, seeds in sorted(all_seeds().items()):
        for seed in seeds:
            folder = CORPUS / target
            folder.mkdir(parents=True, exist_ok=True)
            folder.joinpath(hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)


def all_seeds() -> dict[str, list[bytes]]:
    """Return the seeds of every target."""
    seeds: dict[str, list[bytes]] = defaultdict(list)
    for scenario, options in SCENARIOS:
        frames = simulated(scenario, options)
        for target, seed in [*session_seeds(frames), *capture_seeds(frames)]:
            if seed not in seeds[target]:
                seeds[target].append(seed)
    chosen = {target: spread(found) for target, found in seeds.items()}
    talks = {name: [talk(data) for data in said] for name, said in WRITTEN_TALKS.items()}
    written = {
        "sessions": list(protocol_seeds(chosen)),
        "rules": RULES.strip().split(b"\n\n"),
        "matcher": list(matcher_seeds(chosen["flow"])),
    }
    return {**chosen, **talks, **written}


def matcher_seeds(captures: list[bytes]) -> Iterator[bytes]:
    """Yield few and many patterns that are parts of some bytes, and these bytes."""
    for count, capture in zip((1, 3, 9, 40, 120, 255), captures, strict=True):
        lengths = ((number * 7) % 12 for number in range(count))
        parts = (bytes([length | 0x40 | number % 2 << 7, number]) for number, length in enumerate(lengths))
        yield bytes([count]) + b"".join(parts) + capture[:MATCHED_BYTES]


def protocol_seeds(chosen: dict[str, list[bytes]]) -> Iterator[bytes]:
    """Yield the seeds of the signature engine's sessions: the protocol's name, then side, cut, and bytes."""
    for target, name in SIMULATED_SESSIONS.items():
        yield from (name.encode() + b"\0" + seed for seed in chosen[target])
    for name, data in WRITTEN_SESSIONS.items():
        yield name.encode() + b"\0" + talk(data)


def talk(data: bytes) -> bytes:
    """Return the seed of a session: that the originator speaks, where the bytes are cut, and the bytes."""
    return struct.pack("<BH", True, len(data) // 2) + data


def spread(seeds: list[bytes]) -> list[bytes]:
    """Return a few seeds of different lengths."""
    ordered = sorted(seeds, key=len)
    return [ordered[index * (len(ordered) - 1) // max(1, SEEDS - 1)] for index in range(min(SEEDS, len(ordered)))]


def simulated(scenario: str, options: dict[str, Any]) -> list[bytes]:
    """Return the records of a simulated capture, each with its header of 16 bytes."""
    with TemporaryDirectory() as folder:
        data = simulate(scenario, Path(folder), **options).capture.read_bytes()
    records, offset = [], 24
    while offset < len(data):
        end = offset + 16 + int.from_bytes(data[offset + 8 : offset + 12], "little")
        records.append(data[offset:end])
        offset = end
    return records


def session_seeds(records: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield what each side of each conversation said first: side, cut, and bytes."""
    said: dict[Side, bytes] = defaultdict(bytes)
    for record in records:
        for key, payload in payloads(record[16:]):
            said[key] += payload if len(said[key]) < SEED_BYTES else b""
    for (target, _, is_orig), data in said.items():
        yield target, struct.pack("<BH", is_orig, len(data) // 2) + data[:SEED_BYTES]


def payloads(frame: bytes) -> Iterator[tuple[Side, bytes]]:
    """Yield the transport payload of an Ethernet frame with IPv4, if a target reads it."""
    if frame[12:14] != b"\x08\x00" or frame[23] not in (6, 17):
        return
    packet = frame[14 : 14 + int.from_bytes(frame[16:18], "big")]
    ports = struct.unpack_from("!HH", packet, 20)
    name = "tcp" if packet[9] == 6 else "udp"
    header = 20 + ((packet[32] >> 4) * 4 if name == "tcp" else 8)
    ends = packet[12:16] + packet[20:22], packet[16:20] + packet[22:24]
    for is_orig, orig, resp_port in ((True, ends[0], ports[1]), (False, ends[1], ports[0])):
        if (name, resp_port) in PORTS and packet[header:]:
            yield (PORTS[name, resp_port], orig, is_orig), packet[header:]


def capture_seeds(records: list[bytes]) -> Iterator[tuple[str, bytes]]:
    """Yield captures of a few packets, as files and as bare packets of some link types."""
    few = records[:FRAMES]
    header = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, ETHERNET)
    yield "engine", ENGINE_RULES.lstrip() + b"\0" + header + b"".join(records[:MANY_FRAMES])
    yield "flow", header + b"".join(few)
    yield "pcap", (header + b"".join(few))[4:]
    yield "pcapng", pcapng([record[16:] for record in few])[4:]
    yield "decode", b"".join(bare(record[16:], link) for record in few for link in (ETHERNET, RAW_IP, NULL, SLL))


def pcapng(frames: list[bytes]) -> bytes:
    """Return a pcapng file: section header, interface description, enhanced packets (draft-ietf-opsawg-pcapng)."""
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
    interface = block(1, struct.pack("<HHI", ETHERNET, 0, 65535))
    return section + interface + b"".join(map(enhanced, frames))


def enhanced(frame: bytes) -> bytes:
    """Return an enhanced packet block."""
    return block(6, struct.pack("<5I", 0, 0, 0, len(frame), len(frame)) + frame)


def block(kind: int, body: bytes) -> bytes:
    """Return a block, padded to 32 bits, with its length on both ends."""
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


LINK_HEADERS = {
    RAW_IP: b"",
    NULL: struct.pack("<I", 2),
    SLL: struct.pack("!HHH8sH", 0, 1, 6, bytes(8), 0x0800),
}


def bare(frame: bytes, link: int) -> bytes:
    """Return a frame under another link type: the type, the length, and the bytes."""
    data = (frame if link == ETHERNET else LINK_HEADERS[link] + frame[14:])[:255]
    return bytes([link, len(data)]) + data


if __name__ == "__main__":
    main()
