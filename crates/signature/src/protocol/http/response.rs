//! Responses: read as browsers do, who show almost anything.

use infraspectre_core::app::Next;

use super::body::{Files, Sink};
use super::headers::content_length;
use super::lines::{self, chomp, contains, is_space, starts_with, trim, trim_end, word, End, MAX_LINE};
use super::message::{State, Step};
use super::multipart::file_name;
use super::request::version_of;
use super::{Exchange, Session};
use crate::field::{Field, HEADERS, LINE};
use crate::protocol::{Output, Protocol};
use crate::transaction::{Direction, Transaction};

const SIDE: Direction = Direction::Resp;
/// What stands for the target of a request that was not seen.
const UNSEEN: &[u8] = b"/libhtp::request_uri_not_seen";

/// The parts of a status line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusLine {
    pub protocol: Vec<u8>,
    pub code: Vec<u8>,
    pub message: Vec<u8>,
}

impl StatusLine {
    /// Splits a line.
    pub fn parse(line: &[u8]) -> StatusLine {
        let (protocol, rest) = word(trim(line), is_space);
        let (code, rest) = word(trim(rest), is_space);
        StatusLine { protocol: protocol.to_vec(), code: code.to_vec(), message: trim(rest).to_vec() }
    }

    /// Returns the status as a number, if it is one.
    pub fn status(&self) -> Option<u16> {
        let text = std::str::from_utf8(&self.code).ok().filter(|text| text.len() == 3)?;
        text.parse().ok().filter(|status| *status >= 100)
    }
}

/// Tells whether a line is no status line: then browsers show it.
fn is_body(line: &[u8]) -> bool {
    let start = line.iter().position(|byte| !is_space(*byte)).unwrap_or(line.len());
    !starts_with(line.get(start..).unwrap_or_default(), b"HTTP")
}

impl Session {
    /// Takes one step through what the server sends.
    pub(super) fn response_step(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        match self.response.state {
            State::Idle | State::Ignored if data.is_empty() => Step::Wait,
            State::Idle => self.begin_response(output),
            State::Ignored => Step::Took(data.len()),
            State::Finalise => self.end_response(data, is_closed, output),
            _ if data.is_empty() && is_closed => self.cut_response(output),
            _ if data.is_empty() => Step::Wait,
            State::Line => self.status_line(data, is_closed, output),
            State::Headers | State::Trailers => self.response_header(data, is_closed, output),
            _ => self.response.body_step(data, SIDE, output),
        }
    }

    fn begin_response(&mut self, output: &mut Output<'_>) -> Step {
        let exchange = self.pending.pop_front().unwrap_or_else(|| unseen(output));
        self.response.number = Some(exchange.number);
        self.response.limit = output.settings.response_body_limit as u64;
        self.response.state = if exchange.is_simple { State::UntilClose } else { State::Line };
        self.answered = exchange;
        self.after_lf_cr = false;
        Step::Again
    }

    fn status_line(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        let length = match lines::response_line(data, is_closed, false) {
            End::At(length, _) => length,
            End::Missing if is_closed => data.len(),
            End::Missing if data.len() > MAX_LINE => {
                self.response.event(SIDE, "response_field_too_long", output);
                return Step::Stop(Next::Malformed("status line too long"));
            }
            End::Missing => return Step::Wait,
        };
        let whole = data.get(..length).unwrap_or(data);
        let line = chomp(whole);
        if trim(line).is_empty() {
            return Step::Took(length);
        }
        if is_body(line) {
            return self.line_as_body(whole, data.get(length..).unwrap_or_default(), output);
        }
        self.status = StatusLine::parse(line);
        self.response.line = line.to_vec();
        self.response.state = State::Headers;
        if self.status.status() != Some(100) {
            self.report_status(output);
        }
        Step::Took(length)
    }

    /// Takes a line that is no status line: as nothing where a status line seems to follow, else as the body's.
    fn line_as_body(&mut self, line: &[u8], after: &[u8], output: &mut Output<'_>) -> Step {
        if after.len() > 1 && (after.first() == Some(&b'H') || chomp(line).len() <= 2) {
            return Step::Took(line.len());
        }
        if self.response.headers.raw.is_empty() {
            self.response.sink = Sink::new(
                Files::Whole(self.answered.file_name()),
                None,
                Protocol::Http,
                output.settings,
                &mut Vec::new(),
            );
            self.response.headers.keep_raw(line);
        }
        self.response.push(line, SIDE, output);
        if after.is_empty() {
            self.response.state = State::Finalise;
        }
        Step::Took(line.len())
    }

