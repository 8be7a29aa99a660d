//! One TCP connection: its state in Zeek's words and the accounting of its sequence space.

use super::record::EndReason;
use crate::app::Direction;
use crate::wire::{tcp_flag, Segment};

/// What one side of a connection has done so far, in the terms behind Zeek's `conn_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Silent,
    SynSent,
    /// The first packet seen was a SYN-ACK.
    SynAckSent,
    /// Took part without a SYN that was seen.
    Partial,
    Established,
    Closed,
    Reset,
}

/// One direction: its phase and the accounting of its sequence space.
#[derive(Clone, Debug, Default)]
pub struct Half {
    /// Sequence number after the highest byte seen.
    highest: u32,
    started: bool,
    phase: Phase,
    /// Whether a FIN came, also if a RST followed it.
    finished: bool,
    /// Whether nothing but a SYN came before a RST.
    gave_up: bool,
    has_data: bool,
    pub retransmitted_bytes: u64,
    /// Bytes of holes not filled so far.
    pub gap_bytes: u64,
    /// Maximum segment size option of the SYN.
    pub mss: Option<u16>,
    isn: u32,
}

/// What the connection needs to know of one segment.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub at: i64,
    pub seq: u32,
    pub flags: u8,
    pub payload_bytes: u32,
    /// Maximum segment size option of a SYN.
    pub mss: Option<u16>,
}

impl Step {
    /// Takes from a segment what the connection needs.
    #[inline(always)]
    pub fn of(segment: &Segment<'_>) -> Step {
        let opening = segment.tcp.flags & tcp_flag::SYN != 0;
        Step {
            at: segment.at,
            seq: segment.tcp.seq,
            flags: segment.tcp.flags,
            payload_bytes: segment.payload_bytes,
            mss: if opening { mss(segment.tcp.options) } else { None },
        }
    }
}

/// The state of a TCP connection.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Whether only FIN and RST can still change the phases and times of opening.
    settled: bool,
    /// When the originator's last SYN came.
    syn_at: Option<i64>,
    /// Nanoseconds from SYN to SYN-ACK, and from SYN to the ACK that completed the handshake.
    pub syn_rtt_ns: Option<i64>,
    pub handshake_ns: Option<i64>,
    pub orig: Half,
    pub resp: Half,
    pub out_of_order_packets: u32,
    /// Bytes of overlapping segments that differed from what was already there.
    pub ambiguous_bytes: u64,
}

