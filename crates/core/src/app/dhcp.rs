//! DHCP for IPv4: who asked for which address, and who answered (RFC 2131, RFC 2132).

use std::net::Ipv4Addr;

use super::bytes::{datagram, Reader};
use super::{field, Consumed, Direction, Field, Fields, Parsed, Probe, Stop, Transport, Value};

/// The four bytes before the options (RFC 2131, 3).
pub const MAGIC_COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Option codes (IANA BOOTP and DHCP parameters).
pub mod option {
    pub const PAD: u8 = 0;
    pub const HOST_NAME: u8 = 12;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER: u8 = 54;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_NAME: u8 = 81;
    pub const END: u8 = 255;
}

const ETHERNET: u8 = 1;
const TYPES: [&str; 18] = [
    "DISCOVER",
    "OFFER",
    "REQUEST",
    "DECLINE",
    "ACK",
    "NAK",
    "RELEASE",
    "INFORM",
    "FORCERENEW",
    "LEASEQUERY",
    "LEASEUNASSIGNED",
    "LEASEUNKNOWN",
    "LEASEACTIVE",
    "BULKLEASEQUERY",
    "LEASEQUERYDONE",
    "ACTIVELEASEQUERY",
    "LEASEQUERYSTATUS",
    "TLS",
];

/// One message; options are read on demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// 1 from a client, 2 from a server.
    pub operation: u8,
    pub hardware_type: u8,
    pub transaction: u32,
    pub flags: u16,
    /// Address the client already uses.
    pub client_address: Ipv4Addr,
    /// Address given to the client.
    pub your_address: Ipv4Addr,
    pub next_server: Ipv4Addr,
    pub relay: Ipv4Addr,
    /// Client hardware address of the stated length.
    pub hardware_address: &'a [u8],
    options: [&'a [u8]; 3],
}

impl<'a> Message<'a> {
    /// Returns the value of the first option with this code.
    pub fn option(&self, code: u8) -> Option<&'a [u8]> {
        self.options().find(|(known, _)| *known == code).map(|(_, value)| value)
    }

    /// Returns codes and values in order, including those in overloaded header fields (RFC 2132, 9.3).
    pub fn options(&self) -> impl Iterator<Item = (u8, &'a [u8])> {
        self.options.into_iter().flat_map(|area| Options { rest: Reader::new(area) })
    }

    /// Returns the message type, if the message has one.
    pub fn message_type(&self) -> Option<u8> {
        self.option(option::MESSAGE_TYPE)?.first().copied()
    }

    fn address(&self, code: u8) -> Option<Ipv4Addr> {
        Some(Ipv4Addr::from(*self.option(code)?.first_chunk::<4>()?))
    }

    /// Returns the client's name from option 12, else from option 81 (RFC 4702).
    pub fn host_name(&self) -> Option<Vec<u8>> {
        let name = self.option(option::HOST_NAME).map(|name| trim_nul(name).to_vec());
        name.or_else(|| self.option(option::CLIENT_NAME).and_then(qualified_name)).filter(|name| !name.is_empty())
    }
}

struct Options<'a> {
    rest: Reader<'a>,
}

impl<'a> Iterator for Options<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.rest.u8().ok()? {
                option::PAD => {}
                option::END => return None,
                code => {
                    let length = usize::from(self.rest.u8().ok()?);
                    return Some((code, self.rest.take(length).ok()?));
                }
            }
        }
    }
}

/// Reads one message; options that run past the end are left out.
pub fn parse_message(data: &[u8]) -> Parsed<'_, Message<'_>> {
    let mut reader = Reader::new(data);
    let [operation, hardware_type, hardware_length, _hops] = reader.array()?;
    if !matches!(operation, 1 | 2) || hardware_length > 16 {
        return Err(Stop::Malformed("dhcp header"));
    }
    let transaction = reader.u32()?;
    let _seconds = reader.u16()?;
    let flags = reader.u16()?;
    let mut address = || reader.array().map(|bytes: [u8; 4]| Ipv4Addr::from(bytes));
    let (client_address, your_address, next_server, relay) = (address()?, address()?, address()?, address()?);
    let hardware_address = reader.take(16)?.get(..usize::from(hardware_length)).unwrap_or_default();
    let (server_name, file) = (reader.take(64)?, reader.take(128)?);
    if reader.array()? != MAGIC_COOKIE {
        return Err(Stop::Malformed("dhcp magic cookie"));
    }
    let mut message = Message {
        operation,
        hardware_type,
        transaction,
        flags,
        client_address,
        your_address,
        next_server,
        relay,
        hardware_address,
        options: [reader.rest(), &[], &[]],
    };
    let overload = message.option(option::OVERLOAD).and_then(|value| value.first()).copied().unwrap_or(0);
    let [_, in_file, in_name] = &mut message.options;
    if overload & 1 != 0 {
        *in_file = file;
    }
    if overload & 2 != 0 {
        *in_name = server_name;
    }
    Ok((&[], message))
}

/// Reads the name of option 81: text, or DNS labels if the E flag is set (RFC 4702, 2).
fn qualified_name(value: &[u8]) -> Option<Vec<u8>> {
    let ([flags, _, _], name) = value.split_first_chunk()?;
    if flags & 0x04 == 0 {
        return Some(trim_nul(name).to_vec());
    }
    let mut reader = Reader::new(name);
    let mut labels = Vec::new();
    while let Ok(length @ 1..) = reader.u8() {
        labels.push(reader.take(usize::from(length)).ok()?);
    }
    Some(labels.join(&b'.'))
}

fn trim_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    text.get(..end).unwrap_or_default()
}

