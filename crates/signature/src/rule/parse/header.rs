//! A rule's header: action, protocol, addresses, ports and direction (User Guide, "Rules Format").

use infraspectre_core::app::Direction;

use super::fault::{nearest, refuse, Result};
use super::places::Places;
use crate::field::{BODY, DONE, HEADERS, LINE, NONE, TRAILER};
use crate::protocol::Protocol;
use crate::rule::{Action, Header, Hook, RuleProtocol, Scope};

const FORM: &str = "write: alert tcp $HOME_NET any -> $EXTERNAL_NET 80 (msg:\"...\"; sid:1;)";

/// The words before the options.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words<'a> {
    pub action: &'a str,
    pub protocol: &'a str,
    source: &'a str,
    source_ports: &'a str,
    direction: &'a str,
    destination: &'a str,
    destination_ports: &'a str,
}

/// Splits a rule into the words of its header and its options without their parentheses.
pub(super) fn split(rule: &str) -> Result<(Words<'_>, &str)> {
    let mut rest = rule.trim();
    let mut word = |what: &str| match next_word(rest) {
        Some((word, after)) => {
            rest = after;
            Ok(word)
        }
        None => refuse(format!("the header has no {what}"), FORM),
    };
    let words = Words {
        action: word("action")?,
        protocol: word("protocol")?,
        source: word("source address")?,
        source_ports: word("source port")?,
        direction: word("direction")?,
        destination: word("destination address")?,
        destination_ports: word("destination port")?,
    };
    let Some(body) = rest.trim().strip_prefix('(') else { return refuse("the options do not follow the header", FORM) };
    match body.trim_end().strip_suffix(')') {
        Some(body) => Ok((words, body)),
        None => refuse("the options do not end with a parenthesis", FORM),
    }
}