    fn report_status(&mut self, output: &mut Output<'_>) {
        let status = &self.status;
        if let Some(transaction) = self.response.transaction(output) {
            transaction.put(SIDE, Field::HttpResponseLine, &self.response.line);
            transaction.put(SIDE, Field::HttpProtocol, &status.protocol);
            transaction.put(SIDE, Field::HttpStatusCode, &status.code);
            transaction.put(SIDE, Field::HttpStatusMessage, &status.message);
            if version_of(&status.protocol).is_none() {
                transaction.event(SIDE, "response_invalid_protocol");
            }
            if status.status().is_none() {
                transaction.event(SIDE, "response_invalid_status");
            }
            transaction.advance(SIDE, LINE);
        }
    }

    fn response_header(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        let (length, extra) = match lines::response_line(data, is_closed, self.after_lf_cr) {
            End::At(length, extra) => (length, extra),
            End::Missing if is_closed => (data.len(), 0),
            End::Missing if data.len() > MAX_LINE => {
                self.response.event(SIDE, "response_field_too_long", output);
                return Step::Stop(Next::Malformed("response header too long"));
            }
            End::Missing => return Step::Wait,
        };
        let line = data.get(..length).unwrap_or(data);
        let is_blank = matches!(line, [space, b'\n'] if is_space(*space) && *space != b'\r');
        if is_blank && data.len() == length && !is_closed {
            return Step::Wait;
        }
        let is_end = matches!(line, b"\r" | b"\n" | b"\r\n") || (is_blank && data.get(length) != Some(&b'\n'));
        self.after_lf_cr = line.ends_with(b"\n\r");
        self.response.headers.keep_raw(line);
        if !is_end {
            let folds_headers = version_of(&self.status.protocol) != Some(11);
            self.response.headers.take_line(line, folds_headers);
            return Step::Took(length);
        }
        self.response.headers.finish_line();
        if self.response.state == State::Trailers {
            self.response.end_trailer(SIDE, output);
            return Step::Took(length + extra);
        }
        match self.end_response_headers(output) {
            Some(next) => {
                self.tunnelled = length + extra;
                Step::Stop(next)
            }
            None => Step::Took(length + extra),
        }
    }

    /// Decides what follows the headers; something if HTTP ends here.
    fn end_response_headers(&mut self, output: &mut Output<'_>) -> Option<Next> {
        let headers = &self.response.headers;
        let coding = headers.get("transfer-encoding").map(without_nul);
        let length = headers.get("content-length").map(content_length);
        let (is_coded, has_length) = (coding.is_some(), length.is_some());
        let status = self.status.status();
        if status == Some(100) && !is_coded && length.is_none_or(|length| length == Some(0)) {
            return self.go_on(output);
        }
        if status == Some(100) {
            self.report_status(output);
        }
        let is_open = self.answered.is_connect && status.is_some_and(|status| (200..300).contains(&status));
        let switches = status == Some(101) && !is_coded && !has_length;
        self.report_headers(output);
        if self.answered.is_connect {
            self.open_tunnel(is_open, output);
        }
        if is_open || switches {
            return Some(self.leave(is_open, output));
        }
        let bodiless = status.is_some_and(|status| status / 100 == 1 || matches!(status, 204 | 304));
        self.response.state = match (coding, length) {
            _ if self.answered.is_head => State::Finalise,
            (None, None) if bodiless => State::Finalise,
            (Some(coding), _) if contains(&coding, b"chunked") => {
                if !trim(&coding).eq_ignore_ascii_case(b"chunked") {
                    self.response.event(SIDE, "response_abnormal_transfer_encoding", output);
                }
                if version_of(&self.status.protocol).is_some_and(|version| version < 11) {
                    self.response.event(SIDE, "response_chunked_old_proto", output);
                }
                State::ChunkLength
            }
            (_, Some(Some(0))) => State::Finalise,
            (_, Some(Some(length))) => State::Counted(length),
            (_, Some(None)) => {
                self.response.event(SIDE, "invalid_content_length_field_in_response", output);
                return Some(Next::Malformed("content length"));
            }
            _ => State::UntilClose,
        };
        None
    }

