//! The columns of flow records and of our own statistics.

use std::fmt::Write;
use std::net::Ipv6Addr;

use arrow_array::builder::{ListBuilder, UInt16Builder};

use super::row::{protocol_name, FLOW, ORIG, RESP};
use super::{column, sets, Column, Fill, Row};
use crate::app::bytes::hex_digit;
use crate::app::Field;
use crate::feature::damped::HALF_LIVES_S;
use crate::flow::community_id;
use crate::flow::key::Endpoint;

/// Defines a text column from a function that writes a row's value and tells whether there is one.
macro_rules! text_column {
    ($name:expr, $group:expr, $sets:expr, $definition:expr, $source:expr, |$row:ident, $text:ident| $write:expr) => {
        Column {
            name: $name,
            unit: "",
            group: $group,
            definition: $definition,
            source: $source,
            sets: $sets,
            fill: Fill::Text(|rows, out| out.extend(rows, |$row, $text| $write)),
        }
    };
}

fn push(text: &mut String, value: &str) -> bool {
    text.push_str(value);
    true
}

fn push_some(text: &mut String, value: Option<&str>) -> bool {
    value.map(|value| text.push_str(value)).is_some()
}

fn push_address(text: &mut String, endpoint: &Endpoint, ip_version: u8) -> bool {
    let address = &endpoint.address;
    if ip_version != 4 {
        return write!(text, "{}", Ipv6Addr::from(*address)).is_ok();
    }
    for (index, byte) in address.iter().skip(12).enumerate() {
        if index > 0 {
            text.push('.');
        }
        push_decimal(text, *byte);
    }
    true
}

fn push_decimal(text: &mut String, byte: u8) {
    if byte >= 100 {
        text.push(char::from(b'0' + byte / 100));
    }
    if byte >= 10 {
        text.push(char::from(b'0' + byte / 10 % 10));
    }
    text.push(char::from(b'0' + byte % 10));
}

fn push_protocol(text: &mut String, number: u8) -> bool {
    match protocol_name(number) {
        Some(name) => push(text, name),
        None => write!(text, "ip-{number}").is_ok(),
    }
}

/// Writes a hardware address in lower-case hexadecimal with colons.
pub(crate) fn push_mac(text: &mut String, mac: Option<[u8; 6]>) -> bool {
    let Some(mac) = mac else { return false };
    for (index, byte) in mac.iter().enumerate() {
        if index > 0 {
            text.push(':');
        }
        text.push(char::from(hex_digit(byte >> 4)));
        text.push(char::from(hex_digit(*byte)));
    }
    true
}

