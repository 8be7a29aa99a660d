//! SMB 1 to 3: which shares and files are opened, by whom, and what is refused (MS-CIFS, MS-SMB2).

pub mod v1;
pub mod v2;

use super::bytes::{drain, has_port, utf16_le, Reader};
use super::field::MAX_TEXT;
use super::{ntlm, Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// Most bytes of one message's body that are read; what is longer is passed over.
pub const MAX_BODY: usize = 32_768;

/// Encrypted messages in a row after which nothing is expected to be in clear; shares may differ in encryption.
const MAX_ENCRYPTED: u8 = 64;

/// The NetBIOS session service (RFC 1002).
const NETBIOS_PORT: u16 = 139;

const MAGIC_ENCRYPTED: [u8; 4] = *b"\xfdSMB";
const MAGIC_COMPRESSED: [u8; 4] = *b"\xfcSMB";

const STATUS_MORE_PROCESSING_REQUIRED: u32 = 0xc000_0016;

/// The header of a session packet over TCP (RFC 1002, 4.3.1; MS-SMB2 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// 0 for messages, 0x81 to 0x85 for NetBIOS session control.
    pub kind: u8,
    /// Bytes that follow, 24 bits.
    pub length: usize,
}

/// Reads the header of a session packet.
pub fn parse_frame(data: &[u8]) -> Parsed<'_, Frame> {
    let mut reader = Reader::new(data);
    let [kind, high, middle, low] = reader.array()?;
    if !matches!(kind, 0 | 0x81..=0x85) {
        return Err(Stop::Malformed("netbios packet type"));
    }
    Ok((reader.rest(), Frame { kind, length: u32::from_be_bytes([0, high, middle, low]) as usize }))
}