/// Takes a word, which may be a list with spaces in it.
fn next_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start();
    let mut depth = 0_usize;
    let end = text.bytes().position(|byte| {
        match byte {
            b'[' => depth += 1,
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        depth == 0 && (byte.is_ascii_whitespace() || byte == b'(')
    });
    let end = end.unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// Reads the action; the second says whether the rule never alerts, unless it says `alert`.
pub(super) fn action(word: &str) -> Result<(Action, bool)> {
    match word {
        "alert" => Ok((Action::Alert, false)),
        "pass" => Ok((Action::Pass, true)),
        "drop" => Ok((Action::Drop, false)),
        "reject" | "rejectsrc" | "rejectdst" | "rejectboth" => Ok((Action::Reject, false)),
        "config" => Ok((Action::Alert, true)),
        _ => refuse(format!("{word:?} is no action"), "write alert, pass, drop, reject or config"),
    }
}

/// Reads the protocol, addresses, ports and direction.
pub(super) fn read(words: &Words<'_>, places: &mut Places<'_>) -> Result<Header> {
    let direction = words.direction;
    if !matches!(direction, "->" | "<>" | "=>") {
        return refuse(format!("{direction:?} is no direction"), "write -> or <>");
    }
    Ok(Header {
        protocol: protocol(words.protocol)?,
        source: places.addresses(words.source)?,
        source_ports: places.ports(words.source_ports)?,
        bidirectional: direction == "<>",
        transactional: direction == "=>",
        destination: places.addresses(words.destination)?,
        destination_ports: places.ports(words.destination_ports)?,
    })
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;
const IGMP: u8 = 2;

/// Protocols below the application layer: name, IP version, transports, scope.
const LOWER: &[(&str, Option<u8>, &[u8], Scope)] = &[
    ("tcp", None, &[TCP], Scope::Any),
    ("tcp-pkt", None, &[TCP], Scope::Packet),
    ("tcp-stream", None, &[TCP], Scope::Stream),
    ("udp", None, &[UDP], Scope::Any),
    ("icmp", None, &[ICMP, ICMPV6], Scope::Any),
    ("icmpv4", Some(4), &[ICMP], Scope::Any),
    ("icmpv6", Some(6), &[ICMPV6], Scope::Any),
    ("sctp", None, &[SCTP], Scope::Any),
    ("igmp", Some(4), &[IGMP], Scope::Any),
    ("ip", None, &[], Scope::Any),
    ("ipv4", Some(4), &[], Scope::Any),
    ("ip4", Some(4), &[], Scope::Any),
    ("ipv6", Some(6), &[], Scope::Any),
    ("ip6", Some(6), &[], Scope::Any),
    ("pkthdr", None, &[], Scope::Packet),
    ("ether", None, &[], Scope::Packet),
    ("arp", None, &[], Scope::Packet),
];

fn protocol(word: &str) -> Result<RuleProtocol> {
    let lower = word.to_ascii_lowercase();
    let (name, hook) = lower.split_once(':').map_or((lower.as_str(), None), |(name, hook)| (name, Some(hook)));
    if let Some((_, ip_version, transports, scope)) = LOWER.iter().find(|(known, ..)| *known == name) {
        let hook = match hook {
            None | Some("all") => None,
            Some("flow_start") => Some(Hook::FlowStart),
            Some(_) => return refuse(format!("{word:.60?} names no moment"), "write: tcp:flow_start"),
        };
        let (ip_version, transports, scope) = (*ip_version, transports.to_vec(), *scope);
        return Ok(RuleProtocol { name: name.into(), ip_version, transports, scope, app: None, hook });
    }
    let Some(app) = Protocol::of_name(name) else {
        let names = Protocol::ALL.iter().map(|one| one.name()).chain(LOWER.iter().map(|(name, ..)| *name));
        let near = nearest(name, names).unwrap_or("tcp, udp, icmp, ip or an application protocol");
        return refuse(format!("{word:?} is no protocol"), format!("write {near}"));
    };
    let hook = hook.map(|hook| state(hook, app)).transpose()?;
    Ok(RuleProtocol {
        name: name.into(),
        ip_version: None,
        transports: Vec::new(),
        scope: Scope::Any,
        app: Some(app),
        hook,
    })
}

/// Reads the state of a transaction at which a rule is looked at, such as `request_headers`.
fn state(hook: &str, app: Protocol) -> Result<Hook> {
    let (side, state) = hook.split_once('_').unwrap_or((hook, ""));
    let direction = match side {
        "request" => Some(Direction::Orig),
        "response" => Some(Direction::Resp),
        _ => None,
    };
    let progress = match state {
        "started" => Some(NONE),
        "complete" => Some(DONE),
        "line" if app == Protocol::Http => Some(LINE),
        "headers" if app == Protocol::Http => Some(HEADERS),
        "body" if app == Protocol::Http => Some(BODY),
        "trailer" if app == Protocol::Http => Some(TRAILER),
        _ => None,
    };
    match direction.zip(progress) {
        Some((direction, progress)) => Ok(Hook::Progress { direction, progress }),
        None => refuse(format!("{hook:.60?} names no state"), "write: http1:request_headers or dns:request_complete"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn a_header_may_have_lists_with_spaces() {
        let (words, body) = split("alert  tcp [10.0.0.1, 10.0.0.2] any <> any [80, 81](sid:1;) ").unwrap();
        assert_eq!((words.source, words.destination_ports, body), ("[10.0.0.1, 10.0.0.2]", "[80, 81]", "sid:1;"));
        let settings = Settings::default();
        let header = read(&words, &mut Places::new(&settings)).unwrap();
        assert!(header.bidirectional && header.destination_ports.contains(81) && header.protocol.transports == [TCP]);
    }

    #[test]
    fn application_protocols_may_have_a_hook() {
        let read = protocol("http1:request_started").unwrap();
        let started = Hook::Progress { direction: Direction::Orig, progress: NONE };
        assert_eq!((read.app, read.hook, &*read.name), (Some(Protocol::Http), Some(started), "http1"));
        assert_eq!(protocol("tcp:flow_start").unwrap().hook, Some(Hook::FlowStart));
        assert_eq!(protocol("ip:all").unwrap().hook, None);
        for wrong in ["http1:request_nothing", "dns:request_headers", "tcp:request_started", "http1:"] {
            assert!(protocol(wrong).unwrap_err().reason.contains("names no"), "{wrong}");
        }
        assert!(protocol("htttp").unwrap_err().suggestion.contains("http"));
    }

    #[test]
    fn a_header_that_lacks_something_says_what() {
        for (rule, what) in [
            ("alert tcp any any", "direction"),
            ("alert", "protocol"),
            ("alert tcp any any -> any any sid:1;", "options"),
            ("alert tcp any any -> any any (sid:1;", "parenthesis"),
        ] {
            assert!(split(rule).unwrap_err().reason.contains(what), "{rule}");
        }
        assert!(action("allert").is_err());
    }
}
