//! Stratum: how miners of cryptocurrencies get work from a pool and hand in shares, as lines of JSON
//! (Bitcoin wiki, Stratum mining protocol; XMRig, Stratum protocol extensions; EIP-1571).

use super::bytes::drain;
use super::line::{holds_word, split_line};
use super::{Consumed, Direction, Field, Fields, Next, Probe, Stop, Transport};

/// Longest line read: a job lists at most some dozen hashes.
pub const MAX_LINE: usize = 64 * 1024;
/// Begins the methods of Bitcoin's dialect.
const PREFIX: &[u8] = b"mining.";
/// Methods of Ethereum's dialect that no wallet or node offers.
const ETHEREUM: [&[u8]; 4] = [b"eth_submitLogin", b"eth_submitlogin", b"eth_submitWork", b"eth_submitHashrate"];

/// Returns the text of a key's value in a line of JSON, without undoing escapes; None if it is no text.
///
/// A full parser is not needed: keys of this protocol occur once in a message.
pub fn text_of<'a>(line: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let quoted = [b"\"", key, b"\""].concat();
    line.windows(quoted.len()).enumerate().filter(|(_, window)| *window == quoted).find_map(|(at, _)| {
        let value = line.get(at + quoted.len()..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        string(value)
    })
}

/// Returns the text with which a value begins.
fn string(value: &[u8]) -> Option<&[u8]> {
    let text = value.strip_prefix(b"\"")?;
    text.get(..memchr::memchr(b'"', text)?)
}

/// Returns the first text among a message's parameters, given as a list.
fn first_parameter(line: &[u8]) -> Option<&[u8]> {
    let at = line.windows(8).position(|window| window == b"\"params\"")?;
    let list = line.get(at + 8..)?.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    string(list.strip_prefix(b"[")?.trim_ascii_start())
}

/// Recognises a line of JSON with a method of mining.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    if transport != Transport::Stream || data.first() != Some(&b'{') {
        return Probe::NotForUs;
    }
    match split_line(data, MAX_LINE) {
        Ok((_, line)) if is_mining(line) => Probe::Certain,
        Err(Stop::Incomplete) if is_mining(data) => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

fn is_mining(line: &[u8]) -> bool {
    let method = text_of(line, b"method").unwrap_or_default();
    let is_login = method == b"login" && [&b"\"login\""[..], b"\"pass\""].iter().all(|key| holds_word(line, key));
    let is_job = method == b"job" && [&b"\"blob\""[..], b"\"job_id\""].iter().all(|key| holds_word(line, key));
    method.starts_with(PREFIX) || ETHEREUM.contains(&method) || is_login || is_job
}

/// Follows the messages of both sides.
pub struct Session;

impl Session {
    /// Starts before the first message.
    pub fn new(_transport: Transport) -> Self {
        Self
    }

    fn step(&mut self, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        let (rest, line) = split_line(data, MAX_LINE)?;
        report(line, fields);
        Ok((data.len() - rest.len(), Next::More))
    }
}

fn report(line: &[u8], fields: &mut Fields) {
    let Some(method) = text_of(line, b"method") else { return };
    fields.text(Field::StratumMethods, method);
    let worker = match method {
        b"mining.authorize" => first_parameter(line),
        b"login" => text_of(line, b"login"),
        _ if ETHEREUM.iter().take(2).any(|login| *login == method) => first_parameter(line),
        _ => None,
    };
    if let Some(worker) = worker {
        fields.text(Field::StratumWorker, worker);
    }
    let agent = if method == b"mining.subscribe" { first_parameter(line) } else { text_of(line, b"agent") };
    if let Some(agent) = agent {
        fields.text(Field::StratumAgent, agent);
    }
}

impl super::Session for Session {
    fn read(&mut self, _direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        drain(data, |rest| self.step(rest, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed, texts};
    use proptest::prelude::*;

    const BITCOIN: &[u8] = b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\"cpuminer/2.5\"]}\n\
        {\"id\": 2, \"method\": \"mining.authorize\", \"params\": [\"1Boat.worker\", \"x\"]}\n";
    const MONERO: &[u8] = b"{\"id\":1,\"jsonrpc\":\"2.0\",\"method\":\"login\",\"params\":\
        {\"login\":\"48abc\",\"pass\":\"x\",\"agent\":\"XMRig/6\"}}\n";
    const JOB: &[u8] = b"{\"jsonrpc\":\"2.0\",\"method\":\"job\",\"params\":{\"blob\":\"07\",\"job_id\":\"1\"}}\n";

    fn probe_of(data: &[u8]) -> Probe {
        probe(Transport::Stream, Direction::Orig, data, (40_000, 3_333))
    }

    #[test]
    fn methods_workers_and_programs_are_told() {
        let (bitcoin, _) = feed(&mut Session, [(Direction::Orig, BITCOIN)]);
        assert_eq!(texts(&bitcoin, Field::StratumMethods), ["mining.subscribe", "mining.authorize"]);
        assert_eq!(texts(&bitcoin, Field::StratumWorker), ["1Boat.worker"]);
        assert_eq!(texts(&bitcoin, Field::StratumAgent), ["cpuminer/2.5"]);
        let (monero, _) = feed(&mut Session, [(Direction::Orig, MONERO), (Direction::Resp, JOB)]);
        assert_eq!(texts(&monero, Field::StratumMethods), ["login", "job"]);
        assert_eq!(texts(&monero, Field::StratumWorker), ["48abc"]);
        assert_eq!(texts(&monero, Field::StratumAgent), ["XMRig/6"]);
    }

    #[test]
    fn cuts_do_not_matter() {
        assert_cuts_do_not_matter(|| Session, &[(Direction::Orig, BITCOIN), (Direction::Resp, JOB)]);
    }

    #[test]
    fn mining_is_recognised_and_other_json_is_not() {
        for known in [BITCOIN, MONERO, JOB, b"{\"method\":\"eth_submitLogin\",\"params\":[\"0xabc\"]}"] {
            assert_eq!(probe_of(known), Probe::Certain, "{}", known.escape_ascii());
        }
        for unknown in [&b"{\"method\":\"login\",\"user\":1}\n"[..], b"{}\n", b"[1]\n", b"GET / HTTP/1.1\r\n"] {
            assert_eq!(probe_of(unknown), Probe::NotForUs, "{}", unknown.escape_ascii());
        }
        assert_eq!(probe_of(b"{\"id\":1,\"meth"), Probe::Unsure);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in prop::collection::vec(any::<u8>(), 0..300), pieces in 1..9usize) {
            assert_any_bytes_are_safe(&mut Session, &data, pieces);
            probe_of(&data);
        }
    }
}
