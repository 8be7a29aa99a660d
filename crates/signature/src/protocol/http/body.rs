//! Bodies: what arrives is unpacked, cut at the limit, and kept as body and as files.

use super::coding::{Coding, Layers, Trouble};
use super::multipart::{Multipart, Part};
use crate::field::{Field, BODY};
use crate::protocol::Protocol;
use crate::settings::Settings;
use crate::transaction::{index, Direction, Transaction};

/// How a body becomes files.
#[derive(Debug, Default)]
pub enum Files {
    #[default]
    None,
    /// The whole body is one file of this name.
    Whole(Vec<u8>),
    Parts(Multipart),
}

/// Takes the bytes of one body.
#[derive(Default)]
pub struct Sink {
    layers: Layers,
    store: Store,
    troubled: bool,
}

impl Sink {
    /// Begins a body with what its headers say of it.
    ///
    /// Brotli is unpacked in HTTP/2 alone.
    pub fn new(
        files: Files,
        encodings: Option<&[u8]>,
        protocol: Protocol,
        settings: &Settings,
        events: &mut Events,
    ) -> Sink {
        let mut sink = Sink { store: Store { files, ..Store::default() }, ..Sink::default() };
        if let Some(encodings) = encodings {
            sink.add_layers(encodings, protocol, settings.response_decompress_layers, events);
        }
        sink
    }

    fn add_layers(&mut self, encodings: &[u8], protocol: Protocol, most: usize, events: &mut Events) {
        let names = encodings.split(|byte| matches!(byte, b',' | b' ')).filter(|name| !name.is_empty());
        let is_list = names.clone().nth(1).is_some();
        for (number, name) in names.enumerate() {
            if is_list && most > 0 && number >= most {
                events.push("too_many_encoding_layers");
                break;
            }
            let name: Vec<u8> = name.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).collect();
            match coding_of(&name, protocol) {
                Some((coding, is_exact)) => {
                    self.layers.push(coding);
                    if !is_exact {
                        events.push("abnormal_ce_header");
                    }
                }
                None if name != b"inflate" => events.push("abnormal_ce_header"),
                None => {}
            }
        }
    }

    /// Takes bytes of the body as they are sent.
    pub fn push(&mut self, data: &[u8], limit: u64, direction: Direction, transaction: &mut Transaction) {
        transaction.advance(direction, BODY);
        transaction.sent[index(direction)] += data.len() as u64;
        if self.layers.is_empty() {
            self.store.keep(data, limit, direction, transaction);
            return;
        }
        let (data, trouble) = self.layers.feed(data);
        self.store.keep(data, limit, direction, transaction);
        if let Some(trouble) = trouble.filter(|_| !std::mem::replace(&mut self.troubled, true)) {
            transaction.event(direction, trouble.event());
        }
    }

    /// Notes that bytes are missing.
    pub fn skip(&mut self, transaction: &mut Transaction) {
        if let Some(file) = self.store.file.and_then(|at| transaction.files.get_mut(at)) {
            file.truncated = true;
        }
    }

    /// Ends the body.
    pub fn finish(&mut self, is_cut: bool, direction: Direction, transaction: &mut Transaction) {
        let Store { files, file, .. } = &mut self.store;
        if let Files::Parts(multipart) = files {
            multipart.finish(&mut |part| take_part(part, file, direction, transaction));
        }
        if is_cut {
            self.skip(transaction);
        }
        *self = Sink::default();
    }
}

/// What is kept of an unpacked body.
#[derive(Default)]
struct Store {
    files: Files,
    /// The file that is being filled.
    file: Option<usize>,
    kept: u64,
}

impl Store {
    /// Keeps what is below the limit, where there is one; 0 is none.
    fn keep(&mut self, data: &[u8], limit: u64, direction: Direction, transaction: &mut Transaction) {
        let room = if limit == 0 || transaction.keeps_files { u64::MAX } else { limit.saturating_sub(self.kept) };
        let cut = data.get(..usize::try_from(room).unwrap_or(usize::MAX)).unwrap_or(data);
        self.kept += cut.len() as u64;
        if !cut.is_empty() {
            if wants_body(transaction, direction) {
                transaction.bodies[index(direction)].append(cut);
            }
            self.fill_files(cut, direction, transaction);
        }
        if cut.len() < data.len() {
            transaction.bodies[index(direction)].complete = true;
            if let Some(file) = self.file.and_then(|at| transaction.files.get_mut(at)) {
                file.truncated = true;
                file.body.complete = true;
            }
        }
    }

    fn fill_files(&mut self, data: &[u8], direction: Direction, transaction: &mut Transaction) {
        let file = &mut self.file;
        match &mut self.files {
            Files::None => {}
            Files::Whole(name) => {
                *file = file.or_else(|| transaction.add_file(direction, name));
                let is_body = is_body(transaction, direction);
                match file.and_then(|at| transaction.files.get_mut(at)) {
                    Some(file) if is_body => file.count(data),
                    Some(file) => file.append(data),
                    None => {}
                }
            }
            Files::Parts(multipart) => multipart.feed(data, &mut |part| take_part(part, file, direction, transaction)),
        }
    }
}

impl Trouble {
    const fn event(self) -> &'static str {
        match self {
            Trouble::Broken => "gzip_decompression_failed",
            Trouble::Bomb => "compression_bomb",
        }
    }
}

/// Names of events that wait for their transaction.
pub type Events = Vec<&'static str>;

/// Returns the coding of a name, and whether the name is exactly right.
fn coding_of(name: &[u8], protocol: Protocol) -> Option<(Coding, bool)> {
    let has = |wanted: &[u8]| memchr::memmem::find(name, wanted).is_some();
    match name {
        b"gzip" | b"x-gzip" => Some((Coding::Gzip, true)),
        b"deflate" | b"x-deflate" => Some((Coding::Deflate, true)),
        b"br" if protocol == Protocol::Http2 => Some((Coding::Brotli, true)),
        _ if has(b"gzip") => Some((Coding::Gzip, false)),
        _ if has(b"deflate") => Some((Coding::Deflate, false)),
        _ => None,
    }
}

fn wants_body(transaction: &Transaction, direction: Direction) -> bool {
    match direction {
        Direction::Orig => transaction.wants(Field::HttpRequestBody),
        Direction::Resp => transaction.wants(Field::HttpResponseBody) || transaction.wants(Field::FileData),
    }
}

/// Tells whether what rules look at as the file of a direction is its body (HTTP/1 responses), which is then kept alone.
fn is_body(transaction: &Transaction, direction: Direction) -> bool {
    let is_response = transaction.protocol == Protocol::Http && direction == Direction::Resp;
    is_response && wants_body(transaction, direction)
}

fn take_part(part: Part<'_>, file: &mut Option<usize>, direction: Direction, transaction: &mut Transaction) {
    match (part, *file) {
        (Part::Begin(name), _) => *file = transaction.add_file(direction, name),
        (Part::Data(data), Some(at)) => append(transaction, at, data),
        (Part::End, Some(at)) => {
            if let Some(ended) = transaction.files.get_mut(at) {
                ended.body.complete = true;
            }
            *file = None;
        }
        _ => {}
    }
}

fn append(transaction: &mut Transaction, at: usize, data: &[u8]) {
    if let Some(file) = transaction.files.get_mut(at) {
        file.append(data);
    }
}
