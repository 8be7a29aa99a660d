//! Options of a TCP header that decide what becomes of a segment (IANA TCP option kinds).

/// What the options of one segment say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The sender's clock and the echo of the receiver's (RFC 7323).
    pub timestamp: Option<(u32, u32)>,
    pub window_scale: Option<u8>,
    pub has_fast_open: bool,
    /// Selective acknowledgements are in the segment.
    pub has_selective_acks: bool,
    /// Signed so that nobody else can tell whether it is genuine (RFC 2385, RFC 5925).
    pub is_signed: bool,
}

impl Options {
    /// Reads options as far as they are whole.
    #[inline]
    pub fn read(options: &[u8]) -> Options {
        match options {
            [] => Options::default(),
            // What most segments carry: two fillers, then the timestamps.
            &[1, 1, 8, 10, a, b, c, d, e, f, g, h] => Options {
                timestamp: Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))),
                ..Options::default()
            },
            _ => Options::read_any(options),
        }
    }

    fn read_any(mut options: &[u8]) -> Options {
        let mut found = Options::default();
        loop {
            options = match options {
                [] | [0, ..] | [_] => return found,
                [1, rest @ ..] => rest,
                [kind, length, rest @ ..] => {
                    let length = usize::from(*length).saturating_sub(2);
                    let Some((value, rest)) = rest.split_at_checked(length) else { return found };
                    found.note(*kind, value);
                    rest
                }
            }
        }
    }

    fn note(&mut self, kind: u8, value: &[u8]) {
        match (kind, value) {
            (3, &[scale]) => self.window_scale = Some(scale.min(MAX_SCALE)),
            (5, _) => self.has_selective_acks = true,
            (8, &[a, b, c, d, e, f, g, h]) => {
                self.timestamp = Some((u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])));
            }
            (19 | 29, _) => self.is_signed = true,
            (34, _) => self.has_fast_open = true,
            // The experimental number that fast open had before it got its own (RFC 7413).
            (254, [0xf9, 0x89, ..]) => self.has_fast_open = true,
            _ => {}
        }
    }
}

/// The largest shift of a window (RFC 7323, 2.3).
pub const MAX_SCALE: u8 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order_and_as_far_as_they_go() {
        let stamped = Options { timestamp: Some((1, 2)), ..Options::default() };
        assert_eq!(Options::read(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]), stamped);
        assert_eq!(Options::read(&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 3, 3]), stamped);
        let opening = Options::read(&[2, 4, 5, 180, 1, 3, 3, 20, 34, 2, 0, 8, 10]);
        assert_eq!(opening, Options { window_scale: Some(14), has_fast_open: true, ..Options::default() });
        assert!(Options::read(&[19, 18, 0]).is_signed.eq(&false));
        assert_eq!(Options::read(&[5, 0, 5, 1, 9]), Options { has_selective_acks: true, ..Options::default() });
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_safe(options: Vec<u8>) {
            Options::read(&options);
        }
    }
}
