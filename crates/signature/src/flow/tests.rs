//! Conversations through the whole way: what is read and inspected, when, and what is told of it.

use infraspectre_core::app::Direction::{self, Orig, Resp};
use infraspectre_core::wire::tcp_flag::{ACK, FIN, PSH, RST, SYN, URG};
use proptest::prelude::*;

use super::channel::Channel;
use super::fixture::Host::{Client, Server};
use super::fixture::{hear, table, Heard, Packet, Talk, LIMITS, SECOND};
use super::tracked::Tracked;
use super::{Limits, Occasion};
use crate::engine::state::FlowState;
use crate::settings::Settings;

/// A scan makes a flow of each knock: what one takes of memory has to stay small.
const _: () = assert!(size_of::<Tracked<FlowState>>() <= 256 && size_of::<Channel>() <= 128);

const REQUEST: &[u8] = b"GET /index HTTP/1.1\r\nHost: example.com\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

/// Returns a request and its response in one packet each.
fn exchange(talk: &Talk) -> Vec<Packet> {
    let (asked, answered) = (1 + REQUEST.len() as u32, 1 + RESPONSE.len() as u32);
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, REQUEST));
    packets.push(talk.data(Server, 1, asked, RESPONSE));
    packets.push(talk.ack(Client, asked, answered));
    packets
}

#[test]
fn a_request_is_read_when_it_is_acknowledged_and_inspected_with_the_clients_next_packet() {
    let mut table = table(Settings::default(), LIMITS);
    let mut seen = Vec::new();
    for (number, packet) in exchange(&Talk::default()).iter().enumerate() {
        packet.with_segment(number as u64 + 1, |segment| {
            table.observe(segment, 100, &[], &[], &mut |occasion| {
                let windows: usize = occasion.windows.iter().map(|window| window.new).sum();
                seen.push((occasion.direction, occasion.flow.transactions.len(), windows));
            });
        });
    }
    let request = REQUEST.len();
    assert_eq!(seen[3..], [(Orig, 0, 0), (Resp, 1, 0), (Orig, 1, request)]);
    table.finish(&mut |occasion| {
        assert!(occasion.packet.is_none());
        seen.push((occasion.direction, occasion.flow.transactions.len(), occasion.windows.len()));
    });
    assert_eq!(seen.last(), Some(&(Resp, 1, 1)));
}

#[test]
fn both_directions_are_inspected_in_full_and_once() {
    let heard = hear(Settings::default(), &exchange(&Talk::default()));
    assert_eq!((heard.text(Orig).as_bytes(), heard.text(Resp).as_bytes()), (REQUEST, RESPONSE));
    assert_eq!(heard.protocol, Some("http"));
    assert_eq!(heard.events, [""; 0]);
    assert!(heard.transactions[0].contains("HttpUri=/index ") && heard.transactions[0].contains("hello"));
    assert_eq!(heard.established, [false, false, false, true, true, true]);
    assert_eq!(heard.in_stream, [false, false, false, true, true, false]);
}

#[test]
fn what_comes_with_a_reset_is_no_part_of_the_stream() {
    let talk = Talk::default();
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, b"hello"));
    packets.push(talk.segment(Server, RST | ACK, 1, 6, b"go away"));
    let heard = hear(Settings::default(), &packets);
    assert_eq!((heard.text(Orig).as_str(), heard.text(Resp).as_str()), ("hello", ""));
    assert_eq!(heard.in_stream, [false, false, false, true, false]);
}

/// Returns the direction of each occasion, with how many transactions and new bytes of the stream it showed.
fn shown(packets: &[Packet]) -> Vec<(Direction, usize, usize)> {
    let mut table = table(Settings::default(), LIMITS);
    let mut seen = Vec::new();
    let mut note = |occasion: Occasion<'_, ()>| {
        let new = occasion.windows.iter().map(|window| window.new).sum();
        seen.push((occasion.direction, occasion.flow.transactions.len(), new));
    };
    for (number, packet) in packets.iter().enumerate() {
        packet.with_segment(number as u64 + 1, |segment| table.observe(segment, 100, &[], &[], &mut note));
    }
    table.finish(&mut note);
    seen
}

