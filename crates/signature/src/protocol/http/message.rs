//! What requests and responses share: how a message is framed, and how its parts are taken.

use super::body::Sink;
use super::headers::Headers;
use super::lines::{is_space, MAX_LINE};
use crate::field::TRAILER;
use crate::protocol::Output;
use crate::transaction::{Direction, Transaction};
use infraspectre_core::app::Next;

/// What the next bytes of a side are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// The next message begins.
    #[default]
    Idle,
    Line,
    /// A line that is no header may follow a request without version.
    Protocol,
    Headers,
    Trailers,
    /// A body of which this much is to come.
    Counted(u64),
    UntilClose,
    ChunkLength,
    Chunk(u64),
    ChunkEnd,
    /// The message is over, unless what follows is no message.
    Finalise,
    /// A request for a tunnel waits for its response.
    Tunnel,
    /// Nothing that follows is looked at.
    Ignored,
}

/// What a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Took(usize),
    /// The state has changed.
    Again,
    /// More bytes are needed.
    Wait,
    Stop(Next),
}

/// One side's present message.
#[derive(Default)]
pub struct Message {
    pub state: State,
    pub number: Option<u64>,
    pub line: Vec<u8>,
    pub headers: Headers,
    pub sink: Sink,
    pub limit: u64,
}

impl Message {
    /// Returns the message's transaction.
    pub fn transaction<'a>(&self, output: &'a mut Output<'_>) -> Option<&'a mut Transaction> {
        self.number.and_then(|number| output.get(number))
    }

    /// Notes an event.
    pub fn event(&self, direction: Direction, name: &'static str, output: &mut Output<'_>) {
        if let Some(transaction) = self.transaction(output) {
            transaction.event(direction, name);
        }
    }

    /// Takes bytes as the body's.
    pub fn push(&mut self, data: &[u8], direction: Direction, output: &mut Output<'_>) {
        let limit = self.limit;
        if let Some(transaction) = self.number.and_then(|number| output.get(number)) {
            self.sink.push(data, limit, direction, transaction);
        }
    }

    /// Completes the side; `is_cut` if bytes of the body are missing at its end.
    pub fn complete(&mut self, is_cut: bool, direction: Direction, output: &mut Output<'_>) {
        if let Some(transaction) = self.number.take().and_then(|number| output.get(number)) {
            self.sink.finish(is_cut, direction, transaction);
            transaction.complete(direction);
        }
        *self = Message { limit: self.limit, ..Message::default() };
    }

    /// Takes what the framing of the body says; `data` is not empty.
    pub fn body_step(&mut self, data: &[u8], direction: Direction, output: &mut Output<'_>) -> Step {
        match self.state {
            State::Counted(left) => self.counted(data, left, State::Finalise, State::Counted, direction, output),
            State::Chunk(left) => self.counted(data, left, State::ChunkEnd, State::Chunk, direction, output),
            State::UntilClose => {
                self.push(data, direction, output);
                Step::Took(data.len())
            }
            State::ChunkEnd => match memchr::memchr(b'\n', data) {
                Some(at) => {
                    self.state = State::ChunkLength;
                    Step::Took(at + 1)
                }
                None => Step::Took(data.len()),
            },
            _ => self.chunk_length(data, direction, output),
        }
    }

    fn counted(
        &mut self,
        data: &[u8],
        left: u64,
        after: State,
        more: fn(u64) -> State,
        direction: Direction,
        output: &mut Output<'_>,
    ) -> Step {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        self.push(data.get(..count).unwrap_or(data), direction, output);
        let left = left - count as u64;
        self.state = if left == 0 { after } else { more(left) };
        Step::Took(count)
    }

    fn chunk_length(&mut self, data: &[u8], direction: Direction, output: &mut Output<'_>) -> Step {
        let Some(start) = data.iter().position(|byte| !is_space(*byte)) else {
            let line = memchr::memrchr(b'\n', data).map_or(0, |at| at + 1);
            return if line > 0 { Step::Took(line) } else { Step::Wait };
        };
        let digits = data.get(start..).unwrap_or_default();
        if digits.first().is_some_and(u8::is_ascii_hexdigit) {
            let Some(end) = memchr::memchr(b'\n', digits) else {
                return if data.len() > MAX_LINE { self.bad_chunk(direction, output) } else { Step::Wait };
            };
            if let Some(length) = parse_length(digits) {
                if digits.get(..end).is_some_and(|line| line.contains(&b';')) && direction == Direction::Orig {
                    self.event(direction, "request_chunk_extension", output);
                }
                self.state = if length > 0 { State::Chunk(length) } else { State::Trailers };
                return Step::Took(start + end + 1);
            }
        }
        self.bad_chunk(direction, output)
    }

    /// A response whose chunks make no sense is shown as it is, as browsers do.
    fn bad_chunk(&mut self, direction: Direction, output: &mut Output<'_>) -> Step {
        match direction {
            Direction::Orig => {
                self.event(direction, "invalid_request_chunk_len", output);
                Step::Stop(Next::Malformed("chunk length"))
            }
            Direction::Resp => {
                self.event(direction, "invalid_response_chunk_len", output);
                self.state = State::UntilClose;
                Step::Again
            }
        }
    }

    /// Notes that the trailer is complete.
    pub fn end_trailer(&mut self, direction: Direction, output: &mut Output<'_>) {
        if let Some(transaction) = self.transaction(output) {
            transaction.advance(direction, TRAILER);
        }
        self.state = State::Finalise;
    }

    /// Goes on behind missing bytes of a body; false where they may hold more than the body.
    pub fn skip(&mut self, missing: u64, output: &mut Output<'_>) -> bool {
        let left = match self.state {
            State::Counted(left) | State::Chunk(left) => left,
            State::UntilClose => u64::MAX,
            State::Ignored => return true,
            _ => return false,
        };
        let Some(rest) = left.checked_sub(missing) else { return false };
        self.state = match self.state {
            State::Counted(_) if rest == 0 => State::Finalise,
            State::Counted(_) => State::Counted(rest),
            State::Chunk(_) if rest == 0 => State::ChunkEnd,
            State::Chunk(_) => State::Chunk(rest),
            other => other,
        };
        if let Some(transaction) = self.number.and_then(|number| output.get(number)) {
            self.sink.skip(transaction);
        }
        true
    }
}

/// Reads the length of a chunk; what follows the digits does not matter.
fn parse_length(digits: &[u8]) -> Option<u64> {
    let end = digits.iter().position(|byte| !byte.is_ascii_hexdigit()).unwrap_or(digits.len());
    let text = std::str::from_utf8(digits.get(..end)?).ok()?;
    u64::from_str_radix(text, 16).ok().filter(|length| *length <= i32::MAX as u64)
}
