//! Options of many kinds that are short: events, files, actions, and what is known and cannot be run.

use super::bytes::literal;
use super::draft::{spoken, Buffer, Draft};
use super::fault::{fault, nearest, refuse, Result};
use super::fields::side;
use super::numbers::{compare, comparison};
use super::options::{negation, parts, unquoted, whole, RuleOption};
use crate::field::{Field, Sent};
use crate::protocol::Protocol;
use crate::rule::{AppProtocolMode, AppProtocolTest, Compare, Effect, EventTest, FileTest, Match, PacketTest};

pub(super) fn noalert(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.noalert = true;
    Ok(())
}

/// Reads `alert`, which takes a noalert back.
pub(super) fn alert(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.noalert = false;
    Ok(())
}

pub(super) fn bypass(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.effects.push(Effect::Bypass);
    Ok(())
}

pub(super) fn prefilter(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    if std::mem::replace(&mut draft.rule.prefilter, true) {
        return refuse("prefilter is given twice", "keep it for one test of the rule");
    }
    if matches!(draft.present().last(), Some(Match::Content(content)) if content.negated) {
        return refuse("prefilter follows a negated content", "write it after a test of what is there");
    }
    let rule = &draft.rule;
    let tests = [
        rule.packet.is_empty(),
        rule.payload.is_empty(),
        rule.buffers.is_empty(),
        rule.numbers.is_empty(),
        rule.events.is_empty(),
        rule.app_protocols.is_empty(),
    ];
    if tests.iter().all(|is_empty| *is_empty) {
        return refuse("prefilter has no test before it", "write it after a test");
    }
    Ok(())
}

/// Reads `tag:session|host[,COUNT,packets|seconds|bytes][,src|dst]`.
pub(super) fn tag(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let words: Vec<&str> = parts(unquoted(option.needed()?)).collect();
    let is_count = |count: &str| whole::<u32>(count).is_some();
    let is_metric = |metric: &str| matches!(metric, "packets" | "seconds" | "bytes");
    let is_well_formed = match *words.as_slice() {
        ["session"] => true,
        ["session" | "host", count, metric] => is_count(count) && is_metric(metric),
        ["session" | "host", count, metric, "src" | "dst"] => is_count(count) && is_metric(metric),
        _ => false,
    };
    if !is_well_formed {
        return refuse(
            format!("tag is {:.60}", words.join(",")),
            "write: tag:session,100,packets or tag:host,60,seconds,src",
        );
    }
    draft.rule.effects.push(Effect::Tag);
    Ok(())
}

/// Reads an option that is known and changes nothing of what a passive reader sees.
pub(super) fn without_effect(_: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    option.needed().map(drop)
}

pub(super) fn urilen(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (length, kind) = value.split_once(',').unwrap_or((value, "norm"));
    let field = match kind.trim() {
        "norm" => Field::HttpUri,
        "raw" => Field::HttpUriRaw,
        other => return refuse(format!("urilen does not know {other:.20?}"), "write norm or raw"),
    };
    let size = Match::Bsize(compare(length, 65_535)?);
    draft.add(field, size).map(drop)
}

pub(super) fn filesize(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (sent, size) = match value.split_once(',') {
        Some((word, size)) => (side(draft, word)?, size),
        None => (Sent::Either, value),
    };
    draft.require_protocols(Field::FileName.protocols())?;
    let compare = compare(size, u64::MAX)?;
    draft.rule.files.push(FileTest::Size { compare, sent });
    Ok(())
}

/// Reads `filestore[:DIRECTION[,SCOPE]]`.
pub(super) fn filestore(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    const KNOWN: &[&str] = &["request", "to_server", "response", "to_client", "both", "file", "tx", "ssn", "flow", ""];
    for word in parts(option.value.map_or("", unquoted)) {
        if !KNOWN.contains(&word) {
            return refuse(format!("filestore does not know {word:.40?}"), "write: filestore:both,flow");
        }
    }
    draft.require_protocols(Field::FileName.protocols())?;
    draft.rule.filestore = true;
    Ok(())
}

/// Reads `app-layer-protocol:[!]NAME[,MODE]`.
pub(super) fn app_layer_protocol(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (negated, value) = negation(unquoted(option.needed()?));
    let (name, mode) = value.split_once(',').unwrap_or((value, "direction"));
    let name = name.trim().to_ascii_lowercase();
    if !matches!(name.as_str(), "failed" | "unknown") && Protocol::of_name(&name).is_none() {
        let near = nearest(&name, Protocol::ALL.iter().map(|one| one.name())).unwrap_or("http, tls, failed, ...");
        return refuse(format!("{name:.40?} is no protocol"), format!("write {near}"));
    }
    let mode = match mode.trim() {
        "direction" => AppProtocolMode::Direction,
        "final" => AppProtocolMode::Final,
        "either" => AppProtocolMode::Either,
        "to_server" | "toserver" => AppProtocolMode::ToServer,
        "to_client" | "toclient" => AppProtocolMode::ToClient,
        "original" => AppProtocolMode::Original,
        other => {
            return refuse(format!("{other:.40?} is no mode"), "write final, either, to_server, to_client or original")
        }
    };
    let test = AppProtocolTest { name: name.into(), negated, mode };
    if draft.rule.header.protocol.app.is_some() {
        return refuse("app-layer-protocol stands in a rule of a protocol", "write tcp, udp or ip in the header");
    }
    if draft.rule.app_protocols.iter().any(|other| other.negated != negated || !negated) {
        return refuse("app-layer-protocol contradicts another", "write one, or several that are all negated");
    }
    draft.rule.app_protocols.push(test);
    Ok(())
}

