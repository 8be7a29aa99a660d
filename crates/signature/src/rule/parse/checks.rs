//! What must hold for a rule as a whole.

use super::draft::Draft;
use super::fault::{refuse, Result};
use crate::field::{Field, Sent};
use crate::rule::{BitTest, BufferTest, Compare, Content, FrameTest, Match, PacketTest, Rule, Scope};

/// Returns the rule of a draft whose options are read.
pub(super) fn finish(mut draft: Draft<'_, '_>) -> Result<Rule> {
    draft.check_selected()?;
    draft.leave_base64();
    let mut rule = draft.rule;
    if rule.sid == 0 {
        return refuse("the rule has no sid", "write sid:NUMBER;");
    }
    check_directions(&mut rule)?;
    check_frames(&rule)?;
    read_streams(&mut rule)?;
    check_stream(&rule)?;
    check_sizes(&rule)?;
    check_flowbits(&rule)?;
    rule.buffers.iter_mut().try_for_each(check_buffer)?;
    Ok(rule)
}

/// Refuses tests of both directions, which never pass together; those of one direction say the rule's.
fn check_directions(rule: &mut Rule) -> Result<()> {
    if rule.header.transactional {
        return Ok(());
    }
    let buffers = rule.buffers.iter().map(|test| test.field);
    let fields = || buffers.clone().chain(rule.numbers.iter().map(|test| test.field));
    let to_server = fields().find(|field| field.sent() == Sent::ToServer);
    let to_client = fields().find(|field| field.sent() == Sent::ToClient);
    let name = |field: Field| field.keywords().first().copied().unwrap_or_default();
    match (to_server, to_client) {
        (Some(one), Some(other)) => refuse(
            format!("{} is sent to the server and {} to the client", name(one), name(other)),
            "ask for one direction, or write => in the header",
        ),
        (Some(field), None) if rule.flow.to_client => {
            refuse(format!("{} is never sent to the client", name(field)), "write flow:to_server")
        }
        (None, Some(field)) if rule.flow.to_server => {
            refuse(format!("{} is never sent to the server", name(field)), "write flow:to_client")
        }
        (one, other) => {
            rule.flow.to_server |= one.is_some();
            rule.flow.to_client |= other.is_some();
            Ok(())
        }
    }
}

/// Refuses contents that are longer than `dsize` allows.
fn check_sizes(rule: &Rule) -> Result<()> {
    let sizes = rule.packet.iter().filter_map(|test| match test {
        PacketTest::Dsize(size) => most(size),
        _ => None,
    });
    let Some(most) = sizes.min() else { return Ok(()) };
    let is_longer =
        |test: &Match| matches!(test, Match::Content(content) if !content.negated && content.bytes.len() as u64 > most);
    if rule.payload.iter().any(is_longer) {
        return refuse("a content is longer than dsize", "give dsize at least the length of the content");
    }
    Ok(())
}

/// Refuses to ask whether one bit is both set and not set.
fn check_flowbits(rule: &Rule) -> Result<()> {
    let asked = |wanted: BitTest| {
        rule.packet.iter().filter_map(move |test| match test {
            PacketTest::Flowbits { bits, mode } if *mode == wanted => match bits.as_slice() {
                [bit] => Some(bit),
                _ => None,
            },
            _ => None,
        })
    };
    match asked(BitTest::IsSet).find(|bit| asked(BitTest::IsNotSet).any(|other| other == *bit)) {
        Some(bit) => refuse(format!("flowbits ask {bit:.60} to be set and not set"), "leave one of them out"),
        None => Ok(()),
    }
}

/// Refuses frames beside other tests of what is sent.
fn check_frames(rule: &Rule) -> Result<()> {
    let is_header = |test: &PacketTest| matches!(test, PacketTest::HeaderBytes { .. });
    let is_of_bytes = !(rule.buffers.is_empty() && rule.payload.is_empty()) || rule.packet.iter().any(is_header);
    let is_of_values = !(rule.numbers.is_empty() && rule.files.is_empty() && rule.events.is_empty());
    if !rule.frames.is_empty() && (is_of_bytes || is_of_values) {
        return refuse("a frame stands beside another buffer", "ask for frames alone");
    }
    Ok(())
}