#[test]
fn the_end_of_a_flow_reads_and_shows_one_direction_after_the_other() {
    let talk = Talk::default();
    let request = b"NOTIFY /index HTTP/1.1\r\n\r\n";
    let (asked, answered) = (request.len(), RESPONSE.len());
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, request));
    packets.push(talk.data(Server, 1, 1 + asked as u32, RESPONSE));
    // The response, which nobody acknowledges, is what tells that this is HTTP.
    assert_eq!(shown(&packets)[5..], [(Orig, 0, asked), (Resp, 1, answered)]);
}

#[test]
fn what_ends_with_its_connection_is_complete_when_both_sides_have_closed() {
    let talk = Talk::default();
    let response = b"HTTP/1.1 200 OK\r\n\r\nhello";
    let (asked, answered) = (1 + REQUEST.len() as u32, 1 + response.len() as u32);
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, REQUEST));
    packets.push(talk.data(Server, 1, asked, response));
    packets.push(talk.ack(Client, asked, answered));
    packets.push(talk.segment(Server, FIN | ACK, answered, asked, b""));
    packets.push(talk.segment(Client, FIN | ACK, asked, answered + 1, b""));
    packets.push(talk.ack(Server, answered + 1, asked + 1));
    let shown = shown(&packets);
    assert_eq!((shown[6], shown[8]), ((Resp, 1, 0), (Resp, 1, response.len())));
}

#[test]
fn a_request_is_read_on_behind_a_reset_that_did_not_get_so_far() {
    let talk = Talk::default();
    let decoy = Talk { hops: 3, ..Talk::default() };
    let (one, other) = REQUEST.split_at(8);
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, one));
    packets.push(talk.ack(Server, 1, 9));
    packets.push(decoy.segment(Client, RST, 9, 0, b""));
    packets.push(talk.data(Client, 9, 1, other));
    packets.push(talk.ack(Server, 1, 1 + REQUEST.len() as u32));
    let heard = hear(Settings::default(), &packets);
    assert!(heard.transactions[0].contains("HttpUri=/index "), "{:?}", heard.transactions);
}

#[test]
fn a_packet_that_its_receiver_drops_shows_nothing_of_the_stream() {
    let talk = Talk::default();
    let asked = 1 + REQUEST.len() as u32;
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, REQUEST));
    packets.push(talk.ack(Server, 1, asked));
    packets.push(talk.ack(Client, asked, 1_000_000));
    packets.push(talk.ack(Client, asked, 1));
    assert_eq!(shown(&packets)[5..7], [(Orig, 1, 0), (Orig, 1, REQUEST.len())]);
}

#[test]
fn inline_reads_data_with_the_packet_that_brings_it() {
    let settings = Settings { inline: true, ..Settings::default() };
    let mut table = table(settings, LIMITS);
    let mut transactions = Vec::new();
    for packet in &exchange(&Talk::default())[..4] {
        packet.with_segment(1, |segment| {
            table.observe(segment, 100, &[], &[], &mut |occasion| {
                transactions.push((occasion.flow.transactions.len(), occasion.windows.len()));
            });
        });
    }
    assert_eq!(transactions.last(), Some(&(1, 1)));
}

#[test]
fn without_an_opening_nothing_is_followed_unless_asked_for() {
    let packets = exchange(&Talk::default())[3..].to_vec();
    assert_eq!(hear(Settings::default(), &packets).protocol, None);
    let settings = Settings { midstream: true, ..Settings::default() };
    assert_eq!(hear(settings, &packets).protocol, Some("http"));
}

#[test]
fn a_connection_picked_up_at_the_response_is_turned_round() {
    let settings = Settings { midstream: true, ..Settings::default() };
    let talk = Talk::default();
    let packets = [talk.data(Server, 1, 1, RESPONSE), talk.ack(Client, 1, 1 + RESPONSE.len() as u32)];
    let heard = hear(settings, &packets);
    assert_eq!((heard.protocol, heard.text(Resp).as_bytes()), (Some("http"), RESPONSE));
}

