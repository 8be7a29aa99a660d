//! Fingerprints of hellos: JA3 and JA3S (salesforce/ja3), JA4 (FoxIO JA4 specification).

use md5::{Digest, Md5};
use sha2::Sha256;

use super::super::bytes::hex_digit;
use super::message::{extension, is_grease, ClientHello, ServerHello};

/// Digits of a JA4 part that has nothing to hash.
const EMPTY_HASH: &str = "000000000000";

/// What carries the hello, the first letter of JA4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    Dtls,
    Quic,
}

/// Computes the JA3 hash of a client hello.
pub fn ja3(hello: &ClientHello<'_>) -> String {
    hex(&Md5::digest(ja3_text(hello)))
}

/// Writes what JA3 hashes.
pub fn ja3_text(hello: &ClientHello<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(512);
    push_list(&mut text, [hello.version]);
    text.push(b',');
    push_list(&mut text, hello.ciphers());
    text.push(b',');
    push_list(&mut text, hello.extensions.iter().map(|(kind, _)| kind));
    text.push(b',');
    push_list(&mut text, hello.groups());
    text.push(b',');
    push_list(&mut text, hello.point_formats().iter().map(|format| u16::from(*format)));
    text
}

/// Computes the JA3S hash of a server hello.
pub fn ja3s(hello: &ServerHello<'_>) -> String {
    hex(&Md5::digest(ja3s_text(hello)))
}

/// Writes what JA3S hashes.
pub fn ja3s_text(hello: &ServerHello<'_>) -> Vec<u8> {
    let mut text = Vec::with_capacity(128);
    for number in [hello.version, hello.cipher] {
        push_decimal(&mut text, number);
        text.push(b',');
    }
    push_list(&mut text, hello.extensions.iter().map(|(kind, _)| kind));
    text
}

/// Appends numbers in decimal with dashes between them, without GREASE.
fn push_list(text: &mut Vec<u8>, numbers: impl IntoIterator<Item = u16>) {
    for (at, number) in numbers.into_iter().filter(|number| !is_grease(*number)).enumerate() {
        if at > 0 {
            text.push(b'-');
        }
        push_decimal(text, number);
    }
}

// Hellos are many and their numbers, too: the formatter of the standard library takes ten times as long.
fn push_decimal(text: &mut Vec<u8>, number: u16) {
    let digits = [10_000, 1_000, 100, 10, 1].map(|place| b'0' + (number / place % 10) as u8);
    let leading = digits.iter().take(4).take_while(|digit| **digit == b'0').count();
    text.extend_from_slice(&digits[leading..]);
}

/// Computes the JA4 fingerprint of a client hello.
pub fn ja4(hello: &ClientHello<'_>, carrier: Carrier) -> String {
    let mut ciphers: Vec<u16> = hello.ciphers().filter(|number| !is_grease(*number)).collect();
    let mut extensions: Vec<u16> =
        hello.extensions.iter().map(|(kind, _)| kind).filter(|number| !is_grease(*number)).collect();
    let counts = (ciphers.len().min(99), extensions.len().min(99));
    ciphers.sort_unstable();
    extensions.retain(|kind| !matches!(*kind, extension::SERVER_NAME | extension::ALPN));
    extensions.sort_unstable();

    let mut hashed = Vec::with_capacity(256);
    push_hex_list(&mut hashed, extensions.iter().copied());
    let mut signatures = hello.signature_algorithms().filter(|number| !is_grease(*number)).peekable();
    if !hashed.is_empty() && signatures.peek().is_some() {
        hashed.push(b'_');
        push_hex_list(&mut hashed, signatures);
    }
    let extension_hash = short_hash(&hashed);
    hashed.clear();
    push_hex_list(&mut hashed, ciphers);
    let cipher_hash = short_hash(&hashed);

    let letter = match carrier {
        Carrier::Tcp => 't',
        Carrier::Dtls => 'd',
        Carrier::Quic => 'q',
    };
    let version = version_digits(hello.highest_version());
    let name = if hello.extensions.get(extension::SERVER_NAME).is_some() { 'd' } else { 'i' };
    let [first, last] = alpn_ends(hello.alpn().next().unwrap_or_default());
    format!("{letter}{version}{name}{:02}{:02}{first}{last}_{cipher_hash}_{extension_hash}", counts.0, counts.1)
}

const fn version_digits(version: u16) -> &'static str {
    match version {
        0x0304 => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        0xfeff => "d1",
        0xfefd => "d2",
        0xfefc => "d3",
        _ => "00",
    }
}

