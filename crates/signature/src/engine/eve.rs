//! Alerts as events in Suricata's own form (Suricata User Guide, "EVE JSON Format").

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

use data_encoding::BASE64;
use infraspectre_core::app::Direction;
use infraspectre_core::flow::key::Endpoint;
use infraspectre_core::source::{LinkType, Packet as Captured};
use infraspectre_core::wire::{protocol as ip, Decoder, Segment};
use serde_json::{json, Map, Value};

use crate::field::Field;
use crate::flow::{checksum, Flow, Occasion, Packet, PacketKind};
use crate::protocol::{self, Protocol, ENTRIES};
use crate::rule::{Action, Target};
use crate::settings::Settings;
use crate::transaction::{index, File, Transaction};

use super::compile::Signature;
use super::detect::Alert;
use super::state::FlowState;

const SECOND: i64 = 1_000_000_000;
/// Bytes of a frame that are written (`payload-buffer-size`).
const MAX_FRAME_SHOWN: usize = 4096;

/// What of an alert's bytes is written beside what it says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Extras {
    pub payload: bool,
    pub payload_printable: bool,
    pub packet: bool,
    pub verdict: bool,
    /// The hardware addresses (`ethernet`).
    pub ethernet: bool,
    pub forwarded: Option<Forwarded>,
}

/// How the address is told that a proxy has forwarded for (`xff`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// In place of the client's address, or else beside it.
    overwrites: bool,
    /// The last address of the header is the client's, for a proxy that only adds to it; else the first.
    is_last: bool,
}

impl Extras {
    /// Reads what `outputs.*.eve-log.types.*.alert` asks for.
    pub fn new(settings: &Settings) -> Extras {
        let asks = |name: &str| {
            let mut given = settings.given.iter().filter(|(key, _)| key.contains("eve-log") && key.ends_with(name));
            given.any(|(_, value)| matches!(value.as_str(), "yes" | "true" | "on" | "1"))
        };
        let says = |name: &str, value: &str| settings.given.iter().any(|own| own.0.ends_with(name) && own.1 == value);
        Extras {
            payload: asks("alert.payload"),
            payload_printable: asks("alert.payload-printable"),
            packet: asks("alert.packet"),
            verdict: asks("alert.verdict"),
            ethernet: asks("eve-log.ethernet"),
            forwarded: asks("alert.xff.enabled").then(|| Forwarded {
                overwrites: says("alert.xff.mode", "overwrite"),
                is_last: says("alert.xff.deployment", "reverse"),
            }),
        }
    }
}

/// A packet as it was captured.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub link: LinkType,
    pub data: &'a [u8],
}

/// Writes an alert as one line.
pub fn write(
    signature: &Signature,
    alert: &Alert,
    occasion: &Occasion<'_, FlowState>,
    frame: Option<Frame<'_>>,
    settings: &Settings,
    extras: Extras,
    out: &mut Vec<u8>,
) {
    let mut event = Map::new();
    let flow = &*occasion.flow;
    let (source, destination) = match occasion.direction {
        Direction::Orig => (flow.orig, flow.resp),
        Direction::Resp => (flow.resp, flow.orig),
    };
    event.insert("timestamp".into(), timestamp(occasion.at).into());
    event.insert("flow_id".into(), flow.id.into());
    event.insert("event_type".into(), "alert".into());
    if let Some(packet) = occasion.packet {
        event.insert("pcap_cnt".into(), packet.segment.number.into());
    }
    put_endpoints(&mut event, flow, source, destination, occasion);
    let carrier = occasion.packet.and_then(|packet| carrier(packet, frame?));
    event.insert("pkt_src".into(), packet_source(occasion, carrier.as_ref()).into());
    if let Some(carrier) = &carrier {
        event.insert("tunnel".into(), describe_carrier(carrier));
    }
    if let Some(addresses) = occasion.packet.filter(|_| extras.ethernet).and_then(hardware_addresses) {
        event.insert("ether".into(), addresses);
    }
    if !flow.vlans.is_empty() {
        event.insert("vlan".into(), json!(flow.vlans));
    }
    if let Some(number) = alert.transaction {
        event.insert("tx_id".into(), number.into());
    }
    let mut rule = describe_rule(signature, alert, source, destination, settings);
    if alert.ambiguous {
        rule.insert("ambiguous".into(), true.into());
    }
    if let Some(how) = extras.forwarded {
        put_forwarded(&mut event, &mut rule, how, alert, occasion);
    }
    event.insert("alert".into(), Value::Object(rule));
    put_application(&mut event, flow, alert, settings.is_on("detect.guess-applayer-tx", false));
    if let Some(frame) = alert.frame.and_then(|at| flow.frames.get(at)) {
        event.insert("frame".into(), describe_frame(frame));
    }
    event.insert("direction".into(), ["to_server", "to_client"][index(occasion.direction)].into());
    event.insert("flow".into(), describe_flow(flow));
    put_flow_state(&mut event, &flow.state);
    put_bytes(&mut event, alert, occasion, frame, extras);
    if extras.verdict {
        let action = match alert.verdict {
            Action::Drop | Action::Reject if settings.ips => "drop",
            Action::Pass => "pass",
            _ => "alert",
        };
        event.insert("verdict".into(), json!({ "action": action }));
    }
    // Writing to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, &Value::Object(event));
    out.push(b'\n');
}

