//! Columns: their nulls, their sets, and the classic ones on a flow computed by hand.

use std::collections::BTreeSet;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, RecordBatch};
use infraspectre_core::batch::BatchBuilder;
use infraspectre_core::flow::Limits;
use infraspectre_core::schema::{all_columns, columns, FeatureSet, Row, SCHEMA_VERSION};
use infraspectre_core::wire::{Context, Segment};

use super::segments::*;

const SETS: [FeatureSet; 3] = [FeatureSet::Base, FeatureSet::Cic, FeatureSet::Full];

fn batch(set: FeatureSet, segments: &[Segment<'_>]) -> RecordBatch {
    let mut builder = BatchBuilder::new(set);
    for finished in flows(Limits::default(), segments) {
        builder.push(Row::new(finished, Context::default()));
    }
    builder.finish().unwrap()
}

fn number(batch: &RecordBatch, name: &str) -> Option<f64> {
    let column = batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}"));
    let column = column.as_primitive::<Float64Type>();
    column.is_valid(0).then(|| column.value(0))
}

fn is_null(batch: &RecordBatch, name: &str) -> bool {
    batch.column_by_name(name).unwrap_or_else(|| panic!("no column {name}")).is_null(0)
}

#[test]
fn every_set_has_its_columns_in_order_with_unique_names() {
    for set in SETS {
        let batch = batch(set, &[udp(0, 1, b"a")]);
        let schema = batch.schema();
        let names: Vec<_> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, columns(set).iter().map(|column| column.name).collect::<Vec<_>>());
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len());
        assert!(
            schema.metadata().values().any(|value| *value == SCHEMA_VERSION.to_string()),
            "{:?}",
            schema.metadata()
        );
        assert_eq!(batch.num_rows(), 1);
    }
    let base: BTreeSet<_> = columns(FeatureSet::Base).iter().map(|column| column.name).collect();
    let full: BTreeSet<_> = columns(FeatureSet::Full).iter().map(|column| column.name).collect();
    assert!(base.is_subset(&full) && full.len() < all_columns().len());
}

#[test]
fn what_is_not_known_is_null() {
    let silent = batch(FeatureSet::Full, &[udp(0, 1, b"")]);
    for name in [
        "app_protocol",
        "vlan",
        "tunnel",
        "orig_mac",
        "bytes_per_s",
        "tcp_state",
        "syn_rtt_ms",
        "resp_initial_window",
        "resp_packet_bytes_mean",
        "flow_gap_ms_mean",
        "resp_ttl_min",
        "orig_entropy_bits",
        "active_ms_mean",
        "dns_queries",
    ] {
        assert!(is_null(&silent, name), "{name}");
    }
    for name in ["flow_id", "orig_ip", "orig_packet_bytes_mean", "orig_packets", "resp_packets", "duration_ms"] {
        assert!(!is_null(&silent, name), "{name}");
    }
}

#[test]
fn a_builder_starts_anew_after_a_batch() {
    let mut builder = BatchBuilder::new(FeatureSet::Full);
    for _ in 0..2 {
        for finished in flows(Limits::default(), &[udp(0, 1, b"a"), tcp(1, 2, SYN, b"")]) {
            builder.push(Row::new(finished, Context::default()));
        }
        assert_eq!(builder.len(), 2);
        assert_eq!(builder.finish().unwrap().num_rows(), 2);
        assert!(builder.is_empty());
    }
}

/// Forward payloads of 100, 0 and 300 bytes at 0, 1 and 3 s; backward ones of 50 and 150 bytes at 0.5 and 2 s.
#[test]
fn classic_columns_of_a_small_flow_are_as_computed_by_hand() {
    let bytes = [b'a'; 300];
    let batch = batch(
        FeatureSet::Cic,
        &[
            tcp(0, 1, PSH | ACK, &bytes[..100]),
            reply(tcp(SECOND / 2, 1, ACK, &bytes[..50])),
            tcp(SECOND, 1, ACK, b""),
            reply(tcp(2 * SECOND, 1, PSH | ACK, &bytes[..150])),
            tcp(3 * SECOND, 1, PSH | ACK, &bytes[..300]),
        ],
    );
    for (name, expected) in [
        ("Destination Port", 80.0),
        ("Protocol", 6.0),
        ("Flow Duration", 3e6),
        ("Total Fwd Packets", 3.0),
        ("Total Backward Packets", 2.0),
        ("Total Length of Fwd Packets", 400.0),
        ("Total Length of Bwd Packets", 200.0),
        ("Fwd Packet Length Max", 300.0),
        ("Fwd Packet Length Min", 0.0),
        ("Fwd Packet Length Mean", 400.0 / 3.0),
        // deviations from 133.33: -33.33, -133.33 and 166.67
        ("Fwd Packet Length Std", (46_666.666_666_7f64 / 2.0).sqrt()),
        ("Bwd Packet Length Std", 5000f64.sqrt()),
        ("Flow Bytes/s", 200.0),
        ("Flow Packets/s", 5.0 / 3.0),
        ("Flow IAT Mean", 750_000.0),
        ("Flow IAT Max", 1e6),
        ("Flow IAT Min", 5e5),
        ("Fwd IAT Total", 3e6),
        ("Fwd IAT Mean", 1.5e6),
        ("Fwd IAT Std", 5e11f64.sqrt()),
        ("Bwd IAT Total", 1.5e6),
        ("Fwd PSH Flags", 2.0),
        ("Bwd PSH Flags", 1.0),
        ("Fwd Header Length", 60.0),
        ("Bwd Header Length", 40.0),
        ("Packet Length Mean", 120.0),
        ("Packet Length Variance", (400.0 + 4900.0 + 14_400.0 + 900.0 + 32_400.0) / 4.0),
        ("PSH Flag Count", 3.0),
        ("ACK Flag Count", 5.0),
        ("SYN Flag Count", 0.0),
        ("Down/Up Ratio", 2.0 / 3.0),
        ("Average Packet Size", 120.0),
        ("Fwd Avg Bytes/Bulk", 0.0),
        ("Subflow Fwd Packets", 3.0),
        ("Subflow Bwd Bytes", 200.0),
    ] {
        let value = number(&batch, name).unwrap_or(f64::NAN);
        assert!((value - expected).abs() <= 1e-6 * expected.max(1.0), "{name}: {value}, not {expected}");
    }
}

#[test]
fn rates_of_a_flow_without_duration_are_null() {
    let batch = batch(FeatureSet::Cic, &[udp(0, 1, b"a")]);
    assert!(["Flow Bytes/s", "Flow Packets/s", "Fwd Packets/s"].iter().all(|name| is_null(&batch, name)));
}

#[test]
fn five_data_packets_in_a_row_are_one_bulk_transfer() {
    let packets: Vec<_> = (0..5).map(|n| udp(n * SECOND / 10, 1, b"0123456789")).collect();
    let batch = batch(FeatureSet::Cic, &packets);
    assert_eq!(number(&batch, "Fwd Avg Packets/Bulk"), Some(5.0));
    assert_eq!(number(&batch, "Fwd Avg Bytes/Bulk"), Some(50.0));
    assert!((number(&batch, "Fwd Avg Bulk Rate").unwrap() - 125.0).abs() < 1e-9);
}
