//! Application fields that are numbers, flags or one of a few words, each keyword with the words it knows.

use super::content;
use super::dates;
use super::draft::Draft;
use super::fault::{fault, nearest, refuse, Result};
use super::numbers::comparison;
use super::options::{negation, parts, unquoted, whole, RuleOption};
use super::packet::instance;
use super::words::*;
use crate::field::Field;
use crate::protocol::modbus::part;
use crate::rule::{ByteOperator, ByteOrder, ByteTest, Compare, Instance, Match, NumberTest, Operand, Validity};

type Read = fn(&mut Draft<'_, '_>, Field, &RuleOption<'_>) -> Result<()>;

const U8: u64 = 255;
const U16: u64 = 65_535;
const U32: u64 = 0xffff_ffff;
const U64: u64 = u64::MAX;

/// How the keyword of a field reads its value.
enum Shape {
    /// A comparison of numbers up to this, or one of the words.
    Number(u64, Words),
    /// The same with `,POSITION`, `,any` or `,all`.
    Indexed(u64, Words),
    /// Bits by name, each perhaps negated.
    Bits(Words),
    /// Something of its own.
    Own(Read),
}

/// Returns how a field's keyword is written (User Guide, the chapter of its protocol).
fn shape(field: Field) -> Shape {
    use Shape::{Bits, Indexed, Number, Own};
    match field {
        Field::DnsOpcode => Number(U8, &[]),
        Field::DnsResponseCode => Number(U16, RESPONSE_CODES),
        Field::DnsRecordType => Number(U16, RECORD_TYPES),
        Field::Http2FrameType => Number(U8, HTTP2_FRAMES),
        Field::Http2ErrorCode => Number(U32, HTTP2_ERRORS),
        Field::Http2Priority => Number(U8, &[]),
        Field::Http2Settings => Own(http2_settings),
        Field::TlsVersion => Own(tls_version),
        Field::TlsState => Own(tls_state),
        Field::TlsNotBefore | Field::TlsNotAfter => Own(date),
        Field::SmbVersion => Number(U8, &[]),
        Field::DcerpcOpnum => Own(dcerpc_opnum),
        Field::KrbMessageType => Number(U8, &[]),
        Field::KrbErrorCode => Own(signed),
        Field::KrbTicketEncryption => Own(ticket_encryption),
        Field::MqttType => Number(U8, MQTT_TYPES),
        Field::MqttFlags => Bits(&[("retain", 1), ("dup", 8)]),
        Field::MqttConnectFlags => {
            Bits(&[("clean_session", 2), ("will", 4), ("will_retain", 32), ("password", 64), ("username", 128)])
        }
        Field::MqttQos => Number(2, &[]),
        Field::MqttProtocolVersion | Field::MqttReasonCode => Number(U8, &[]),
        Field::MqttConnackSessionPresent => Number(1, SWITCH),
        Field::RfbSecurityResult => Own(rfb_result),
        Field::IkeExchangeType => Number(U8, &[]),
        Field::IkeChosenAttribute => Own(ike_attribute),
        Field::SnmpPduType => Number(U32, SNMP_PDUS),
        Field::LdapRequestOperation => Number(U8, LDAP_OPERATIONS),
        Field::LdapResponsesOperation => Indexed(U8, LDAP_OPERATIONS),
        Field::LdapResponsesResultCode => Indexed(U32, LDAP_RESULTS),
        Field::WebsocketOpcode => Number(U8, WEBSOCKET_OPCODES),
        Field::WebsocketFlags => Own(websocket_flags),
        Field::NtpMode => Number(U8, NTP_MODES),
        Field::NtpVersion | Field::NtpStratum => Number(U8, &[]),
        Field::FtpDynamicPort => Number(U16, &[]),
        Field::ModbusFunction => Own(modbus),
        Field::Dnp3Function => Number(U8, DNP3_FUNCTIONS),
        Field::Dnp3Indications => Own(dnp3_indications),
        Field::Dnp3Object => Own(dnp3_object),
        Field::EnipCommand => Number(U16, ENIP_COMMANDS),
        Field::CipService => Own(cip_service),
        Field::DhcpLeaseTime | Field::DhcpRenewalTime | Field::DhcpRebindingTime | Field::Http2SizeUpdate => {
            Number(U64, &[])
        }
        _ => Number(U32, &[]),
    }
}

/// Reads the keyword of a field that is a number.
pub(super) fn read(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = || option.needed().map(unquoted);
    match shape(field) {
        Shape::Own(read) => read(draft, field, option),
        Shape::Number(most, words) => add(draft, field, worded(option, value()?, most, words)?),
        Shape::Bits(words) => add(draft, field, bits(option, value()?, words)?),
        Shape::Indexed(most, words) => {
            let value = value()?;
            let (compare, position) = value.split_once(',').unwrap_or((value, "any"));
            let (compare, instance) = (worded(option, compare, most, words)?, instance(position)?);
            push(draft, NumberTest { field, compare, instance })
        }
    }
}

fn push(draft: &mut Draft<'_, '_>, test: NumberTest) -> Result<()> {
    draft.require_protocols(test.field.protocols())?;
    draft.rule.numbers.push(test);
    Ok(())
}

fn add(draft: &mut Draft<'_, '_>, field: Field, compare: Compare) -> Result<()> {
    push(draft, NumberTest { field, compare, instance: Instance::Any })
}

fn unknown(option: &RuleOption<'_>, value: &str, words: Words) -> super::fault::Fault {
    let near = nearest(&value.to_ascii_lowercase(), words.iter().map(|(word, _)| *word));
    let suggestion = match (near, words.first()) {
        (Some(near), _) => format!("write {near}"),
        (None, Some((word, _))) => format!("write a word such as {word}, or a comparison of numbers"),
        (None, None) => "write a comparison of numbers, such as 5, >5 or 1-9".to_owned(),
    };
    fault(format!("{} is {value:.60?}", option.keyword), suggestion)
}

/// Reads a comparison of numbers, or a word that may be negated.
fn worded(option: &RuleOption<'_>, value: &str, most: u64, words: Words) -> Result<Compare> {
    let (negated, word) = negation(value.trim());
    match of_word(words, word.trim()) {
        Some(number) if negated => Ok(Compare::NotEqual(number)),
        Some(number) => Ok(Compare::Equal(number)),
        None => comparison(value.trim(), most).ok_or_else(|| unknown(option, value, words)),
    }
}

/// Reads named bits that must all be as they are said: set, or with `!` not set.
fn bits(option: &RuleOption<'_>, value: &str, words: Words) -> Result<Compare> {
    let (mut mask, mut wanted) = (0, 0);
    for part in parts(value) {
        let (negated, word) = negation(part);
        let bit = of_word(words, word).ok_or_else(|| unknown(option, word, words))?;
        mask |= bit;
        wanted |= if negated { 0 } else { bit };
    }
    Ok(Compare::Masked { mask, wanted, negated: false })
}

fn http2_settings(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?).trim();
    let end = value.find(|byte: char| !byte.is_ascii_alphanumeric() && byte != '_').unwrap_or(value.len());
    let (name, rest) = value.split_at(end);
    let number =
        of_word(HTTP2_SETTINGS, name).or_else(|| whole(name)).ok_or_else(|| unknown(option, name, HTTP2_SETTINGS))?;
    let (first, last) = (number << 32, number << 32 | U32);
    let compare = if rest.trim().is_empty() {
        Compare::Within([(first, last)].into())
    } else {
        let compare = comparison(rest.trim(), U32).ok_or_else(|| unknown(option, rest, &[]))?;
        tagged(number << 32, &compare).ok_or_else(|| unknown(option, rest, &[]))?
    };
    add(draft, field, compare)
}

