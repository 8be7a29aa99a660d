//! Which protocol the first bytes of a direction belong to, as a run is told to recognise protocols.

use infraspectre_core::app::{Direction, Probe, Transport};

use crate::protocol::{Entry, Protocol, ENTRIES};
use crate::settings::Settings;

/// What the first bytes of a direction say.
#[derive(Clone, Copy)]
pub enum Finding {
    Certain(&'static Entry),
    /// More bytes would tell.
    Unsure,
    Unknown,
}

/// A protocol to be tried.
struct Candidate {
    entry: &'static Entry,
    /// Ports that a setting names instead of the usual ones.
    ports: Option<Vec<u16>>,
}

/// The protocols that a run recognises.
pub struct Recognition {
    streams: Vec<Candidate>,
    datagrams: Vec<Candidate>,
    unread: Vec<Protocol>,
}

impl Recognition {
    /// Takes from settings which protocols are tried, and on which ports.
    pub fn new(settings: &Settings) -> Recognition {
        let candidates = |transport| {
            let is_tried = |entry: &&Entry| {
                let protocol = entry.protocol;
                entry.transports.contains(&transport)
                    && (protocol.is_enabled(settings) || protocol.is_recognised_only(settings))
            };
            let tried = ENTRIES.iter().filter(is_tried);
            tried.map(|entry| Candidate { entry, ports: detection_ports(entry.protocol, settings) }).collect()
        };
        Recognition {
            streams: candidates(Transport::Stream),
            datagrams: candidates(Transport::Datagram),
            unread: Protocol::ALL.iter().copied().filter(|one| one.is_recognised_only(settings)).collect(),
        }
    }

    /// Tells whether a protocol is read once it is recognised.
    pub fn reads(&self, protocol: Protocol) -> bool {
        !self.unread.contains(&protocol)
    }

    /// Judges the first bytes of a direction; `ports` are (orig, resp).
    pub fn judge(&self, transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Finding {
        let candidates = match transport {
            Transport::Stream => &self.streams,
            Transport::Datagram => &self.datagrams,
        };
        let mut finding = Finding::Unknown;
        for candidate in candidates {
            let ports = candidate.seen_ports(ports);
            match (candidate.entry.probe)(transport, direction, data, ports) {
                Probe::Certain => return Finding::Certain(candidate.entry),
                Probe::Unsure => finding = Finding::Unsure,
                Probe::NotForUs => {}
            }
        }
        finding
    }
}

impl Candidate {
    /// Returns the ports as a probe knows them: the usual one stands for those that a setting names.
    fn seen_ports(&self, ports: (u16, u16)) -> (u16, u16) {
        let (Some(named), Some(usual)) = (&self.ports, usual_port(self.entry.protocol)) else { return ports };
        let seen = |port: u16| match (named.contains(&port), port == usual) {
            (true, _) => usual,
            (false, true) => 0,
            (false, false) => port,
        };
        (seen(ports.0), seen(ports.1))
    }
}

/// Returns the entry of a protocol.
pub fn entry_of(protocol: Protocol) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.protocol == protocol)
}

fn detection_ports(protocol: Protocol, settings: &Settings) -> Option<Vec<u16>> {
    let name = protocol.name();
    let given = [
        format!("app-layer.protocols.{name}.detection-ports.dp"),
        format!("app-layer.protocols.{name}.tcp.detection-ports.dp"),
    ]
    .iter()
    .find_map(|name| settings.get(name))?;
    let ports = given.split(|mark: char| !mark.is_ascii_digit()).filter_map(|port| port.parse().ok());
    Some(ports.collect())
}

/// Returns the port that a probe looks for (IANA service names), where it looks for one only.
fn usual_port(protocol: Protocol) -> Option<u16> {
    Some(match protocol {
        Protocol::Modbus => 502,
        Protocol::Dnp3 => 20_000,
        Protocol::Enip => 44_818,
        Protocol::Template => 7000,
        Protocol::Telnet => 23,
        Protocol::Pgsql => 5432,
        Protocol::Mqtt => 1883,
        Protocol::Kerberos => 88,
        Protocol::Ntp => 123,
        Protocol::Nfs => 2049,
        Protocol::Ftp => 21,
        Protocol::Dns => 53,
        Protocol::Smb => 445,
        _ => return None,
    })
}

/// Returns the direction that speaks first in a protocol, where it is always the same one.
pub fn first_speaker(protocol: Protocol) -> Option<Direction> {
    match protocol {
        Protocol::Http | Protocol::Tls | Protocol::Dcerpc | Protocol::Modbus => Some(Direction::Orig),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(given: &[(&str, &str)], direction: Direction, data: &[u8], port: u16) -> Option<Protocol> {
        let given = given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let recognition = Recognition::new(&Settings { given, ..Settings::default() });
        match recognition.judge(Transport::Stream, direction, data, (40_000, port)) {
            Finding::Certain(entry) => Some(entry.protocol),
            Finding::Unsure | Finding::Unknown => None,
        }
    }

    #[test]
    fn settings_say_what_is_recognised_and_where() {
        let enabled = ("app-layer.protocols.template.enabled", "yes");
        let on_port = ("app-layer.protocols.template.detection-ports.dp", "[7001, 7002]");
        let template = |given: &[_], port| judge(given, Direction::Orig, b"5:Hello", port);
        assert_eq!(template(&[], 7000), None);
        assert_eq!(template(&[enabled], 7000), Some(Protocol::Template));
        assert_eq!(template(&[enabled, on_port], 7002), Some(Protocol::Template));
        assert_eq!(template(&[enabled, on_port], 7000), None);
        let off = ("app-layer.protocols.http.enabled", "no");
        assert_eq!(judge(&[], Direction::Orig, b"GET / HTTP/1.1", 80), Some(Protocol::Http));
        assert_eq!(judge(&[off], Direction::Orig, b"GET / HTTP/1.1", 80), None);
    }

    #[test]
    fn what_is_only_recognised_is_not_read() {
        let given = [("app-layer.protocols.http.enabled".to_string(), "detection-only".to_string())];
        let recognition = Recognition::new(&Settings { given: given.into(), ..Settings::default() });
        let finding = recognition.judge(Transport::Stream, Direction::Resp, b"HTTP/1.1 200 OK", (1, 80));
        assert!(matches!(finding, Finding::Certain(entry) if entry.protocol == Protocol::Http));
        assert!(!recognition.reads(Protocol::Http) && recognition.reads(Protocol::Tls));
    }
}