/// Who talked to whom, when, over what, and how it ended.
pub fn identity() -> Vec<Column> {
    const G: &str = "identity";
    vec![
        column!(
            U64,
            "flow_id",
            "",
            G,
            sets::ALL,
            "identity of the flow: 53 bits of a hash of Community ID, context, start time and first packet number",
            "",
            |row| Some(row.flow_id)
        ),
        text_column!(
            "community_id",
            G,
            sets::ALL,
            "Community ID of the conversation",
            "Community ID 1.0",
            |row, text| {
                community_id::write(text, &row.community);
                true
            }
        ),
        text_column!(
            "orig_ip",
            G,
            sets::ALL,
            "address of the host that sent the flow's first packet",
            "",
            |row, text| push_address(text, &row.orig, row.finished.flow.key.ip_version)
        ),
        column!(U16, "orig_port", "", G, sets::ALL, "its port; for ICMP the message type", "", |row| Some(
            row.orig.port
        )),
        text_column!("resp_ip", G, sets::ALL, "address of the other host", "", |row, text| push_address(
            text,
            &row.resp,
            row.finished.flow.key.ip_version
        )),
        column!(
            U16,
            "resp_port",
            "",
            G,
            sets::ALL,
            "its port; for ICMP the answering type of a two-way message, else the code",
            "Community ID 1.0",
            |row| Some(row.resp.port)
        ),
        text_column!(
            "protocol",
            G,
            sets::ALL,
            "IP protocol by its IANA keyword, or ip-N",
            "IANA protocol numbers",
            |row, text| push_protocol(text, row.finished.flow.key.protocol)
        ),
        column!(
            I64,
            "started_at",
            "ns",
            G,
            sets::ALL,
            "time of the first packet since the Unix epoch, UTC",
            "",
            |row| Some(row.finished.flow.first_at)
        ),
        column!(I64, "ended_at", "ns", G, sets::ALL, "time of the last packet since the Unix epoch, UTC", "", |row| {
            Some(row.detail().last_at)
        }),
        text_column!("app_protocol", G, sets::ALL, "application protocol recognised by content", "", |row, text| {
            push_some(text, row.app_protocol())
        }),
        text_column!(
            "end_reason",
            G,
            sets::ALL,
            "why the flow ended: fin, rst, idle, active (timeout), evicted (table full), end_of_capture",
            "",
            |row, text| push(text, row.finished.reason.name())
        ),
        column!(U8, "ip_version", "", G, sets::ALL, "4 or 6", "", |row| Some(row.finished.flow.key.ip_version)),
        column!(U16, "vlan", "", G, sets::BASE, "outer VLAN id", "IEEE 802.1Q", |row| row.context.vlan),
        column!(U16, "inner_vlan", "", G, sets::BASE, "second VLAN id", "IEEE 802.1ad", |row| row.context.inner_vlan),
        text_column!(
            "tunnel",
            G,
            sets::BASE,
            "tunnels around the flow, outermost first, for example vxlan:42",
            "",
            |row, text| push_some(text, row.context.tunnel.as_deref())
        ),
        text_column!("orig_mac", G, sets::BASE, "hardware source address of the first packet", "", |row, text| {
            push_mac(text, row.finished.macs.map(|pair| pair[0]))
        }),
        text_column!("resp_mac", G, sets::BASE, "hardware destination address of the first packet", "", |row, text| {
            push_mac(text, row.finished.macs.map(|pair| pair[1]))
        }),
        column!(
            U64,
            "first_packet",
            "",
            G,
            sets::ALL,
            "number of the flow's first packet in the capture, from 1",
            "",
            |row| Some(row.finished.flow.first_number)
        ),
        column!(U64, "last_packet", "", G, sets::ALL, "number of the flow's last packet in the capture", "", |row| {
            Some(row.detail().last_number)
        }),
    ]
}

/// How much was sent, and how long it took.
pub fn totals() -> Vec<Column> {
    const G: &str = "totals";
    vec![
        column!(F64, "duration_ms", "ms", G, sets::BASE, "time from the first to the last packet", "", |row| Some(row.duration_ns() as f64 / 1e6)),
        column!(U32, "orig_packets", "packets", G, sets::ALL, "packets sent by orig; each fragment counts", "", |row| Some(row.orig().packets)),
        column!(U32, "resp_packets", "packets", G, sets::ALL, "packets sent by resp; each fragment counts", "", |row| Some(row.detail().resp.packets)),
        column!(U64, "orig_bytes", "bytes", G, sets::ALL, "sum of the IP payload lengths sent by orig, from the headers (IPv4: total length less header; IPv6: payload length field)", "RFC 791, RFC 8200", |row| Some(row.orig().ip_payload_bytes)),
        column!(U64, "resp_bytes", "bytes", G, sets::ALL, "sum of the IP payload lengths sent by resp", "RFC 791, RFC 8200", |row| Some(row.detail().resp.ip_payload_bytes)),
        column!(U64, "orig_ip_bytes", "bytes", G, sets::BASE, "sum of the IP packet lengths sent by orig, headers included", "", |row| Some(row.orig().ip_bytes)),
        column!(U64, "resp_ip_bytes", "bytes", G, sets::BASE, "sum of the IP packet lengths sent by resp, headers included", "", |row| Some(row.detail().resp.ip_bytes)),
        column!(U64, "orig_payload_bytes", "bytes", G, sets::BASE, "sum of the transport payload lengths sent by orig", "", |row| Some(row.orig().payload_bytes)),
        column!(U64, "resp_payload_bytes", "bytes", G, sets::BASE, "sum of the transport payload lengths sent by resp", "", |row| Some(row.detail().resp.payload_bytes)),
        column!(U32, "orig_data_packets", "packets", G, sets::BASE, "packets of orig that carry payload", "", |row| Some(row.orig().data_packets)),
        column!(U32, "resp_data_packets", "packets", G, sets::BASE, "packets of resp that carry payload", "", |row| Some(row.detail().resp.data_packets)),
        column!(F64, "bytes_per_s", "bytes/s", G, sets::FULL, "IP bytes of both sides over the duration; null without duration", "", |row| row.per_second(row.detail().ip_bytes() as f64)),
        column!(F64, "packets_per_s", "packets/s", G, sets::FULL, "packets of both sides over the duration; null without duration", "", |row| row.per_second(row.detail().packets() as f64)),
        column!(U32, "truncated_packets", "packets", G, sets::BASE, "packets whose payload was cut by the snap length", "", |row| Some(row.detail().truncated_packets)),
        column!(U32, "fragments", "packets", G, sets::BASE, "packets that were IP fragments", "", |row| Some(row.detail().fragments)),
    ]
}