#[test]
fn packets_with_wrong_checksums_are_told_apart_and_change_nothing() {
    let talk = Talk::default();
    let mut packets = exchange(&talk);
    let mut decoy = talk.data(Client, 1, 1, b"POST /decoy HTTP/1.1\r\n\r\n");
    decoy.bytes[37] ^= 1;
    packets.insert(3, decoy);
    let heard = hear(Settings::default(), &packets);
    assert!(heard.transactions[0].contains("HttpUri=/index ") && heard.dropped[3]);
    assert!(heard.events.is_empty() && heard.ambiguous.is_empty());
    let lenient = hear(Settings { checksums: false, ..Settings::default() }, &packets);
    assert!(lenient.events.contains(&"stream.reassembly_overlap_different_data"));
}

/// A request in two ways, of which the first packet differs.
fn contradiction(first: &Talk, second: &Talk) -> Heard {
    let talk = Talk::default();
    let (one, other) = (&REQUEST[..4], &REQUEST[10..]);
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, one));
    packets.push(first.data(Client, 5, 1, b"/decoy"));
    packets.push(second.data(Client, 5, 1, b"/index"));
    packets.push(talk.data(Client, 11, 1, other));
    packets.push(talk.ack(Server, 1, 1 + REQUEST.len() as u32));
    hear(Settings::default(), &packets)
}

#[test]
fn contradicting_bytes_are_all_shown_and_one_view_is_read() {
    let heard = contradiction(&Talk::default(), &Talk::default());
    assert!(heard.events.contains(&"stream.reassembly_overlap_different_data"));
    assert!(heard.text(Orig).starts_with("GET /decoy HTTP"));
    assert!(heard.ambiguous.iter().any(|view| view.starts_with("GET /index HTTP")));
}

#[test]
fn what_other_receivers_would_read_gives_ambiguous_transactions() {
    let heard = contradiction(&Talk::default(), &Talk::default());
    assert!(heard.transactions[0].contains("HttpUri=/decoy "));
    assert!(heard.transactions.iter().any(|one| one.starts_with("ambiguous") && one.contains("HttpUri=/index ")));
}

#[test]
fn an_urgent_byte_is_not_part_of_the_stream_and_shown_in_its_place_apart() {
    let talk = Talk::default();
    let mut packets = talk.opening();
    let mut urgent = talk.segment(Client, ACK | PSH | URG, 1, 1, b"GET /in!dex HTTP/1.1\r\n\r\n");
    urgent.bytes[39] = 8;
    packets.push(urgent);
    packets.push(talk.ack(Server, 1, 25));
    let heard = hear(Settings { checksums: false, ..Settings::default() }, &packets);
    assert!(heard.transactions[0].contains("HttpUri=/index "));
    assert_eq!(heard.text(Orig), "GET /index HTTP/1.1\r\n\r\n");
    assert_eq!(heard.ambiguous, ["GET /in!dex HTTP/1.1\r\n\r\n"]);
}

#[test]
fn what_does_not_come_as_far_as_the_receiver_loses() {
    let near = Talk { hops: 2, ..Talk::default() };
    let heard = contradiction(&near, &Talk::default());
    assert!(heard.text(Orig).starts_with("GET /index HTTP"));
    assert!(heard.ambiguous.iter().any(|view| view.starts_with("GET /decoy HTTP")));
}

#[test]
fn a_reset_that_does_not_come_far_enough_ends_nothing() {
    let talk = Talk::default();
    let mut packets = exchange(&talk);
    packets.insert(3, Talk { hops: 2, ..talk }.segment(Client, RST, 1, 0, b""));
    let heard = hear(Settings::default(), &packets);
    assert!(heard.transactions[0].contains("HttpUri=/index ") && heard.transactions[0].contains("hello"));
}

#[test]
fn resets_and_data_out_of_the_window_are_refused() {
    let talk = Talk::default();
    let mut packets = exchange(&talk);
    packets.insert(3, talk.segment(Client, RST, 500, 0, b""));
    packets.insert(4, talk.data(Client, 90_000, 1, b"far"));
    let heard = hear(Settings::default(), &packets);
    assert_eq!(heard.events, ["stream.est_packet_out_of_window"]);
    assert!(heard.dropped[3] && heard.dropped[4]);
    assert!(heard.transactions[0].contains("hello"));
}