/// Turns a comparison of 32-bit numbers into one of those whose upper half is a tag.
fn tagged(tag: u64, compare: &Compare) -> Option<Compare> {
    let last = tag | U32;
    let within = |first: u64, last: u64| Some(Compare::Within([(tag | first, tag | last)].into()));
    match *compare {
        Compare::Equal(number) => Some(Compare::Equal(tag | number)),
        Compare::NotEqual(number) => {
            let below = number.checked_sub(1).map(|below| (tag, tag | below));
            let above = (number < U32).then(|| (tag | (number + 1), last));
            Some(Compare::Within(below.into_iter().chain(above).collect()))
        }
        Compare::Less(0) | Compare::Greater(U32..) => None,
        Compare::Less(bound) => within(0, bound - 1),
        Compare::LessOrEqual(bound) => within(0, bound),
        Compare::Greater(bound) => within(bound + 1, U32),
        Compare::GreaterOrEqual(bound) => within(bound, U32),
        Compare::Between(low, high) => within(low + 1, high - 1),
        Compare::NotBetween(low, high) => Some(Compare::Within([(tag, tag | low), (tag | high, last)].into())),
        _ => None,
    }
}

/// Reads `tls.version:1.2` and `ssl_version:[!]tls1.2[,...]`.
fn tls_version(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?).trim();
    if option.keyword.starts_with("tls") {
        let version = of_word(TLS_VERSIONS, &format!("tls{value}")).or_else(|| whole::<u16>(value).map(u64::from));
        let version = version.filter(|_| value.starts_with("0x") || value.contains('.'));
        return add(draft, field, Compare::Equal(version.ok_or_else(|| unknown(option, value, TLS_VERSIONS))?));
    }
    // One exclamation mark negates the whole list.
    let mut listed = Vec::new();
    let mut is_negated = false;
    for part in parts(value) {
        let (negated, word) = negation(part);
        is_negated |= negated;
        listed.push(of_word(TLS_VERSIONS, word).ok_or_else(|| unknown(option, word, TLS_VERSIONS))?);
    }
    add(draft, field, if is_negated { none_of(listed) } else { Compare::OneOf(listed.into()) })
}