/// Returns first and last character of a protocol name, of its hexadecimal form if one is not alphanumeric.
fn alpn_ends(name: &[u8]) -> [char; 2] {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return ['0', '0'] };
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [char::from(*first), char::from(*last)];
    }
    [first >> 4, *last].map(|digit| char::from(hex_digit(digit)))
}

/// Appends numbers as four hexadecimal digits with commas between them.
fn push_hex_list(text: &mut Vec<u8>, numbers: impl IntoIterator<Item = u16>) {
    for (at, number) in numbers.into_iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&[12, 8, 4, 0].map(|shift| hex_digit((number >> shift) as u8)));
    }
}

/// Returns the first twelve digits of the SHA-256 hash.
fn short_hash(text: &[u8]) -> String {
    if text.is_empty() {
        return EMPTY_HASH.to_owned();
    }
    hex(Sha256::digest(text).get(..6).unwrap_or_default())
}

/// Writes bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(hex_digit(byte >> 4)));
        text.push(char::from(hex_digit(*byte)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::message::{parse_client_hello, parse_server_hello};
    use super::*;

    fn list(numbers: &[u16]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    }

    fn hello(version: u16, ciphers: &[u16], extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let block: Vec<u8> = extensions
            .iter()
            .flat_map(|(kind, content)| [list(&[*kind, content.len() as u16]), content.clone()].concat())
            .collect();
        let ciphers = list(ciphers);
        [
            &list(&[version])[..],
            &[7; 32],
            &[0],
            &list(&[ciphers.len() as u16]),
            &ciphers,
            &[1, 0],
            &list(&[block.len() as u16]),
            &block,
        ]
        .concat()
    }

    /// The worked example of the JA4 specification: t13d1516h2_8daaf6152771_e5627efa2ab1.
    #[test]
    fn ja4_matches_the_published_example() {
        let ciphers = [
            0x0a0a, 0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c,
            0x009d, 0x002f, 0x0035,
        ];
        let signatures = list(&[0x0010, 0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]);
        let contents = [
            (0x1a1a, vec![]),
            (0x001b, vec![2, 0, 2]),
            (0x0000, b"\0\x04\0\0\x01a".to_vec()),
            (0x0033, vec![0, 0]),
            (0x0010, b"\0\x03\x02h2".to_vec()),
            (0x4469, vec![]),
            (0x0017, vec![]),
            (0x002d, vec![]),
            (0x000d, signatures),
            (0x0005, vec![]),
            (0x0023, vec![]),
            (0x0012, vec![]),
            (0x002b, vec![6, 0xfa, 0xfa, 3, 4, 3, 3]),
            (0xff01, vec![]),
            (0x000b, vec![1, 0]),
            (0x000a, list(&[2, 0x1d])),
            (0x0015, vec![]),
        ];
        let bytes = hello(0x0303, &ciphers, &contents);
        let parsed = parse_client_hello(&bytes).unwrap();
        assert_eq!(ja4(&parsed, Carrier::Tcp), "t13d1516h2_8daaf6152771_e5627efa2ab1");
        assert_eq!(&ja4(&parsed, Carrier::Quic)[..10], "q13d1516h2");
    }

    /// The examples in the README of salesforce/ja3.
    #[test]
    fn ja3_matches_the_published_examples() {
        let contents = [(0, vec![]), (10, list(&[6, 23, 24, 25])), (11, vec![1, 0])];
        let bytes = hello(769, &[47, 53, 5, 10, 49161, 49162, 49171, 49172, 50, 56, 19, 4], &contents);
        assert_eq!(ja3(&parse_client_hello(&bytes).unwrap()), "ada70206e40642a3e4461f35503241d5");
        let bytes = hello(769, &[4, 5, 10, 9, 100, 98, 3, 6, 19, 18, 99], &[]);
        assert_eq!(ja3(&parse_client_hello(&bytes).unwrap()), "de350869b8c85de67a350c8d186f11e6");
    }

    #[test]
    fn ja3s_matches_the_published_example() {
        let bytes = [&[3, 1][..], &[0; 32], &[0, 0, 47, 0, 0, 8, 0xff, 1, 0, 0, 0, 35, 0, 0]].concat();
        assert_eq!(ja3s(&parse_server_hello(&bytes).unwrap()), hex(&Md5::digest("769,47,65281-35")));
    }

    #[test]
    fn alpn_ends_fall_back_to_hexadecimal() {
        assert_eq!(alpn_ends(b"http/1.1"), ['h', '1']);
        assert_eq!(alpn_ends(b"\xab\xcd"), ['a', 'd']);
        assert_eq!(alpn_ends(b""), ['0', '0']);
    }
}