#[test]
fn the_same_ports_can_carry_one_connection_after_the_other() {
    let talk = Talk::default();
    let length = 1 + REQUEST.len() as u32;
    let mut packets = exchange(&talk)[..4].to_vec();
    packets.push(talk.segment(Client, RST | ACK, length, 1, b""));
    let mut again = exchange(&Talk::default());
    again[0] = talk.segment(Client, SYN, 70_000, 0, b"");
    packets.push(again[0].clone());
    let heard = hear(Settings::default(), &packets);
    assert_eq!(heard.flows.len(), 2);
    let again = hear(Settings::default(), &[exchange(&talk), exchange(&talk)[..1].to_vec()].concat());
    assert_eq!(again.flows.len(), 1, "a SYN within a connection begins none");
}

#[test]
fn both_fins_close_and_give_everything_out() {
    let talk = Talk::default();
    let (asked, answered) = (1 + REQUEST.len() as u32, 1 + RESPONSE.len() as u32);
    let mut packets = exchange(&talk)[..5].to_vec();
    packets.push(talk.segment(Client, FIN | ACK, asked, answered, b""));
    packets.push(talk.segment(Server, FIN | ACK, answered, asked + 1, b""));
    packets.push(talk.ack(Client, asked + 1, answered + 1));
    let heard = hear(Settings::default(), &packets);
    assert_eq!(heard.events, [""; 0]);
    assert_eq!((heard.text(Orig).as_bytes(), heard.text(Resp).as_bytes(), heard.ends), (REQUEST, RESPONSE, 0));
}

#[test]
fn missing_bytes_are_passed_over_when_they_are_acknowledged() {
    let talk = Talk::default();
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, b"before"));
    packets.push(talk.data(Client, 17, 1, b"behind"));
    packets.push(talk.ack(Server, 1, 23));
    packets.push(talk.ack(Client, 23, 1));
    let heard = hear(Settings::default(), &packets);
    assert_eq!(heard.text(Orig), "beforebehind");
    assert_eq!(heard.events, ["stream.reassembly_seq_gap"]);
}

#[test]
fn what_waits_for_missing_bytes_is_bounded_and_goes_on_without_them() {
    let talk = Talk { window: u16::MAX, ..Talk::default() };
    let mut packets = talk.opening();
    let chunk = vec![b'x'; 1000];
    packets.extend((0..400).map(|place| talk.data(Server, 11 + place * 1000, 1, &chunk)));
    let settings = Settings { midstream: true, ..Settings::default() };
    // Picked up without its opening, a connection has no window that would refuse what comes early.
    packets.drain(..3);
    packets.insert(0, talk.data(Server, 1, 1, b"head"));
    let heard = hear(settings, &packets);
    assert!(heard.events.contains(&"stream.reassembly_seq_gap"));
    assert_eq!(heard.inspected.iter().map(Vec::len).sum::<usize>(), 4 + 400_000);
}

#[test]
fn beyond_the_depth_nothing_is_kept() {
    let talk = Talk::default();
    let mut packets = talk.opening();
    packets.push(talk.data(Client, 1, 1, b"abcdef"));
    packets.push(talk.data(Client, 7, 1, b"ghijkl"));
    packets.push(talk.data(Client, 13, 1, b"mnopqr"));
    let heard = hear(Settings { depth: 10, ..Settings::default() }, &packets);
    assert_eq!(heard.text(Orig), "abcdefghij");
    assert_eq!(heard.events, ["stream.reassembly_depth_reached"]);
    assert_eq!(heard.in_stream, [false, false, false, true, true, false]);
}

#[test]
fn datagrams_are_read_at_once_and_a_response_first_turns_the_flow() {
    let query: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00\x00\x01\x00\x01";
    let mut response = query.to_vec();
    response[2] = 0x81;
    response[3] = 0x80;
    let talk = Talk { server_port: 53, ..Talk::default() };
    let heard = hear(Settings::default(), &[talk.datagram(Client, query), talk.datagram(Server, &response)]);
    assert_eq!((heard.protocol, &heard.established[..]), (Some("dns"), &[false, true][..]));
    assert!(heard.transactions[0].contains("DnsQuery=www.example.com"));
    let mut directions = Vec::new();
    talk.datagram(Server, &response).with_segment(1, |segment| {
        let mut table = table(Settings::default(), LIMITS);
        table.observe(segment, 100, &[], &[], &mut |occasion| {
            directions.push((occasion.direction, occasion.flow.orig.port))
        });
    });
    assert_eq!(directions, [(Resp, super::fixture::CLIENT_PORT)]);
}