/// Compares with every number but some.
fn none_of(mut numbers: Vec<u64>) -> Compare {
    numbers.sort_unstable();
    let (mut ranges, mut next) = (Vec::new(), Some(0));
    for number in numbers {
        ranges.extend(next.filter(|next| *next < number).map(|next| (next, number - 1)));
        next = number.checked_add(1);
    }
    ranges.extend(next.map(|next| (next, u64::MAX)));
    Compare::Within(ranges.into())
}

/// Reads `ssl_state:[!]STATE[|STATE...]`.
fn tls_state(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (mut any, mut none) = (0, 0);
    for part in value.split(['|', ',']) {
        let (negated, word) = negation(part.trim());
        let bit = of_word(TLS_STATES, word).ok_or_else(|| unknown(option, word, TLS_STATES))?;
        *(if negated { &mut none } else { &mut any }) |= bit;
    }
    if any != 0 {
        add(draft, field, Compare::Masked { mask: any, wanted: 0, negated: true })?;
    }
    if none != 0 {
        add(draft, field, Compare::Masked { mask: none, wanted: 0, negated: false })?;
    }
    Ok(())
}

/// Reads `tls_cert_notbefore:COMPARISON` of dates.
fn date(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let compare = dates::comparison(value);
    let wrong = || {
        fault(
            format!("{} is {value:.60?}", option.keyword),
            "write <2030, >2019-12-31 or 2019-01-01<>2020-01-01T12:00:00",
        )
    };
    add(draft, field, compare.ok_or_else(wrong)?)
}

pub(super) fn validity(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.require_protocols(Field::TlsNotAfter.protocols())?;
    let validity = if option.keyword.ends_with("expired") { Validity::Expired } else { Validity::Valid };
    if draft.rule.validity.replace(validity).is_some() {
        return refuse(format!("{} is the second of its kind", option.keyword), "leave one of them out");
    }
    Ok(())
}

/// Reads `dcerpc.opnum:NUMBER[-NUMBER][,...]`, whose ranges have both ends, or one comparison.
fn dcerpc_opnum(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let range = |part: &str| match part.split_once('-') {
        Some((first, last)) => {
            Some((whole(first)?, whole(last)?)).filter(|(first, last)| first <= last && *last <= U16)
        }
        None => whole(part).filter(|number| *number <= U16).map(|number| (number, number)),
    };
    let listed: Option<Box<[(u64, u64)]>> = parts(value).map(range).collect();
    let compare = listed.map(Compare::Within).or_else(|| comparison(value, U16));
    add(draft, field, compare.ok_or_else(|| unknown(option, value, &[]))?)
}

/// Reads `dcerpc.iface:UUID[,COMPARISON][,any_frag]` as a test of the sixteen bytes and of the version behind them.
pub(super) fn dcerpc_iface(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let field = Field::DcerpcInterface;
    let mut words = parts(unquoted(option.needed()?));
    let name = words.next().unwrap_or_default();
    let bytes = uuid(name).ok_or_else(|| fault(format!("{name:.60?} is no interface"), "write a UUID"))?;
    let mut interface = content::literal(bytes.to_vec(), false);
    interface.startswith = true;
    draft.add(field, Match::Content(interface))?;
    for word in words.filter(|word| *word != "any_frag") {
        let test = interface_version(word).ok_or_else(|| unknown(option, word, &[]))?;
        draft.add(field, Match::ByteTest(test))?;
    }
    Ok(())
}

/// Reads a UUID into the bytes in the order they are written.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let groups: Vec<&str> = text.split('-').collect();
    let is_shaped = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]);
    let number = u128::from_str_radix(&groups.concat(), 16).ok().filter(|_| is_shaped && !text.contains('+'))?;
    Some(number.to_be_bytes())
}

