//! The type of a body judged by its first bytes, behind its content coding.

use std::io::Read;

/// Most bytes of a body, as sent, that are looked at.
pub const MAX_SNIFFED: usize = 4096;
/// Most decoded bytes that are looked at, so that a small body cannot grow into a large one.
const MAX_DECODED: usize = 2048;

/// First bytes and the type they tell; the longer and rarer forms come first where one begins another.
const MAGIC: &[(&[u8], &str)] = &[
    (b"MZ", "application/x-dosexec"),
    (b"\x7fELF", "application/x-executable"),
    (b"\xca\xfe\xba\xbe", "application/x-java-applet"),
    (b"\xfe\xed\xfa\xce", "application/x-mach-o-executable"),
    (b"\xfe\xed\xfa\xcf", "application/x-mach-o-executable"),
    (b"\xce\xfa\xed\xfe", "application/x-mach-o-executable"),
    (b"\xcf\xfa\xed\xfe", "application/x-mach-o-executable"),
    (b"dex\n03", "application/vnd.android.dex"),
    (b"PK\x03\x04", "application/zip"),
    (b"PK\x05\x06", "application/zip"),
    (b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (b"\x1f\x8b", "application/x-gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"MSCF", "application/vnd.ms-cab-compressed"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-ole-storage"),
    (b"L\0\0\0\x01\x14\x02\0", "application/x-ms-shortcut"),
    (b"%PDF-", "application/pdf"),
    (b"{\\rtf", "text/rtf"),
    (b"%!PS", "application/postscript"),
    (b"CWS", "application/x-shockwave-flash"),
    (b"FWS", "application/x-shockwave-flash"),
    (b"ZWS", "application/x-shockwave-flash"),
    (b"Cr24", "application/x-chrome-extension"),
    (b"SQLite format 3\0", "application/x-sqlite3"),
    (b"\0asm", "application/wasm"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\0\0\x01\0", "image/x-icon"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "application/ogg"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (b"0\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"wOFF", "application/font-woff"),
    (b"wOF2", "application/font-woff2"),
    (b"OTTO", "application/vnd.ms-opentype"),
    (b"\0\x01\0\0\0", "application/x-font-ttf"),
    (b"#!", "text/x-script"),
];

/// Words in any case with which text begins, after white space.
const MARKUP: &[(&[u8], &str)] = &[
    (b"<?xml", "application/xml"),
    (b"<!doctype html", "text/html"),
    (b"<html", "text/html"),
    (b"<head", "text/html"),
    (b"<body", "text/html"),
    (b"<title", "text/html"),
    (b"<script", "text/html"),
    (b"<table", "text/html"),
    (b"<iframe", "text/html"),
    (b"<!--", "text/html"),
    (b"<meta", "text/html"),
    (b"<h1", "text/html"),
    (b"<svg", "image/svg+xml"),
    (b"<?php", "text/x-php"),
    (b"function", "application/javascript"),
    (b"(function", "application/javascript"),
    (b"!function", "application/javascript"),
    (b"\"use strict\"", "application/javascript"),
    (b"var ", "application/javascript"),
    (b"window.", "application/javascript"),
    (b"document.", "application/javascript"),
];

/// How a body is coded (RFC 9110, 8.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Coding {
    #[default]
    Identity,
    Gzip,
    Deflate,
    Brotli,
}

impl Coding {
    /// Reads the Content-Encoding header; several codings at once are not undone.
    pub fn new(header: Option<&[u8]>) -> Self {
        let name = header.map(|value| value.trim_ascii().to_ascii_lowercase()).unwrap_or_default();
        match name.as_slice() {
            b"gzip" | b"x-gzip" => Self::Gzip,
            b"deflate" => Self::Deflate,
            b"br" => Self::Brotli,
            _ => Self::Identity,
        }
    }

    /// Undoes the coding as far as the bytes go; a body that is plainly not gzip is taken as it is.
    fn decode(self, body: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip if GZIP.starts_with(body) || body.starts_with(GZIP) => {
                read_some(flate2::read::GzDecoder::new(body))
            }
            Self::Identity | Self::Gzip => body.to_vec(),
            // Servers send both the zlib format that RFC 9110 asks for and the bare one.
            Self::Deflate if is_zlib(body) => read_some(flate2::read::ZlibDecoder::new(body)),
            Self::Deflate => read_some(flate2::read::DeflateDecoder::new(body)),
            Self::Brotli => read_some(brotli_decompressor::Decompressor::new(body, MAX_SNIFFED)),
        }
    }
}

/// First bytes of gzip (RFC 1952, 2.3.1).
const GZIP: &[u8] = b"\x1f\x8b";

/// Checks the two header bytes of zlib (RFC 1950, 2.2).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 0xf == 8 && u16::from_be_bytes([*method, *flags]) % 31 == 0)
}