fn put_endpoints(
    event: &mut Map<String, Value>,
    flow: &Flow<FlowState>,
    source: Endpoint,
    destination: Endpoint,
    occasion: &Occasion<'_, FlowState>,
) {
    event.insert("src_ip".into(), address(source).into());
    event.insert("dest_ip".into(), address(destination).into());
    event.insert("proto".into(), protocol_name(flow.transport).into());
    event.insert("ip_v".into(), flow.ip_version.into());
    match flow.transport {
        ip::TCP | ip::UDP | ip::SCTP => {
            event.insert("src_port".into(), source.port.into());
            event.insert("dest_port".into(), destination.port.into());
        }
        ip::ICMP | ip::ICMP6 => {
            if let Some(packet) = occasion.packet {
                event.insert("icmp_type".into(), packet.segment.src_port.into());
                event.insert("icmp_code".into(), packet.segment.dst_port.into());
            }
        }
        _ => {}
    }
}

fn hardware_addresses(packet: &Packet<'_>) -> Option<Value> {
    let text = |address: [u8; 6]| address.map(|byte| format!("{byte:02x}")).join(":");
    let (source, destination) = packet.segment.src_mac.zip(packet.segment.dst_mac)?;
    Some(json!({ "src_mac": text(source), "dest_mac": text(destination) }))
}

fn packet_source(occasion: &Occasion<'_, FlowState>, carrier: Option<&Segment<'_>>) -> &'static str {
    match (occasion.packet, carrier.map(|carrier| carrier.protocol)) {
        (None, _) => "stream (flow timeout)",
        (Some(packet), _) if packet.from_fragments => "defrag",
        (Some(_), Some(ip::IPV4)) => "ipv4 tunnel",
        (Some(_), Some(ip::IPV6)) => "ipv6 tunnel",
        (Some(_), Some(ip::GRE)) => "gre tunnel",
        (Some(_), _) => "wire/pcap",
    }
}

/// Returns what carries the innermost tunnel of a packet of a flow, which its frame tells once more.
fn carrier(packet: &Packet<'_>, frame: Frame<'_>) -> Option<Segment<'static>> {
    let segment = &packet.segment;
    if segment.context == 0 || packet.kind == PacketKind::Carrier || packet.from_fragments {
        return None;
    }
    let mut decoder = Decoder::default();
    let wire_len = u32::try_from(frame.data.len()).unwrap_or(u32::MAX);
    decoder.decode(&Captured { number: segment.number, at: segment.at, link: frame.link, wire_len, data: frame.data });
    decoder.carriers().last().copied()
}

fn describe_carrier(carrier: &Segment<'_>) -> Value {
    let end = |address, port| Endpoint { address, port };
    let (source, destination) = (end(carrier.src, carrier.src_port), end(carrier.dst, carrier.dst_port));
    json!({
        "src_ip": address(source),
        "src_port": source.port,
        "dest_ip": address(destination),
        "dest_port": destination.port,
        "proto": protocol_name(carrier.protocol),
        "pkt_src": "wire/pcap",
    })
}

fn describe_frame(frame: &protocol::frame::Frame) -> Value {
    let mut object = Map::new();
    let kind = frame.name.split_once('.').map_or(frame.name, |(_, kind)| kind);
    object.insert("type".into(), kind.into());
    object.insert("direction".into(), ["toserver", "toclient"][index(frame.direction)].into());
    object.insert("length".into(), frame.length.into());
    object.insert("complete".into(), true.into());
    if let Some(number) = frame.transaction {
        object.insert("tx_id".into(), number.into());
    }
    let shown = frame.data.get(..MAX_FRAME_SHOWN).unwrap_or(&frame.data);
    object.insert("payload".into(), BASE64.encode(shown).into());
    object.insert("payload_printable".into(), printable(shown).into());
    Value::Object(object)
}

