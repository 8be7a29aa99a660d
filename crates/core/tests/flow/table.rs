//! When flows begin and end, and what of them survives a full table.

use infraspectre_core::flow::table::EARLY_AFTER;
use infraspectre_core::flow::{Finished, Flow, FlowTable, Limits};
use infraspectre_core::wire::{protocol, Segment};

use super::segments::*;

const _: () = assert!(size_of::<Flow>() <= 120, "a one-packet flow must stay small");

fn limits() -> Limits {
    Limits::default()
}

fn state(flow: &Finished) -> &'static str {
    flow.detail.connection.as_deref().map_or("", |connection| connection.state())
}

#[test]
fn silence_longer_than_the_idle_timeout_ends_a_flow() {
    let packets = |gap| [udp(0, 1, b"a"), udp(gap, 1, b"b")];
    let timeout = limits().udp_idle_ns;
    assert_eq!(ends(&flows(limits(), &packets(timeout))), [("end_of_capture", 2)]);
    assert_eq!(ends(&flows(limits(), &packets(timeout + 1))), [("idle", 1), ("end_of_capture", 1)]);
}

#[test]
fn other_traffic_lets_an_idle_flow_end_before_the_capture_does() {
    let packets: Vec<Segment> =
        (0..80).map(|second| udp(second * SECOND, if second == 0 { 1 } else { 2 }, b"a")).collect();
    assert_eq!(ends(&flows(limits(), &packets)), [("idle", 1), ("end_of_capture", 79)]);
}

#[test]
fn time_alone_ends_flows() {
    let mut table = FlowTable::new(limits());
    table.observe(&udp(0, 1, b"a"));
    table.tick(START + limits().udp_idle_ns);
    assert_eq!(table.ended(), 0);
    table.tick(START + limits().udp_idle_ns + 2 * SECOND);
    assert_eq!(table.take_ended().map(|flow| flow.reason.name()), Some("idle"));
    table.tick(START);
    table.observe(&udp(0, 2, b"late"));
    assert_eq!((table.len(), table.ended()), (1, 0));
}

#[test]
fn a_clock_that_is_set_back_ends_all_flows_and_the_next_ones_end_in_time() {
    let mut table = FlowTable::new(limits());
    table.observe(&udp(3600 * SECOND, 2, b"a"));
    table.observe(&udp(3601 * SECOND, 1, b"a"));
    assert!(!table.is_ahead_of(START + 3550 * SECOND) && table.is_ahead_of(START));
    table.restart();
    let ended: Vec<_> = std::iter::from_fn(|| table.take_ended()).collect();
    assert_eq!(ends(&ended), [("active", 1), ("active", 1)]);
    table.observe(&udp(0, 1, b"a"));
    table.tick(START + limits().udp_idle_ns + 2 * SECOND);
    assert_eq!(table.take_ended().map(|flow| flow.reason.name()), Some("idle"));
}

#[test]
fn flows_show_themselves_after_some_of_their_packets() {
    let mut table = FlowTable::new(limits());
    table.show_early();
    let mut seen = Vec::new();
    for second in 0..70 {
        table.observe(&tcp(second, 1, if second == 0 { SYN } else { ACK }, b""));
        table.observe(&udp(second, 2, b"a"));
        seen.extend(std::iter::from_fn(|| table.take_early()));
    }
    let counts: Vec<_> = EARLY_AFTER.iter().flat_map(|&packets| [("early", packets); 2]).collect();
    assert_eq!(ends(&seen), counts);
    assert!(seen.iter().all(|flow| flow.detail.connection.is_some() == (flow.flow.key.protocol == protocol::TCP)));
    table.finish();
    let last: Vec<_> = std::iter::from_fn(|| table.take_ended()).collect();
    assert_eq!(ends(&last), [("end_of_capture", 70), ("end_of_capture", 70)]);
}

#[test]
fn a_flow_that_never_falls_silent_is_reported_at_the_active_timeout() {
    let limits = Limits { active_ns: 10 * SECOND, ..limits() };
    let packets: Vec<Segment> = (0..25).map(|second| udp(second * SECOND, 1, b"a")).collect();
    assert_eq!(ends(&flows(limits, &packets)), [("active", 11), ("active", 11), ("end_of_capture", 3)]);
}

