//! What is odd about packets, by the names that rules have for it (`decode-event`, Suricata's `decoder-events.rules`).

use infraspectre_core::wire::Odd;

/// Where an event can happen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Anywhere,
    Ip(u8),
}

use Place::{Anywhere, Ip};

/// Reasons of the decoder, where they hold, and the events that they are.
const EVENTS: &[(&str, Place, &str)] = &[
    ("fragment-overlap", Ip(4), "decoder.ipv4.frag_overlap"),
    ("fragment-overlap", Ip(6), "decoder.ipv6.frag_overlap"),
    ("fragment-offset", Ip(4), "decoder.ipv4.frag_pkt_too_large"),
    ("fragment-offset", Ip(6), "decoder.ipv6.frag_pkt_too_large"),
    ("fragment-length", Ip(6), "decoder.ipv6.frag_invalid_length"),
    ("fragment-of-all", Ip(6), "decoder.ipv6.exthdr_useless_fh"),
    ("fragment-header-repeated", Ip(6), "decoder.ipv6.exthdr_dupl_fh"),
    ("ip-extension-alone", Ip(6), "decoder.ipv6.trunc_exthdr"),
    ("ip-extension-length", Ip(6), "decoder.ipv6.trunc_exthdr"),
    ("ip-header-length", Anywhere, "decoder.ipv4.hlen_too_small"),
    ("ip-length", Anywhere, "decoder.ipv4.iplen_smaller_than_hlen"),
    ("tcp-length", Anywhere, "decoder.tcp.pkt_too_small"),
    ("tcp-header-length", Anywhere, "decoder.tcp.hlen_too_small"),
    ("udp-length", Anywhere, "decoder.udp.hlen_too_small"),
    ("udp-header-length", Anywhere, "decoder.udp.len_invalid"),
    ("icmp-length", Ip(4), "decoder.icmpv4.pkt_too_small"),
    ("icmp-length", Ip(6), "decoder.icmpv6.pkt_too_small"),
    ("sctp-length", Anywhere, "decoder.sctp.pkt_too_small"),
    ("gre-length", Anywhere, "decoder.gre.pkt_too_small"),
    ("truncated-ethernet", Anywhere, "decoder.ethernet.pkt_too_small"),
    ("truncated-vlan", Anywhere, "decoder.vlan.header_too_small"),
    ("truncated-mpls", Anywhere, "decoder.mpls.pkt_too_small"),
    ("truncated-ppp", Anywhere, "decoder.ppp.pkt_too_small"),
    ("truncated-pppoe", Anywhere, "decoder.pppoe.pkt_too_small"),
    ("truncated-sll", Anywhere, "decoder.sll.pkt_too_small"),
    ("truncated-nsh", Anywhere, "decoder.nsh.header_too_small"),
    ("nesting", Anywhere, "decoder.too_many_layers"),
];

/// Returns the events that an odd packet stands for; what no rule can ask for is none.
pub fn events(odd: &Odd) -> Vec<&'static str> {
    let place = Ip(odd.segment.ip_version);
    let is_it =
        |(reason, at, _): &&(&str, Place, &str)| odd.reasons.contains(reason) && (*at == Anywhere || *at == place);
    EVENTS.iter().filter(is_it).map(|(_, _, event)| *event).collect()
}

/// Returns the names that rules can ask for, without the prefix of the decoder.
pub fn names() -> impl Iterator<Item = &'static str> {
    EVENTS.iter().filter_map(|(_, _, event)| event.strip_prefix("decoder."))
}

#[cfg(test)]
mod tests {
    use infraspectre_core::wire::Segment;

    use super::*;
    use crate::flow::fixture::{Host, Talk};

    #[test]
    fn events_are_named_after_the_version_of_ip() {
        let mut found = Vec::new();
        Talk::default().datagram(Host::Client, b"").with_segment(1, |segment| {
            for ip_version in [0, 4, 6] {
                let segment = Segment { ip_version, ..*segment };
                let segment =
                    Segment { payload: &[], network: &[], transport: &[], tcp: Default::default(), ..segment };
                let reasons = vec!["fragment-overlap", "nesting", "other"];
                found.push(events(&Odd { segment, reasons, is_malformed: false }));
            }
        });
        let [none, four, six] = &found[..] else { panic!("three") };
        assert_eq!(none[..], ["decoder.too_many_layers"]);
        assert_eq!(four[..], ["decoder.ipv4.frag_overlap", "decoder.too_many_layers"]);
        assert_eq!(six[..], ["decoder.ipv6.frag_overlap", "decoder.too_many_layers"]);
    }
}