fn put_application(event: &mut Map<String, Value>, flow: &Flow<FlowState>, alert: &Alert, guesses: bool) {
    let application = &flow.application;
    let name = |protocol: Option<Protocol>| protocol.map(Protocol::name);
    match application.protocol {
        Some(protocol) => drop(event.insert("app_proto".into(), protocol.name().into())),
        None if application.failed == [true; 2] => drop(event.insert("app_proto".into(), "failed".into())),
        None => {}
    }
    for (side, key) in ["app_proto_ts", "app_proto_tc"].into_iter().enumerate() {
        let own = application.sides[side];
        let other = own.is_some() && own != application.protocol;
        let failed = own.is_none() && application.failed[side] && application.protocol.is_some();
        if let Some(text) = if failed { Some("failed") } else { name(own).filter(|_| other) } {
            event.insert(key.into(), text.into());
        }
    }
    if let Some(original) = name(application.original) {
        event.insert("app_proto_orig".into(), original.into());
    }
    let known = alert.transaction.and_then(|number| flow.transactions.iter().find(|own| own.number == number));
    let guessed = (alert.transaction.is_none() && guesses).then(|| flow.transactions.back()).flatten();
    if let Some(transaction) = guessed {
        event.insert("tx_id".into(), transaction.number.into());
        event.insert("tx_guessed".into(), true.into());
    }
    if let Some(transaction) = known.or(guessed) {
        describe_transaction(event, transaction);
    }
}

fn describe_transaction(event: &mut Map<String, Value>, transaction: &Transaction) {
    if let Some(entry) = ENTRIES.iter().find(|entry| entry.protocol == transaction.protocol) {
        (entry.describe)(transaction, event);
    }
    if !transaction.files.is_empty() {
        let files = transaction.files.iter().map(|file| describe_file(file, transaction.number)).collect();
        event.insert("files".into(), Value::Array(files));
    }
}

fn describe_file(file: &File, transaction: u64) -> Value {
    let state = match (file.body.complete, file.truncated) {
        (true, false) => "CLOSED",
        (_, true) => "TRUNCATED",
        (false, false) => "UNKNOWN",
    };
    json!({
        "filename": String::from_utf8_lossy(&file.name),
        "gaps": file.truncated,
        "state": state,
        "size": file.size,
        "stored": false,
        "tx_id": transaction,
    })
}

fn describe_rule(
    signature: &Signature,
    alert: &Alert,
    source: Endpoint,
    destination: Endpoint,
    settings: &Settings,
) -> Map<String, Value> {
    let rule = &signature.rule;
    let blocked = settings.ips && matches!(alert.action, Action::Drop | Action::Reject);
    let mut object = Map::new();
    object.insert("action".into(), if blocked { "blocked" } else { "allowed" }.into());
    object.insert("gid".into(), rule.gid.into());
    object.insert("signature_id".into(), rule.sid.into());
    object.insert("rev".into(), rule.rev.into());
    object.insert("signature".into(), (*rule.msg).into());
    object.insert("category".into(), (*rule.category).into());
    object.insert("severity".into(), rule.priority.into());
    if let Some(target) = rule.target {
        let (attacker, victim) = match target {
            Target::Source => (destination, source),
            Target::Destination => (source, destination),
        };
        object.insert("source".into(), json!({ "ip": address(attacker), "port": attacker.port }));
        object.insert("target".into(), json!({ "ip": address(victim), "port": victim.port }));
    }
    if !rule.metadata.is_empty() {
        let mut metadata: Map<String, Value> = Map::new();
        for (key, value) in &rule.metadata {
            let values = metadata.entry(&**key).or_insert_with(|| json!([]));
            if let Some(values) = values.as_array_mut() {
                values.push((**value).into());
            }
        }
        object.insert("metadata".into(), Value::Object(metadata));
    }
    object
}

