//! Flow ids: one number for a flow, the same wherever and whenever the flow is computed from the same packets.

/// Derives an identity of 53 bits, exact in JSON numbers, from what distinguishes the flow: the digest of its Community ID,
/// its context, and the time and number of its first packet.
pub fn flow_id(community: &[u8; 20], context: u16, first_at: i64, first_number: u64) -> u64 {
    let head = community.first_chunk::<8>().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mixed = mix(head ^ mix(first_at as u64 ^ mix(first_number << 16 | u64::from(context))));
    mixed >> 11
}

/// Finalises a 64-bit hash (SplitMix64, Steele et al. 2014).
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}
