//! Recognises HTTP/1 by the method of a request or the version of a response.

use infraspectre_core::app::{Probe, Transport};

use super::request::METHODS;
use crate::transaction::Direction;

/// Judges the first bytes of a direction.
pub fn probe(_: Transport, direction: Direction, data: &[u8], _: (u16, u16)) -> Probe {
    match direction {
        Direction::Orig => probe_request(data),
        Direction::Resp => [&b"HTTP/0.9"[..], b"HTTP/1.0", b"HTTP/1.1"]
            .iter()
            .map(|version| compare(data, version))
            .fold(Probe::NotForUs, better),
    }
}

/// A known method and a space or tab, which may follow one line end.
fn probe_request(data: &[u8]) -> Probe {
    let data = data.strip_prefix(b"\r").unwrap_or(data);
    let data = data.strip_prefix(b"\n").unwrap_or(data);
    METHODS.iter().map(|method| probe_method(data, method)).fold(Probe::NotForUs, better)
}

fn probe_method(data: &[u8], method: &[u8]) -> Probe {
    match (compare(data, method), data.get(method.len())) {
        (Probe::Certain, Some(b' ' | b'\t')) => Probe::Certain,
        (Probe::Certain, None) => Probe::Unsure,
        (Probe::Certain, _) => Probe::NotForUs,
        (other, _) => other,
    }
}

fn compare(data: &[u8], wanted: &[u8]) -> Probe {
    if data.starts_with(wanted) {
        Probe::Certain
    } else if wanted.starts_with(data) {
        Probe::Unsure
    } else {
        Probe::NotForUs
    }
}

fn better(one: Probe, other: Probe) -> Probe {
    match (one, other) {
        (Probe::Certain, _) | (_, Probe::Certain) => Probe::Certain,
        (Probe::Unsure, _) | (_, Probe::Unsure) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_versions_are_recognised() {
        let judge = |direction, data| probe(Transport::Stream, direction, data, (1, 2));
        assert_eq!(judge(Direction::Orig, b"GET /"), Probe::Certain);
        assert_eq!(judge(Direction::Orig, b"\r\nPOST\t/"), Probe::Certain);
        assert_eq!(judge(Direction::Orig, b"PRO"), Probe::Unsure);
        assert_eq!(judge(Direction::Orig, b"GETX /"), Probe::NotForUs);
        assert_eq!(judge(Direction::Resp, b"HTTP/1.1 200"), Probe::Certain);
        assert_eq!(judge(Direction::Resp, b"HTTP/2 200"), Probe::NotForUs);
    }
}