/// Turns the frame that is all of a stream (`smtp.stream`) into the stream itself, where a rule looks at nothing else.
fn read_streams(rule: &mut Rule) -> Result<()> {
    let is_stream = |test: &FrameTest| test.name.ends_with(".stream");
    let is_plain = |test: &FrameTest| is_stream(test) && test.transforms.is_empty();
    if !rule.frames.iter().any(is_stream) {
        return Ok(());
    }
    if !rule.frames.iter().all(is_plain) {
        let reason = "the frame of a whole stream stands beside another frame, or is transformed";
        return refuse(reason, "ask for the stream alone, as it is");
    }
    rule.payload = rule.frames.drain(..).flat_map(|test| test.matches).collect();
    rule.flow.only_stream = true;
    Ok(())
}

/// Refuses tests of single packets in a rule that looks at the stream alone.
fn check_stream(rule: &Rule) -> Result<()> {
    let is_stream = rule.header.protocol.scope == Scope::Stream || rule.flow.only_stream;
    let of_packet = |test: &PacketTest| !test.is_of_flow();
    if is_stream && rule.packet.iter().any(of_packet) {
        return refuse("a test of packets stands in a rule of streams", "write tcp or tcp-pkt in the header");
    }
    Ok(())
}

/// Refuses what a buffer can never hold, and writes contents as the buffer has its bytes.
fn check_buffer(test: &mut BufferTest) -> Result<()> {
    check_absent(&test.matches)?;
    let is_changed = !test.transforms.is_empty();
    let longest = longest(&test.matches).filter(|_| !is_changed);
    for content in contents(&mut test.matches) {
        if !content.negated && longest.is_some_and(|longest| (content.bytes.len() as u64) > longest) {
            let reason = format!("a content of {} bytes is asked of a shorter buffer", content.bytes.len());
            return refuse(reason, "give bsize or urilen at least the length of the content");
        }
        if !is_changed {
            check_content(test.field, content)?;
        }
    }
    Ok(())
}

/// Refuses `absent` beside tests of what is then not there, and `absent:or_else` without any.
fn check_absent(tests: &[Match]) -> Result<()> {
    match tests {
        [Match::Absent { or_else: false }, _, ..] => {
            refuse("absent stands before other tests of its buffer", "write absent:or_else;")
        }
        [Match::Absent { or_else: true }] => {
            refuse("absent:or_else has no other test", "write absent; or a test after it")
        }
        _ => Ok(()),
    }
}

fn contents(tests: &mut [Match]) -> impl Iterator<Item = &mut Content> {
    tests.iter_mut().filter_map(|test| match test {
        Match::Content(content) => Some(content),
        _ => None,
    })
}

/// Returns the length that no value of the buffer exceeds.
fn longest(tests: &[Match]) -> Option<u64> {
    let bounds = tests.iter().filter_map(|test| match test {
        Match::Bsize(size) => most(size),
        _ => None,
    });
    bounds.min()
}

/// Returns the greatest number that passes, where there is one.
fn most(compare: &Compare) -> Option<u64> {
    match compare {
        Compare::Equal(most) | Compare::LessOrEqual(most) => Some(*most),
        Compare::Less(above) | Compare::Between(_, above) => Some(above.saturating_sub(1)),
        _ => None,
    }
}

/// Characters of an MD5, and of a SHA-1 with colons.
const MD5_DIGITS: usize = 32;
const FINGERPRINT_DIGITS: usize = 59;

fn check_content(field: Field, content: &mut Content) -> Result<()> {
    match field {
        Field::HttpMethod if is_spaced(&content.bytes) => {
            refuse("a method never begins or ends with a space", "leave the space out of the content")
        }
        Field::HttpHost if content.nocase => {
            refuse("http.host is lowercase, and nocase says nothing", "leave nocase out")
        }
        Field::HttpHost if content.bytes.iter().any(u8::is_ascii_uppercase) => {
            refuse("http.host is lowercase, and the content is not", "write the content in lowercase")
        }
        Field::Ja3Hash | Field::Ja3sHash | Field::SshHassh | Field::SshHasshServer | Field::QuicCyuHash => {
            content.bytes.make_ascii_lowercase();
            sized(content, MD5_DIGITS)
        }
        Field::TlsCertFingerprint => {
            content.bytes.make_ascii_lowercase();
            sized(content, FINGERPRINT_DIGITS)
        }
        Field::TlsCertSerial => {
            content.bytes.make_ascii_uppercase();
            Ok(())
        }
        _ => Ok(()),
    }
}

fn is_spaced(bytes: &[u8]) -> bool {
    bytes.first() == Some(&b' ') || bytes.last() == Some(&b' ')
}

fn sized(content: &Content, digits: usize) -> Result<()> {
    if content.bytes.len() != digits {
        let reason = format!("a hash of {} characters is asked of a buffer with {digits}", content.bytes.len());
        return refuse(reason, format!("write all {digits} characters"));
    }
    Ok(())
}