impl Connection {
    /// Returns one direction.
    pub fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::Orig => &mut self.orig,
            Direction::Resp => &mut self.resp,
        }
    }

    /// Notes the flags, options and sequence numbers of a segment.
    #[inline]
    pub fn add(&mut self, step: &Step, direction: Direction) {
        use tcp_flag::{FIN, RST, SYN};
        if step.flags & (SYN | FIN | RST) != 0 || !self.settled {
            self.follow(step, direction);
        }
        let half = self.half_mut(direction);
        half.has_data |= step.payload_bytes > 0;
        let out_of_order = half.account(step);
        self.out_of_order_packets += u32::from(out_of_order);
    }

    fn follow(&mut self, step: &Step, direction: Direction) {
        self.time_opening(step, direction);
        let (own, peer) = match direction {
            Direction::Orig => (&mut self.orig, &mut self.resp),
            Direction::Resp => (&mut self.resp, &mut self.orig),
        };
        own.mss = step.mss.or(own.mss);
        match own.phase {
            Phase::Silent => own.begin(peer, step, direction),
            Phase::Partial if step.opens() && peer.phase == Phase::Silent => own.phase = Phase::SynSent,
            _ => {}
        }
        own.end(peer, step.flags);
        let is_timed = self.syn_rtt_ns.is_none() || self.handshake_ns.is_some();
        self.settled = is_timed && self.orig.phase.min(self.resp.phase) >= Phase::Partial;
    }

    fn time_opening(&mut self, step: &Step, direction: Direction) {
        use tcp_flag::{ACK, RST, SYN};
        let since_syn = self.syn_at.map(|syn_at| (step.at - syn_at).max(0));
        match (direction, step.flags & (SYN | ACK | RST)) {
            (Direction::Orig, SYN) => self.syn_at = Some(step.at),
            (Direction::Resp, bits) if bits & (SYN | ACK) == SYN | ACK => {
                self.syn_rtt_ns = self.syn_rtt_ns.or(since_syn)
            }
            (Direction::Orig, ACK) if self.syn_rtt_ns.is_some() => self.handshake_ns = self.handshake_ns.or(since_syn),
            _ => {}
        }
    }

    /// Tells whether only opening segments of the originator were seen.
    pub fn is_half_open(&self) -> bool {
        (self.orig.phase, self.resp.phase) == (Phase::SynSent, Phase::Silent)
    }

    /// Tells how the connection was closed, if it was.
    pub fn closed(&self) -> Option<EndReason> {
        match (self.orig.phase, self.resp.phase) {
            (Phase::Reset, _) | (_, Phase::Reset) => Some(EndReason::Rst),
            (Phase::Closed, Phase::Closed) => Some(EndReason::Fin),
            _ => None,
        }
    }

    /// Tells whether a SYN with this sequence number opens another connection between the same ports.
    pub fn is_reopened_by(&self, seq: u32, direction: Direction) -> bool {
        let half = if direction == Direction::Orig { &self.orig } else { &self.resp };
        let ending = self.orig.phase.max(self.resp.phase) >= Phase::Closed;
        ending && !(half.started && half.isn == seq)
    }

    /// Names the state as Zeek's `conn_state` does.
    pub fn state(&self) -> &'static str {
        use Phase::{Closed, Established, Partial, Reset, Silent, SynAckSent, SynSent};
        match (self.orig.phase, self.resp.phase) {
            (SynSent | SynAckSent, Reset) => "REJ",
            (Reset, Reset) if !self.orig.has_data && !self.resp.has_data => "REJ",
            (Silent | Partial, Reset) => "RSTRH",
            (_, Reset) => "RSTR",
            (Reset, Silent | Partial) if self.orig.gave_up => "RSTOS0",
            (Reset, Silent | Partial) => "OTH",
            (Reset, _) => "RSTO",
            (Closed, Closed) => "SF",
            (Closed, Silent | Partial) => "SH",
            (Closed, _) => "S2",
            (Silent | Partial, Closed) => "SHR",
            (_, Closed) => "S3",
            (SynSent, Silent) => "S0",
            (Established, Established) => "S1",
            _ => "OTH",
        }
    }
}

impl Step {
    /// Tells whether the segment asks for a connection.
    fn opens(&self) -> bool {
        self.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN
    }
}

impl Half {
    /// Leaves silence with the first segment of this side.
    fn begin(&mut self, peer: &mut Half, step: &Step, direction: Direction) {
        let (opening, answering) = (step.flags & tcp_flag::SYN != 0, step.flags & tcp_flag::ACK != 0);
        self.phase = match direction {
            Direction::Orig if opening && answering => Phase::SynAckSent,
            Direction::Orig if opening => Phase::SynSent,
            Direction::Resp if opening => {
                if peer.phase == Phase::SynSent {
                    peer.phase = Phase::Established;
                }
                Phase::Established
            }
            // Some hosts acknowledge a SYN before they send their own.
            Direction::Resp if step.payload_bytes == 0 && peer.phase == Phase::SynSent => Phase::Silent,
            _ if answering && peer.phase == Phase::Established => Phase::Established,
            _ => Phase::Partial,
        };
    }

    /// Follows FIN and RST; a RST after both sides have finished changes nothing.
    fn end(&mut self, peer: &mut Half, flags: u8) {
        if flags & tcp_flag::RST != 0 {
            if (self.phase, peer.phase) != (Phase::Closed, Phase::Closed) {
                self.gave_up |= self.phase == Phase::SynSent;
                self.phase = Phase::Reset;
            }
        } else if flags & tcp_flag::FIN != 0 && self.phase != Phase::Reset {
            self.phase = Phase::Closed;
            self.finished = true;
            if peer.phase == Phase::Reset && peer.finished {
                peer.phase = Phase::Closed;
            }
        }
    }

    /// Returns the sequence number expected next, once any is known.
    pub fn expected(&self) -> Option<u32> {
        self.started.then_some(self.highest)
    }

    /// Follows the sequence space; tells whether the segment came out of order.
    #[inline]
    fn account(&mut self, step: &Step) -> bool {
        let flags = step.flags;
        let opening = u32::from(flags & tcp_flag::SYN != 0);
        let start = step.seq.wrapping_add(opening);
        if !self.started {
            if flags & tcp_flag::RST != 0 {
                return false;
            }
            self.started = true;
            self.isn = step.seq;
            self.highest = start.wrapping_add(step.payload_bytes);
            return false;
        }
        let length = step.payload_bytes;
        if length == 0 {
            return false;
        }
        let ahead = start.wrapping_sub(self.highest) as i32;
        if ahead == 0 {
            self.highest = self.highest.wrapping_add(length);
            return false;
        }
        self.account_disorder(ahead, length)
    }