macro_rules! flag_columns {
    ($side:literal, $get:ident, $($bit:literal $flag:literal),*) => {
        vec![$(column!(U32, concat!($side, "_", $flag, "_packets"), "packets", "tcp", sets::FULL, concat!("packets of ", $side, " with the flag ", $flag), "RFC 9293, RFC 3168",
            |row| row.tcp().map(|_| row.detail().$get.flags[$bit]))),*]
    };
}

macro_rules! half_columns {
    ($side:ident, $name:literal) => {
        vec![
            column!(
                U16,
                concat!($name, "_initial_window"),
                "bytes",
                "tcp",
                sets::FULL,
                concat!("window of the first packet of ", $name, ", unscaled"),
                "RFC 9293",
                |row| row.tcp().filter(|_| row.detail().$side.packets > 0).map(|_| row.detail().$side.initial_window)
            ),
            column!(
                U16,
                concat!($name, "_mss"),
                "bytes",
                "tcp",
                sets::FULL,
                concat!("maximum segment size option of ", $name),
                "RFC 9293, 3.7.1",
                |row| row.tcp().and_then(|tcp| tcp.$side.mss)
            ),
            column!(
                U64,
                concat!($name, "_retransmitted_bytes"),
                "bytes",
                "tcp",
                sets::BASE,
                concat!("payload bytes of ", $name, " at sequence numbers seen before"),
                "",
                |row| row.tcp().map(|tcp| tcp.$side.retransmitted_bytes)
            ),
            column!(
                U64,
                concat!($name, "_gap_bytes"),
                "bytes",
                "tcp",
                sets::BASE,
                concat!("bytes of ", $name, "'s stream that are missing in the capture"),
                "",
                |row| row.tcp().map(|tcp| tcp.$side.gap_bytes)
            ),
        ]
    };
}

/// The course of a TCP connection; null for other protocols.
pub fn tcp() -> Vec<Column> {
    const G: &str = "tcp";
    let milliseconds = "ms";
    let mut columns = vec![
        text_column!(
            "tcp_state",
            G,
            sets::BASE,
            "state of the connection: S0 S1 SF REJ S2 S3 RSTO RSTR RSTOS0 RSTRH SH SHR OTH",
            "Zeek conn_state",
            |row, text| push_some(text, row.tcp().map(|tcp| tcp.state()))
        ),
        column!(F32, "syn_rtt_ms", milliseconds, G, sets::BASE, "time from SYN to SYN-ACK", "", |row| row
            .tcp()
            .and_then(|tcp| tcp.syn_rtt_ns)
            .map(|ns| ns as f32 / 1e6)),
        column!(
            F32,
            "handshake_ms",
            milliseconds,
            G,
            sets::BASE,
            "time from SYN to the ACK that completes the handshake",
            "",
            |row| row.tcp().and_then(|tcp| tcp.handshake_ns).map(|ns| ns as f32 / 1e6)
        ),
    ];
    columns.extend(flag_columns!("orig", orig, 0 "fin", 1 "syn", 2 "rst", 3 "psh", 4 "ack", 5 "urg", 6 "ece", 7 "cwr"));
    columns.extend(flag_columns!("resp", resp, 0 "fin", 1 "syn", 2 "rst", 3 "psh", 4 "ack", 5 "urg", 6 "ece", 7 "cwr"));
    columns.extend(half_columns!(orig, "orig"));
    columns.extend(half_columns!(resp, "resp"));
    columns.extend([
        column!(
            U32,
            "out_of_order_packets",
            "packets",
            G,
            sets::BASE,
            "packets that filled a hole in the sequence",
            "",
            |row| row.tcp().map(|tcp| tcp.out_of_order_packets)
        ),
        column!(
            U64,
            "ambiguous_bytes",
            "bytes",
            G,
            sets::BASE,
            "bytes of overlapping segments that differ from the first copy, in the inspected part of the stream",
            "",
            |row| row.tcp().map(|tcp| tcp.ambiguous_bytes)
        ),
    ]);
    columns
}

