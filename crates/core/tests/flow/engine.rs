//! Conservation: every packet read is in a flow, not IP, or malformed.

use std::io::Cursor;

use arrow_array::cast::AsArray;
use arrow_array::types::{UInt32Type, UInt64Type};
use arrow_array::RecordBatch;
use infraspectre_core::engine::{Account, Engine, Progress};
use infraspectre_core::flow::Limits;
use infraspectre_core::meter::Options;
use infraspectre_core::schema::FeatureSet;
use infraspectre_core::source::{Options as SourceOptions, Sources};
use proptest::prelude::*;

use super::segments::*;

pub fn run(capture: Vec<u8>, features: FeatureSet, limits: Limits, batch_rows: usize) -> (Vec<RecordBatch>, Account) {
    let source = SourceOptions::default();
    let sources = Sources::from_reader("test", Box::new(Cursor::new(capture)), source).unwrap();
    let mut engine = Engine::new(sources, Options { features, batch_rows, limits, early: false });
    let batches = std::iter::from_fn(|| engine.next_batch().unwrap()).collect();
    (batches, engine.account())
}

fn packets_in_flows(batches: &[RecordBatch]) -> u64 {
    let sum = |batch: &RecordBatch, name: &str| -> u64 {
        let column = batch.column_by_name(name).unwrap().as_primitive::<UInt32Type>();
        column.iter().flatten().map(u64::from).sum()
    };
    batches.iter().map(|batch| sum(batch, "orig_packets") + sum(batch, "resp_packets")).sum()
}

fn accounted(batches: &[RecordBatch], account: &Account) -> u64 {
    packets_in_flows(batches) + account.without_flow.values().sum::<u64>() + account.malformed.values().sum::<u64>()
}

/// A whole datagram, a fragment of one, or any bytes at all.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (0..4u8, 0..4u16, 0..64usize).prop_map(|(client, port, length)| ipv4(
            client,
            0,
            0,
            &datagram(port, &vec![1; length])
        )),
        (0..3u8, 0..3u16, 0..4u16, any::<bool>(), 1..40usize).prop_map(|(client, id, place, more, length)| {
            ipv4(client, id, u16::from(more) << 13 | place, &vec![place as u8; length])
        }),
        prop::collection::vec(any::<u8>(), 0..80),
    ]
}

#[test]
fn reading_pauses_after_so_many_packets() {
    let packets: Vec<_> = (0..10).map(|at| (at, ipv4(1, 0, 0, &datagram(1, b"x")))).collect();
    let source = SourceOptions::default();
    let sources = Sources::from_reader("test", Box::new(Cursor::new(pcap(&packets))), source).unwrap();
    let options = Options { features: FeatureSet::Base, batch_rows: 8, limits: Limits::default(), early: false };
    let mut engine = Engine::new(sources, options);
    for read in [4, 8] {
        assert!(matches!(engine.advance(4), Ok(Progress::Reading)));
        assert_eq!(engine.account().packets, read);
    }
    assert!(matches!(engine.advance(4), Ok(Progress::Batch(batch)) if batch.num_rows() == 1));
    assert!(matches!(engine.advance(4), Ok(Progress::Done)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_packet_is_lost(packets in prop::collection::vec((0..200u32, packet()), 0..120), rows in 1..20usize) {
        let limits = Limits { max_flows: 3, ..Limits::default() };
        let (batches, account) = run(pcap(&packets), FeatureSet::Full, limits, rows);
        prop_assert_eq!(account.packets, packets.len() as u64);
        prop_assert_eq!(account.bytes, packets.iter().map(|(_, data)| data.len() as u64).sum::<u64>());
        prop_assert_eq!(accounted(&batches, &account), account.packets);
        prop_assert_eq!(batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), account.flows);
        prop_assert!(batches.iter().rev().skip(1).all(|batch| batch.num_rows() == rows));
    }

    #[test]
    fn batches_of_any_size_hold_the_same_flows(packets in prop::collection::vec((0..200u32, packet()), 0..60), rows in 1..10usize) {
        let ids = |rows| -> Vec<u64> {
            let (batches, _) = run(pcap(&packets), FeatureSet::Base, Limits::default(), rows);
            let column = |batch: &RecordBatch| batch.column_by_name("flow_id").unwrap().as_primitive::<UInt64Type>().values().to_vec();
            batches.iter().flat_map(column).collect()
        };
        prop_assert_eq!(ids(rows), ids(1000));
    }
}

#[test]
fn contradicting_fragments_reach_the_account() {
    let fragments =
        [(0, ipv4(1, 7, 1 << 13, &[1; 16])), (0, ipv4(1, 7, 1 << 13, &[2; 16])), (0, ipv4(1, 7, 2, &[3; 8]))];
    let (_, account) = run(pcap(&fragments), FeatureSet::Base, Limits::default(), 10);
    assert_eq!((account.ambiguous_fragment_bytes, account.shed.len()), (16, 0));
}

#[test]
fn datagrams_given_up_for_room_reach_the_account() {
    let body = vec![0; 60_000];
    let fragments: Vec<_> = (0..700).map(|id| (0, ipv4(1, id, 1 << 13, &body))).collect();
    let (batches, account) = run(pcap(&fragments), FeatureSet::Base, Limits::default(), 10);
    assert_eq!(accounted(&batches, &account), 700);
    assert!((100..300).contains(&account.shed["datagrams_evicted"]), "{:?}", account.shed);
}
