//! What an alert says of an HTTP transaction: the `http` object.

use serde_json::{json, Map, Value};

use crate::field::Field;
use crate::transaction::{index, Direction, Transaction};

use super::super::lossy;
use super::uri::split_port;

/// Adds the `http` object.
pub fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut http = Map::new();
    for (key, direction, field) in TEXTS {
        if let Some(value) = transaction.value(*direction, *field) {
            http.insert((*key).to_owned(), lossy(value));
        }
    }
    add_host(transaction, &mut http);
    add_response(transaction, &mut http);
    event.insert("http".to_owned(), Value::Object(http));
}

const TEXTS: &[(&str, Direction, Field)] = &[
    ("hostname", Direction::Orig, Field::HttpHost),
    ("url", Direction::Orig, Field::HttpUriRaw),
    ("http_user_agent", Direction::Orig, Field::HttpUserAgent),
    ("http_refer", Direction::Orig, Field::HttpReferer),
    ("http_method", Direction::Orig, Field::HttpMethod),
    ("protocol", Direction::Orig, Field::HttpProtocol),
    ("redirect", Direction::Resp, Field::HttpLocation),
];

fn number(value: &[u8]) -> Option<u16> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn add_host(transaction: &Transaction, http: &mut Map<String, Value>) {
    let raw = transaction.value(Direction::Orig, Field::HttpHostRaw);
    if let Some(port) = raw.and_then(|raw| split_port(raw).1).and_then(number) {
        http.insert("http_port".to_owned(), json!(port));
    }
}

fn add_response(transaction: &Transaction, http: &mut Map<String, Value>) {
    if let Some(value) = transaction.value(Direction::Resp, Field::HttpContentType) {
        let media = value.split(|byte| *byte == b';').next().unwrap_or(value);
        http.insert("http_content_type".to_owned(), lossy(media));
    }
    if let Some(status) = transaction.value(Direction::Resp, Field::HttpStatusCode).and_then(number) {
        http.insert("status".to_owned(), json!(status));
    }
    http.insert("length".to_owned(), json!(transaction.sent[index(Direction::Resp)]));
}