macro_rules! described {
    ($kind:ident, $scale:expr, $array:ident, $index:expr, $name:expr, $unit:literal, $what:expr) => {
        [
            column!(
                $kind,
                concat!($name, "_min"),
                $unit,
                "statistics",
                sets::FULL,
                concat!("least ", $what),
                "",
                |row| row.$array[$index].map(|d| (d.min * $scale) as _)
            ),
            column!(
                $kind,
                concat!($name, "_mean"),
                $unit,
                "statistics",
                sets::FULL,
                concat!("mean ", $what),
                "",
                |row| row.$array[$index].map(|d| (d.mean * $scale) as _)
            ),
            column!(
                $kind,
                concat!($name, "_std"),
                $unit,
                "statistics",
                sets::FULL,
                concat!("sample standard deviation of the ", $what),
                "",
                |row| row.$array[$index].map(|d| (d.std * $scale) as _)
            ),
            column!(
                $kind,
                concat!($name, "_max"),
                $unit,
                "statistics",
                sets::FULL,
                concat!("greatest ", $what),
                "",
                |row| row.$array[$index].map(|d| (d.max * $scale) as _)
            ),
        ]
    };
}

macro_rules! period_columns {
    ($name:literal, $spread:ident, $count:ident, $sum:ident, $what:literal, $($stat:ident),*) => {
        [$(column!(F64, concat!($name, "_ms_", stringify!($stat)), "ms", "statistics", sets::FULL, concat!(stringify!($stat), " of the ", $what, "; null if the flow was never silent for more than 5 s"), "CICFlowMeter",
            |row| row.periods.as_ref().and_then(|periods| periods.$spread.describe(periods.$count, periods.$sum)).map(|d| d.$stat / 1e6))),*]
    };
}

