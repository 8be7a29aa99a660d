//! Addresses and ports of a rule's header: lists that nest, negate and name variables (User Guide, "Rules Format").

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hashbrown::HashMap;

use super::fault::{fault, nearest, refuse, Fault, Result};
use super::ranges::{intersect, normalise, subtract, Range};
use super::SettingsFault;
use crate::rule::{Addresses, Ports};
use crate::settings::Settings;

/// Deepest nesting of lists and variables.
const DEEPEST: usize = 64;
const EVERYTHING: Range = (0, u128::MAX);
const IPV4: Range = (0xffff_0000_0000, 0xffff_ffff_ffff);
const PORTS: Range = (0, 0xffff);

/// Values of the variables of Suricata's own configuration file; HOME_NET and EXTERNAL_NET are open to any.
const DEFAULTS: &[(&str, &str)] = &[
    ("vars.address-groups.HOME_NET", "any"),
    ("vars.address-groups.EXTERNAL_NET", "any"),
    ("vars.address-groups.HTTP_SERVERS", "$HOME_NET"),
    ("vars.address-groups.SMTP_SERVERS", "$HOME_NET"),
    ("vars.address-groups.SQL_SERVERS", "$HOME_NET"),
    ("vars.address-groups.DNS_SERVERS", "$HOME_NET"),
    ("vars.address-groups.TELNET_SERVERS", "$HOME_NET"),
    ("vars.address-groups.AIM_SERVERS", "$EXTERNAL_NET"),
    ("vars.address-groups.DC_SERVERS", "$HOME_NET"),
    ("vars.address-groups.DNP3_SERVER", "$HOME_NET"),
    ("vars.address-groups.DNP3_CLIENT", "$HOME_NET"),
    ("vars.address-groups.MODBUS_CLIENT", "$HOME_NET"),
    ("vars.address-groups.MODBUS_SERVER", "$HOME_NET"),
    ("vars.address-groups.ENIP_CLIENT", "$HOME_NET"),
    ("vars.address-groups.ENIP_SERVER", "$HOME_NET"),
    ("vars.port-groups.HTTP_PORTS", "80"),
    ("vars.port-groups.SHELLCODE_PORTS", "!80"),
    ("vars.port-groups.ORACLE_PORTS", "1521"),
    ("vars.port-groups.SSH_PORTS", "22"),
    ("vars.port-groups.DNP3_PORTS", "20000"),
    ("vars.port-groups.MODBUS_PORTS", "502"),
    ("vars.port-groups.FILE_DATA_PORTS", "[$HTTP_PORTS,110,143]"),
    ("vars.port-groups.FTP_PORTS", "21"),
    ("vars.port-groups.GENEVE_PORTS", "6081"),
    ("vars.port-groups.VXLAN_PORTS", "4789"),
    ("vars.port-groups.TEREDO_PORTS", "3544"),
    ("vars.port-groups.SIP_PORTS", "[5060, 5061]"),
];

/// What a list speaks of.
#[derive(Clone, Copy)]
struct Kind {
    variables: &'static str,
    /// Parts of which each is whole where a list only takes away from it: IPv4 and IPv6.
    families: &'static [&'static [Range]],
    element: fn(&str) -> Option<Range>,
    example: &'static str,
}

const ADDRESS: Kind = Kind {
    variables: "vars.address-groups.",
    families: &[&[IPV4], &[(0, IPV4.0 - 1), (IPV4.1 + 1, u128::MAX)]],
    element: address,
    example: "write addresses as 10.0.0.1, 10.0.0.0/8, 10.0.0.1-10.0.0.9, fe80::/10, any, a $VARIABLE or a [list]",
};

const PORT: Kind = Kind {
    variables: "vars.port-groups.",
    families: &[&[PORTS]],
    element: port,
    example: "write ports as 80, 80:90, 1024:, :1023, any, a $VARIABLE or a [list]",
};

/// What a list names and what it takes away.
#[derive(Clone, Default)]
struct Parts {
    with: Vec<Range>,
    without: Vec<Range>,
}

