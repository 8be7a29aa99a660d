//! Changes of a buffer before it is looked at (User Guide, "Transformations").

use super::bytes::literal;
use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::options::{parts, quoted, unquoted, RuleOption};
use super::pcre;
use crate::rule::{Base64Mode, Transform};

/// Transforms without a value.
pub(super) const PLAIN: &[(&str, Transform)] = &[
    ("to_lowercase", Transform::ToLowercase),
    ("to_uppercase", Transform::ToUppercase),
    ("compress_whitespace", Transform::CompressWhitespace),
    ("strip_whitespace", Transform::StripWhitespace),
    ("strip_pseudo_headers", Transform::StripPseudoHeaders),
    ("dotprefix", Transform::DotPrefix),
    ("url_decode", Transform::UrlDecode),
    ("to_md5", Transform::Md5),
    ("to_sha1", Transform::Sha1),
    ("to_sha256", Transform::Sha256),
    ("header_lowercase", Transform::HeaderLowercase),
    ("domain", Transform::Domain),
    ("tld", Transform::TopLevelDomain),
];

/// Bytes that decompression gives at most without `max-size`.
const DEFAULT_MAX_SIZE: u32 = 1024;
const MOST: i64 = u32::MAX as i64;

pub(super) fn xor(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let digits = unquoted(option.needed()?).trim();
    let key: Option<Vec<u8>> = digits
        .as_bytes()
        .chunks(2)
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .filter(|pair| pair.len() == 2)
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect();
    let key = key.filter(|key| key.len() <= 255);
    let key =
        key.ok_or_else(|| fault(format!("the key of xor is {digits:.40}"), "write pairs of digits: xor:\"0a1b\""))?;
    draft.transform(Transform::Xor(key.into()))
}

pub(super) fn pcrexform(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let pattern = quoted(option.needed()?)?;
    pcre::check_syntax(pattern)?;
    let pcre = pcre::plain(pattern);
    pcre::check(&pcre)?;
    draft.transform(Transform::Pcre(pcre))
}

/// Reads `from_base64[:bytes N, offset N, mode MODE]`.
pub(super) fn from_base64(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (mut bytes, mut offset, mut mode) = (None, 0, Base64Mode::default());
    for word in parts(option.value.map_or("", unquoted)).filter(|word| !word.is_empty()) {
        match word.split_once(char::is_whitespace) {
            Some(("bytes", value)) => bytes = Some(literal(value, 1, MOST)? as u32),
            Some(("offset", value)) => offset = literal(value, 0, 65_535)? as u32,
            Some(("mode", value)) => mode = base64_mode(value.trim())?,
            _ => {
                return refuse(
                    format!("from_base64 does not know {word:.40?}"),
                    "write bytes N, offset N or mode rfc4648",
                )
            }
        }
    }
    draft.transform(Transform::FromBase64 { bytes, offset, mode })
}

fn base64_mode(name: &str) -> Result<Base64Mode> {
    Ok(match name {
        "rfc2045" => Base64Mode::Rfc2045,
        "rfc4648" => Base64Mode::Rfc4648,
        "strict" => Base64Mode::Strict,
        _ => return refuse(format!("{name:.20?} is no mode of Base64"), "write rfc2045, rfc4648 or strict"),
    })
}

fn max_size(option: &RuleOption<'_>) -> Result<u32> {
    let Some(value) = option.value.filter(|value| !value.is_empty()) else { return Ok(DEFAULT_MAX_SIZE) };
    match unquoted(value).trim().strip_prefix("max-size") {
        Some(size) => Ok(literal(size, 1, MOST)? as u32),
        None => refuse(format!("{} is {value:.40}", option.keyword), format!("write {}:max-size 1024", option.keyword)),
    }
}

pub(super) fn gunzip(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.transform(Transform::Gunzip { max_size: max_size(option)? })
}

pub(super) fn zlib_deflate(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.transform(Transform::ZlibDeflate { max_size: max_size(option)? })
}
