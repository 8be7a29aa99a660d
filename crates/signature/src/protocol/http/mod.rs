//! HTTP/1 as rules see it: one transaction for each request and its response.
//!
//! Clients and servers agree on much that no standard allows, and attackers use what a sensor reads otherwise than a
//! browser. So a session is as tolerant as the most tolerant of them: see [`lines`] and [`message`].

pub(super) mod body;
mod coding;
pub(super) mod describe;
pub(super) mod headers;
pub(super) mod lines;
mod message;
pub(super) mod multipart;
mod probe;
mod request;
mod response;
#[cfg(test)]
mod tests;
pub(super) mod uri;

use std::collections::VecDeque;

use infraspectre_core::app::{Consumed, Next, Transport};

use self::message::{Message, State, Step};
use self::response::StatusLine;
use super::{Entry, Output, Protocol};
use crate::transaction::Direction;

/// HTTP/1 over TCP.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Http,
    transports: &[Transport::Stream],
    probe: probe::probe,
    session: |_| Box::new(Session::default()),
    describe: describe::describe,
};

/// What a response needs to know of its request.
#[derive(Clone, Debug, Default)]
struct Exchange {
    number: u64,
    target: Vec<u8>,
    version: Option<u8>,
    is_head: bool,
    is_connect: bool,
    /// Without a protocol: HTTP/0.9.
    is_simple: bool,
    lacks_protocol: bool,
    /// Its body is a file.
    is_upload: bool,
    is_form: bool,
    /// An interim response was seen.
    is_continued: bool,
}

impl Exchange {
    /// Returns the name of the body's file where no header says one: the path.
    fn file_name(&self) -> Vec<u8> {
        uri::Uri::parse(&self.target, self.is_connect).path.map(uri::normalise_path).unwrap_or_default()
    }
}

/// Reads HTTP/1 of one flow.
#[derive(Default)]
pub struct Session {
    request: Message,
    response: Message,
    /// The request that is being read.
    exchange: Exchange,
    /// Requests without a response yet.
    pending: VecDeque<Exchange>,
    /// The request whose response is being read.
    answered: Exchange,
    status: StatusLine,
    after_lf_cr: bool,
    /// Bytes of the last step before HTTP ended.
    tunnelled: usize,
    /// Bytes that wait for more, by direction.
    carried: [Vec<u8>; 2],
}

impl Session {
    fn run(&mut self, direction: Direction, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Consumed {
        let mut rest = data;
        let next = loop {
            let step = match direction {
                Direction::Orig => self.request_step(rest, is_closed, output),
                Direction::Resp => self.response_step(rest, is_closed, output),
            };
            match step {
                Step::Took(count) => rest = rest.get(count..).unwrap_or_default(),
                Step::Again => {}
                Step::Wait => break Next::More,
                Step::Stop(next) => {
                    rest = rest.get(std::mem::take(&mut self.tunnelled)..).unwrap_or_default();
                    break next;
                }
            }
        };
        Consumed { bytes: data.len() - rest.len(), next }
    }

    fn side(&mut self, direction: Direction) -> &mut Message {
        match direction {
            Direction::Orig => &mut self.request,
            Direction::Resp => &mut self.response,
        }
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let at = crate::transaction::index(direction);
        let mut carried = std::mem::take(&mut self.carried[at]);
        let before = carried.len();
        let mut consumed = if carried.is_empty() {
            let consumed = self.run(direction, data, false, output);
            carried.extend_from_slice(data.get(consumed.bytes..).unwrap_or_default());
            consumed
        } else {
            carried.extend_from_slice(data);
            let consumed = self.run(direction, &carried, false, output);
            carried.drain(..consumed.bytes.min(carried.len()));
            consumed
        };
        // What waits is kept here, so that the end of the stream can be read; a tunnel's bytes are not HTTP's.
        if consumed.next == Next::More && self.side(direction).state != State::Tunnel {
            self.carried[at] = carried;
            consumed.bytes = data.len();
        } else {
            consumed.bytes = consumed.bytes.saturating_sub(before);
        }
        consumed
    }

    fn gap(&mut self, direction: Direction, missing: u32, output: &mut Output<'_>) -> bool {
        self.side(direction).skip(missing.into(), output)
    }

    fn end(&mut self, direction: Direction, output: &mut Output<'_>) {
        let carried = std::mem::take(&mut self.carried[crate::transaction::index(direction)]);
        if self.side(direction).state == State::Tunnel {
            self.side(direction).complete(false, direction, output);
        }
        self.run(direction, &carried, true, output);
    }
}
