//! Keywords that name a buffer: before their tests (sticky buffers) or after a content (modifiers).

use super::content;
use super::draft::{spoken, Buffer, Draft};
use super::fault::{nearest, refuse, Result};
use super::options::{negation, unquoted, RuleOption};
use super::pcre;
use crate::field::{Field, Sent};
use crate::protocol::frame::NAMES;
use crate::protocol::Protocol;
use crate::rule::{FlowTest, HeaderPart, Match};

/// Keywords that stand after the content they move to a buffer (User Guide, "Rules Format": Modifier Keywords).
pub(super) const MODIFIERS: &[&str] = &[
    "http_uri",
    "http_raw_uri",
    "http_method",
    "http_stat_code",
    "http_stat_msg",
    "http_header",
    "http_raw_header",
    "http_host",
    "http_raw_host",
    "http_user_agent",
    "http_cookie",
    "http_client_body",
    "http_server_body",
];

/// Makes a field the buffer of the next tests.
pub(super) fn sticky(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let sent = match option.value.filter(|value| !value.is_empty()) {
        None => field.sent(),
        Some(value) => side(draft, value)?,
    };
    draft.select(Buffer::Field(field, sent))?;
    if option.keyword.starts_with("mdns.") {
        draft.require_protocols(&[Protocol::Mdns])?;
    }
    Ok(())
}

/// Reads which side's value a keyword of both sides means, which only rules of `=>` may say.
pub(super) fn side(draft: &Draft<'_, '_>, value: &str) -> Result<Sent> {
    match value.trim() {
        "to_server" if draft.rule.header.transactional => Ok(Sent::ToServer),
        "to_client" if draft.rule.header.transactional => Ok(Sent::ToClient),
        _ => refuse(format!("the name of a buffer has the value {value:.40}"), "leave the value out"),
    }
}

/// Reads a keyword whose value is the content of a buffer: `filename:"a"`, `tls.subject:"CN=a"`.
pub(super) fn valued(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let (negated, value) = negation(option.needed()?);
    if option.keyword.starts_with("ssh.") && value.starts_with('"') {
        return refuse(format!("{} is in quotes", option.keyword), "leave the quotes out");
    }
    if field == Field::SshProtocol && value == "2_compat" {
        let mut both = pcre::plain(r"^(?:2|1\.99)");
        both.negated = negated;
        return draft.add(field, Match::Pcre(both)).map(drop);
    }
    let text = format!("\"{}\"", unquoted(value));
    let mut content = content::pattern(&text)?;
    content.negated = negated;
    match field {
        Field::FileName => content.nocase = true,
        Field::FileExtension => {
            content.nocase = true;
            content.startswith = true;
            content.endswith = true;
        }
        Field::TlsCertFingerprint | Field::SshProtocol => {
            content.startswith = true;
            content.endswith = true;
        }
        _ => {}
    }
    draft.add(field, Match::Content(content)).map(drop)
}

pub(super) fn pkt_data(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.check_selected()?;
    draft.select_payload();
    Ok(())
}

pub(super) fn base64_data(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.enter_base64()
}

pub(super) fn uricontent(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    content::content(draft, option)?;
    draft.move_last_content(Field::HttpUri, option.keyword)
}

/// Returns the bytes of a header that a keyword names.
pub(super) fn header_part(keyword: &str) -> Option<HeaderPart> {
    Some(match keyword {
        "ether.hdr" => HeaderPart::Ethernet,
        "ipv4.hdr" => HeaderPart::Ipv4,
        "ipv6.hdr" => HeaderPart::Ipv6,
        "tcp.hdr" => HeaderPart::Tcp,
        "udp.hdr" => HeaderPart::Udp,
        "icmpv4.hdr" => HeaderPart::Icmp4,
        "icmpv6.hdr" => HeaderPart::Icmp6,
        _ => return None,
    })
}

pub(super) fn header(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    header_part(option.keyword).map_or(Ok(()), |part| draft.select(Buffer::Header(part)))
}

pub(super) fn address(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.select(Buffer::IpAddress { is_source: option.keyword == "ip.src" })
}

/// Reads `frame:[PROTOCOL.]NAME`; without a protocol it is the rule's.
pub(super) fn frame(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = option.needed()?.to_ascii_lowercase();
    let is_full = value.split_once('.').is_some_and(|(first, _)| Protocol::of_name(first).is_some() || first == "tcp");
    let name = match &draft.rule.header.protocol.app {
        _ if is_full => value,
        Some(app) => format!("{}.{value}", app.name()),
        None => return refuse(format!("the frame {value:.40} has no protocol"), "write: frame:smtp.data"),
    };
    if let Some(app) = name.split_once('.').and_then(|(app, _)| Protocol::of_name(app)) {
        draft.require_protocols(&spoken(app, &name))?;
    }
    if !name.ends_with(".stream") && !NAMES.contains(&&*name) {
        let near = nearest(&name, NAMES.iter().copied()).unwrap_or("smtp.data, dns.pdu, ...");
        return refuse(format!("there is no frame {name:.40}"), format!("write {near}"));
    }
    draft.select(Buffer::Frame(name.into()))
}

/// Reads `flow:`.
pub(super) fn flow(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let flow = &mut draft.rule.flow;
    for part in super::options::parts(unquoted(option.needed()?)) {
        let slot = match part.to_ascii_lowercase().as_str() {
            "to_server" | "from_client" => &mut flow.to_server,
            "to_client" | "from_server" => &mut flow.to_client,
            "established" => &mut flow.established,
            "not_established" => &mut flow.not_established,
            "stateless" => &mut flow.stateless,
            "only_stream" => &mut flow.only_stream,
            "no_stream" => &mut flow.no_stream,
            "only_frag" => &mut flow.only_frag,
            "no_frag" => &mut flow.no_frag,
            _ => return refuse(format!("flow is {part:.40}"), "write established, to_server, to_client, ..."),
        };
        if std::mem::replace(slot, true) {
            return refuse(format!("flow says {part} twice"), "leave one of them out");
        }
    }
    consistent(flow)
}

fn consistent(flow: &FlowTest) -> Result<()> {
    let states = [flow.established, flow.not_established, flow.stateless];
    for (is_wrong, what) in [
        (flow.to_server && flow.to_client, "to_server and to_client"),
        (
            states.iter().filter(|state| **state).count() > 1,
            "more than one of established, not_established and stateless",
        ),
        (flow.only_stream && flow.no_stream, "only_stream and no_stream"),
        (flow.only_frag && flow.no_frag, "only_frag and no_frag"),
    ] {
        if is_wrong {
            return refuse(format!("flow says {what}"), "leave one of them out");
        }
    }
    Ok(())
}