/// Tells the address that the request was forwarded for, by its `X-Forwarded-For`.
fn put_forwarded(
    event: &mut Map<String, Value>,
    rule: &mut Map<String, Value>,
    how: Forwarded,
    alert: &Alert,
    occasion: &Occasion<'_, FlowState>,
) {
    let transactions = &occasion.flow.transactions;
    let own = alert.transaction.and_then(|number| transactions.iter().find(|own| own.number == number));
    let Some(text) = own.and_then(|own| forwarded_for(own, how)) else { return };
    let client = ["src_ip", "dest_ip"][index(occasion.direction)];
    if how.overwrites {
        event.insert(client.into(), text.into());
    } else {
        rule.insert("xff".into(), text.into());
    }
}

fn forwarded_for(transaction: &Transaction, how: Forwarded) -> Option<String> {
    let header = transaction.values(Direction::Orig, Field::HttpRequestHeader).find_map(|header| {
        let (name, value) = std::str::from_utf8(header).ok()?.split_once(':')?;
        name.eq_ignore_ascii_case("x-forwarded-for").then_some(value)
    })?;
    let mut addresses = header.split(',').map(str::trim);
    let chosen = if how.is_last { addresses.next_back() } else { addresses.next() };
    chosen?.parse::<IpAddr>().ok().map(|address| address.to_string())
}

fn describe_flow(flow: &Flow<FlowState>) -> Value {
    let mut object = Map::new();
    object.insert("pkts_toserver".into(), flow.packets[0].into());
    object.insert("pkts_toclient".into(), flow.packets[1].into());
    object.insert("bytes_toserver".into(), flow.bytes[0].into());
    object.insert("bytes_toclient".into(), flow.bytes[1].into());
    object.insert("start".into(), timestamp(flow.start).into());
    object.insert("src_ip".into(), address(flow.orig).into());
    object.insert("dest_ip".into(), address(flow.resp).into());
    if matches!(flow.transport, ip::TCP | ip::UDP | ip::SCTP) {
        object.insert("src_port".into(), flow.orig.port.into());
        object.insert("dest_port".into(), flow.resp.port.into());
    }
    Value::Object(object)
}

/// Writes bits and numbers; bits named `traffic/id/` and `traffic/label/` have an object of their own.
fn put_flow_state(event: &mut Map<String, Value>, state: &FlowState) {
    let mut object = Map::new();
    let mut traffic: Map<String, Value> = Map::new();
    let mut bits: Vec<&str> = Vec::new();
    for bit in state.bits() {
        let kind = ["id", "label"].into_iter().find_map(|kind| {
            let rest = bit.strip_prefix("traffic/")?.strip_prefix(kind)?.strip_prefix('/')?;
            Some((kind, rest))
        });
        match kind {
            Some((kind, rest)) => {
                if let Some(own) = traffic.entry(kind).or_insert_with(|| json!([])).as_array_mut() {
                    own.push(rest.into());
                }
            }
            None => bits.push(bit),
        }
    }
    if !traffic.is_empty() {
        event.insert("traffic".into(), Value::Object(traffic));
    }
    if !bits.is_empty() {
        object.insert("flowbits".into(), json!(bits));
    }
    if !state.integers().is_empty() {
        let integers: Map<String, Value> =
            state.integers().iter().map(|(name, value)| (name.to_string(), (*value).into())).collect();
        object.insert("flowints".into(), Value::Object(integers));
    }
    if !state.captures().is_empty() {
        let variables = state.captures().iter();
        let variables = variables.map(|own| json!({ &*own.name: String::from_utf8_lossy(&own.value) })).collect();
        object.insert("flowvars".into(), Value::Array(variables));
    }
    if !object.is_empty() {
        event.insert("metadata".into(), Value::Object(object));
    }
}

fn put_bytes(
    event: &mut Map<String, Value>,
    alert: &Alert,
    occasion: &Occasion<'_, FlowState>,
    frame: Option<Frame<'_>>,
    extras: Extras,
) {
    let of_stream = occasion.windows.first().map(|window| window.data).filter(|_| alert.in_stream);
    let of_packet = occasion.packet.map(|packet| packet.segment.payload).unwrap_or_default();
    let payload = of_stream.unwrap_or(of_packet);
    if extras.payload {
        event.insert("payload".into(), BASE64.encode(payload).into());
        event.insert("payload_length".into(), payload.len().into());
    }
    if extras.payload_printable {
        event.insert("payload_printable".into(), printable(payload).into());
    }
    if extras.payload || extras.payload_printable {
        event.insert("stream".into(), u8::from(alert.in_stream).into());
    }
    if let Some(frame) = frame.filter(|_| extras.packet && occasion.packet.is_some()) {
        let name = match frame.link {
            0 => "NULL",
            1 => "EN10MB",
            9 => "PPP",
            12 | 14 | 101 => "RAW",
            113 => "LINUX_SLL",
            228 => "IPv4",
            229 => "IPv6",
            _ => "UNKNOWN",
        };
        let whole = occasion.packet.and_then(|packet| defragmented(packet, frame.data));
        event.insert("packet".into(), BASE64.encode(whole.as_deref().unwrap_or(frame.data)).into());
        event.insert("packet_info".into(), json!({ "linktype": frame.link, "linktype_name": name }));
    }
}

