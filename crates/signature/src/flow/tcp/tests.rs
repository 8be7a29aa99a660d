//! Every event of a connection by the shortest exchange that gives it, and states by what leads to them.

use infraspectre_core::app::Direction;
use infraspectre_core::wire::tcp_flag::{ACK, FIN, RST, SYN};

use super::*;

const CLIENT: u32 = 1000;
const SERVER: u32 = 5000;

/// A segment with numbers relative to the initial ones.
#[derive(Clone, Copy)]
struct Sent {
    direction: Direction,
    flags: u8,
    seq: i64,
    ack: i64,
    length: u32,
    timestamp: Option<(u32, u32)>,
    window: u16,
    signed: bool,
}

fn to_server(flags: u8, seq: i64, ack: i64, length: u32) -> Sent {
    Sent { direction: Direction::Orig, flags, seq, ack, length, timestamp: None, window: 1000, signed: false }
}

fn to_client(flags: u8, seq: i64, ack: i64, length: u32) -> Sent {
    Sent { direction: Direction::Resp, ..to_server(flags, seq, ack, length) }
}

impl Sent {
    fn at(self, timestamp: u32, echo: u32) -> Sent {
        Sent { timestamp: Some((timestamp, echo)), ..self }
    }

    fn step(&self) -> Step {
        let [own, other] = if self.direction == Direction::Orig { [CLIENT, SERVER] } else { [SERVER, CLIENT] };
        Step {
            direction: self.direction,
            seconds: 100,
            seq: own.wrapping_add(self.seq as u32),
            ack: if self.flags & ACK == 0 { 0 } else { other.wrapping_add(self.ack as u32) },
            flags: self.flags,
            window: self.window,
            length: self.length,
            options: Options { timestamp: self.timestamp, is_signed: self.signed, ..Options::default() },
            kept_from: own,
        }
    }
}

fn follow(settings: &Settings, sent: &[Sent]) -> (Connection, Vec<&'static str>, Verdict) {
    let mut connection = Connection::new(settings);
    let mut events = Vec::new();
    let mut verdict = Verdict::Passed;
    for one in sent {
        verdict = connection.follow(&one.step(), settings, &mut events);
    }
    (connection, events, verdict)
}

fn opening() -> Vec<Sent> {
    vec![to_server(SYN, 0, 0, 0), to_client(SYN | ACK, 0, 1, 0), to_server(ACK, 1, 1, 0)]
}

/// Asserts what a segment after an opening, of which some segments are left out, gives.
#[track_caller]
fn assert_event(taken: usize, then: &[Sent], event: &str) {
    let (_, events, verdict) = follow(&Settings::default(), &[&opening()[..taken], then].concat());
    assert_eq!((events.last().copied(), verdict), (Some(event), Verdict::Refused), "{events:?}");
}

#[test]
fn false_openings_are_refused() {
    let (syn, syn_ack) = (SYN, SYN | ACK);
    assert_event(0, &[to_server(RST, 0, 0, 0)], "stream.rst_but_no_session");
    assert_event(0, &[to_server(FIN | ACK, 0, 0, 0)], "stream.fin_but_no_session");
    assert_event(1, &[to_client(syn_ack, 0, 2, 0)], "stream.3whs_synack_with_wrong_ack");
    assert_event(1, &[to_server(syn_ack, 0, 1, 0)], "stream.3whs_synack_in_wrong_direction");
    assert_event(1, &[to_client(syn_ack, 0, 1, 0).at(1, 77)], "stream.pkt_invalid_timestamp");
    assert_event(2, &[to_server(syn_ack, 0, 1, 0)], "stream.3whs_synack_toserver_on_syn_recv");
    assert_event(2, &[to_client(syn_ack, 0, 9, 0)], "stream.3whs_synack_resend_with_different_ack");
    assert_event(2, &[to_client(syn, 0, 0, 0)], "stream.3whs_syn_toclient_on_syn_recv");
    assert_event(2, &[to_server(syn, 9, 0, 0)], "stream.3whs_syn_resend_diff_seq_on_syn_recv");
    assert_event(2, &[to_server(ACK, 1, 9, 0)], "stream.3whs_right_seq_wrong_ack_evasion");
    assert_event(2, &[to_server(ACK, 90_000, 1, 0)], "stream.3whs_wrong_seq_wrong_ack");
    let many: Vec<Sent> = (1..=6).map(|seq| to_client(syn_ack, seq, 1, 0)).collect();
    assert_event(2, &many, "stream.3whs_synack_flood");
}