    #[cold]
    fn account_disorder(&mut self, ahead: i32, length: u32) -> bool {
        // A jump of more than 1 GiB is a forged or broken sequence number, not a hole.
        const PLAUSIBLE: i32 = 1 << 30;
        if !(-PLAUSIBLE..PLAUSIBLE).contains(&ahead) {
            return true;
        }
        if ahead > 0 {
            self.gap_bytes += u64::from(ahead.unsigned_abs());
            self.highest = self.highest.wrapping_add(ahead.unsigned_abs()).wrapping_add(length);
            return false;
        }
        let old = ahead.unsigned_abs().min(length);
        self.highest = self.highest.wrapping_add(length - old);
        let filling = u64::from(old).min(self.gap_bytes);
        self.gap_bytes -= filling;
        self.retransmitted_bytes += u64::from(old) - filling;
        filling > 0
    }
}

/// Reads the maximum segment size option (RFC 9293, 3.7.1).
fn mss(mut options: &[u8]) -> Option<u16> {
    loop {
        match options {
            [2, 4, high, low, ..] => return Some(u16::from_be_bytes([*high, *low])),
            [0, ..] | [] => return None,
            [1, rest @ ..] => options = rest,
            [_, length, ..] => options = options.get(usize::from(*length).max(2)..)?,
            [_] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::tcp_flag::{ACK, FIN, RST, SYN};
    use super::Direction::{Orig, Resp};
    use super::*;

    fn connection(steps: &[(Direction, u8, u32)]) -> Connection {
        let mut connection = Connection::default();
        for (at, (direction, flags, payload_bytes)) in steps.iter().enumerate() {
            connection.add(
                &Step { at: at as i64, seq: 0, flags: *flags, payload_bytes: *payload_bytes, mss: None },
                *direction,
            );
        }
        connection
    }

    const OPENING: [(Direction, u8, u32); 3] = [(Orig, SYN, 0), (Resp, SYN | ACK, 0), (Orig, ACK, 0)];

    fn state_after(opening: &[(Direction, u8, u32)], rest: &[(Direction, u8, u32)]) -> &'static str {
        connection(&[opening, rest].concat()).state()
    }

    #[test]
    fn states_are_named_as_in_zeek() {
        let (orig_fin, resp_fin) = ((Orig, FIN | ACK, 0), (Resp, FIN | ACK, 0));
        let (orig_rst, resp_rst) = ((Orig, RST, 0), (Resp, RST | ACK, 0));
        for (expected, opening, rest) in [
            ("S0", &OPENING[..1], &[][..]),
            ("S1", &OPENING[..], &[][..]),
            ("SF", &OPENING[..], &[orig_fin, resp_fin][..]),
            ("S2", &OPENING[..], &[orig_fin][..]),
            ("S3", &OPENING[..], &[resp_fin][..]),
            ("REJ", &OPENING[..1], &[resp_rst][..]),
            ("RSTO", &OPENING[..], &[(Orig, ACK, 9), orig_rst][..]),
            ("RSTR", &OPENING[..], &[resp_rst][..]),
            ("RSTOS0", &OPENING[..1], &[orig_rst][..]),
            ("SH", &OPENING[..1], &[orig_fin][..]),
            ("OTH", &[][..], &[(Orig, ACK, 9), (Resp, ACK, 9)][..]),
            ("SF", &[][..], &[(Orig, ACK, 9), orig_fin, resp_fin][..]),
        ] {
            assert_eq!(state_after(opening, rest), expected, "{opening:?} {rest:?}");
        }
    }

    #[test]
    fn a_reset_after_both_sides_finished_changes_nothing() {
        let finished = [(Resp, FIN | ACK, 0), (Orig, FIN | ACK, 0)];
        assert_eq!(state_after(&OPENING, &[&finished[..], &[(Resp, RST, 0)]].concat()), "SF");
        assert_eq!(state_after(&OPENING, &[finished[0], (Resp, RST, 0), finished[1]]), "SF");
    }

    #[test]
    fn opening_is_timed_once() {
        let connection = connection(&[&OPENING[..], &[(Resp, SYN | ACK, 0), (Orig, ACK, 0)]].concat());
        assert_eq!((connection.syn_rtt_ns, connection.handshake_ns), (Some(1), Some(2)));
    }
}
