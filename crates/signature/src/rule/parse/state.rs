//! What rules remember for other rules: flowbits, xbits, hostbits, flowint (User Guide, "Flow Keywords", "Xbits").

use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::options::{parts, unquoted, whole, RuleOption};
use crate::rule::{BitTest, Effect, FlowintTest, IntCompare, IntOperand, PacketTest, Track};

/// Seconds that bits of hosts and pairs live without `expire`.
const HOSTBIT_SECONDS: u32 = 300;
const XBIT_SECONDS: u32 = 30;

/// Returns a name of a bit or variable.
fn name(option: &RuleOption<'_>, text: Option<&str>) -> Result<Box<str>> {
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| fault(format!("{} has no name", option.keyword), "write: flowbits:set,NAME"))?;
    if text.contains(|character: char| character.is_whitespace() || character == '|' || character == ',') {
        return refuse(format!("{text:.60?} is no name"), "write a name without spaces");
    }
    Ok(text.into())
}

fn unknown<T>(option: &RuleOption<'_>, command: &str) -> Result<T> {
    let suggestion = "write set, unset, toggle, isset or isnotset";
    refuse(format!("{} does not know {command:.40?}", option.keyword), suggestion)
}

/// Reads `flowbits:COMMAND,NAME[|NAME...]`.
pub(super) fn flowbits(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (command, names) = value.split_once(',').map_or((value, None), |(command, names)| (command, Some(names)));
    let rule = &mut draft.rule;
    match command.trim() {
        "noalert" if names.is_none() => rule.noalert = true,
        "set" => rule.effects.push(Effect::FlowbitSet(name(option, names)?)),
        "unset" => rule.effects.push(Effect::FlowbitUnset(name(option, names)?)),
        "toggle" => rule.effects.push(Effect::FlowbitToggle(name(option, names)?)),
        "isset" => rule.packet.push(bits(option, names, BitTest::IsSet)?),
        "isnotset" => rule.packet.push(bits(option, names, BitTest::IsNotSet)?),
        other => return unknown(option, other),
    }
    Ok(())
}

fn bits(option: &RuleOption<'_>, names: Option<&str>, mode: BitTest) -> Result<PacketTest> {
    let bits: Result<Vec<_>> = names.unwrap_or_default().split('|').map(|one| name(option, Some(one))).collect();
    Ok(PacketTest::Flowbits { bits: bits?, mode })
}

/// Reads `xbits:COMMAND,NAME,track WHAT[,expire SECONDS]`.
pub(super) fn xbits(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let command = words.next().unwrap_or_default();
    let name = name(option, words.next())?;
    let (mut track, mut seconds) = (None, XBIT_SECONDS);
    for word in words {
        let (what, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match (what, value.trim()) {
            ("track", "ip_src") => track = Some(Track::Source),
            ("track", "ip_dst") => track = Some(Track::Destination),
            ("track", "ip_pair") => track = Some(Track::Pair),
            ("track", "tx") => track = Some(Track::Transaction),
            ("expire", value) => seconds = lifetime(value)?,
            _ => return refuse(format!("xbits does not know {word:.40?}"), "write: track ip_src, expire 60"),
        }
    }
    let track =
        track.ok_or_else(|| fault("xbits does not say what it tracks", "write track ip_src, ip_dst, ip_pair or tx"))?;
    let (packet, effects) = (&mut draft.rule.packet, &mut draft.rule.effects);
    match command {
        "set" => effects.push(Effect::XbitSet { name, track, seconds }),
        "unset" => effects.push(Effect::XbitUnset { name, track }),
        "toggle" => effects.push(Effect::XbitToggle { name, track, seconds }),
        "isset" => packet.push(PacketTest::Xbits { name, track, mode: BitTest::IsSet }),
        "isnotset" => packet.push(PacketTest::Xbits { name, track, mode: BitTest::IsNotSet }),
        other => return unknown(option, other),
    }
    Ok(())
}

fn lifetime(value: &str) -> Result<u32> {
    let seconds = whole(value).filter(|seconds| *seconds > 0);
    seconds.ok_or_else(|| fault(format!("expire is {value:.20}"), "write a number of seconds from 1 on"))
}

/// Reads `hostbits:COMMAND,NAME[,SIDE]`.
pub(super) fn hostbits(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let command = words.next().unwrap_or_default();
    if command == "noalert" {
        draft.rule.noalert = true;
        return Ok(());
    }
    let name = name(option, words.next())?;
    let track = match words.next() {
        None | Some("src") => Track::Source,
        Some("dst") => Track::Destination,
        Some("both") => Track::Pair,
        Some(other) => return refuse(format!("hostbits does not know {other:.40?}"), "write src, dst or both"),
    };
    let seconds = HOSTBIT_SECONDS;
    let (packet, effects) = (&mut draft.rule.packet, &mut draft.rule.effects);
    match command {
        "set" => effects.push(Effect::HostbitSet { name, track, seconds }),
        "unset" => effects.push(Effect::HostbitUnset { name, track }),
        "toggle" => effects.push(Effect::HostbitToggle { name, track, seconds }),
        "isset" => packet.push(PacketTest::Hostbits { name, track, mode: BitTest::IsSet }),
        "isnotset" => packet.push(PacketTest::Hostbits { name, track, mode: BitTest::IsNotSet }),
        other => return unknown(option, other),
    }
    Ok(())
}

/// Reads `flowint:NAME,OPERATOR[,VALUE]`.
pub(super) fn flowint(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let name = name(option, words.next())?;
    let operator = words.next().unwrap_or_default();
    let mut value = || {
        let word = words.next().filter(|word| !word.is_empty());
        let word = word.ok_or_else(|| fault("flowint has no value", "write: flowint:NAME,+,1"))?;
        Ok(whole(word).map_or_else(|| IntOperand::Variable(word.into()), IntOperand::Value))
    };
    let compare = match operator {
        "+" => return effect(draft, Effect::FlowintAdd { name, value: value()? }),
        "-" => return effect(draft, Effect::FlowintSubtract { name, value: value()? }),
        "=" => return effect(draft, Effect::FlowintSet { name, value: value()? }),
        "isset" => return test(draft, name, FlowintTest::IsSet),
        "notset" | "isnotset" => return test(draft, name, FlowintTest::NotSet),
        "==" => IntCompare::Equal,
        "!=" => IntCompare::NotEqual,
        "<" => IntCompare::Less,
        "<=" => IntCompare::LessOrEqual,
        ">" => IntCompare::Greater,
        ">=" => IntCompare::GreaterOrEqual,
        other => {
            return refuse(
                format!("flowint does not know {other:.40?}"),
                "write one of + - = == != < <= > >= isset notset",
            )
        }
    };
    let value = value()?;
    test(draft, name, FlowintTest::Compare(compare, value))
}

fn effect(draft: &mut Draft<'_, '_>, effect: Effect) -> Result<()> {
    draft.rule.effects.push(effect);
    Ok(())
}

fn test(draft: &mut Draft<'_, '_>, name: Box<str>, test: FlowintTest) -> Result<()> {
    draft.rule.packet.push(PacketTest::Flowint { name, test });
    Ok(())
}
