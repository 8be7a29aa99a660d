//! Events and recognised protocols that rules ask for (User Guide, "Generic App Layer Keywords").

use super::draft::{spoken, Draft};
use super::fault::{fault, nearest, refuse, Result};
use super::options::{negation, unquoted, RuleOption};
use crate::oddity;
use crate::protocol::Protocol;
use crate::rule::{AppProtocolMode, AppProtocolTest, EventTest};

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
    if !oddity::names().any(|known| *known == *name) {
        let near = nearest(&name, oddity::names()).unwrap_or("the name of another");
        return refuse(format!("the event {name:.60} of the decoder is not supported"), format!("write {near}"));
    }
    draft.rule.events.push(EventTest::Decode(name));
    Ok(())
}

pub(super) fn stream_event(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let name = event_name(option)?;
    draft.rule.events.push(EventTest::Stream(name));
    Ok(())
}