/// Sizes, gaps, lifetimes, bulk transfers and periods.
pub fn statistics() -> Vec<Column> {
    const G: &str = "statistics";
    let mut columns = Vec::new();
    columns.extend(described!(F32, 1.0, packet, FLOW, "flow_packet_bytes", "bytes", "IP packet length of both sides"));
    columns.extend(described!(F32, 1.0, packet, ORIG, "orig_packet_bytes", "bytes", "IP packet length of orig"));
    columns.extend(described!(F32, 1.0, packet, RESP, "resp_packet_bytes", "bytes", "IP packet length of resp"));
    columns.extend(described!(
        F32,
        1.0,
        segment,
        FLOW,
        "flow_segment_bytes",
        "bytes",
        "transport payload length of both sides"
    ));
    columns.extend(described!(
        F32,
        1.0,
        segment,
        ORIG,
        "orig_segment_bytes",
        "bytes",
        "transport payload length of orig"
    ));
    columns.extend(described!(
        F32,
        1.0,
        segment,
        RESP,
        "resp_segment_bytes",
        "bytes",
        "transport payload length of resp"
    ));
    columns.extend(described!(F64, 1e-6, gap, FLOW, "flow_gap_ms", "ms", "time between packets of either side"));
    columns.extend(described!(F64, 1e-6, gap, ORIG, "orig_gap_ms", "ms", "time between packets of orig"));
    columns.extend(described!(F64, 1e-6, gap, RESP, "resp_gap_ms", "ms", "time between packets of resp"));
    columns.extend([
        column!(U8, "orig_ttl_min", "hops", G, sets::FULL, "least time to live of orig's packets", "RFC 791", |row| {
            Some(row.orig().ttl_min)
        }),
        column!(
            U8,
            "orig_ttl_max",
            "hops",
            G,
            sets::FULL,
            "greatest time to live of orig's packets",
            "RFC 791",
            |row| Some(row.orig().ttl_max)
        ),
        column!(U8, "resp_ttl_min", "hops", G, sets::FULL, "least time to live of resp's packets", "RFC 791", |row| {
            row.resp().map(|side| side.ttl_min)
        }),
        column!(
            U8,
            "resp_ttl_max",
            "hops",
            G,
            sets::FULL,
            "greatest time to live of resp's packets",
            "RFC 791",
            |row| row.resp().map(|side| side.ttl_max)
        ),
        column!(
            U32,
            "subflows",
            "",
            G,
            sets::FULL,
            "parts of the flow separated by silences over 1 s",
            "CICFlowMeter",
            |row| Some(row.detail().subflow_gaps + 1)
        ),
        column!(
            U32,
            "orig_bulk_transfers",
            "",
            G,
            sets::FULL,
            "runs of at least 4 data packets of orig, none over 1 s after the one before",
            "CICFlowMeter",
            |row| Some(row.orig().bulk.transfers)
        ),
        column!(U64, "orig_bulk_bytes", "bytes", G, sets::FULL, "payload bytes of these runs", "CICFlowMeter", |row| {
            Some(row.orig().bulk.bytes)
        }),
        column!(
            U32,
            "resp_bulk_transfers",
            "",
            G,
            sets::FULL,
            "runs of at least 4 data packets of resp, none over 1 s after the one before",
            "CICFlowMeter",
            |row| Some(row.detail().resp.bulk.transfers)
        ),
        column!(U64, "resp_bulk_bytes", "bytes", G, sets::FULL, "payload bytes of these runs", "CICFlowMeter", |row| {
            Some(row.detail().resp.bulk.bytes)
        }),
    ]);
    columns.extend(period_columns!(
        "active",
        active,
        active_count,
        active_sum,
        "periods of activity",
        min,
        mean,
        std,
        max
    ));
    columns.extend(period_columns!("idle", idle, idle_count, idle_sum, "silences over 5 s", min, mean, std, max));
    columns
}

/// The first 32 packets one by one.
pub fn sequence() -> Vec<Column> {
    const G: &str = "sequence";
    vec![
        Column {
            name: "packet_sizes",
            unit: "bytes",
            group: G,
            definition: "IP lengths of the first 32 packets, negative for those of resp",
            source: "",
            sets: sets::FULL,
            fill: Fill::I32List(|rows, out| {
                for row in rows {
                    let steps = row.detail().sequence.steps().iter();
                    let sizes = out.values();
                    steps.for_each(|step| sizes.append_value(if step.from_orig { i32::from(step.bytes) } else { -i32::from(step.bytes) }));
                    out.append(true);
                }
            }),
        },
        Column {
            name: "packet_gaps_us",
            unit: "us",
            group: G,
            definition: "times since the packet before, for the first 32 packets; the first is 0",
            source: "",
            sets: sets::FULL,
            fill: Fill::U32List(|rows, out| {
                for row in rows {
                    let gaps = out.values();
                    row.detail().sequence.steps().iter().for_each(|step| gaps.append_value(step.gap_us));
                    out.append(true);
                }
            }),
        },
        Column {
            name: "packet_flags",
            unit: "",
            group: G,
            definition: "TCP flags of the first 32 packets, FIN 1 SYN 2 RST 4 PSH 8 ACK 16 URG 32 ECE 64 CWR 128; 0 for other protocols",
            source: "RFC 9293, RFC 3168",
            sets: sets::FULL,
            fill: Fill::U8List(|rows, out| {
                for row in rows {
                    let flags = out.values();
                    row.detail().sequence.steps().iter().for_each(|step| flags.append_value(step.flags));
                    out.append(true);
                }
            }),
        },
    ]
}