fn interface_version(word: &str) -> Option<ByteTest> {
    let operators = [('<', ByteOperator::Less), ('>', ByteOperator::Greater), ('=', ByteOperator::Equal)];
    let (negated, rest) = negation(word);
    let (operator, number) =
        match operators.iter().find_map(|(mark, operator)| Some((*operator, rest.strip_prefix(*mark)?))) {
            Some(found) => found,
            None if negated => (ByteOperator::Equal, rest),
            None => return None,
        };
    Some(ByteTest {
        bytes: Operand::Value(2),
        operator,
        negated,
        value: Operand::Value(i64::from(whole::<u16>(number)?)),
        offset: Operand::Value(16),
        relative: false,
        order: ByteOrder::Big,
        text: None,
        mask: None,
    })
}

/// Reads a number that may be negative, which the field has as 32 bits.
fn signed(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?).trim();
    let (negated, number) = negation(value);
    let compare = match number.parse::<i32>() {
        Ok(number) if negated => Compare::NotEqual(u64::from(number as u32)),
        Ok(number) => Compare::Equal(u64::from(number as u32)),
        Err(_) => comparison(value, i32::MAX as u64).ok_or_else(|| unknown(option, value, &[]))?,
    };
    add(draft, field, compare)
}

/// Reads `krb5.ticket_encryption:[!]weak`, or a list of names and numbers.
fn ticket_encryption(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?).trim();
    let (negated, names) = negation(value);
    if names.eq_ignore_ascii_case("weak") {
        return add(draft, Field::KrbWeakEncryption, Compare::Equal(u64::from(!negated)));
    }
    let mut listed = Vec::new();
    for name in parts(names) {
        let number = name.parse::<i32>().ok().map(|number| u64::from(number as u32));
        listed.push(number.or_else(|| of_word(ENCRYPTIONS, name)).ok_or_else(|| unknown(option, name, ENCRYPTIONS))?);
    }
    add(draft, field, if negated { none_of(listed) } else { Compare::OneOf(listed.into()) })
}

fn rfb_result(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let compare = match value.trim() {
        "unknown" => Compare::Greater(2),
        "!unknown" => Compare::LessOrEqual(2),
        other => worded(option, other, U32, &[("ok", 0), ("fail", 1), ("toomany", 2)])?,
    };
    add(draft, field, compare)
}

fn ike_attribute(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (name, number) = value.split_once('=').unwrap_or((value, ""));
    let attribute = of_word(IKE_ATTRIBUTES, name.trim()).ok_or_else(|| unknown(option, name, IKE_ATTRIBUTES))?;
    let number = whole::<u32>(number).ok_or_else(|| unknown(option, number, &[]))?;
    add(draft, field, Compare::Equal(attribute << 32 | u64::from(number)))
}

fn websocket_flags(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let compare = comparison(value.trim(), U8).map_or_else(|| bits(option, value, WEBSOCKET_FLAGS), Ok)?;
    add(draft, field, compare)
}

/// Reads `modbus:` with its parts: unit, function, subfunction, access, address, value.
fn modbus(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let mut function = None;
    let mut address = None;
    for word in parts(unquoted(option.needed()?)) {
        let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        let value = value.trim();
        let wrong = || unknown(option, word, MODBUS_CATEGORIES);
        let number = |most: u64| comparison(value, most).ok_or_else(wrong);
        match name {
            "unit" => add(draft, field, tagged(part::UNIT, &number(U8)?).ok_or_else(wrong)?)?,
            "function" => function = modbus_function(draft, field, option, value)?,
            "subfunction" => {
                let (Some(function), Some(sub)) = (function, whole::<u16>(value)) else { return Err(wrong()) };
                add(draft, field, Compare::Equal(part::SUBFUNCTION | function << 16 | u64::from(sub)))?;
            }
            "access" => add(draft, field, modbus_access(option, value)?)?,
            "address" => {
                let compare = number(U16)?;
                if let Compare::Equal(number) = compare {
                    address = Some(number);
                }
                add(draft, field, tagged(part::ADDRESS, &compare).ok_or_else(wrong)?)?;
            }
            "value" => {
                let address =
                    address.ok_or_else(|| fault("value has no single address", "write address N, value N"))?;
                let compare = tagged(part::VALUE | address << 16, &number(U16)?).ok_or_else(wrong)?;
                add(draft, field, upper_bounded(compare, part::VALUE | address << 16 | U16))?;
            }
            _ => return Err(wrong()),
        }
    }
    Ok(())
}