/// Recognises a message, or a NetBIOS session request to port 139.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram {
        return Probe::NotForUs;
    }
    match (data, data.get(4..8)) {
        ([0, ..], Some([0xfc..=0xff, b'S', b'M', b'B'])) => Probe::Certain,
        ([0, ..] | [], None) => Probe::Unsure,
        ([0x81, 0, 0, 68, ..], _) if has_port(ports, NETBIOS_PORT) => Probe::Certain,
        ([0x81..=0x83, 0, 0, ..], _) if has_port(ports, NETBIOS_PORT) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// Where one direction stands.
#[derive(Clone, Copy, Default)]
struct Side {
    /// Bytes left of the session packet.
    left: usize,
    /// Bytes of these to pass over before the next message.
    skip: usize,
}

impl Side {
    /// Accounts for a message of `span` bytes of which `read` were read.
    fn pass(&mut self, span: usize, read: usize) -> usize {
        self.left = self.left.saturating_sub(read);
        self.skip = span.saturating_sub(read);
        read
    }
}

/// Follows requests and responses until all messages are encrypted.
pub struct Session {
    sides: [Side; 2],
    /// Encrypted messages since the last one in clear.
    encrypted: u8,
}

impl Session {
    /// Starts between messages.
    pub fn new(_transport: Transport) -> Self {
        Self { sides: [Side::default(); 2], encrypted: 0 }
    }

    fn step(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        let side = &mut self.sides[direction as usize];
        if side.left == 0 {
            let (rest, frame) = parse_frame(data)?;
            let skip = if frame.kind == 0 { 0 } else { frame.length };
            *side = Side { left: frame.length, skip };
            return Ok((data.len() - rest.len(), Next::More));
        }
        if side.skip > 0 {
            let used = side.skip.min(data.len());
            return Ok((side.pass(side.skip, used), Next::More));
        }
        let magic = Reader::new(data).array()?;
        self.encrypted = if magic == MAGIC_ENCRYPTED { self.encrypted + 1 } else { 0 };
        let used = match magic {
            v2::MAGIC => second(side, data, fields)?,
            v1::MAGIC => first(side, data, fields)?,
            MAGIC_ENCRYPTED if self.encrypted == MAX_ENCRYPTED => return Ok((0, Next::Done)),
            MAGIC_ENCRYPTED | MAGIC_COMPRESSED => side.pass(side.left, 4.min(side.left)),
            _ => return Err(Stop::Malformed("smb magic")),
        };
        Ok((used, Next::More))
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        drain(data, |rest| self.step(direction, rest, fields))
    }
}

/// Returns the part of a message to read, once it is there.
fn readable(data: &[u8], span: usize, header_bytes: usize, with_body: bool) -> Result<&[u8], Stop> {
    if span < header_bytes {
        return Err(Stop::Malformed("smb message length"));
    }
    let wanted = if with_body { span.min(MAX_BODY) } else { header_bytes };
    data.get(..wanted).ok_or(Stop::Incomplete)
}

/// Reads one message of SMB 2 or 3.
fn second(side: &mut Side, data: &[u8], fields: &mut Fields) -> Result<usize, Stop> {
    let (_, header) = v2::parse_header(data)?;
    let span = if header.next == 0 { side.left } else { header.next as usize };
    if span > side.left {
        return Err(Stop::Malformed("smb2 compound chain"));
    }
    let message = readable(data, span, v2::HEADER_BYTES, header.has_known_body())?;
    if header.is_response() {
        report_status(header.status, header.command == v2::command::SESSION_SETUP, fields);
    } else {
        report_command(&header.command_name(), fields);
    }
    // A failed response has an error body; a body that cannot be read leaves its fields out.
    if header.has_known_body() {
        report_body(v2::parse_body(&header, message).unwrap_or(v2::Body::Other), fields);
    }
    Ok(side.pass(span, message.len()))
}

fn report_body(body: v2::Body<'_>, fields: &mut Fields) {
    match body {
        v2::Body::NegotiateResponse { dialect: Some(dialect) } => {
            fields.text(Field::SmbVersion, v2::dialect_name(dialect).as_bytes());
        }
        v2::Body::SessionSetup { token } => report_token(token, fields),
        v2::Body::TreeConnectRequest { path } => report_text(Field::SmbTrees, &utf16_le(path, MAX_TEXT), fields),
        v2::Body::CreateRequest { name } => report_text(Field::SmbFiles, &utf16_le(name, MAX_TEXT), fields),
        v2::Body::NegotiateResponse { dialect: None } | v2::Body::Other => {}
    }
}

/// Reads one message of SMB 1, with the commands chained to it.
fn first(side: &mut Side, data: &[u8], fields: &mut Fields) -> Result<usize, Stop> {
    let (_, header) = v1::parse_header(data)?;
    let span = side.left;
    let message = readable(data, span, v1::HEADER_BYTES, header.has_known_body())?;
    if header.command != v1::command::NEGOTIATE || chose_dialect(&header, message) {
        fields.text(Field::SmbVersion, b"SMB1");
    }
    if header.is_response() {
        let is_login = header.command == v1::command::SESSION_SETUP_ANDX;
        match header.nt_status() {
            Some(status) => report_status(status, is_login, fields),
            None if is_login && header.status != 0 => fields.count(Field::SmbAuthFailures),
            None => {}
        }
    } else if header.has_known_body() {
        for block in v1::blocks(&header, message) {
            report_command(&v1::command_name(block.command), fields);
            report_request(v1::parse_request(&header, &block), fields);
        }
    } else {
        report_command(&v1::command_name(header.command), fields);
    }
    Ok(side.pass(span, message.len()))
}

/// Tells whether a server accepted one of the dialects offered (MS-CIFS 2.2.4.52.2).
fn chose_dialect(header: &v1::Header, message: &[u8]) -> bool {
    let index = v1::blocks(header, message).next().and_then(|block| block.words.first_chunk().copied());
    header.is_response() && index.map(u16::from_le_bytes).is_some_and(|index| index != u16::MAX)
}

fn report_request(request: Option<v1::Request<'_>>, fields: &mut Fields) {
    match request {
        Some(v1::Request::Token(token)) => report_token(token, fields),
        Some(v1::Request::Account { user, domain }) => report_account(ntlm::account(&domain, &user), fields),
        Some(v1::Request::Tree(path)) => report_text(Field::SmbTrees, &path, fields),
        Some(v1::Request::File(name)) => report_text(Field::SmbFiles, &name, fields),
        Some(v1::Request::Other) | None => {}
    }
}

fn report_command(name: &str, fields: &mut Fields) {
    fields.count(Field::SmbCommandCount);
    fields.text(Field::SmbCommands, name.as_bytes());
}

/// Reports warnings and errors, which have the top bit set (MS-ERREF 2.3); warnings refuse no login.
fn report_status(status: u32, is_login: bool, fields: &mut Fields) {
    if status >> 31 == 0 || status == STATUS_MORE_PROCESSING_REQUIRED {
        return;
    }
    fields.number(Field::SmbStatuses, u64::from(status));
    if is_login && status >> 30 == 3 {
        fields.count(Field::SmbAuthFailures);
    }
}

/// Reports who logs in with an NTLM token.
fn report_token(token: &[u8], fields: &mut Fields) {
    let Some((_, login)) = ntlm::find_message(token).and_then(|message| ntlm::parse_authenticate(message).ok()) else {
        return;
    };
    report_account(login.account(), fields);
    if !login.workstation.is_empty() {
        fields.distinct_text(Field::SmbHosts, login.workstation.as_bytes());
    }
}

fn report_account(account: Option<String>, fields: &mut Fields) {
    if let Some(account) = account {
        fields.distinct_text(Field::SmbUsers, account.as_bytes());
    }
}

/// Reports a name unless it is empty, as for the root of a share.
fn report_text(field: Field, text: &str, fields: &mut Fields) {
    if !text.is_empty() {
        fields.text(field, text.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed, numbers, texts, Piece};
    use super::super::ntlm::tests::authenticate;
    use super::*;

    const RESPONSE: u32 = 1;

    fn session() -> Session {
        Session::new(Transport::Stream)
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    fn second(command: u16, flags: u32, status: u32, next: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes =
            [&v2::MAGIC[..], &[64, 0, 0, 0], &status.to_le_bytes(), &command.to_le_bytes(), &[0; 2]].concat();
        bytes.extend(flags.to_le_bytes());
        bytes.extend(next.to_le_bytes());
        bytes.resize(v2::HEADER_BYTES, 0);
        bytes.extend(body);
        bytes
    }

    /// Writes a body whose offset and length at `position` point at what follows `fixed` bytes.
    fn body(position: usize, fixed: usize, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; fixed];
        bytes[position..position + 2].copy_from_slice(&((v2::HEADER_BYTES + fixed) as u16).to_le_bytes());
        bytes[position + 2..position + 4].copy_from_slice(&(data.len() as u16).to_le_bytes());
        [bytes, data.to_vec()].concat()
    }

    fn conversation() -> [Vec<u8>; 3] {
        let token = [b"\x60\x30", &authenticate("LAB", "alice", "PC1")[..]].concat();
        let create = second(5, 0, 0, 0, &body(44, 56, &wide("dir\\file.txt")));
        let mut close = second(6, 0, 0, 88, &[0; 24]);
        close.extend(&create);
        let requests = [
            framed(&second(1, 0, 0, 0, &body(12, 24, &token))),
            framed(&second(3, 0, 0, 0, &body(4, 8, &wide("\\\\srv\\share")))),
            framed(&close),
            framed(&second(9, 0, 0, 0, &[1; 500])),
        ];
        let chosen = second(0, RESPONSE, 0, 0, &[65, 0, 1, 0, 0x11, 3, 0, 0]);
        let responses = [
            framed(&chosen),
            framed(&second(1, RESPONSE, STATUS_MORE_PROCESSING_REQUIRED, 0, &[9, 0, 0, 0, 0, 0, 0, 0])),
            framed(&second(1, RESPONSE, 0xc000_006d, 0, &[9, 0, 0, 0, 0, 0, 0, 0, 0])),
            framed(&second(8, RESPONSE, 0x103, 0, &[0; 9])),
        ];
        [requests.concat(), responses.concat(), framed(b"\xfdSMBsecret").repeat(MAX_ENCRYPTED.into())]
    }

    #[test]
    fn a_conversation_is_reported() {
        let [requests, responses, encrypted] = conversation();
        let pieces: [Piece<'_>; 3] =
            [(Direction::Orig, &requests), (Direction::Resp, &responses), (Direction::Resp, &encrypted)];
        let (fields, next) = feed(&mut session(), pieces);
        assert_eq!(next, Next::Done);
        assert_eq!(texts(&fields, Field::SmbVersion), ["3.1.1"]);
        let commands = ["SESSION_SETUP", "TREE_CONNECT", "CLOSE", "CREATE", "WRITE"];
        assert_eq!(texts(&fields, Field::SmbCommands), commands);
        assert_eq!(texts(&fields, Field::SmbTrees), ["\\\\srv\\share"]);
        assert_eq!(texts(&fields, Field::SmbFiles), ["dir\\file.txt"]);
        assert_eq!(texts(&fields, Field::SmbUsers), ["LAB\\alice"]);
        assert_eq!(texts(&fields, Field::SmbHosts), ["PC1"]);
        assert_eq!(numbers(&fields, Field::SmbStatuses), [0xc000_006d]);
        assert_eq!(numbers(&fields, Field::SmbAuthFailures), [1]);
        assert_cuts_do_not_matter(session, &pieces);
    }

    fn first(command: u8, flags: u8, status: u32, rest: &[u8]) -> Vec<u8> {
        let mut bytes = [&v1::MAGIC[..], &[command], &status.to_le_bytes(), &[flags, 0x01, 0xc0]].concat();
        bytes.resize(v1::HEADER_BYTES, 0);
        bytes.extend(rest);
        framed(&bytes)
    }

    #[test]
    fn chained_commands_of_smb1_are_read() {
        let mut setup = vec![13, 0x75, 0, 0, 0];
        setup.resize(27, 0);
        setup[15] = 1;
        let names = [&b"p"[..], &wide("bob\0LAB\0Unix\0Samba\0")].concat();
        setup.extend((names.len() as u16).to_le_bytes());
        setup.extend(names);
        let next = (v1::HEADER_BYTES + setup.len()) as u16;
        setup[3..5].copy_from_slice(&next.to_le_bytes());
        let path = [&b"p"[..], &wide("\\\\srv\\IPC$\0"), b"?????\0"].concat();
        setup.extend([4, 0xff, 0, 0, 0, 0, 0, 1, 0]);
        setup.extend((path.len() as u16).to_le_bytes());
        setup.extend(path);
        let refused = first(0x73, 0x80, 0xc000_006d, &[0, 0, 0]);
        let requests = first(0x73, 0, 0, &setup);
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, &requests), (Direction::Resp, &refused)];
        let (fields, _) = feed(&mut session(), pieces);
        assert_eq!(texts(&fields, Field::SmbVersion), ["SMB1"]);
        assert_eq!(texts(&fields, Field::SmbCommands), ["SESSION_SETUP_ANDX", "TREE_CONNECT_ANDX"]);
        assert_eq!(texts(&fields, Field::SmbUsers), ["LAB\\bob"]);
        assert_eq!(texts(&fields, Field::SmbTrees), ["\\\\srv\\IPC$"]);
        assert_eq!(numbers(&fields, Field::SmbAuthFailures), [1]);
        assert_cuts_do_not_matter(session, &pieces);
    }

    #[test]
    fn an_old_greeting_does_not_decide_the_version() {
        let offer = first(0x72, 0, 0, b"\0\x0c\0\x02NT LM 0.12\0");
        let answer = framed(&second(0, RESPONSE, 0, 0, &[65, 0, 1, 0, 0xff, 2, 0, 0]));
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, &offer), (Direction::Resp, &answer)];
        let (fields, _) = feed(&mut session(), pieces);
        assert_eq!(fields.get(Field::SmbVersion), None);
        assert_eq!(texts(&fields, Field::SmbCommands), ["NEGOTIATE"]);
    }

    #[test]
    fn lengths_that_disagree_are_malformed() {
        let beyond = framed(&second(6, 0, 0, 500, &[0; 24]));
        assert_eq!(feed(&mut session(), [(Direction::Orig, &beyond[..])]).1, Next::Malformed("smb2 compound chain"));
        let within = framed(&second(6, 0, 0, 8, &[0; 24]));
        assert_eq!(feed(&mut session(), [(Direction::Orig, &within[..])]).1, Next::Malformed("smb message length"));
    }

    #[test]
    fn the_first_bytes_decide() {
        let probe = |data: &[u8], port| probe(Transport::Stream, Direction::Orig, data, (50_000, port));
        assert_eq!(probe(&framed(b"\xfeSMB@"), 80), Probe::Certain);
        assert_eq!(probe(&framed(b"\xffSMBr"), 80), Probe::Certain);
        assert_eq!(probe(&[0, 0, 0, 9, 0xfe], 80), Probe::Unsure);
        assert_eq!(probe(&[0, 0, 0, 9, 1, 2, 3, 4], 445), Probe::NotForUs);
        assert_eq!(probe(&[0x81, 0, 0, 68, 32], 139), Probe::Certain);
        assert_eq!(probe(b"GET /", 445), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..200), pieces in 1..9_usize) {
            assert_any_bytes_are_safe(&mut session(), &data, pieces);
            for command in [0, 1, 3, 5] {
                assert_any_bytes_are_safe(&mut session(), &framed(&second(command, 0, 0, 0, &data)), pieces);
            }
            for command in [0x02, 0x2d, 0x72, 0x73, 0x75, 0xa2] {
                assert_any_bytes_are_safe(&mut session(), &first(command, 0, 0, &data), 1);
            }
        }
    }
}