impl Parts {
    fn add(&mut self, other: &Parts, is_negated: bool) {
        let (with, without) = if is_negated { (&other.without, &other.with) } else { (&other.with, &other.without) };
        self.with.extend_from_slice(with);
        self.without.extend_from_slice(without);
    }

    fn sum(&self, kind: Kind) -> Vec<Range> {
        let mut sum = Vec::new();
        for family in kind.families {
            let (with, without) = (intersect(family, &self.with), intersect(family, &self.without));
            let is_only_negated = with.is_empty() && !without.is_empty();
            sum.extend(subtract(if is_only_negated { family } else { &with }, &without));
        }
        normalise(sum)
    }
}

/// Reads addresses and ports, and remembers those that were read.
pub(super) struct Places<'s> {
    settings: &'s Settings,
    addresses: HashMap<Box<str>, Addresses>,
    ports: HashMap<Box<str>, Ports>,
    /// By full name.
    variables: HashMap<Box<str>, Result<Parts>>,
}

impl<'s> Places<'s> {
    pub fn new(settings: &'s Settings) -> Self {
        Places { settings, addresses: HashMap::new(), ports: HashMap::new(), variables: HashMap::new() }
    }

    /// Reads a list of addresses.
    pub fn addresses(&mut self, text: &str) -> Result<Addresses> {
        if let Some(known) = self.addresses.get(text) {
            return Ok(known.clone());
        }
        let ranges = self.set(ADDRESS, text)?;
        let is_any = ranges == [EVERYTHING];
        let read = Addresses { ranges: (!is_any).then(|| Arc::from(ranges)) };
        self.addresses.insert(text.into(), read.clone());
        Ok(read)
    }

    /// Reads a list of ports.
    pub fn ports(&mut self, text: &str) -> Result<Ports> {
        if let Some(known) = self.ports.get(text) {
            return Ok(known.clone());
        }
        let ranges = self.set(PORT, text)?;
        let is_any = ranges == [PORTS];
        let narrow = ranges.iter().map(|(first, last)| (*first as u16, *last as u16));
        let read = Ports { ranges: (!is_any).then(|| narrow.collect()) };
        self.ports.insert(text.into(), read.clone());
        Ok(read)
    }

    fn set(&mut self, kind: Kind, text: &str) -> Result<Vec<Range>> {
        let parts = self.parts(kind, text, &mut Vec::new(), 0)?;
        let set = parts.sum(kind);
        if set.is_empty() {
            return refuse(format!("{text:.80} leaves nothing"), "negate less than the whole");
        }
        Ok(set)
    }

    /// Reads one element or list, with the variables that are being read.
    fn parts(&mut self, kind: Kind, text: &str, within: &mut Vec<Box<str>>, depth: usize) -> Result<Parts> {
        let text = text.trim();
        if depth > DEEPEST {
            return refuse("lists are nested too deeply", format!("nest at most {DEEPEST} lists and variables"));
        }
        let mut parts = Parts::default();
        if elements(text)?.len() > 1 {
            for element in elements(text)? {
                parts.add(&self.parts(kind, element, within, depth + 1)?, false);
            }
        } else if text.starts_with("!!") {
            return refuse(format!("{text:.40} negates twice"), "write one exclamation mark, or none");
        } else if let Some(negated) = text.strip_prefix('!') {
            parts.add(&self.parts(kind, negated, within, depth + 1)?, true);
        } else if let Some(inner) = text.strip_prefix('[').and_then(|open| open.strip_suffix(']')) {
            for element in elements(inner)? {
                parts.add(&self.parts(kind, element, within, depth + 1)?, false);
            }
        } else if let Some(name) = text.strip_prefix('$') {
            return self.variable(kind, name, within, depth);
        } else {
            let range = (kind.element)(text);
            parts.with.push(range.ok_or_else(|| fault(format!("{text:?} is no address or port"), kind.example))?);
        }
        Ok(Parts { with: normalise(parts.with), without: normalise(parts.without) })
    }