/// Reads `app-layer-event:PROTOCOL.EVENT`.
pub(super) fn app_layer_event(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?).to_ascii_lowercase();
    if let Some((name, event)) = value.split_once('.') {
        let app = Protocol::of_name(name).filter(|_| !event.is_empty());
        let app = app.ok_or_else(|| fault(format!("{value:.60?} is no event"), "write: app-layer-event:http.EVENT"))?;
        draft.require_protocols(&spoken(app, name))?;
    } else if !value.starts_with("applayer_") {
        return refuse(format!("{value:.60?} is no event"), "write: app-layer-event:PROTOCOL.EVENT");
    }
    draft.rule.events.push(EventTest::App(value.into()));
    Ok(())
}

fn event_name(option: &RuleOption<'_>) -> Result<Box<str>> {
    let name = unquoted(option.needed()?).trim();
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+')) {
        return refuse(format!("{name:.60?} is no event"), "write the name of an event");
    }
    Ok(name.to_ascii_lowercase().into())
}

pub(super) fn decode_event(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let name = event_name(option)?;
    draft.rule.events.push(EventTest::Decode(name));
    Ok(())
}

pub(super) fn stream_event(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let name = event_name(option)?;
    draft.rule.events.push(EventTest::Stream(name));
    Ok(())
}

pub(super) fn ftpbounce(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.require_protocols(&[Protocol::Ftp])?;
    draft.test(Match::FtpBounce)
}

/// Reads `asn1:CHECK[,...]`.
pub(super) fn asn1(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    for word in parts(value) {
        let (name, rest) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match name {
            "bitstring_overflow" | "double_overflow" if rest.is_empty() => {}
            "oversize_length" => drop(literal(rest, 0, i64::from(u32::MAX))?),
            "absolute_offset" | "relative_offset" => drop(literal(rest, -65_535, 65_535)?),
            _ => {
                return refuse(
                    format!("asn1 does not know {word:.40?}"),
                    "write: asn1:double_overflow, relative_offset 0",
                )
            }
        }
    }
    draft.test(Match::Asn1(value.into()))
}

/// Reads `absent` and `absent:or_else`.
pub(super) fn absent(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let or_else = match option.value.map(str::trim) {
        None | Some("") => false,
        Some("or_else") => true,
        Some(other) => return refuse(format!("absent is {other:.20?}"), "write absent; or absent:or_else;"),
    };
    if draft.is_payload() {
        return refuse("absent has no buffer before it", "write it right after the name of a buffer");
    }
    let tests = draft.present();
    if !tests.is_empty() {
        return refuse("absent stands after other tests", "write it first after the name of its buffer");
    }
    draft.test(Match::Absent { or_else })
}

/// Reads `entropy:[bytes N,] [offset N,] value COMPARISON`.
pub(super) fn entropy(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (mut bytes, mut offset, mut value) = (0, 0, None);
    for word in parts(unquoted(option.needed()?)) {
        let (name, rest) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match name {
            "bytes" => bytes = literal(rest, 0, i64::from(u32::MAX))? as u32,
            "offset" => offset = literal(rest, 0, i64::from(u32::MAX))? as u32,
            "value" => value = Some(thousandths(rest)?),
            _ => return refuse(format!("entropy does not know {word:.40?}"), "write: entropy:value > 4.5"),
        }
    }
    let compare = value.ok_or_else(|| fault("entropy compares nothing", "write: entropy:value > 4.5"))?;
    if draft.is_payload() {
        return refuse("entropy has no buffer before it", "write it after the name of a buffer");
    }
    draft.test(Match::Entropy { bytes, offset, compare })
}

/// Reads a comparison of numbers with decimals as one of their thousandths.
fn thousandths(text: &str) -> Result<Compare> {
    let wrong = || fault(format!("entropy compares {text:.20?}"), "write a comparison of numbers from 0 to 8");
    let mut scaled = String::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|byte: char| !byte.is_ascii_digit() && byte != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            let end = after.find(|byte: char| byte.is_ascii_digit()).unwrap_or(after.len());
            scaled.push_str(&after[..end]);
            rest = &after[end..];
        } else {
            let value = number.parse::<f64>().ok().filter(|value| (0.0..=8.0).contains(value)).ok_or_else(wrong)?;
            scaled.push_str(&((value * 1000.0).round() as u64).to_string());
            rest = after;
        }
    }
    comparison(&scaled, 8000).ok_or_else(wrong)
}

/// Reads a test that is known and cannot be run: the rule is kept, and never matches.
pub(super) fn unsupported_match(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.test(Match::Unsupported(option.keyword.into()))
}

/// Reads a test of the packet that is known and cannot be run.
pub(super) fn unsupported_packet(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.rule.packet.push(PacketTest::Unsupported(option.keyword.into()));
    Ok(())
}

/// Reads the name of a buffer that no session fills: what is asked of it never holds.
pub(super) fn unsupported_buffer(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.select(Buffer::Unknown(option.keyword.into()))
}