/// Reads until the bound, the end, or the first error; a cut stream gives what was decoded before.
fn read_some(mut reader: impl Read) -> Vec<u8> {
    let mut out = vec![0; MAX_DECODED];
    let mut filled = 0;
    while let Some(space) = out.get_mut(filled..).filter(|space| !space.is_empty()) {
        match reader.read(space) {
            Ok(count @ 1..) => filled += count,
            Ok(0) | Err(_) => break,
        }
    }
    out.truncate(filled);
    out
}

/// The type of text that is nothing more special.
pub const PLAIN: &str = "text/plain";

/// Judges the type of a body; empty if it cannot be told.
///
/// Only an empty answer and [`PLAIN`] may change when more of the body is shown.
pub fn sniff(body: &[u8], coding: Coding) -> &'static str {
    match coding {
        Coding::Identity => sniff_plain(body),
        _ => sniff_plain(&coding.decode(body)),
    }
}

fn sniff_plain(body: &[u8]) -> &'static str {
    let known = MAGIC.iter().find(|(magic, _)| body.starts_with(magic)).map(|(_, kind)| *kind);
    known.or_else(|| sniff_container(body)).unwrap_or_else(|| sniff_text(body))
}

/// Types whose mark stands behind a length.
fn sniff_container(body: &[u8]) -> Option<&'static str> {
    match (body.first_chunk::<4>()?, body.get(4..8)?, body.get(8..12)?) {
        (b"RIFF", _, b"WEBP") => Some("image/webp"),
        (b"RIFF", _, b"AVI ") => Some("video/x-msvideo"),
        (b"RIFF", _, b"WAVE") => Some("audio/x-wav"),
        (_, b"ftyp", _) => Some("video/mp4"),
        _ => None,
    }
}

fn sniff_text(body: &[u8]) -> &'static str {
    let start = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii_start();
    let begins = |word: &[u8]| start.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word));
    match MARKUP.iter().find(|(word, _)| begins(word)) {
        Some((_, kind)) => kind,
        None if is_json(start) => "application/json",
        None if !start.is_empty() && is_text(start) => PLAIN,
        None => "",
    }
}

/// Tells whether bytes are UTF-8 without control characters; the last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let control = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r' | b'\x0c');
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => bytes,
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        Err(_) => return false,
    };
    !valid.iter().any(|byte| control(*byte))
}

/// Tells whether text begins as a JSON object or array does.
fn is_json(text: &[u8]) -> bool {
    let Some((first, rest)) = text.split_first() else { return false };
    match (first, rest.trim_ascii_start().first()) {
        (b'{', next) => matches!(next, Some(b'"' | b'}')),
        (b'[', next) => matches!(next, Some(b'"' | b'{' | b'[' | b']' | b'-' | b'0'..=b'9')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn plain_bodies_are_recognised() {
        for (body, kind) in [
            (&b"MZ\x90\0"[..], "application/x-dosexec"),
            (b"\x7fELF\x02", "application/x-executable"),
            (b"  <!DOCTYPE HTML>", "text/html"),
            (b"\xef\xbb\xbf<?xml version", "application/xml"),
            (b"{ \"a\": 1}", "application/json"),
            (b"{rest of a style sheet}", "text/plain"),
            (b"RIFF\0\0\0\0WEBP", "image/webp"),
            (b"hello\xc3", "text/plain"),
            (b"hello\xffyou", ""),
            (b"\x01\x02\x03", ""),
            (b"", ""),
        ] {
            assert_eq!(sniff(body, Coding::Identity), kind, "{body:?}");
        }
    }

    #[test]
    fn coded_bodies_are_decoded_even_when_cut() {
        let page = b"<html><body>hello, hello, hello</body></html>";
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(page).unwrap();
        let gzip = gzip.finish().unwrap();
        assert_eq!(sniff(&gzip, Coding::new(Some(b"GZIP"))), "text/html");
        assert_eq!(sniff(&gzip[..gzip.len() - 8], Coding::Gzip), "text/html");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        zlib.write_all(page).unwrap();
        let zlib = zlib.finish().unwrap();
        assert_eq!(sniff(&zlib, Coding::Deflate), "text/html");
        assert_eq!(sniff(&zlib[2..], Coding::Deflate), "text/html");
        // One uncompressed meta-block (RFC 7932, 9.2).
        assert_eq!(sniff(b"\x0b\x02\x80<html\x03", Coding::Brotli), "text/html");
    }

    #[test]
    fn a_bomb_stays_small() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![b' '; 1 << 22]).unwrap();
        assert_eq!(Coding::Gzip.decode(&gzip.finish().unwrap()).len(), MAX_DECODED);
    }
}