#[test]
fn many_syns_are_a_flood_and_any_of_them_may_be_answered() {
    let syns: Vec<Sent> = (0..12).map(|seq| to_server(SYN, seq * 10, 0, 0)).collect();
    let (_, events, _) = follow(&Settings::default(), &syns);
    assert_eq!(events, ["stream.3whs_syn_flood"]);
    let answered = [&syns[..3], &[to_client(SYN | ACK, 0, 11, 0), to_server(ACK, 11, 1, 0)]].concat();
    let (connection, events, _) = follow(&Settings::default(), &answered);
    assert_eq!((connection.state, events.len()), (State::Established, 0));
    assert_eq!(connection.first_byte(Direction::Orig), CLIENT + 11);
}

#[test]
fn a_syn_ack_in_doubt_is_used_when_the_client_acknowledges_it() {
    let sent = [to_server(SYN, 0, 0, 0), to_client(SYN | ACK, 0, 1, 0).at(5, 77), to_server(ACK, 1, 1, 4)];
    let (connection, events, verdict) = follow(&Settings::default(), &sent);
    assert_eq!((connection.state, events.len()), (State::Established, 1));
    assert_eq!(verdict, Verdict::Taken(Readable::Acknowledged));
}

#[test]
fn both_sides_may_open_at_once() {
    let crossed = [to_server(SYN, 0, 0, 0), to_client(SYN, 0, 0, 0)];
    assert_event(0, &[&crossed[..], &[to_server(SYN | ACK, 0, 9, 0)]].concat(), "stream.4whs_synack_with_wrong_ack");
    assert_event(0, &[&crossed[..], &[to_server(SYN | ACK, 9, 1, 0)]].concat(), "stream.4whs_synack_with_wrong_syn");
    let answered = [&crossed[..], &[to_server(SYN | ACK, 0, 1, 0)]].concat();
    assert_event(0, &[&answered[..], &[to_client(ACK, 9, 1, 0)]].concat(), "stream.4whs_wrong_seq");
    assert_event(0, &[&answered[..], &[to_client(ACK, 1, 90_000, 0)]].concat(), "stream.4whs_invalid_ack");
    let (connection, events, _) = follow(&Settings::default(), &[&answered[..], &[to_client(ACK, 1, 1, 0)]].concat());
    assert_eq!((connection.state, events.len()), (State::Established, 0));
}

#[test]
fn segments_that_do_not_fit_an_open_connection_are_refused() {
    assert_event(3, &[to_server(ACK, 1, 90_000, 0)], "stream.est_invalid_ack");
    assert_event(3, &[to_server(ACK, 5000, 1, 9)], "stream.est_packet_out_of_window");
    assert_event(3, &[to_server(SYN | ACK, 0, 1, 0)], "stream.est_synack_toserver");
    assert_event(3, &[to_client(SYN | ACK, 0, 9, 0)], "stream.est_synack_resend_with_different_ack");
    assert_event(3, &[to_client(SYN | ACK, 9, 1, 0)], "stream.est_synack_resend_with_diff_seq");
    assert_event(3, &[to_client(ACK, 1, 1, 0), to_client(SYN | ACK, 0, 1, 0)], "stream.est_synack_resend");
    assert_event(3, &[to_client(SYN, 0, 0, 0)], "stream.est_syn_toclient");
    assert_event(3, &[to_server(SYN, 9, 0, 0)], "stream.est_syn_resend_diff_seq");
    assert_event(3, &[to_server(SYN, 0, 0, 0)], "stream.est_syn_resend");
    assert_event(3, &[to_server(RST | ACK, 1, 90_000, 0)], "stream.rst_invalid_ack");
    let acknowledged = [to_server(ACK, 1, 1, 9), to_server(ACK, 10, 1, 9), to_client(ACK, 1, 19, 0)];
    assert_event(3, &[&acknowledged[..], &[to_server(ACK, 2, 1, 3)]].concat(), "stream.est_pkt_before_last_ack");
}