    fn variable(&mut self, kind: Kind, name: &str, within: &mut Vec<Box<str>>, depth: usize) -> Result<Parts> {
        let full = format!("{}{name}", kind.variables).into_boxed_str();
        if let Some(known) = self.variables.get(&full) {
            return known.clone();
        }
        if within.contains(&full) {
            return refuse(format!("the variable {name} names itself"), format!("give {full} a value without itself"));
        }
        let parts = match value(self.settings, &full) {
            Some(text) => {
                let text = text.to_owned();
                within.push(full.clone());
                let parts = self.parts(kind, &text, within, depth + 1);
                within.pop();
                parts
            }
            None => refuse(format!("the variable {name} has no value"), missing(self.settings, kind, name)),
        };
        self.variables.insert(full, parts.clone());
        parts
    }

    /// Reads every variable that the settings give, and names the first that cannot be read.
    pub fn check_variables(&mut self) -> std::result::Result<(), SettingsFault> {
        for setting in self.settings.given.keys() {
            let of = |kind: Kind| setting.strip_prefix(kind.variables).map(|name| (kind, name));
            let Some((kind, name)) = of(ADDRESS).or_else(|| of(PORT)) else { continue };
            if let Err(Fault { reason, suggestion }) = self.set(kind, &format!("${name}")) {
                return Err(SettingsFault { setting: setting.clone(), reason, suggestion });
            }
        }
        Ok(())
    }
}

fn value<'a>(settings: &'a Settings, full: &str) -> Option<&'a str> {
    settings.get(full).or_else(|| DEFAULTS.iter().find(|(name, _)| *name == full).map(|(_, value)| *value))
}

fn missing(settings: &Settings, kind: Kind, name: &str) -> String {
    let defaults = DEFAULTS.iter().map(|(full, _)| *full);
    let known = settings.given.keys().map(String::as_str).chain(defaults);
    let names = known.filter_map(|full| full.strip_prefix(kind.variables));
    match nearest(name, names) {
        Some(near) => format!("set {}{name}, or write ${near}", kind.variables),
        None => format!("set {}{name}", kind.variables),
    }
}

