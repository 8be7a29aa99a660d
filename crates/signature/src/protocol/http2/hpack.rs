//! Header compression of HTTP/2 (RFC 7541).

use std::collections::VecDeque;
use std::sync::OnceLock;

use infraspectre_core::app::bytes::Reader;
use infraspectre_core::app::Stop;

/// Largest dynamic table that a peer may ask for.
const MAX_TABLE: usize = 64 * 1024;
/// Longest name or value.
const MAX_TEXT: usize = 64 * 1024;
/// Most fields of one block.
const MAX_FIELDS: usize = 1024;
/// What a table entry costs beside its bytes (RFC 7541, 4.1).
const ENTRY_COST: usize = 32;

/// A header field.
pub type Field = (Vec<u8>, Vec<u8>);

/// What a block of headers holds.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Block {
    pub fields: Vec<Field>,
    /// New sizes of the dynamic table.
    pub size_updates: Vec<u64>,
}

/// Decodes the blocks of one direction, in order.
#[derive(Debug)]
pub struct Decoder {
    table: VecDeque<Field>,
    size: usize,
    limit: usize,
}

impl Default for Decoder {
    fn default() -> Decoder {
        Decoder { table: VecDeque::new(), size: 0, limit: 4096 }
    }
}

impl Decoder {
    /// Decodes a whole block; what was read before an error is kept in `block`.
    pub fn decode(&mut self, data: &[u8], block: &mut Block) -> Result<(), Stop> {
        let mut reader = Reader::new(data);
        while !reader.is_empty() && block.fields.len() < MAX_FIELDS {
            self.field(&mut reader, block)?;
        }
        Ok(())
    }

    fn field(&mut self, reader: &mut Reader<'_>, block: &mut Block) -> Result<(), Stop> {
        let first = reader.u8()?;
        match first {
            0x80.. => {
                let index = integer(first, 7, reader)?;
                block.fields.push(self.get(index)?);
            }
            0x40.. => {
                let field = self.literal(first, 6, reader)?;
                self.insert(field.clone());
                block.fields.push(field);
            }
            0x20.. => {
                let limit = integer(first, 5, reader)?;
                block.size_updates.push(limit);
                self.limit = usize::try_from(limit).unwrap_or(MAX_TABLE).min(MAX_TABLE);
                self.evict();
            }
            _ => block.fields.push(self.literal(first, 4, reader)?),
        }
        Ok(())
    }

    fn literal(&mut self, first: u8, bits: u8, reader: &mut Reader<'_>) -> Result<Field, Stop> {
        let index = integer(first, bits, reader)?;
        let name = if index == 0 { text(reader)? } else { self.get(index)?.0 };
        Ok((name, text(reader)?))
    }

    fn get(&self, index: u64) -> Result<Field, Stop> {
        let missing = Stop::Malformed("header index");
        let at = usize::try_from(index).ok().and_then(|index| index.checked_sub(1)).ok_or(missing)?;
        match STATIC.get(at) {
            Some((name, value)) => Ok((name.as_bytes().to_vec(), value.as_bytes().to_vec())),
            None => self.table.get(at - STATIC.len()).cloned().ok_or(missing),
        }
    }

    fn insert(&mut self, field: Field) {
        self.size += cost(&field);
        self.table.push_front(field);
        self.evict();
    }

    fn evict(&mut self) {
        while self.size > self.limit {
            let Some(oldest) = self.table.pop_back() else { break };
            self.size -= cost(&oldest);
        }
    }
}

fn cost(field: &Field) -> usize {
    field.0.len() + field.1.len() + ENTRY_COST
}

/// Reads an integer with a prefix of some bits (RFC 7541, 5.1).
fn integer(first: u8, bits: u8, reader: &mut Reader<'_>) -> Result<u64, Stop> {
    let most = (1_u64 << bits) - 1;
    let mut value = u64::from(first) & most;
    if value < most {
        return Ok(value);
    }
    for shift in (0..35).step_by(7) {
        let byte = reader.u8()?;
        value += u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Stop::Malformed("header integer"))
}