#[test]
fn timestamps_must_not_go_back_by_more_than_a_tick() {
    let stamped = |sent: Vec<Sent>| sent.into_iter().map(|one| one.at(50, 50)).collect::<Vec<_>>();
    let open = stamped(opening());
    let judge = |timestamp| {
        let then = [to_server(ACK, 1, 1, 5).at(timestamp, 50)];
        follow(&Settings::default(), &[&open[..], &then].concat())
    };
    assert_eq!(judge(48).1, ["stream.pkt_invalid_timestamp"]);
    assert_eq!(judge(49).1, [""; 0]);
    assert_eq!(judge(60).2, Verdict::Taken(Readable::Acknowledged));
}

#[test]
fn closing_goes_through_the_states_of_both_sides() {
    let from_client = [
        to_server(FIN | ACK, 1, 1, 0),
        to_client(ACK, 1, 2, 0),
        to_client(FIN | ACK, 1, 2, 0),
        to_server(ACK, 2, 2, 0),
    ];
    let from_server = [
        to_client(FIN | ACK, 1, 1, 0),
        to_server(ACK, 1, 2, 0),
        to_server(FIN | ACK, 1, 2, 0),
        to_client(ACK, 2, 2, 0),
    ];
    let states = |closing: &[Sent]| -> Vec<State> {
        let after = |count| follow(&Settings::default(), &[&opening()[..], &closing[..count]].concat());
        (1..=closing.len())
            .map(|count| {
                let (connection, events, _) = after(count);
                assert_eq!(events, [""; 0]);
                connection.state
            })
            .collect()
    };
    assert_eq!(states(&from_client), [State::CloseWait, State::CloseWait, State::LastAck, State::Closed]);
    assert_eq!(states(&from_server), [State::FinWait1, State::FinWait2, State::TimeWait, State::Closed]);
}

#[test]
fn false_closings_are_refused() {
    assert_event(3, &[to_server(FIN | ACK, 1, 90_000, 0)], "stream.fin_invalid_ack");
    assert_event(3, &[to_server(FIN | ACK, 5000, 1, 0)], "stream.fin_out_of_window");
    assert_event(3, &[to_server(FIN | SYN | ACK, 1, 1, 0)], "stream.fin_syn");
    let client = to_server(FIN | ACK, 1, 1, 0);
    assert_event(3, &[client, to_client(FIN | ACK, 5000, 2, 0)], "stream.closewait_fin_out_of_window");
    assert_event(3, &[client, to_client(ACK, 5000, 2, 0)], "stream.closewait_ack_out_of_window");
    assert_event(3, &[client, to_client(ACK, 1, 90_000, 0)], "stream.closewait_invalid_ack");
    assert_event(3, &[client, to_server(SYN, 0, 0, 0)], "stream.shutdown_syn_resend");
    let server = to_client(FIN | ACK, 1, 1, 0);
    assert_event(3, &[server, to_server(FIN | ACK, 5000, 2, 0)], "stream.fin1_fin_wrong_seq");
    assert_event(3, &[server, to_server(ACK, 5000, 2, 0)], "stream.fin1_ack_wrong_seq");
    assert_event(3, &[server, to_server(ACK, 1, 90_000, 0)], "stream.fin1_invalid_ack");
    let half = [server, to_server(ACK, 1, 2, 0)];
    assert_event(3, &[&half[..], &[to_server(FIN | ACK, 5000, 2, 0)]].concat(), "stream.fin2_fin_wrong_seq");
    assert_event(3, &[&half[..], &[to_server(ACK, 5000, 2, 0)]].concat(), "stream.fin2_ack_wrong_seq");
    assert_event(3, &[&half[..], &[to_server(ACK, 1, 90_000, 0)]].concat(), "stream.fin2_invalid_ack");
    let last = [client, to_client(FIN | ACK, 1, 2, 0)];
    assert_event(3, &[&last[..], &[to_server(ACK, 9, 2, 0)]].concat(), "stream.lastack_ack_wrong_seq");
    assert_event(3, &[&last[..], &[to_server(ACK, 2, 90_000, 0)]].concat(), "stream.lastack_invalid_ack");
    let waiting = [server, to_server(FIN | ACK, 1, 2, 0)];
    assert_event(3, &[&waiting[..], &[to_client(ACK, 9, 2, 0)]].concat(), "stream.timewait_ack_wrong_seq");
    assert_event(3, &[&waiting[..], &[to_client(ACK, 2, 90_000, 0)]].concat(), "stream.timewait_invalid_ack");
    let both = [server, to_server(FIN, 1, 0, 0)];
    assert_event(3, &[&both[..], &[to_client(ACK, 9, 2, 0)]].concat(), "stream.closing_ack_wrong_seq");
    assert_event(3, &[&both[..], &[to_client(ACK, 2, 90_000, 0)]].concat(), "stream.closing_invalid_ack");
}