#[test]
fn a_half_open_connection_has_the_shorter_timeout() {
    let late = limits().tcp_half_open_idle_ns + 1;
    let unanswered = [tcp(0, 1, SYN, b""), tcp(late, 1, ACK, b"")];
    let answered = [tcp(0, 1, SYN, b""), reply(tcp(1, 1, SYN | ACK, b"")), tcp(late, 1, ACK, b"")];
    assert_eq!(ends(&flows(limits(), &unanswered)), [("idle", 1), ("end_of_capture", 1)]);
    assert_eq!(ends(&flows(limits(), &answered)), [("end_of_capture", 3)]);
}

/// A connection that both sides finish, after which a last acknowledgment comes and then other traffic.
fn finished_connection(last: i64) -> Vec<Segment<'static>> {
    let mut packets = vec![
        numbered(tcp(0, 1, SYN, b""), 100),
        numbered(reply(tcp(1, 1, SYN | ACK, b"")), 500),
        numbered(tcp(2, 1, ACK, b""), 101),
        numbered(tcp(3, 1, FIN | ACK, b""), 101),
        numbered(reply(tcp(4, 1, FIN | ACK, b"")), 501),
    ];
    packets.push(numbered(tcp(last, 1, ACK, b""), 102));
    packets
}

#[test]
fn a_closed_connection_waits_for_stragglers_and_no_longer() {
    let linger = limits().linger_ns;
    let in_time = flows(limits(), &finished_connection(4 + linger));
    assert_eq!((ends(&in_time), state(&in_time[0])), (vec![("fin", 6)], "SF"));
    let late = flows(limits(), &finished_connection(5 + linger));
    assert_eq!(ends(&late), [("fin", 5), ("end_of_capture", 1)]);
}

#[test]
fn a_closed_connection_ends_when_its_linger_is_over() {
    let mut packets = finished_connection(5);
    packets.extend((0..10).map(|second| udp(second * SECOND + 6, 2, b"a")));
    assert_eq!(ends(&flows(limits(), &packets))[0], ("fin", 6));
    let refused = [tcp(0, 1, SYN, b""), reply(tcp(1, 1, RST | ACK, b"")), udp(7 * SECOND, 2, b"a")];
    assert_eq!(ends(&flows(limits(), &refused)), [("rst", 2), ("end_of_capture", 1)]);
}

#[test]
fn a_new_syn_reopens_ports_and_a_repeated_one_does_not() {
    let syn = |seq| numbered(tcp(6, 1, SYN, b""), seq);
    let again: Vec<_> = finished_connection(5).into_iter().chain([syn(9000)]).collect();
    assert_eq!(ends(&flows(limits(), &again)), [("fin", 6), ("end_of_capture", 1)]);
    let repeated: Vec<_> = finished_connection(5).into_iter().chain([syn(100)]).collect();
    assert_eq!(ends(&flows(limits(), &repeated)), [("fin", 7)]);
}

#[test]
fn a_full_table_ends_flows_early_and_loses_none() {
    let limits = Limits { max_flows: 10, ..limits() };
    let mut table = FlowTable::new(limits);
    let (mut packets, mut evicted, mut count) = (0, 0, 0);
    for port in 0..1000u16 {
        table.observe(&udp(i64::from(port) * 1_000_000, port, b"a"));
        assert!(table.len() <= 10);
        while let Some(flow) = table.take_ended() {
            packets += flow.detail.packets();
            evicted += u64::from(flow.reason.name() == "evicted");
        }
    }
    assert_eq!((evicted, table.shed.flows_evicted), (990, 990));
    table.finish();
    while let Some(flow) = table.take_ended() {
        packets += flow.detail.packets();
        count += 1;
    }
    assert_eq!((packets, count, table.is_empty()), (1000, 10, true));
}

#[test]
fn a_full_table_keeps_the_busy_flow() {
    let limits = Limits { max_flows: 10, ..limits() };
    let packets: Vec<Segment> =
        (0..2000u16).map(|n| udp(i64::from(n) * SECOND / 10, if n % 2 == 0 { 1 } else { n + 1 }, b"a")).collect();
    let busy = flows(limits, &packets).into_iter().filter(|flow| flow.detail.packets() > 1);
    assert_eq!(ends(&busy.collect::<Vec<_>>()), [("end_of_capture", 1000)]);
}

