//! FTP's data connections: one transaction with one file, named by the command that announced the connection.

use infraspectre_core::app::{Consumed, Direction, Next, Probe, Transport};
use serde_json::{Map, Value};

use super::{lossy, Entry, Output, Protocol, Session};
use crate::field::{Field, BODY};
use crate::transaction::Transaction;

/// Recognised by expectation alone.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::FtpData,
    transports: &[Transport::Stream],
    probe: |_, _, _, _| Probe::NotForUs,
    session: |_| Box::new(FtpData::default()),
    describe,
};

#[derive(Default)]
struct FtpData {
    number: Option<u64>,
}

impl Session for FtpData {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let number = *self.number.get_or_insert_with(|| begin(direction, output));
        let file = output.get(number).and_then(|transaction| transaction.files.first_mut());
        if let Some(file) = file.filter(|file| file.direction == direction) {
            file.append(data);
        }
        Consumed { bytes: data.len(), next: Next::More }
    }

    fn gap(&mut self, direction: Direction, missing: u32, output: &mut Output<'_>) -> bool {
        let number = *self.number.get_or_insert_with(|| begin(direction, output));
        if let Some(file) = output.get(number).and_then(|transaction| transaction.files.first_mut()) {
            file.truncated = true;
            file.size += u64::from(missing);
        }
        true
    }

    fn end(&mut self, _: Direction, output: &mut Output<'_>) {
        if let Some(transaction) = self.number.and_then(|number| output.get(number)) {
            transaction.complete(Direction::Orig);
            transaction.complete(Direction::Resp);
        }
    }
}

fn begin(direction: Direction, output: &mut Output<'_>) -> u64 {
    let (command, name) =
        output.expectation.map_or((&b""[..], &b""[..]), |expectation| (&expectation.command, &expectation.file_name));
    let transaction = output.begin();
    if !command.is_empty() {
        for direction in [Direction::Orig, Direction::Resp] {
            transaction.put(direction, Field::FtpDataCommand, command);
        }
    }
    transaction.add_file(direction, name);
    transaction.advance(direction, BODY);
    transaction.number
}

/// Adds the `ftp_data` object.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut data = Map::new();
    if let Some(file) = transaction.files.first().filter(|file| !file.name.is_empty()) {
        data.insert("filename".into(), lossy(&file.name));
    }
    if let Some(command) = transaction.value(Direction::Orig, Field::FtpDataCommand) {
        data.insert("command".into(), lossy(command));
    }
    event.insert("ftp_data".into(), data.into());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::conversation::{capture, feed};
    use super::*;

    #[test]
    fn what_arrives_is_one_file() {
        let conversation = feed(&ENTRY, [(Direction::Resp, &b"ab"[..]), (Direction::Resp, b"c")]);
        let [file] = &conversation.transactions[0].files[..] else { panic!("one") };
        assert_eq!((&file.body.data[..], file.body.complete, file.direction), (&b"abc"[..], true, Direction::Resp));
    }

    #[test]
    fn captures_give_the_files_that_the_control_connection_names() {
        for (path, command) in [("ftp-download-passive", "RETR"), ("ftp-upload-active", "STOR")] {
            let Some(flows) = capture(&format!("tests/ftp/{path}/input.pcap")) else { return };
            let data: Vec<_> = flows.iter().filter(|flow| flow.protocol == Protocol::FtpData).collect();
            assert_eq!(data.len(), 3);
            let named = data.iter().find(|flow| flow.described()[0]["ftp_data"]["command"] == json!(command));
            let [file] = &named.unwrap().transactions[0].files[..] else { panic!("one") };
            assert!(file.body.data.windows(4).any(|window| window == b"root"));
            assert_eq!(file.direction, Direction::Resp);
        }
    }
}
