//! Files that are read and written in pieces at offsets, as file services do (SMB, NFS).

use std::collections::btree_map::{BTreeMap, Entry};

use infraspectre_core::app::Direction;

use super::Output;
use crate::transaction::Transaction;

/// Bytes that wait for those before them.
const MAX_WAITING: usize = 1 << 20;

/// Puts the pieces of one file in order.
#[derive(Debug)]
pub struct Transfer {
    /// Number of the transaction that has the file.
    pub transaction: u64,
    /// Its place among the transaction's files; None if there were too many.
    index: Option<usize>,
    next: u64,
    waiting: BTreeMap<u64, Vec<u8>>,
    waiting_bytes: usize,
}

impl Transfer {
    /// Opens a file of a transaction.
    pub fn open(transaction: &mut Transaction, direction: Direction, name: &[u8]) -> Transfer {
        let index = transaction.add_file(direction, name);
        Transfer { transaction: transaction.number, index, next: 0, waiting: BTreeMap::new(), waiting_bytes: 0 }
    }

    /// Tells whether a piece begins before the end of what is there already.
    pub fn overlaps(&self, offset: u64) -> bool {
        offset < self.next
    }

    /// Takes a piece; what comes twice is left out, what comes early waits.
    pub fn piece(&mut self, offset: u64, data: &[u8], transaction: &mut Transaction) {
        if offset > self.next {
            return self.keep(offset, data, transaction);
        }
        self.append_new(offset, data, transaction);
        while let Some(entry) = self.waiting.first_entry().filter(|entry| *entry.key() <= self.next) {
            let (offset, data) = entry.remove_entry();
            self.waiting_bytes -= data.len();
            self.append_new(offset, &data, transaction);
        }
    }

    /// Appends what of a piece is beyond the file's end so far.
    fn append_new(&mut self, offset: u64, data: &[u8], transaction: &mut Transaction) {
        let known = usize::try_from(self.next - offset).unwrap_or(usize::MAX);
        self.append(data.get(known..).unwrap_or_default(), transaction);
    }

    /// Goes on after bytes of the file that are missing.
    pub fn miss(&mut self, bytes: u64, transaction: &mut Transaction) {
        self.next = self.next.saturating_add(bytes);
        if let Some(file) = self.index.and_then(|at| transaction.files.get_mut(at)) {
            file.truncated = true;
        }
    }

    fn append(&mut self, data: &[u8], transaction: &mut Transaction) {
        self.next = self.next.saturating_add(data.len() as u64);
        if let Some(file) = self.index.and_then(|at| transaction.files.get_mut(at)) {
            file.append(data);
        }
    }

    fn keep(&mut self, offset: u64, data: &[u8], transaction: &mut Transaction) {
        // A piece that goes on where the one before it ends is joined to it, so that there are few of them.
        let before = self.waiting.range_mut(..offset).next_back();
        if self.waiting_bytes + data.len() > MAX_WAITING {
            self.miss(0, transaction);
        } else if let Some((_, kept)) = before.filter(|(start, kept)| *start + kept.len() as u64 == offset) {
            kept.extend_from_slice(data);
            self.waiting_bytes += data.len();
        } else if let Entry::Vacant(place) = self.waiting.entry(offset) {
            place.insert(data.to_vec());
            self.waiting_bytes += data.len();
        }
    }

    /// Ends the file; it is truncated if pieces still wait for those before them.
    pub fn close(self, transaction: &mut Transaction) {
        if let Some(file) = self.index.and_then(|at| transaction.files.get_mut(at)) {
            file.truncated |= !self.waiting.is_empty();
            file.body.complete = true;
        }
    }
}

/// Ends files with their flow.
pub fn close_all(transfers: impl IntoIterator<Item = Transfer>, output: &mut Output<'_>) {
    for transfer in transfers {
        if let Some(transaction) = output.get(transfer.transaction) {
            transfer.close(transaction);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldSet;
    use crate::protocol::Protocol;

    #[test]
    fn pieces_are_put_in_order() {
        let mut transaction = Transaction::new(Protocol::Smb, 0, FieldSet::all());
        let mut transfer = Transfer::open(&mut transaction, Direction::Orig, b"name");
        for (offset, data) in [(0, &b"ab"[..]), (6, b"gh"), (4, b"ef"), (0, b"xx"), (8, b"i"), (2, b"cd")] {
            transfer.piece(offset, data, &mut transaction);
        }
        assert_eq!(transaction.files[0].body.data, b"abcdefghi");
        assert_eq!(transaction.files[0].size, 9);
        assert!(transfer.overlaps(8) && !transfer.overlaps(9));
        transfer.piece(20, b"late", &mut transaction);
        transfer.close(&mut transaction);
        assert!(transaction.files[0].truncated && transaction.files[0].body.complete);
    }
}