fn text(reader: &mut Reader<'_>) -> Result<Vec<u8>, Stop> {
    let first = reader.u8()?;
    let length = usize::try_from(integer(first, 7, reader)?).unwrap_or(usize::MAX);
    if length > MAX_TEXT {
        return Err(Stop::Malformed("header too long"));
    }
    let bytes = reader.take(length)?;
    Ok(if first & 0x80 == 0 { bytes.to_vec() } else { unpack(bytes) })
}

/// The canonical code: for each length of codes, the first one, and where its symbols begin.
struct Code {
    first: [(u32, usize, usize); 31],
    symbols: Vec<u16>,
}

fn code() -> &'static Code {
    static CODE: OnceLock<Code> = OnceLock::new();
    CODE.get_or_init(|| {
        let mut symbols: Vec<u16> = (0..LENGTHS.len() as u16).collect();
        symbols.sort_by_key(|symbol| LENGTHS.get(usize::from(*symbol)));
        let (mut first, mut next, mut at) = ([(0, 0, 0); 31], 0_u32, 0);
        for (bits, entry) in first.iter_mut().enumerate() {
            next <<= 1;
            let count = LENGTHS.iter().filter(|length| usize::from(**length) == bits).count();
            *entry = (next, at, count);
            next += count as u32;
            at += count;
        }
        Code { first, symbols }
    })
}

/// Decodes the Huffman code (RFC 7541, Appendix B); padding at the end is left out.
fn unpack(bytes: &[u8]) -> Vec<u8> {
    let code = code();
    let mut output = Vec::with_capacity(bytes.len() * 8 / 5);
    let (mut value, mut bits) = (0_u32, 0_usize);
    for bit in bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1)) {
        value = value << 1 | u32::from(bit);
        bits += 1;
        let Some((first, at, count)) = code.first.get(bits) else { break };
        let offset = value.wrapping_sub(*first) as usize;
        if value >= *first && offset < *count {
            let Some(symbol) = code.symbols.get(at + offset).and_then(|symbol| u8::try_from(*symbol).ok()) else {
                break;
            };
            output.push(symbol);
            (value, bits) = (0, 0);
        }
    }
    output
}

/// Lengths in bits of the codes of all bytes and of the end (RFC 7541, Appendix B); the code is canonical.
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28,
    28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12,
    10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5, 6,
    5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22,
    22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20,
    22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28,
    27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28,
    27, 27, 27, 27, 27, 26, 30,
];

/// The static table (RFC 7541, Appendix A).
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_complete() {
        let whole: u64 = LENGTHS.iter().map(|length| 1_u64 << (30 - length)).sum();
        assert_eq!(whole, 1 << 30);
    }

    /// The example of RFC 7541, C.4.1 and C.4.2.
    #[test]
    fn requests_in_a_row_use_the_table() {
        let mut decoder = Decoder::default();
        let mut block = Block::default();
        let first = [&[0x82, 0x86, 0x84, 0x41, 0x8c][..], b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"].concat();
        decoder.decode(&first, &mut block).unwrap();
        assert_eq!(block.fields[3], (b":authority".to_vec(), b"www.example.com".to_vec()));
        let mut block = Block::default();
        let second = [&[0x82, 0x86, 0x84, 0xbe, 0x58, 0x86][..], b"\xa8\xeb\x10\x64\x9c\xbf"].concat();
        decoder.decode(&second, &mut block).unwrap();
        assert_eq!(block.fields[3].1, b"www.example.com");
        assert_eq!(block.fields[4], (b"cache-control".to_vec(), b"no-cache".to_vec()));
    }

    #[test]
    fn tables_are_bounded_and_wrong_indices_refused() {
        let mut decoder = Decoder::default();
        let mut block = Block::default();
        decoder.decode(&[0x20], &mut block).unwrap();
        decoder.decode(b"\x40\x01a\x01b", &mut block).unwrap();
        assert_eq!((decoder.table.len(), &block.size_updates[..]), (0, &[0][..]));
        assert_eq!(decoder.decode(&[0xbe], &mut block), Err(Stop::Malformed("header index")));
        assert_eq!(decoder.decode(&[0xff; 9], &mut block), Err(Stop::Malformed("header integer")));
    }
}