/// Splits a list at the commas that stand in no inner list.
pub(super) fn elements(list: &str) -> Result<Vec<&str>> {
    let (mut found, mut depth, mut begin) = (Vec::new(), 0_usize, 0);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            b'[' => depth += 1,
            b']' => {
                let open = depth.checked_sub(1);
                depth = open.ok_or_else(|| fault("a list closes twice", "balance the brackets"))?;
            }
            b',' if depth == 0 => {
                found.push(&list[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return refuse("a list is not closed", "balance the brackets");
    }
    found.push(&list[begin..]);
    Ok(found)
}

/// Reads an address, a network or a range of addresses.
fn address(text: &str) -> Option<Range> {
    if text == "any" {
        return Some(EVERYTHING);
    }
    if let Some((base, width)) = text.split_once('/') {
        return network(base.trim().parse().ok()?, width.trim());
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last): (IpAddr, IpAddr) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        let range = (number(first), number(last));
        return (first.is_ipv4() == last.is_ipv4() && range.0 <= range.1).then_some(range);
    }
    let one = number(text.parse().ok()?);
    Some((one, one))
}

/// Returns an address as a number; IPv4 is IPv4-mapped.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

/// Reads a network by its width in bits or its mask.
fn network(base: IpAddr, width: &str) -> Option<Range> {
    let bits = match (base, width.parse::<u32>()) {
        (IpAddr::V4(_), Ok(bits)) => 96 + Some(bits).filter(|bits| *bits <= 32)?,
        (IpAddr::V6(_), Ok(bits)) => Some(bits).filter(|bits| *bits <= 128)?,
        (IpAddr::V4(_), Err(_)) => {
            let mask = width.parse::<Ipv4Addr>().ok()?.to_bits();
            96 + Some(mask.leading_ones()).filter(|ones| ones + mask.trailing_zeros() >= 32)?
        }
        (IpAddr::V6(_), Err(_)) => return None,
    };
    let host = u128::MAX.checked_shr(bits).unwrap_or(0);
    let first = number(base) & !host;
    Some((first, first | host))
}

/// Reads a port or a range of ports.
fn port(text: &str) -> Option<Range> {
    let one = |text: &str| text.trim().parse::<u16>().ok().map(u128::from);
    match text.split_once(':') {
        _ if text == "any" => Some(PORTS),
        Some((first, "")) => Some((one(first)?, PORTS.1)),
        Some(("", last)) => Some((0, one(last)?)),
        Some((first, last)) => Some((one(first)?, one(last)?)).filter(|(first, last)| first <= last),
        None => one(text).map(|port| (port, port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Settings {
        let given = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Settings { given, ..Settings::default() }
    }

    fn has(set: &Addresses, address: &str) -> bool {
        set.contains(number(address.parse().unwrap()))
    }

    #[test]
    fn lists_of_addresses_nest_negate_and_name_variables() {
        let settings = given(&[
            ("vars.address-groups.HOME_NET", "[10.0.0.0/8, 192.168.0.0/255.255.0.0, 2001:db8::/32]"),
            ("vars.address-groups.EXTERNAL_NET", "!$HOME_NET"),
        ]);
        let mut places = Places::new(&settings);
        let home = places.addresses("$HOME_NET").unwrap();
        let out = places.addresses("$EXTERNAL_NET").unwrap();
        for (address, inside) in [("10.1.2.3", true), ("192.168.9.9", true), ("2001:db8::7", true), ("8.8.8.8", false)]
        {
            assert_eq!((has(&home, address), has(&out, address)), (inside, !inside), "{address}");
        }
        assert_eq!(places.addresses("!$EXTERNAL_NET").unwrap(), home);
        let hole = places.addresses("[10.0.0.0/8,![10.1.0.0/16,10.2.0.1-10.2.0.9]]").unwrap();
        assert!(
            has(&hole, "10.3.0.0") && !has(&hole, "10.1.9.9") && !has(&hole, "10.2.0.5") && has(&hole, "10.2.0.10")
        );
    }

    #[test]
    fn what_takes_away_from_ipv4_says_nothing_of_ipv6() {
        let settings = Settings::default();
        let set = Places::new(&settings).addresses("!10.0.0.0/8").unwrap();
        assert!(has(&set, "11.0.0.1") && !has(&set, "2001:db8::1"));
    }

    #[test]
    fn ports_are_single_ranges_and_open_ranges() {
        let settings = Settings::default();
        let mut places = Places::new(&settings);
        let set = places.ports("[80, 1000:1010, :10, 65000:, !1005, $SIP_PORTS]").unwrap();
        for (port, inside) in
            [(80, true), (81, false), (0, true), (1005, false), (1004, true), (65535, true), (5061, true)]
        {
            assert_eq!(set.contains(port), inside, "{port}");
        }
        assert_eq!(places.ports("any").unwrap(), Ports::default());
        assert!(!places.ports("!80").unwrap().contains(80));
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_a_remedy() {
        let loop_ = given(&[("vars.address-groups.A", "[$B]"), ("vars.address-groups.B", "!$A")]);
        assert!(Places::new(&loop_).addresses("$A").unwrap_err().reason.contains("names itself"));
        assert_eq!(Places::new(&loop_).check_variables().unwrap_err().setting, "vars.address-groups.A");
        let settings = Settings::default();
        let mut places = Places::new(&settings);
        assert!(places.addresses("$HOME_NE").unwrap_err().suggestion.contains("$HOME_NET"));
        for text in [
            "",
            "[]",
            "!any",
            "10.0.0.0/33",
            "10.0.0.9-10.0.0.1",
            "[10.0.0.1",
            "10.0.0.1]",
            "1.2.3.4/255.0.255.0",
            "[1.1.1.1,]",
        ] {
            assert!(places.addresses(text).is_err(), "{text:?}");
        }
        for text in ["70000", "90:80", "80-90", "http", "!0:65535", "[80,,81]"] {
            assert!(places.ports(text).is_err(), "{text:?}");
        }
        assert!(places.addresses(&"[".repeat(5000)).is_err());
        assert!(places.addresses(&format!("{}1.1.1.1{}", "[".repeat(100), "]".repeat(100))).is_err());
    }
}