    /// Passes over an interim response: another one follows.
    fn go_on(&mut self, output: &mut Output<'_>) -> Option<Next> {
        if std::mem::replace(&mut self.answered.is_continued, true) {
            self.response.event(SIDE, "100_continue_already_seen", output);
            return Some(Next::Malformed("100 Continue twice"));
        }
        self.response.headers = Default::default();
        self.response.state = State::Line;
        None
    }

    fn report_headers(&mut self, output: &mut Output<'_>) {
        let Session { response, answered, .. } = self;
        let mut events = Vec::new();
        let headers = &response.headers;
        let name = headers.get("content-disposition").and_then(file_name);
        let name = name.map_or_else(|| answered.file_name(), <[u8]>::to_vec);
        response.sink = Sink::new(
            Files::Whole(name),
            headers.get("content-encoding"),
            Protocol::Http,
            output.settings,
            &mut events,
        );
        if let Some(transaction) = response.number.and_then(|number| output.get(number)) {
            headers.report(SIDE, &response.line, transaction);
            events.iter().for_each(|event| transaction.event(SIDE, event));
            transaction.advance(SIDE, HEADERS);
        }
    }

    /// Ends HTTP: behind it is a tunnel or the protocol of the `Upgrade`.
    fn leave(&mut self, is_tunnel: bool, output: &mut Output<'_>) -> Next {
        let upgrade = self.response.headers.get("upgrade").map(trim).unwrap_or_default().to_ascii_lowercase();
        self.response.complete(false, SIDE, output);
        self.response.state = State::Ignored;
        match upgrade.as_slice() {
            _ if is_tunnel => output.requests.recognise_anew = true,
            b"h2c" => output.requests.switch_to = Some(Protocol::Http2),
            b"websocket" => output.requests.switch_to = Some(Protocol::Websocket),
            _ => self.request.state = State::Ignored,
        }
        if self.request.state != State::Ignored {
            self.request.complete(false, Direction::Orig, output);
            self.request.state = State::Ignored;
        }
        Next::Done
    }

    /// Ends a response, unless what follows is no status line: then it belongs to the body.
    fn end_response(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        let line = match memchr::memchr(b'\n', data) {
            Some(at) => data.get(..=at).unwrap_or(data),
            None if data.is_empty() || is_closed || data.len() > MAX_LINE => data,
            None => return Step::Wait,
        };
        if !line.is_empty() && is_body(line) {
            if !trim_end(line).is_empty() {
                self.response.event(SIDE, "response_body_unexpected", output);
            }
            self.response.push(line, SIDE, output);
            return Step::Took(line.len());
        }
        self.response.complete(false, SIDE, output);
        Step::Again
    }

    /// Ends a response of which the rest will not come.
    fn cut_response(&mut self, output: &mut Output<'_>) -> Step {
        if self.response.state == State::Headers {
            self.response.headers.finish_line();
            self.report_headers(output);
        }
        let is_cut = !matches!(self.response.state, State::UntilClose | State::Trailers);
        self.response.complete(is_cut, SIDE, output);
        Step::Again
    }
}

fn without_nul(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|byte| *byte != 0).collect()
}

/// Begins a transaction for a response whose request was not seen.
fn unseen(output: &mut Output<'_>) -> Exchange {
    let transaction: &mut Transaction = output.begin();
    transaction.event(SIDE, "unable_to_match_response_to_request");
    transaction.put(Direction::Orig, Field::HttpUri, UNSEEN);
    transaction.put(Direction::Orig, Field::HttpUriRaw, UNSEEN);
    transaction.complete(Direction::Orig);
    Exchange { number: transaction.number, target: UNSEEN.to_vec(), ..Exchange::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_split_tolerantly() {
        let status = StatusLine::parse(b" HTTP/1.1 \t200 all right \r");
        assert_eq!((&status.protocol[..], &status.code[..]), (&b"HTTP/1.1"[..], &b"200"[..]));
        assert_eq!((&status.message[..], status.status()), (&b"all right"[..], Some(200)));
        assert_eq!(StatusLine::parse(b"HTTP/1.1foo").status(), None);
        assert!(is_body(b"foobar") && !is_body(b" http/1.1"));
    }
}