fn append_histogram(row: &Row, side: usize, out: &mut ListBuilder<UInt16Builder>) {
    if let Some(stats) = &row.payload[side] {
        out.values().append_slice(&stats.histogram);
    }
    out.append(row.payload[side].is_some());
}

macro_rules! payload_columns {
    ($side:literal, $index:literal) => {
        vec![
            column!(
                F32,
                concat!($side, "_entropy_bits"),
                "bits/byte",
                "payload",
                sets::FULL,
                concat!("Shannon entropy of the first 1,024 payload bytes of ", $side, ", in order of arrival"),
                "Shannon 1948",
                |row| row.payload[$index].map(|stats| stats.entropy_bits)
            ),
            column!(
                F32,
                concat!($side, "_compression_ratio"),
                "",
                "payload",
                sets::FULL,
                concat!("estimated size of that sample of ", $side, " in LZ4 block format over its size"),
                "LZ4 block format",
                |row| row.payload[$index].map(|stats| stats.compression_ratio)
            ),
            column!(
                F32,
                concat!($side, "_ascii_ratio"),
                "",
                "payload",
                sets::FULL,
                concat!("share of printable ASCII, tab, line feed and carriage return in that sample of ", $side),
                "",
                |row| row.payload[$index].map(|stats| stats.ascii_ratio)
            ),
            Column {
                name: concat!($side, "_byte_histogram"),
                unit: "bytes",
                group: "payload",
                definition: concat!("bytes of that sample of ", $side, " by their high nibble, 16 counts"),
                source: "",
                sets: sets::FULL,
                fill: Fill::U16List(|rows, out| rows.iter().for_each(|row| append_histogram(row, $index, out))),
            },
        ]
    };
}

/// What the first payload bytes are like.
pub fn payload() -> Vec<Column> {
    let mut columns = payload_columns!("orig", 0);
    columns.extend(payload_columns!("resp", 1));
    columns
}

macro_rules! damped_columns {
    ($name:literal, $what:literal, |$row:ident| $damped:expr, $($lane:literal $life:literal),*) => {
        vec![$(
            column!(F32, concat!($name, "_damped_weight_", $life), "packets", "damped", sets::FULL, concat!("faded number of packets of the ", $what, " as of the flow's last packet from orig, half-life ", $life), "Mirsky et al., Kitsune, NDSS 2018", |$row| Some($damped.weight($lane))),
            column!(F32, concat!($name, "_damped_mean_", $life), "bytes", "damped", sets::FULL, concat!("faded mean IP length of the ", $what, ", half-life ", $life), "Mirsky et al., Kitsune, NDSS 2018", |$row| Some($damped.mean($lane))),
            column!(F32, concat!($name, "_damped_std_", $life), "bytes", "damped", sets::FULL, concat!("faded standard deviation of the IP length of the ", $what, ", half-life ", $life), "Mirsky et al., Kitsune, NDSS 2018", |$row| Some($damped.std($lane)))
        ),*]
    };
}

/// How busy the sender, the pair of hosts and the socket were lately.
pub fn damped() -> Vec<Column> {
    const _: () = assert!(HALF_LIVES_S[0] == 1 && HALF_LIVES_S[1] == 10 && HALF_LIVES_S[2] == 100);
    let mut columns = damped_columns!("host", "sending host", |row| row.damped[0], 0 "1s", 1 "10s", 2 "100s");
    columns.extend(damped_columns!("pair", "packets from orig's host to resp's host", |row| row.damped[1], 0 "1s", 1 "10s", 2 "100s"));
    columns
        .extend(damped_columns!("socket", "flow itself, both sides", |row| row.damped[2], 0 "1s", 1 "10s", 2 "100s"));
    columns
}

/// The fields of application protocols.
pub fn application() -> Vec<Column> {
    let column = |field: &Field| Column {
        name: field.name(),
        unit: "",
        group: "application",
        definition: field.definition(),
        source: "",
        sets: sets::BASE,
        fill: Fill::Application(*field),
    };
    Field::ALL.iter().map(column).collect()
}