/// Lets both sides say something in turn, each acknowledging the other at once.
fn dialogue(talk: &Talk, lines: &[(super::fixture::Host, &[u8])]) -> Vec<Packet> {
    let mut packets = talk.opening();
    let mut sent = [1, 1];
    for (host, line) in lines {
        let (own, other) = if *host == Client { (0, 1) } else { (1, 0) };
        packets.push(talk.data(*host, sent[own], sent[other], line));
        sent[own] += line.len() as u32;
        packets.push(talk.ack(if *host == Client { Server } else { Client }, sent[other], sent[own]));
    }
    packets
}

#[test]
fn what_is_odd_about_recognition_is_told() {
    let events = |lines: &[(super::fixture::Host, &[u8])]| {
        let heard = hear(Settings::default(), &dialogue(&Talk::default(), lines));
        (heard.protocol, heard.events)
    };
    let only_one = "app-layer.applayer_detect_protocol_only_one_direction";
    assert_eq!(events(&[(Client, REQUEST), (Server, b"no HTTP at all\r\n")]), (Some("http"), vec![only_one]));
    let mismatch = "app-layer.applayer_mismatch_protocol_both_directions";
    assert_eq!(events(&[(Client, REQUEST), (Server, b"SSH-2.0-server\r\n")]), (Some("http"), vec![mismatch]));
    let wrong = "app-layer.applayer_wrong_direction_first_data";
    assert_eq!(events(&[(Server, b"rubbish\r\n"), (Client, REQUEST)]), (None, vec![wrong]));
    assert_eq!(events(&[(Client, b"no protocol\r\n"), (Server, b"none here\r\n")]), (None, vec![]));
}

#[test]
fn what_follows_starttls_is_recognised() {
    let before: [(super::fixture::Host, &[u8]); 4] = [
        (Server, b"220 mail.example.com ESMTP\r\n"),
        (Client, b"EHLO client\r\n"),
        (Server, b"250-mail.example.com\r\n250 STARTTLS\r\n"),
        (Client, b"STARTTLS\r\n"),
    ];
    let talk = Talk { server_port: 25, ..Talk::default() };
    let go_on: (super::fixture::Host, &[u8]) = (Server, b"220 go on\r\n");
    let hello: &[u8] = b"\x16\x03\x01\x00\x2d\x01\x00\x00\x29\x03\x03";
    let after = |line| hear(Settings::default(), &dialogue(&talk, &[&before[..], &[go_on, (Client, line)]].concat()));
    assert_eq!(after(hello).protocol, Some("tls"));
    let other = after(REQUEST);
    assert_eq!(other.protocol, Some("http"));
    assert!(other.events.contains(&"app-layer.applayer_no_tls_after_starttls"));
}

#[test]
fn what_is_encrypted_is_neither_inspected_nor_kept() {
    let talk = Talk { server_port: 22, ..Talk::default() };
    let banner: (super::fixture::Host, &[u8]) = (Server, b"SSH-2.0-server\r\n");
    let offer = [&[0, 0, 0, 12, 4, 21][..], &[0; 10]].concat();
    let secret = vec![b'x'; 1400];
    let mut lines = vec![banner, (Client, b"SSH-2.0-client\r\n"), (Client, &offer), (Server, &offer)];
    lines.extend((0..40).map(|_| (Server, &secret[..])));
    let heard = hear(Settings::default(), &dialogue(&talk, &lines));
    assert!(heard.encrypted && heard.text(Resp).len() < 2 * secret.len(), "{}", heard.text(Resp).len());
}

#[test]
fn a_data_connection_is_known_by_its_announcement() {
    let control = Talk { server_port: 21, ..Talk::default() };
    let mut packets = dialogue(
        &control,
        &[
            (Server, b"220 ready\r\n"),
            (Client, b"PASV\r\n"),
            (Server, b"227 Entering Passive Mode (10,0,0,2,4,210)\r\n"),
            (Client, b"RETR name\r\n"),
        ],
    );
    let later = Talk::default().at + SECOND;
    let data = Talk { server_port: 4 * 256 + 210, client_port: 50_000, at: later, ..Talk::default() };
    packets.extend(dialogue(&data, &[(Server, b"content")]));
    assert_eq!(hear(Settings::default(), &packets).protocol, Some("ftp-data"));
}

