//! Protocols that are recognised and not read: rules can name them, they have no transactions.

use infraspectre_core::app::bytes::has_port;
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Transport};

use super::{Entry, Output, Protocol, Session};

const STREAM: &[Transport] = &[Transport::Stream];

pub const IMAP: Entry = Entry {
    protocol: Protocol::Imap,
    transports: STREAM,
    probe: |_, _, data, _| starts(data, &[b"* OK "]).or(tagged(data, b"CAPABILITY")),
    session: |_| Box::new(Unread),
    describe: |_, _| (),
};

pub const POP3: Entry = Entry {
    protocol: Protocol::Pop3,
    transports: STREAM,
    probe: |_, direction, data, ports| match direction {
        Direction::Resp => starts(data, &[b"+OK "]),
        Direction::Orig if has_port(ports, 110) => starts(data, &[b"USER ", b"CAPA", b"AUTH ", b"APOP ", b"STLS"]),
        Direction::Orig => starts(data, &[b"CAPA\r\n"]),
    },
    session: |_| Box::new(Unread),
    describe: |_, _| (),
};

pub const TELNET: Entry = Entry {
    protocol: Protocol::Telnet,
    transports: STREAM,
    probe: |_, _, data, ports| match data {
        _ if !has_port(ports, 23) => Probe::NotForUs,
        // A negotiation: IAC with WILL, WON'T, DO or DON'T (RFC 854).
        [0xff, 0xfb..=0xfe, _, ..] => Probe::Certain,
        [0xff] | [0xff, 0xfb..=0xfe] => Probe::Unsure,
        _ => Probe::NotForUs,
    },
    session: |_| Box::new(Unread),
    describe: |_, _| (),
};

pub const BITTORRENT_DHT: Entry = Entry {
    protocol: Protocol::BittorrentDht,
    transports: &[Transport::Datagram],
    probe: |_, _, data, _| starts(data, &[b"d1:ad2:id20:", b"d1:rd2:id20:", b"d2:ip6:", b"d1:eli20"]),
    session: |_| Box::new(Unread),
    describe: |_, _| (),
};

/// Which of two judgements is the surer.
trait Or {
    fn or(self, other: Probe) -> Probe;
}

impl Or for Probe {
    fn or(self, other: Probe) -> Probe {
        match (self, other) {
            (Probe::Certain, _) | (_, Probe::Certain) => Probe::Certain,
            (Probe::Unsure, _) | (_, Probe::Unsure) => Probe::Unsure,
            _ => Probe::NotForUs,
        }
    }
}

/// Judges bytes by what they begin with, in any case.
fn starts(data: &[u8], words: &[&[u8]]) -> Probe {
    let judge = |word: &&[u8]| {
        let shown = data.len().min(word.len());
        match (data.get(..shown), word.get(..shown)) {
            (Some(start), Some(wanted)) if start.eq_ignore_ascii_case(wanted) && shown == word.len() => Probe::Certain,
            (Some(start), Some(wanted)) if start.eq_ignore_ascii_case(wanted) => Probe::Unsure,
            _ => Probe::NotForUs,
        }
    };
    words.iter().map(judge).fold(Probe::NotForUs, Or::or)
}

/// Judges a command that a tag of letters and digits comes before.
fn tagged(data: &[u8], command: &[u8]) -> Probe {
    const MAX_TAG: usize = 16;
    let tag = data.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    match data.get(tag) {
        Some(b' ') if (1..=MAX_TAG).contains(&tag) => starts(data.get(tag + 1..).unwrap_or_default(), &[command]),
        None if tag <= MAX_TAG => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// Passes over everything.
struct Unread;

impl Session for Unread {
    fn read(&mut self, _: Direction, data: &[u8], _: &mut Output<'_>) -> Consumed {
        Consumed { bytes: data.len(), next: Next::More }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(entry: &Entry, direction: Direction, data: &[u8], port: u16) -> Probe {
        (entry.probe)(Transport::Stream, direction, data, (1, port))
    }

    #[test]
    fn protocols_are_told_by_their_first_bytes() {
        assert_eq!(judge(&IMAP, Direction::Resp, b"* OK ready", 1), Probe::Certain);
        assert_eq!(judge(&IMAP, Direction::Orig, b"a1 capability\r\n", 1), Probe::Certain);
        assert_eq!(judge(&IMAP, Direction::Orig, b"a1 c", 1), Probe::Unsure);
        assert_eq!(judge(&POP3, Direction::Resp, b"+O", 1), Probe::Unsure);
        assert_eq!(judge(&POP3, Direction::Orig, b"USER a\r\n", 110), Probe::Certain);
        assert_eq!(judge(&TELNET, Direction::Resp, &[0xff, 0xfd, 1], 23), Probe::Certain);
        assert_eq!(judge(&TELNET, Direction::Resp, &[0xff, 0xfd, 1], 24), Probe::NotForUs);
        assert_eq!(judge(&BITTORRENT_DHT, Direction::Orig, b"d1:ad2:id20:abc", 1), Probe::Certain);
    }
}