#[test]
fn a_signed_reset_is_doubted_when_its_sender_goes_on() {
    let reset = Sent { signed: true, ..to_client(RST, 1, 0, 0) };
    let (connection, events, _) =
        follow(&Settings::default(), &[&opening()[..], &[reset, to_client(ACK, 1, 1, 5)]].concat());
    assert_eq!(events, ["stream.suspected_rst_inject"]);
    assert_eq!(connection.state, State::Established);
}

#[test]
fn idle_talk_changes_nothing() {
    let data = [to_server(ACK, 1, 1, 10), to_client(ACK, 1, 11, 0)];
    let alive = [to_server(ACK, 10, 1, 0), to_client(ACK, 1, 11, 0)];
    let (connection, events, verdict) = follow(&Settings::default(), &[&opening()[..], &data, &alive].concat());
    assert_eq!((connection.next(Direction::Orig), events.len(), verdict), (CLIENT + 11, 0, Verdict::Passed));
    let shrinking = Sent { window: 10, ..to_client(ACK, 50, 60, 0) };
    let (_, events, verdict) = follow(&Settings::default(), &[&opening()[..], &data, &[shrinking]].concat());
    assert_eq!((&events[..], verdict), (&["stream.pkt_bad_window_update"][..], Verdict::Passed));
}

#[test]
fn where_one_side_is_seen_its_data_is_read_at_once() {
    let settings = Settings { async_oneside: true, ..Settings::default() };
    let sent = [to_server(SYN, 0, 0, 0), to_server(ACK, 1, 1, 0), to_server(ACK, 1, 1, 10)];
    let (connection, events, verdict) = follow(&settings, &sent);
    assert_eq!((events.len(), verdict), (0, Verdict::Taken(Readable::Own)));
    assert_eq!(connection.acknowledged(Direction::Orig), CLIENT + 11);
    let wrong = [to_server(SYN, 0, 0, 0), to_server(ACK, 9, 1, 0)];
    assert_eq!(follow(&settings, &wrong).1, ["stream.3whs_async_wrong_seq"]);
}

#[test]
fn the_same_ports_are_used_again_after_the_end_only() {
    let settings = Settings::default();
    let again = to_server(SYN, 500, 0, 0).step();
    let closed = [&opening()[..], &[to_server(RST, 1, 0, 0)]].concat();
    assert!(!follow(&settings, &opening()).0.is_reopened_by(&again, &settings));
    assert!(follow(&settings, &closed).0.is_reopened_by(&again, &settings));
    assert!(!follow(&settings, &closed).0.is_reopened_by(&to_server(SYN, 0, 0, 0).step(), &settings));
    assert!(follow(&settings, &[]).0.is_reopened_by(&again, &settings));
}
