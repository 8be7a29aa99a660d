//! Settings of the signature engine, by Suricata's names.

use std::collections::BTreeMap;

/// What a run is told; the defaults are those of Suricata's own configuration file.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Every name and value as given.
    pub given: BTreeMap<String, String>,
    /// Whether packets with wrong checksums are told apart (`-k none` switches it off).
    pub checksums: bool,
    pub ips: bool,
    pub midstream: bool,
    /// `stream.midstream-policy` and the like, by name.
    pub midstream_policy: Option<String>,
    pub async_oneside: bool,
    pub inline: bool,
    /// Bytes of each direction that are reassembled; 0 for all.
    pub depth: u64,
    pub packet_alert_max: usize,
    pub response_body_limit: usize,
    pub request_body_limit: usize,
    pub response_decompress_layers: usize,
    /// Bytes of a body that must have arrived before rules look at it, unless it is complete.
    pub response_inspect_size: usize,
    pub request_inspect_size: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            given: BTreeMap::new(),
            checksums: true,
            ips: false,
            midstream: false,
            midstream_policy: None,
            async_oneside: false,
            inline: false,
            depth: 1 << 20,
            packet_alert_max: 15,
            response_body_limit: 100 * 1024,
            request_body_limit: 100 * 1024,
            response_decompress_layers: 2,
            response_inspect_size: 40 * 1024,
            request_inspect_size: 32 * 1024,
        }
    }
}

impl Settings {
    /// Returns a given value by its dotted name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Tells whether a switch is on: `yes`, `true`, `on` or `1`.
    pub fn is_on(&self, name: &str, default: bool) -> bool {
        self.get(name)
            .map_or(default, |value| matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "1"))
    }
}
