//! NTLM authentication messages, found in SPNEGO tokens and elsewhere (MS-NLMP, 2.2.1).

use super::bytes::{utf16_le, Reader};
use super::field::MAX_TEXT;
use super::{Parsed, Stop};

/// What every message starts with.
pub const SIGNATURE: &[u8; 8] = b"NTLMSSP\0";

const AUTHENTICATE: u32 = 3;
const NEGOTIATE_UNICODE: u32 = 1;

/// An AUTHENTICATE message: who wants in, from where (MS-NLMP, 2.2.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticate<'a> {
    pub domain: String,
    pub user: String,
    pub workstation: String,
    pub lm_response: &'a [u8],
    pub nt_response: &'a [u8],
    pub flags: u32,
}

impl Authenticate<'_> {
    /// Writes `DOMAIN\user`, or the user alone; none for an anonymous login.
    pub fn account(&self) -> Option<String> {
        account(&self.domain, &self.user)
    }
}

/// Joins a domain and a user; none if there is no user.
pub fn account(domain: &str, user: &str) -> Option<String> {
    match (domain, user) {
        (_, "") => None,
        ("", user) => Some(user.to_owned()),
        (domain, user) => Some(format!("{domain}\\{user}")),
    }
}

/// Finds a message inside a token of any wrapping.
pub fn find_message(token: &[u8]) -> Option<&[u8]> {
    token.get(memchr::memmem::find(token, SIGNATURE)?..)
}

/// Reads an AUTHENTICATE message.
pub fn parse_authenticate(message: &[u8]) -> Parsed<'_, Authenticate<'_>> {
    let mut reader = Reader::new(message);
    if &reader.array()? != SIGNATURE || reader.u32_le()? != AUTHENTICATE {
        return Err(Stop::Malformed("ntlm message"));
    }
    let mut payload = || payload(message, &mut reader);
    let (lm_response, nt_response) = (payload()?, payload()?);
    let (domain, user, workstation) = (payload()?, payload()?, payload()?);
    let _session_key = payload()?;
    let flags = reader.u32_le()?;
    let text = |bytes: &[u8]| match flags & NEGOTIATE_UNICODE {
        0 => String::from_utf8_lossy(bytes).chars().take(MAX_TEXT).collect(),
        _ => utf16_le(bytes, MAX_TEXT),
    };
    let (domain, user, workstation) = (text(domain), text(user), text(workstation));
    Ok((reader.rest(), Authenticate { domain, user, workstation, lm_response, nt_response, flags }))
}

/// Reads length, allocated length and offset, and returns what they point at.
fn payload<'a>(message: &'a [u8], reader: &mut Reader<'a>) -> Result<&'a [u8], Stop> {
    let length = usize::from(reader.u16_le()?);
    let _allocated = reader.u16_le()?;
    let offset = reader.u32_le()? as usize;
    if length == 0 {
        Ok(&[])
    } else {
        Reader::at(message, offset)?.take(length)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Writes an AUTHENTICATE message with empty responses.
    pub fn authenticate(domain: &str, user: &str, workstation: &str) -> Vec<u8> {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let parts = [vec![], vec![], wide(domain), wide(user), wide(workstation), vec![]];
        let mut bytes = [&SIGNATURE[..], &AUTHENTICATE.to_le_bytes()].concat();
        let mut offset = 64_u32;
        for part in &parts {
            let length = part.len() as u16;
            bytes.extend([length.to_le_bytes(), length.to_le_bytes()].concat());
            bytes.extend(offset.to_le_bytes());
            offset += part.len() as u32;
        }
        bytes.extend(NEGOTIATE_UNICODE.to_le_bytes());
        bytes.extend(parts.concat());
        bytes
    }

    #[test]
    fn an_account_is_read_from_a_wrapped_message() {
        let token = [b"\x60\x28", &authenticate("LAB", "alice", "PC1")[..]].concat();
        let (_, found) = parse_authenticate(find_message(&token).unwrap()).unwrap();
        assert_eq!(found.account().unwrap(), "LAB\\alice");
        assert_eq!(found.workstation, "PC1");
    }

    #[test]
    fn an_anonymous_login_has_no_account() {
        let message = authenticate("LAB", "", "");
        assert_eq!(parse_authenticate(&message).unwrap().1.account(), None);
        assert_eq!(parse_authenticate(&authenticate("", "bob", "")).unwrap().1.account().unwrap(), "bob");
    }

    #[test]
    fn pointers_outside_are_incomplete() {
        let message = authenticate("LAB", "alice", "PC1");
        for cut in 12..message.len() {
            assert_eq!(parse_authenticate(&message[..cut]), Err(Stop::Incomplete), "cut at {cut}");
        }
    }
}
