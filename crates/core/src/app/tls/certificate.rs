//! What a flow keeps of an X.509 certificate (RFC 5280).

use sha1::{Digest, Sha1};
use x509_parser::prelude::{AttributeTypeAndValue, FromDer, GeneralName, X509Certificate, X509Name};

use super::super::Stop;
use super::fingerprint::hex;

/// Most alternative names kept of one certificate.
const MAX_NAMES: usize = 64;
/// Most bytes shown of a serial number; RFC 5280 allows 20.
const MAX_SERIAL: usize = 64;

/// The readable facts of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Distinguished names as text (RFC 4514): most specific part first.
    pub subject: String,
    pub issuer: String,
    /// Upper-case hexadecimal.
    pub serial: String,
    /// SHA-1 of the DER bytes, lower-case hexadecimal.
    pub sha1: String,
    /// DNS names among the subject alternative names.
    pub names: Vec<String>,
    /// Validity in seconds since the Unix epoch.
    pub not_before: i64,
    pub not_after: i64,
}

/// Parses a certificate in DER.
pub fn parse_certificate(der: &[u8]) -> Result<Certificate, Stop> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| Stop::Malformed("certificate"))?;
    let validity = certificate.validity();
    Ok(Certificate {
        subject: distinguished_name(certificate.subject()),
        issuer: distinguished_name(certificate.issuer()),
        serial: serial(certificate.raw_serial()),
        sha1: hex(&Sha1::digest(der)),
        names: alternative_names(&certificate),
        not_before: validity.not_before.timestamp(),
        not_after: validity.not_after.timestamp(),
    })
}

/// Writes a serial number without the zero byte that only keeps it positive.
fn serial(bytes: &[u8]) -> String {
    let digits = match bytes {
        [0, rest @ ..] if !rest.is_empty() => rest,
        all => all,
    };
    hex(digits.get(..MAX_SERIAL).unwrap_or(digits)).to_ascii_uppercase()
}

fn alternative_names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return Vec::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        _ => None,
    });
    names.take(MAX_NAMES).collect()
}

/// Writes a name as RFC 4514 does: last part first, parts of one set joined by a plus sign.
fn distinguished_name(name: &X509Name<'_>) -> String {
    let mut sets: Vec<String> =
        name.iter_rdn().map(|set| set.iter().map(attribute).collect::<Vec<_>>().join("+")).collect();
    sets.reverse();
    sets.join(",")
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> String {
    let oid = attribute.attr_type();
    let name = attribute_name(oid.as_bytes()).map_or_else(|| oid.to_id_string(), str::to_owned);
    format!("{name}={}", escape(&attribute_text(attribute)))
}

/// Reads the string types of RFC 5280, 4.1.2.4; other values are written in hexadecimal.
fn attribute_text(attribute: &AttributeTypeAndValue<'_>) -> String {
    use x509_parser::asn1_rs::Tag;
    let bytes = attribute.as_slice();
    match (attribute.as_str(), attribute.attr_value().tag()) {
        (Ok(text), _) => text.to_owned(),
        // Read as Latin-1, which is what issuers meant.
        (_, Tag::T61String) => bytes.iter().copied().map(char::from).collect(),
        (_, Tag::BmpString) => char::decode_utf16(super::super::bytes::numbers16(bytes))
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
        _ => format!("#{}", hex(bytes)),
    }
}

/// Escapes what RFC 4514, 2.4 reserves.
fn escape(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::with_capacity(value.len());
    for (at, character) in value.chars().enumerate() {
        let at_edge = (at == 0 || at == last) && character == ' ';
        if at_edge || matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

/// Names an attribute by the DER content of its object identifier (RFC 4514, RFC 4519, RFC 2985).
fn attribute_name(oid: &[u8]) -> Option<&'static str> {
    const COSINE: &[u8] = &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01];
    const PKCS9: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09];
    const X520: &[u8] = &[0x55, 0x04];
    let (last, arc) = oid.split_last()?;
    let name = match (arc, *last) {
        (X520, 3) => "CN",
        (X520, 4) => "SN",
        (X520, 5) => "serialNumber",
        (X520, 6) => "C",
        (X520, 7) => "L",
        (X520, 8) => "ST",
        (X520, 9) => "street",
        (X520, 10) => "O",
        (X520, 11) => "OU",
        (X520, 12) => "title",
        (X520, 13) => "description",
        (X520, 15) => "businessCategory",
        (X520, 17) => "postalCode",
        (X520, 41) => "name",
        (X520, 42) => "GN",
        (X520, 97) => "organizationIdentifier",
        (COSINE, 1) => "UID",
        (COSINE, 25) => "DC",
        (PKCS9, 1) => "emailAddress",
        (PKCS9, 2) => "unstructuredName",
        _ => return None,
    };
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
        assert!(content.len() < 256);
        let length: &[u8] = if content.len() < 128 { &[content.len() as u8] } else { &[0x81, content.len() as u8] };
        [&[tag][..], length, content].concat()
    }

    fn name(parts: &[(u8, u8, &[u8])]) -> Vec<u8> {
        let sets = parts
            .iter()
            .map(|(kind, tag, value)| tlv(0x31, &tlv(0x30, &[tlv(6, &[0x55, 4, *kind]), tlv(*tag, value)].concat())));
        tlv(0x30, &sets.collect::<Vec<_>>().concat())
    }

    /// A certificate assembled from RFC 5280's structures; key and signature hold no real values.
    fn certificate() -> Vec<u8> {
        let algorithm = tlv(0x30, &tlv(6, &[0x2a, 3]));
        let names = tlv(0x30, &[tlv(0x82, b"a.example"), tlv(0x82, b"*.b.example")].concat());
        let extension = tlv(0x30, &[tlv(6, &[0x55, 0x1d, 0x11]), tlv(4, &names)].concat());
        let body = [
            tlv(0xa0, &tlv(2, &[2])),
            tlv(2, &[0, 0xab, 0x01]),
            algorithm.clone(),
            name(&[(6, 0x13, b"DE"), (10, 0x0c, b"Acme, Inc"), (3, 0x1e, b"\0C\0A")]),
            tlv(0x30, &[tlv(0x17, b"700101000001Z"), tlv(0x17, b"700101000002Z")].concat()),
            name(&[(3, 0x0c, b"a.example")]),
            tlv(0x30, &[algorithm.clone(), tlv(3, &[0, 1])].concat()),
            tlv(0xa3, &tlv(0x30, &extension)),
        ]
        .concat();
        tlv(0x30, &[tlv(0x30, &body), algorithm, tlv(3, &[0, 1])].concat())
    }

    #[test]
    fn facts_are_read_from_der() {
        let der = certificate();
        let parsed = parse_certificate(&der).unwrap();
        assert_eq!(parsed.subject, "CN=a.example");
        assert_eq!(parsed.issuer, "CN=CA,O=Acme\\, Inc,C=DE");
        assert_eq!(parsed.serial, "AB01");
        assert_eq!(parsed.names, ["a.example", "*.b.example"]);
        assert_eq!((parsed.not_before, parsed.not_after), (1, 2));
        assert_eq!(parsed.sha1.len(), 40);
    }

    #[test]
    fn cut_or_broken_certificates_are_malformed() {
        let der = certificate();
        assert!((0..der.len()).all(|cut| parse_certificate(&der[..cut]).is_err()));
    }
}
