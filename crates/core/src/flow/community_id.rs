//! Community ID 1.0: one identity of a conversation that other tools compute the same way (corelight/community-id-spec).

use sha1::{Digest, Sha1};

use super::key::{icmp6_counterpart, icmp_counterpart, Endpoint};
use crate::wire::protocol;

const SEED: [u8; 2] = [0, 0];

/// Computes the SHA-1 digest that a Community ID shows in base64.
pub fn digest(orig: Endpoint, resp: Endpoint, protocol: u8, ip_version: u8) -> [u8; 20] {
    let one_way = match protocol {
        protocol::ICMP => icmp_counterpart(orig.port).is_none(),
        protocol::ICMP6 => icmp6_counterpart(orig.port).is_none(),
        _ => false,
    };
    let (first, second) = if one_way || orig <= resp { (orig, resp) } else { (resp, orig) };
    let mut hash = Sha1::new();
    hash.update(SEED);
    hash.update(address(&first, ip_version));
    hash.update(address(&second, ip_version));
    hash.update([protocol, 0]);
    if matches!(protocol, protocol::ICMP | protocol::ICMP6 | protocol::TCP | protocol::UDP | protocol::SCTP) {
        hash.update(first.port.to_be_bytes());
        hash.update(second.port.to_be_bytes());
    }
    hash.finalize().into()
}

/// Appends a digest as text, for example `1:wCb3OG7yAFWelaUydu0D+125CLM=`.
pub fn write(out: &mut String, digest: &[u8; 20]) {
    out.push_str("1:");
    push_base64(out, digest);
}

fn address(endpoint: &Endpoint, ip_version: u8) -> &[u8] {
    if ip_version == 4 {
        endpoint.address.get(12..).unwrap_or_default()
    } else {
        &endpoint.address
    }
}

fn push_base64(out: &mut String, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        for position in 0..4 {
            let digit = (bits >> (18 - 6 * position)) & 63;
            let padding = position > chunk.len();
            out.push(if padding { '=' } else { char::from(ALPHABET[digit as usize]) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(address: [u8; 4], port: u16) -> Endpoint {
        let mut mapped = [0; 16];
        mapped[10] = 0xff;
        mapped[11] = 0xff;
        mapped[12..].copy_from_slice(&address);
        Endpoint { address: mapped, port }
    }

    fn id(orig: Endpoint, resp: Endpoint, protocol: u8) -> String {
        let mut out = String::new();
        write(&mut out, &digest(orig, resp, protocol, 4));
        out
    }

    #[test]
    fn published_examples() {
        let a = v4([128, 232, 110, 120], 34855);
        let b = v4([66, 35, 250, 204], 80);
        assert_eq!(id(a, b, 6), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(id(b, a, 6), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        let ping = id(v4([192, 168, 0, 89], 8), v4([192, 168, 0, 1], 0), 1);
        assert_eq!(ping, "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=");
    }
}