/// Keeps ranges below a bound: values lie in the lower 16 bits only.
fn upper_bounded(compare: Compare, most: u64) -> Compare {
    match compare {
        Compare::Within(ranges) => {
            Compare::Within(ranges.iter().map(|(first, last)| (*first, (*last).min(most))).collect())
        }
        other => other,
    }
}

/// Reads a function code, which it returns, or a category.
fn modbus_function(
    draft: &mut Draft<'_, '_>,
    field: Field,
    option: &RuleOption<'_>,
    value: &str,
) -> Result<Option<u64>> {
    if let Some(code) = whole::<u8>(value) {
        add(draft, field, Compare::Equal(part::FUNCTION | u64::from(code)))?;
        return Ok(Some(u64::from(code)));
    }
    let (negated, name) = negation(value);
    let category = of_word(MODBUS_CATEGORIES, name).ok_or_else(|| unknown(option, value, MODBUS_CATEGORIES))?;
    add(draft, field, Compare::OneOf(with_bits(part::CATEGORY, 15, |bits| (bits & category != 0) != negated)))?;
    Ok(None)
}

/// Returns the numbers of a tag whose lower bits pass.
fn with_bits(tag: u64, most: u64, passes: impl Fn(u64) -> bool) -> Box<[u64]> {
    (0..=most).filter(|bits| passes(*bits)).map(|bits| tag | bits).collect()
}

fn modbus_access(option: &RuleOption<'_>, value: &str) -> Result<Compare> {
    let mut words = value.split_whitespace();
    let kind = match words.next() {
        Some("read") => 1,
        Some("write") => 2,
        _ => return Err(unknown(option, value, &[("read", 1), ("write", 2)])),
    };
    let table =
        words.next().map(|word| of_word(MODBUS_TABLES, word).ok_or_else(|| unknown(option, word, MODBUS_TABLES)));
    let wanted = kind | table.transpose()?.unwrap_or(0);
    Ok(Compare::OneOf(with_bits(part::ACCESS, 63, |bits| bits & wanted == wanted)))
}

/// Reads `dnp3_ind:NAME[,NAME...]`, any of which may be set.
fn dnp3_indications(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let mask = match whole::<u16>(value) {
        Some(mask) => u64::from(mask),
        None => parts(value).try_fold(0, |mask, word| {
            of_word(DNP3_INDICATIONS, word).map(|bit| mask | bit).ok_or_else(|| unknown(option, word, DNP3_INDICATIONS))
        })?,
    };
    add(draft, field, Compare::Masked { mask, wanted: 0, negated: true })
}

/// Reads `dnp3_obj:GROUP,VARIATION`.
fn dnp3_object(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let read =
        value.split_once(',').and_then(|(group, variation)| Some((whole::<u8>(group)?, whole::<u8>(variation)?)));
    let (group, variation) = read.ok_or_else(|| fault(format!("dnp3_obj is {value:.40}"), "write: dnp3_obj:99,99"))?;
    add(draft, field, Compare::Equal(u64::from(group) << 8 | u64::from(variation)))
}

/// Reads `cip_service:SERVICE[,CLASS[,ATTRIBUTE]]`.
fn cip_service(draft: &mut Draft<'_, '_>, field: Field, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let numbers: Option<Vec<u64>> = parts(value).map(whole).collect();
    let numbers = numbers.filter(|numbers| numbers.len() <= 3).ok_or_else(|| unknown(option, value, &[]))?;
    for (number, part) in numbers.into_iter().zip(0_u64..) {
        add(draft, field, Compare::Equal(part << 32 | number))?;
    }
    Ok(())
}

/// Reads a keyword of a buffer that holds one of a few words: `ftp.mode:active`.
pub(super) fn word(
    draft: &mut Draft<'_, '_>,
    field: Field,
    option: &RuleOption<'_>,
    words: &[(&str, &str)],
) -> Result<()> {
    let value = unquoted(option.needed()?).trim();
    let known = words.iter().find(|(word, _)| word.eq_ignore_ascii_case(value));
    let Some((_, kept)) = known else {
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        return refuse(format!("{} is {value:.40?}", option.keyword), format!("write {}", all.join(" or ")));
    };
    let mut content = content::literal(kept.as_bytes().to_vec(), false);
    (content.nocase, content.startswith, content.endswith) = (true, true, true);
    draft.add(field, Match::Content(content)).map(drop)
}