/// Returns the packet that the fragments of a datagram make: the last one's header, without what makes it a fragment.
fn defragmented(packet: &Packet<'_>, frame: &[u8]) -> Option<Vec<u8>> {
    let segment = &packet.segment;
    if !packet.from_fragments {
        return None;
    }
    let begin = (segment.network.as_ptr() as usize).checked_sub(frame.as_ptr() as usize)?;
    let mut whole = frame.get(..begin)?.to_vec();
    let (header, length) = match segment.ip_version {
        4 => (segment.network.get(..usize::from(segment.network.first()? & 0x0f) * 4)?, segment.transport.len()),
        _ => (segment.network.get(..40)?, segment.transport.len()),
    };
    let mut header = header.to_vec();
    let total = u16::try_from(length + if segment.ip_version == 4 { header.len() } else { 0 }).ok()?.to_be_bytes();
    if segment.ip_version == 4 {
        header.get_mut(2..4)?.copy_from_slice(&total);
        header.get_mut(6..8)?.fill(0);
        header.get_mut(10..12)?.fill(0);
        let sum = checksum::of(&header);
        header.get_mut(10..12)?.copy_from_slice(&sum);
    } else {
        header.get_mut(4..6)?.copy_from_slice(&total);
        *header.get_mut(6)? = segment.protocol;
    }
    whole.extend_from_slice(&header);
    whole.extend_from_slice(segment.transport);
    Some(whole)
}

fn printable(data: &[u8]) -> String {
    let shown = |byte: &u8| match byte {
        b' '..=b'~' | b'\r' | b'\n' => char::from(*byte),
        _ => '.',
    };
    data.iter().map(shown).collect()
}

fn address(endpoint: Endpoint) -> String {
    let address = Ipv6Addr::from(endpoint.address);
    match address.to_ipv4_mapped() {
        Some(v4) => IpAddr::V4(v4).to_string(),
        None => expanded(address),
    }
}

/// Writes every group of an IPv6 address, as Suricata does.
fn expanded(address: Ipv6Addr) -> String {
    let mut out = String::with_capacity(39);
    for (number, group) in address.segments().into_iter().enumerate() {
        if number > 0 {
            out.push(':');
        }
        let _ = write!(out, "{group:04x}");
    }
    out
}

fn protocol_name(number: u8) -> String {
    match number {
        ip::TCP => "TCP".into(),
        ip::UDP => "UDP".into(),
        ip::ICMP => "ICMP".into(),
        ip::ICMP6 => "IPv6-ICMP".into(),
        ip::SCTP => "SCTP".into(),
        ip::GRE => "GRE".into(),
        ip::IPV4 => "IP-in-IP".into(),
        ip::IPV6 => "IPv6".into(),
        ip::ESP => "ESP".into(),
        ip::IGMP => "IGMP".into(),
        other => format!("{other:03}"),
    }
}

/// Writes a time as EVE does: UTC with microseconds.
fn timestamp(at: i64) -> String {
    let (seconds, rest) = (at.div_euclid(SECOND), at.rem_euclid(SECOND));
    let (days, of_day) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}+0000", rest / 1000)
}

/// Returns the date of a day counted from 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_bytes_are_written_as_eve_has_them() {
        assert_eq!(timestamp(0), "1970-01-01T00:00:00.000000+0000");
        assert_eq!(timestamp(951_827_696_123_456_789), "2000-02-29T12:34:56.123456+0000");
        assert_eq!(timestamp(-1), "1969-12-31T23:59:59.999999+0000");
        assert_eq!(BASE64.encode(b"a"), "YQ==");
        assert_eq!(BASE64.encode(b"hello!"), "aGVsbG8h");
        assert_eq!(printable(b"a\x00\r\nb\xff"), "a.\r\nb.");
    }
}
