//! What is odd about packets, by the names that rules have for it (`decode-event`, Suricata's `decoder-events.rules`).

use infraspectre_core::wire::{protocol, Odd};

/// Returns the events that an odd packet stands for; what no rule can ask for is none.
pub fn events(odd: &Odd) -> Vec<&'static str> {
    let segment = &odd.segment;
    odd.reasons.iter().filter_map(|reason| event(reason, segment.ip_version, segment.protocol)).collect()
}

fn event(reason: &str, ip_version: u8, transport: u8) -> Option<&'static str> {
    let by_version = |of_four, of_six| match ip_version {
        4 => Some(of_four),
        6 => Some(of_six),
        _ => None,
    };
    match reason {
        "fragment-overlap" => by_version("decoder.ipv4.frag_overlap", "decoder.ipv6.frag_overlap"),
        "fragment-offset" => by_version("decoder.ipv4.frag_pkt_too_large", "decoder.ipv6.frag_pkt_too_large"),
        "fragment-length" => Some("decoder.ipv6.frag_invalid_length"),
        "fragment-of-all" => Some("decoder.ipv6.exthdr_useless_fh"),
        "fragment-header-repeated" => Some("decoder.ipv6.exthdr_dupl_fh"),
        "ip-extension-alone" | "ip-extension-length" => Some("decoder.ipv6.trunc_exthdr"),
        "ip-header-length" => Some("decoder.ipv4.hlen_too_small"),
        "ip-length" => Some("decoder.ipv4.iplen_smaller_than_hlen"),
        "tcp-length" => Some("decoder.tcp.pkt_too_small"),
        "tcp-header-length" => Some("decoder.tcp.hlen_too_small"),
        "udp-length" if transport == protocol::UDP => Some("decoder.udp.hlen_too_small"),
        "udp-header-length" => Some("decoder.udp.len_invalid"),
        "icmp-length" => by_version("decoder.icmpv4.pkt_too_small", "decoder.icmpv6.pkt_too_small"),
        "sctp-length" => Some("decoder.sctp.pkt_too_small"),
        "gre-length" => Some("decoder.gre.pkt_too_small"),
        "truncated-ethernet" => Some("decoder.ethernet.pkt_too_small"),
        "truncated-vlan" => Some("decoder.vlan.header_too_small"),
        "truncated-mpls" => Some("decoder.mpls.pkt_too_small"),
        "truncated-ppp" => Some("decoder.ppp.pkt_too_small"),
        "truncated-pppoe" => Some("decoder.pppoe.pkt_too_small"),
        "truncated-sll" => Some("decoder.sll.pkt_too_small"),
        "truncated-nsh" => Some("decoder.nsh.header_too_small"),
        "nesting" => Some("decoder.too_many_layers"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_named_after_the_version_of_ip() {
        assert_eq!(event("fragment-overlap", 4, 0), Some("decoder.ipv4.frag_overlap"));
        assert_eq!(event("fragment-overlap", 6, 0), Some("decoder.ipv6.frag_overlap"));
        assert_eq!(event("icmp-length", 0, 0), None);
        assert_eq!(event("udp-length", 4, protocol::UDP_LITE), None);
    }
}