#[test]
fn whoever_speaks_first_is_the_originator_for_good() {
    let flows = flows(limits(), &[reply(udp(0, 1, b"answer")), udp(1, 1, b"ask"), udp(2, 1, b"ask")]);
    let (orig, resp) = flows[0].flow.key.endpoints(flows[0].flow.orig_is_low);
    assert_eq!((orig.port, resp.port), (80, 1));
    assert_eq!((flows[0].detail.orig.packets, flows[0].detail.resp.packets), (1, 2));
}

#[test]
fn packets_out_of_time_order_never_make_negative_times() {
    let flows = flows(limits(), &[udp(5 * SECOND, 1, b"a"), udp(0, 1, b"b"), udp(2 * SECOND, 1, b"c")]);
    let (flow, detail) = (&flows[0].flow, &flows[0].detail);
    assert_eq!((flow.first_at, detail.last_at, detail.packets()), (START + 5 * SECOND, START + 5 * SECOND, 3));
    let gaps = detail.gaps_ns(flow.first_at).unwrap();
    assert_eq!((gaps.min, gaps.max), (0.0, 0.0));
}

#[test]
fn a_flow_expanded_late_equals_one_expanded_at_once() {
    // a datagram in two fragments is too unusual for the compact head; apart from their number nothing differs
    let compact = tcp(0, 1, SYN, b"");
    let expanded = Segment { packets: 2, ..compact };
    let describe = |first: Segment<'_>| {
        let flows = flows(limits(), &[first]);
        let detail = &flows[0].detail;
        let side = &detail.orig;
        let times = (detail.last_at, detail.last_number, detail.packet_bytes(), detail.segment_bytes());
        let sizes = (side.ip_bytes, side.ip_payload_bytes, side.payload_bytes, side.data_packets);
        let header = (side.flags, side.min_header_bytes, side.initial_window, side.ttl_min, side.ttl_max);
        let steps = format!("{:?} {:?}", detail.sequence.steps(), detail.socket);
        (times, sizes, header, steps, format!("{:?}", detail.connection), state(&flows[0]))
    };
    assert_eq!(describe(compact), describe(expanded));
}

#[test]
fn connection_states_of_whole_flows_are_zeeks() {
    let (syn, answer, ack) = (tcp(0, 1, SYN, b""), reply(tcp(1, 1, SYN | ACK, b"")), tcp(2, 1, ACK, b""));
    let (orig_fin, resp_fin) = (tcp(4, 1, FIN | ACK, b""), reply(tcp(5, 1, FIN | ACK, b"")));
    let (orig_rst, resp_rst) = (tcp(6, 1, RST, b""), reply(tcp(7, 1, RST | ACK, b"")));
    let data = tcp(3, 1, ACK | PSH, b"data");
    for (expected, packets) in [
        ("S0", vec![syn]),
        ("S1", vec![syn, answer, ack]),
        ("SF", vec![syn, answer, ack, orig_fin, resp_fin]),
        ("REJ", vec![syn, resp_rst]),
        ("S2", vec![syn, answer, ack, orig_fin]),
        ("S3", vec![syn, answer, ack, resp_fin]),
        ("RSTO", vec![syn, answer, ack, data, orig_rst]),
        ("RSTR", vec![syn, answer, ack, data, resp_rst]),
        ("RSTOS0", vec![syn, orig_rst]),
        ("RSTRH", vec![data, resp_rst]),
        ("SH", vec![syn, orig_fin]),
        ("SHR", vec![data, resp_fin]),
        ("OTH", vec![data]),
    ] {
        assert_eq!(state(&flows(limits(), &packets)[0]), expected);
    }
}

#[test]
fn memory_for_payload_is_bounded_and_what_is_left_out_is_counted() {
    let limits = Limits { max_buffered_bytes: 10_000, ..limits() };
    let mut table = FlowTable::new(limits);
    let payload = [0u8; 500];
    for port in 0..100u16 {
        table.observe(&tcp(i64::from(port), port, ACK, &payload));
    }
    assert!((1..100).contains(&table.shed.payloads_not_inspected), "{:?}", table.shed);
    table.finish();
    let packets: u64 = std::iter::from_fn(|| table.take_ended()).map(|flow| flow.detail.packets()).sum();
    assert_eq!(packets, 100);
}
