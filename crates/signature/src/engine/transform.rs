//! Changes of a buffer before it is looked at (Suricata User Guide, "Transformations").

use std::borrow::Cow;
use std::cell::Cell;
use std::io::Read;

use flate2::read::{GzDecoder, ZlibDecoder};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::regex::{Expression, GivenUp};
use crate::rule::Transform;

use super::base64;
use super::inspect::count;

/// Bytes that unpacking gives at most where a rule sets no limit.
const MAX_UNPACKED: u32 = 1 << 20;

/// A transform that is ready to run.
#[derive(Debug)]
pub enum Step {
    Plain(Transform),
    /// The first group of an expression.
    Pcre(Box<Expression>),
}

impl Step {
    /// Prepares a transform.
    pub fn new(transform: &Transform) -> Step {
        match transform {
            Transform::Pcre(pcre) => Step::Pcre(Box::new(Expression::of_group(pcre.clone()))),
            other => Step::Plain(other.clone()),
        }
    }
}

/// Returns what a buffer becomes, one step after the other; an expression that takes too much is counted and changes nothing.
pub fn apply<'a>(steps: &[Step], data: &'a [u8], given_up: Option<&Cell<u64>>) -> Cow<'a, [u8]> {
    let mut data = Cow::Borrowed(data);
    for step in steps {
        data = Cow::Owned(match step {
            Step::Pcre(expression) => match expression.first_group(&data) {
                Ok(Some(group)) => group.to_vec(),
                Ok(None) => continue,
                Err(GivenUp) => {
                    count(given_up);
                    continue;
                }
            },
            Step::Plain(transform) => match one(transform, &data) {
                Some(changed) => changed,
                None => continue,
            },
        });
    }
    data
}

/// Returns what one transform makes of a buffer, or None if it leaves it as it is.
fn one(transform: &Transform, data: &[u8]) -> Option<Vec<u8>> {
    Some(match transform {
        Transform::ToLowercase => data.to_ascii_lowercase(),
        Transform::ToUppercase => data.to_ascii_uppercase(),
        Transform::CompressWhitespace => compress_whitespace(data),
        Transform::StripWhitespace => data.iter().copied().filter(|byte| !is_space(*byte)).collect(),
        Transform::StripPseudoHeaders => strip_pseudo_headers(data),
        Transform::DotPrefix => [b".", data].concat(),
        Transform::UrlDecode => url_decode(data),
        Transform::Md5 => Md5::digest(data).to_vec(),
        Transform::Sha1 => Sha1::digest(data).to_vec(),
        Transform::Sha256 => Sha256::digest(data).to_vec(),
        Transform::HeaderLowercase => header_lowercase(data),
        Transform::Xor(key) if key.is_empty() => return None,
        Transform::Xor(key) => data.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect(),
        Transform::FromBase64 { bytes, offset, mode } => {
            let encoded = data.get(*offset as usize..)?;
            let length = bytes.map_or(encoded.len(), |bytes| encoded.len().min(bytes as usize));
            let decoded = base64::decode(encoded.get(..length)?, *mode);
            if decoded.is_empty() {
                return None;
            }
            decoded
        }
        // By the public suffix list, so that `co.uk` is a top-level domain.
        Transform::Domain => psl::domain(data)?.as_bytes().to_vec(),
        Transform::TopLevelDomain => psl::suffix(data)?.as_bytes().to_vec(),
        Transform::Gunzip { max_size } => unpack(GzDecoder::new(data), *max_size)?,
        Transform::ZlibDeflate { max_size } => unpack(ZlibDecoder::new(data), *max_size)?,
        Transform::Pcre(_) => return None,
    })
}

/// Spaces of C's `isspace`.
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

fn compress_whitespace(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for byte in data {
        let repeats = is_space(*byte) && out.last().is_some_and(|last| is_space(*last));
        if !repeats {
            out.push(*byte);
        }
    }
    out
}

/// Drops the headers of HTTP/2 that begin with a colon.
fn strip_pseudo_headers(data: &[u8]) -> Vec<u8> {
    data.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b":")).flatten().copied().collect()
}

/// Turns `%XX` into bytes and `+` into spaces.
fn url_decode(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut rest = data;
    while let Some((first, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        rest = after;
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high * 16 + low) as u8);
                rest = after.get(2..).unwrap_or_default();
            }
            (b'+', ..) => out.push(b' '),
            (byte, ..) => out.push(*byte),
        }
    }
    out
}

/// Writes the names of headers, which are what stands before a colon, in lower case.
fn header_lowercase(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        let name = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
        out.extend(line.iter().take(name).map(u8::to_ascii_lowercase));
        out.extend_from_slice(line.get(name..).unwrap_or_default());
    }
    out
}

fn unpack(reader: impl Read, max_size: u32) -> Option<Vec<u8>> {
    let limit = if max_size == 0 { MAX_UNPACKED } else { max_size.min(MAX_UNPACKED) };
    let mut out = Vec::new();
    let whole = reader.take(u64::from(limit)).read_to_end(&mut out);
    (whole.is_ok() || !out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(transform: Transform, data: &[u8]) -> Vec<u8> {
        apply(&[Step::new(&transform)], data, None).into_owned()
    }

    #[test]
    fn each_transform_does_what_it_says() {
        assert_eq!(of(Transform::ToLowercase, b"aBC1"), b"abc1");
        assert_eq!(of(Transform::ToUppercase, b"aBC1"), b"ABC1");
        assert_eq!(of(Transform::CompressWhitespace, b"a  \t b"), b"a b");
        assert_eq!(of(Transform::StripWhitespace, b" a\t b\r\n"), b"ab");
        assert_eq!(of(Transform::StripPseudoHeaders, b":method: GET\r\nhost: a\r\n"), b"host: a\r\n");
        assert_eq!(of(Transform::DotPrefix, b"example.org"), b".example.org");
        assert_eq!(of(Transform::UrlDecode, b"a%41+%4g"), b"aA %4g");
        assert_eq!(of(Transform::HeaderLowercase, b"Host: A\r\n"), b"host: A\r\n");
        assert_eq!(of(Transform::Xor([1, 2].as_slice().into()), b"abc"), b"``b");
        assert_eq!(of(Transform::Domain, b"www.example.co.uk"), b"example.co.uk");
        assert_eq!(of(Transform::TopLevelDomain, b"www.example.co.uk"), b"co.uk");
        assert_eq!(of(Transform::Md5, b"")[..4], [0xd4, 0x1d, 0x8c, 0xd9]);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_safe(data: Vec<u8>) {
            for transform in [Transform::UrlDecode, Transform::Domain, Transform::Gunzip { max_size: 0 }, Transform::HeaderLowercase] {
                of(transform, &data);
            }
        }
    }
}
