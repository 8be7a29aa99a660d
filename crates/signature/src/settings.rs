//! Settings of the signature engine, by Suricata's names.

use std::collections::BTreeMap;

use crate::rule::Action;

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

/// The highest `packet-alert-max` that Suricata takes; beyond it, it goes on with its default.
const MOST_PACKET_ALERTS: usize = 255;

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
    /// Reads settings by the names of Suricata's configuration file; what is not understood is kept for those who ask.
    pub fn new(given: BTreeMap<String, String>) -> Settings {
        let mut settings = Settings { given, ..Settings::default() };
        settings.checksums = !matches!(settings.get("checksums"), Some("none" | "no"));
        settings.ips = settings.get("mode") == Some("ips");
        settings.midstream = settings.is_on("stream.midstream", false);
        settings.midstream_policy = settings.get("stream.midstream-policy").map(str::to_owned);
        settings.async_oneside = settings.is_on("stream.async-oneside", false);
        settings.inline = settings.is_on("stream.inline", settings.ips);
        settings.depth = settings.size("stream.reassembly.depth").unwrap_or(settings.depth);
        let most = settings.number("packet-alert-max").filter(|most| (1..=MOST_PACKET_ALERTS).contains(most));
        settings.packet_alert_max = most.unwrap_or(settings.packet_alert_max);
        let http = |name: &str| format!("app-layer.protocols.http.libhtp.default-config.{name}");
        let size = |name: &str, default: usize| {
            settings.size(&http(name)).and_then(|size| usize::try_from(size).ok()).unwrap_or(default)
        };
        let response_body_limit = size("response-body-limit", settings.response_body_limit);
        let request_body_limit = size("request-body-limit", settings.request_body_limit);
        let response_inspect_size = size("response-body-minimal-inspect-size", settings.response_inspect_size);
        let request_inspect_size = size("request-body-minimal-inspect-size", settings.request_inspect_size);
        let layers = settings.number(&http("response-body-decompress-layer-limit"));
        let response_decompress_layers = layers.unwrap_or(settings.response_decompress_layers);
        Settings {
            response_body_limit,
            request_body_limit,
            response_inspect_size,
            request_inspect_size,
            response_decompress_layers,
            ..settings
        }
    }

    /// Tells whether connections that begin in their middle are not to be looked at (`stream.midstream-policy`).
    pub fn excepts_midstream(&self) -> bool {
        let policy = self.midstream_policy.as_deref().filter(|policy| *policy != "auto");
        match policy.or_else(|| self.get("exception-policy")) {
            // Inline, what is not understood is dropped; beside the traffic it is ignored.
            Some("auto") => self.ips && !self.midstream,
            policy => !matches!(policy, None | Some("ignore")),
        }
    }

    /// Returns the order in which rules are tried by their action (`action-order`); what is not named comes last.
    pub fn action_order(&self) -> Vec<Action> {
        let named = self.get("action-order").unwrap_or("pass drop reject alert");
        let known = |word| match word {
            "pass" => Some(Action::Pass),
            "drop" => Some(Action::Drop),
            "reject" => Some(Action::Reject),
            "alert" => Some(Action::Alert),
            _ => None,
        };
        named.split(|mark: char| !mark.is_ascii_alphabetic()).filter_map(known).collect()
    }

    /// Returns a given number.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.get(name)?.trim().parse().ok()
    }

    /// Returns a given size in bytes, such as `100kb`.
    pub fn size(&self, name: &str) -> Option<u64> {
        let text = self.get(name)?.trim().to_ascii_lowercase();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let factor = match unit.trim() {
            "" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            _ => return None,
        };
        number.parse::<u64>().ok()?.checked_mul(factor)
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(given: &[(&str, &str)]) -> Settings {
        Settings::new(given.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect())
    }

    #[test]
    fn connections_that_begin_in_their_middle_are_excepted_by_policy() {
        let (auto, inline) = (("exception-policy", "auto"), ("mode", "ips"));
        assert!(!settings(&[]).excepts_midstream() && !settings(&[auto]).excepts_midstream());
        assert!(settings(&[auto, inline]).excepts_midstream());
        assert!(!settings(&[auto, inline, ("stream.midstream", "yes")]).excepts_midstream());
        assert!(settings(&[("stream.midstream-policy", "drop-flow")]).excepts_midstream());
        assert!(!settings(&[auto, inline, ("stream.midstream-policy", "ignore")]).excepts_midstream());
    }

    #[test]
    fn actions_have_an_order() {
        let usual = [Action::Pass, Action::Drop, Action::Reject, Action::Alert];
        assert_eq!(settings(&[]).action_order(), usual);
        assert_eq!(settings(&[("action-order", "[alert, pass]")]).action_order(), [Action::Alert, Action::Pass]);
    }
}