#[test]
fn silence_ends_flows_and_room_is_made_for_new_ones() {
    let mut ends = 0;
    let mut table = table(Settings::default(), Limits { flows: 2, bytes: 1 << 20 });
    let mut show = |packet: &Packet, table: &mut super::FlowTable<()>| {
        packet.with_segment(1, |segment| {
            table.observe(segment, 60, &[], &[], &mut |occasion| ends += usize::from(occasion.packet.is_none()));
        });
    };
    for packet in &exchange(&Talk::default())[..4] {
        show(packet, &mut table);
    }
    let later = Talk { at: Talk::default().at + 700 * SECOND, client_port: 1, ..Talk::default() };
    show(&later.opening()[0], &mut table);
    assert_eq!(table.len(), 1);
    for client_port in 2..5 {
        show(&Talk { client_port, ..later.clone() }.opening()[0], &mut table);
    }
    assert_eq!((table.len(), table.shed()["flows_evicted"]), (2, 2));
    assert_eq!(ends, 2, "a request that nobody acknowledged, and the response that is missing");
}

#[test]
fn bytes_beyond_the_bound_are_counted() {
    let talk = Talk::default();
    let mut table = table(Settings::default(), Limits { flows: 10, bytes: 1 });
    let mut in_stream = Vec::new();
    for packet in [talk.opening(), vec![talk.data(Client, 1, 1, b"one"), talk.data(Client, 4, 1, b"two")]].concat() {
        packet.with_segment(1, |segment| {
            table.observe(segment, 60, &[], &[], &mut |occasion| {
                in_stream.extend(occasion.packet.map(|packet| packet.in_stream));
            });
        });
    }
    assert_eq!(in_stream[3..], [true, false]);
    assert_eq!(table.shed()["stream_bytes_not_reassembled"], 3);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn cutting_reordering_and_repeating_segments_changes_nothing(
        cuts in proptest::collection::vec(1..12usize, 1..30),
        order in proptest::collection::vec(any::<u16>(), 60),
        repeated in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let talk = Talk::default();
        let whole = hear(Settings::default(), &exchange(&talk));
        let mut pieces = Vec::new();
        let (mut at, mut lengths) = (0, cuts.into_iter().cycle());
        while at < REQUEST.len() {
            let end = (at + lengths.next().unwrap()).min(REQUEST.len());
            pieces.push(talk.data(Client, 1 + at as u32, 1, &REQUEST[at..end]));
            at = end;
        }
        let mut shuffled: Vec<(u16, Packet)> = Vec::new();
        for (index, piece) in pieces.into_iter().enumerate() {
            if repeated[index % repeated.len()] {
                shuffled.push((order[(index * 7 + 3) % order.len()], piece.clone()));
            }
            shuffled.push((order[index % order.len()], piece));
        }
        shuffled.sort_by_key(|(key, _)| *key);
        let mut packets = talk.opening();
        packets.extend(shuffled.into_iter().map(|(_, packet)| packet));
        packets.extend(exchange(&talk).split_off(4));
        let cut = hear(Settings::default(), &packets);
        prop_assert_eq!(cut.transactions, whole.transactions);
        prop_assert_eq!(cut.inspected, whole.inspected);
        prop_assert!(cut.ambiguous.is_empty());
    }

    #[test]
    fn any_segments_are_safe_and_every_packet_has_its_occasion(
        steps in proptest::collection::vec(
            (any::<bool>(), any::<u8>(), 0u32..60, 0u32..60, proptest::collection::vec(any::<u8>(), 0..20), 1u8..65),
            0..60,
        ),
        midstream: bool,
        inline: bool,
        async_oneside: bool,
    ) {
        let mut talk = Talk::default();
        let mut packets = if midstream { Vec::new() } else { talk.opening() };
        for (is_client, flags, seq, ack, payload, hops) in steps {
            talk.hops = hops;
            // Most segments carry data in an open connection.
            let flags = if flags < 200 { ACK | PSH } else { flags };
            packets.push(talk.segment(if is_client { Client } else { Server }, flags, seq, ack, &payload));
        }
        let settings = Settings { midstream, inline, async_oneside, ..Settings::default() };
        let heard = hear(settings, &packets);
        prop_assert_eq!(heard.established.len(), packets.len());
    }
}
