//! Packets without a capture: time that passes in silence, and rows before the end of a flow.

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::RecordBatch;
use infraspectre_core::flow::Limits;
use infraspectre_core::meter::{Account, Meter, Options};
use infraspectre_core::schema::FeatureSet;
use infraspectre_core::source::Packet;

use super::segments::*;

const RAW_IP: u32 = 101;

fn meter(early: bool) -> Meter {
    Meter::new(Options { features: FeatureSet::Full, batch_rows: 100, limits: Limits::default(), early })
}

/// Shows the meter packets of three flows, one a second.
fn show(meter: &mut Meter, packets: i64) {
    for number in 0..packets {
        let data = ipv4((number % 3) as u8, 0, 0, &datagram(1, b"some payload"));
        let (at, wire_len) = (START + number * SECOND, data.len() as u32);
        meter.observe(&Packet { number: number as u64 + 1, at, link: RAW_IP, wire_len, data: &data });
    }
}

fn ended(meter: &mut Meter) -> RecordBatch {
    meter.collect();
    meter.take_batch().unwrap()
}

fn packets(batch: &RecordBatch) -> Vec<u32> {
    batch.column_by_name("orig_packets").unwrap().as_primitive::<UInt32Type>().values().to_vec()
}

fn reasons(batch: &RecordBatch) -> Vec<&str> {
    batch.column_by_name("end_reason").unwrap().as_string::<i32>().iter().flatten().collect()
}

#[test]
fn flows_end_in_silence() {
    let mut meter = meter(false);
    show(&mut meter, 3);
    meter.tick(START + 30 * SECOND);
    assert_eq!(ended(&mut meter).num_rows(), 0);
    meter.tick(START + 70 * SECOND);
    assert_eq!(reasons(&ended(&mut meter)), ["idle"; 3]);
}

#[test]
fn a_clock_that_is_set_back_ends_flows_and_loses_no_packet() {
    let mut meter = meter(false);
    show(&mut meter, 3);
    let fragment = ipv4(1, 7, 1 << 13, &[1; 16]);
    let wire_len = fragment.len() as u32;
    meter.observe(&Packet { number: 4, at: START, link: RAW_IP, wire_len, data: &fragment });
    meter.tick(START - 3600 * SECOND);
    let batch = ended(&mut meter);
    assert_eq!((reasons(&batch), packets(&batch).iter().sum::<u32>()), (vec!["active"; 4], 4));
}

#[test]
fn early_rows_change_nothing_about_the_later_ones() {
    let (mut plain, mut early) = (meter(false), meter(true));
    for meter in [&mut plain, &mut early] {
        show(meter, 60);
        meter.finish();
    }
    let rows = early.take_early_batch().unwrap().unwrap();
    assert_eq!(packets(&rows), [1, 1, 1, 4, 4, 4, 16, 16, 16]);
    assert_eq!(reasons(&rows), ["early"; 9]);
    assert!(plain.take_early_batch().is_none());
    assert_eq!(ended(&mut early), ended(&mut plain));
    assert_eq!(early.account(), plain.account());
}

#[test]
fn accounts_of_several_meters_add_up() {
    let mut sum = Account::default();
    for count in [3, 60] {
        let mut meter = meter(false);
        show(&mut meter, count);
        meter.observe(&Packet { number: 1, at: START - SECOND, link: RAW_IP, wire_len: 1, data: b"?" });
        sum.add(&meter.account());
    }
    assert_eq!((sum.packets, sum.malformed.values().sum::<u64>()), (65, 2));
    assert_eq!((sum.start, sum.end), (Some(START - SECOND), Some(START + 59 * SECOND)));
}