/// Recognises a message by its header and magic cookie.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    let header = matches!(data, [1 | 2, _, 0..=16, ..]);
    if transport == Transport::Datagram && header && data.get(236..240) == Some(&MAGIC_COOKIE) {
        Probe::Certain
    } else {
        Probe::NotForUs
    }
}

/// Reports each message; nothing is remembered between them.
pub struct Session;

impl Session {
    /// Starts a session.
    pub fn new(_transport: Transport) -> Self {
        Self
    }
}

fn report(message: &Message<'_>, fields: &mut Fields) {
    let kind = message.message_type();
    if let Some(code) = kind {
        let name =
            TYPES.get(usize::from(code).wrapping_sub(1)).map_or_else(|| format!("TYPE{code}"), ToString::to_string);
        fields.text(Field::DhcpMessageTypes, name.as_bytes());
    }
    report_address(message, fields);
    if message.hardware_type == ETHERNET && message.hardware_address.len() == 6 {
        let bytes: Vec<String> = message.hardware_address.iter().map(|byte| format!("{byte:02x}")).collect();
        fields.text(Field::DhcpClientMac, bytes.join(":").as_bytes());
    }
    if let Some(name) = message.host_name() {
        fields.text(Field::DhcpHostName, &name);
    }
    if let Some(server) = message.address(option::SERVER) {
        fields.text(Field::DhcpServer, server.to_string().as_bytes());
    }
    if let Some(class) = message.option(option::VENDOR_CLASS) {
        fields.text(Field::DhcpVendorClass, trim_nul(class));
    }
}

/// Keeps the first address asked for until a server gives one.
fn report_address(message: &Message<'_>, fields: &mut Fields) {
    let given = (message.operation == 2).then_some(message.your_address).filter(|ip| !ip.is_unspecified());
    if let Some(ip) = given {
        return fields.replace(Field::DhcpAddress, Value::Text(field::printable(ip.to_string().as_bytes())));
    }
    let in_use = Some(message.client_address).filter(|ip| !ip.is_unspecified());
    if let Some(ip) = message.address(option::REQUESTED_ADDRESS).or(in_use) {
        fields.text(Field::DhcpAddress, ip.to_string().as_bytes());
    }
}

impl super::Session for Session {
    fn read(&mut self, _direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        datagram(data, parse_message(data).map(|(_, message)| report(&message, fields)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, feed_datagrams, texts};
    use super::*;

    fn message(operation: u8, your_address: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..3].copy_from_slice(&[operation, ETHERNET, 6]);
        bytes[16..20].copy_from_slice(&your_address);
        bytes[28..34].copy_from_slice(&[2, 0, 0, 0, 0, 0x2a]);
        bytes.extend(MAGIC_COOKIE);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn a_lease_is_reported() {
        let request = message(1, [0; 4], b"\x35\x01\x03\x00\x32\x04\xc0\x00\x02\x09\x0c\x03pc1\x3c\x04MSFT\xff");
        let ack = message(2, [192, 0, 2, 7], b"\x35\x01\x05\x36\x04\xc0\x00\x02\x01\xff");
        let fields = feed_datagrams(
            &mut Session::new(Transport::Datagram),
            &[(Direction::Orig, &request), (Direction::Resp, &ack)],
        );
        assert_eq!(texts(&fields, Field::DhcpMessageTypes), ["REQUEST", "ACK"]);
        assert_eq!(texts(&fields, Field::DhcpHostName), ["pc1"]);
        assert_eq!(texts(&fields, Field::DhcpClientMac), ["02:00:00:00:00:2a"]);
        assert_eq!(texts(&fields, Field::DhcpAddress), ["192.0.2.7"]);
        assert_eq!(texts(&fields, Field::DhcpServer), ["192.0.2.1"]);
        assert_eq!(texts(&fields, Field::DhcpVendorClass), ["MSFT"]);
    }

    #[test]
    fn names_of_option_81_are_text_or_labels() {
        let named = |options: &[u8]| parse_message(&message(1, [0; 4], options)).unwrap().1.host_name();
        assert_eq!(named(b"\x51\x06\x00\x00\x00a.b").unwrap(), b"a.b");
        assert_eq!(named(b"\x51\x08\x04\x00\x00\x01a\x01b\x00").unwrap(), b"a.b");
        assert_eq!(named(b"\x51\x02\x04\x00"), None);
    }

    #[test]
    fn overloaded_fields_hold_options() {
        let mut bytes = message(1, [0; 4], b"\x34\x01\x01\xff");
        bytes[108..113].copy_from_slice(b"\x0c\x02hi\xff");
        assert_eq!(parse_message(&bytes).unwrap().1.host_name().unwrap(), b"hi");
    }

    #[test]
    fn unknown_types_and_cut_options_are_kept_apart() {
        let odd = message(1, [0; 4], b"\x35\x01\x63\x0c\x09cut");
        let fields = feed_datagrams(&mut Session, &[(Direction::Orig, &odd)]);
        assert_eq!(texts(&fields, Field::DhcpMessageTypes), ["TYPE99"]);
        assert_eq!(fields.get(Field::DhcpHostName), None);
        assert_eq!(parse_message(&odd[..200]), Err(Stop::Incomplete));
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &odd, (68, 67)), Probe::Certain);
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &odd[1..], (68, 67)), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_options_are_safe(options in proptest::collection::vec(any::<u8>(), 0..300)) {
            assert_any_bytes_are_safe(&mut Session, &options, 1);
            assert_any_bytes_are_safe(&mut Session, &message(1, [0; 4], &options), 1);
        }
    }
}
