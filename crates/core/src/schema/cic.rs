//! The classic flow columns under the names of CICFlowMeter's CICIDS2017 tables.
//!
//! Definitions follow CICFlowMeter: lengths are transport payload lengths, times are microseconds, absent directions
//! count as 0. Known errors of the original that are not repeated: the first packet's length counted twice in Packet
//! Length statistics and Average Packet Size; flag counts that stop at the first packet; Down/Up Ratio rounded down to
//! an integer; Fwd Header Length given twice; NaN or Infinity for rates of flows without duration (null here); -1 for an
//! unknown initial window (null here); subflow counts of 0 for flows without silence (one subflow here); flows that
//! continue after their FIN, and flows cut at 120 s.

use super::row::{FLOW, ORIG, RESP};
use super::{column, sets, Column};
use crate::feature::moments::Described;
use crate::flow::record::{Bulk, Periods, Side};

const CIC: &str = "CICFlowMeter";
const G: &str = "cic";

const ZERO: Described = Described { min: 0.0, mean: 0.0, std: 0.0, max: 0.0 };

fn header_bytes(side: &Side) -> u64 {
    side.ip_payload_bytes - side.payload_bytes.min(side.ip_payload_bytes)
}

fn ratio(value: f64, count: f64) -> f64 {
    if count > 0.0 {
        value / count
    } else {
        0.0
    }
}

fn bulk_rate(bulk: &Bulk) -> f64 {
    ratio(bulk.bytes as f64, bulk.duration_ns as f64 / 1e9)
}

fn active(periods: &Periods) -> Described {
    periods.active.describe(periods.active_count, periods.active_sum).unwrap_or(ZERO)
}

fn idle(periods: &Periods) -> Described {
    periods.idle.describe(periods.idle_count, periods.idle_sum).unwrap_or(ZERO)
}

macro_rules! number {
    ($name:expr, $unit:literal, $definition:expr, |$row:ident| $value:expr) => {
        column!(F64, $name, $unit, G, sets::CIC, $definition, CIC, |$row| Some($value))
    };
}

macro_rules! optional {
    ($name:expr, $unit:literal, $definition:expr, |$row:ident| $value:expr) => {
        column!(F64, $name, $unit, G, sets::CIC, $definition, CIC, |$row| $value)
    };
}

macro_rules! lengths {
    ($name:literal, $side:literal, $index:expr) => {
        [
            number!(concat!($name, " Packet Length Max"), "bytes", concat!("greatest payload length ", $side), |row| {
                row.segment[$index].unwrap_or(ZERO).max
            }),
            number!(concat!($name, " Packet Length Min"), "bytes", concat!("least payload length ", $side), |row| row
                .segment[$index]
                .unwrap_or(ZERO)
                .min),
            number!(concat!($name, " Packet Length Mean"), "bytes", concat!("mean payload length ", $side), |row| row
                .segment[$index]
                .unwrap_or(ZERO)
                .mean),
            number!(
                concat!($name, " Packet Length Std"),
                "bytes",
                concat!("sample standard deviation of the payload length ", $side),
                |row| row.segment[$index].unwrap_or(ZERO).std
            ),
        ]
    };
}

macro_rules! gaps {
    ($name:literal, $side:literal, $index:expr) => {
        [
            number!(concat!($name, " IAT Mean"), "us", concat!("mean time between packets ", $side), |row| row.gap
                [$index]
                .unwrap_or(ZERO)
                .mean
                / 1e3),
            number!(
                concat!($name, " IAT Std"),
                "us",
                concat!("sample standard deviation of the time between packets ", $side),
                |row| row.gap[$index].unwrap_or(ZERO).std / 1e3
            ),
            number!(concat!($name, " IAT Max"), "us", concat!("greatest time between packets ", $side), |row| row.gap
                [$index]
                .unwrap_or(ZERO)
                .max
                / 1e3),
            number!(concat!($name, " IAT Min"), "us", concat!("least time between packets ", $side), |row| row.gap
                [$index]
                .unwrap_or(ZERO)
                .min
                / 1e3),
        ]
    };
}

macro_rules! flag_counts {
    ($($bit:literal $name:literal),*) => {
        [$(number!(concat!($name, " Flag Count"), "packets", concat!("packets of both sides with the flag ", $name), |row| f64::from(row.orig().flags[$bit]) + f64::from(row.detail().resp.flags[$bit]))),*]
    };
}

macro_rules! bulks {
    ($name:literal, $side:ident) => {
        [
            number!(
                concat!($name, " Avg Bytes/Bulk"),
                "bytes",
                "payload bytes in bulk transfers over their number",
                |row| ratio(row.detail().$side.bulk.bytes as f64, f64::from(row.detail().$side.bulk.transfers))
            ),
            number!(
                concat!($name, " Avg Packets/Bulk"),
                "packets",
                "packets in bulk transfers over their number",
                |row| ratio(f64::from(row.detail().$side.bulk.packets), f64::from(row.detail().$side.bulk.transfers))
            ),
            number!(
                concat!($name, " Avg Bulk Rate"),
                "bytes/s",
                "payload bytes in bulk transfers over their duration",
                |row| bulk_rate(&row.detail().$side.bulk)
            ),
        ]
    };
}

macro_rules! periods {
    ($name:literal, $get:ident, $what:literal) => {
        [
            number!(concat!($name, " Mean"), "us", concat!("mean of the ", $what), |row| row
                .periods
                .as_ref()
                .map_or(0.0, |p| $get(p).mean / 1e3)),
            number!(concat!($name, " Std"), "us", concat!("sample standard deviation of the ", $what), |row| row
                .periods
                .as_ref()
                .map_or(0.0, |p| $get(p).std / 1e3)),
            number!(concat!($name, " Max"), "us", concat!("greatest of the ", $what), |row| row
                .periods
                .as_ref()
                .map_or(0.0, |p| $get(p).max / 1e3)),
            number!(concat!($name, " Min"), "us", concat!("least of the ", $what), |row| row
                .periods
                .as_ref()
                .map_or(0.0, |p| $get(p).min / 1e3)),
        ]
    };
}

/// Returns the classic columns, in the order of the CICIDS2017 tables.
pub fn columns() -> Vec<Column> {
    let mut columns = vec![
        number!("Destination Port", "", "port of the host that did not send the first packet", |row| f64::from(
            row.resp.port
        )),
        number!("Protocol", "", "IP protocol number", |row| f64::from(row.finished.flow.key.protocol)),
        number!("Flow Duration", "us", "time from the first to the last packet", |row| row.duration_ns() as f64 / 1e3),
        number!("Total Fwd Packets", "packets", "packets of the side that sent the first packet (forward)", |row| {
            f64::from(row.orig().packets)
        }),
        number!("Total Backward Packets", "packets", "packets of the other side (backward)", |row| f64::from(
            row.detail().resp.packets
        )),
        number!(
            "Total Length of Fwd Packets",
            "bytes",
            "sum of forward payload lengths",
            |row| row.orig().payload_bytes as f64
        ),
        number!("Total Length of Bwd Packets", "bytes", "sum of backward payload lengths", |row| row
            .detail()
            .resp
            .payload_bytes
            as f64),
    ];
    columns.extend(lengths!("Fwd", "forward", ORIG));
    columns.extend(lengths!("Bwd", "backward", RESP));
    columns.extend([
        optional!(
            "Flow Bytes/s",
            "bytes/s",
            "payload bytes of both sides over the duration; null without duration",
            |row| row.per_second((row.orig().payload_bytes + row.detail().resp.payload_bytes) as f64)
        ),
        optional!(
            "Flow Packets/s",
            "packets/s",
            "packets of both sides over the duration; null without duration",
            |row| row.per_second(row.detail().packets() as f64)
        ),
    ]);
    columns.extend(gaps!("Flow", "of either side", FLOW));
    columns.push(number!("Fwd IAT Total", "us", "time from the first to the last forward packet", |row| row
        .orig()
        .gap_sum()
        / 1e3));
    columns.extend(gaps!("Fwd", "forward", ORIG));
    columns.push(number!("Bwd IAT Total", "us", "time from the first to the last backward packet", |row| row
        .detail()
        .resp
        .gap_sum()
        / 1e3));
    columns.extend(gaps!("Bwd", "backward", RESP));
    columns.extend([
        number!("Fwd PSH Flags", "packets", "forward packets with the flag PSH", |row| f64::from(row.orig().flags[3])),
        number!("Bwd PSH Flags", "packets", "backward packets with the flag PSH", |row| f64::from(
            row.detail().resp.flags[3]
        )),
        number!("Fwd URG Flags", "packets", "forward packets with the flag URG", |row| f64::from(row.orig().flags[5])),
        number!("Bwd URG Flags", "packets", "backward packets with the flag URG", |row| f64::from(
            row.detail().resp.flags[5]
        )),
        number!(
            "Fwd Header Length",
            "bytes",
            "sum of forward transport header lengths",
            |row| header_bytes(row.orig()) as f64
        ),
        number!("Bwd Header Length", "bytes", "sum of backward transport header lengths", |row| header_bytes(
            &row.detail().resp
        ) as f64),
        optional!("Fwd Packets/s", "packets/s", "forward packets over the duration; null without duration", |row| row
            .per_second(f64::from(row.orig().packets))),
        optional!("Bwd Packets/s", "packets/s", "backward packets over the duration; null without duration", |row| row
            .per_second(f64::from(row.detail().resp.packets))),
        number!("Min Packet Length", "bytes", "least payload length of both sides", |row| row.segment[FLOW]
            .unwrap_or(ZERO)
            .min),
        number!("Max Packet Length", "bytes", "greatest payload length of both sides", |row| row.segment[FLOW]
            .unwrap_or(ZERO)
            .max),
        number!("Packet Length Mean", "bytes", "mean payload length of both sides", |row| row.segment[FLOW]
            .unwrap_or(ZERO)
            .mean),
        number!("Packet Length Std", "bytes", "sample standard deviation of the payload length of both sides", |row| {
            row.segment[FLOW].unwrap_or(ZERO).std
        }),
        number!("Packet Length Variance", "bytes^2", "square of Packet Length Std", |row| row.segment[FLOW]
            .unwrap_or(ZERO)
            .std
            .powi(2)),
    ]);
    columns.extend(flag_counts!(0 "FIN", 1 "SYN", 2 "RST", 3 "PSH", 4 "ACK", 5 "URG", 7 "CWE", 6 "ECE"));
    columns.extend([
        number!("Down/Up Ratio", "", "backward packets over forward packets", |row| ratio(
            f64::from(row.detail().resp.packets),
            f64::from(row.orig().packets)
        )),
        number!("Average Packet Size", "bytes", "payload bytes of both sides over their packets", |row| ratio(
            (row.orig().payload_bytes + row.detail().resp.payload_bytes) as f64,
            row.detail().packets() as f64
        )),
        number!("Avg Fwd Segment Size", "bytes", "mean forward payload length", |row| row.segment[ORIG]
            .unwrap_or(ZERO)
            .mean),
        number!("Avg Bwd Segment Size", "bytes", "mean backward payload length", |row| row.segment[RESP]
            .unwrap_or(ZERO)
            .mean),
    ]);
    columns.extend(bulks!("Fwd", orig));
    columns.extend(bulks!("Bwd", resp));
    columns.extend([
        number!("Subflow Fwd Packets", "packets", "forward packets over the number of subflows", |row| f64::from(
            row.orig().packets
        ) / f64::from(
            row.detail().subflow_gaps + 1
        )),
        number!("Subflow Fwd Bytes", "bytes", "forward payload bytes over the number of subflows", |row| row
            .orig()
            .payload_bytes
            as f64
            / f64::from(row.detail().subflow_gaps + 1)),
        number!("Subflow Bwd Packets", "packets", "backward packets over the number of subflows", |row| f64::from(
            row.detail().resp.packets
        ) / f64::from(
            row.detail().subflow_gaps + 1
        )),
        number!("Subflow Bwd Bytes", "bytes", "backward payload bytes over the number of subflows", |row| row
            .detail()
            .resp
            .payload_bytes
            as f64
            / f64::from(row.detail().subflow_gaps + 1)),
        optional!(
            "Init_Win_bytes_forward",
            "bytes",
            "window of the first forward packet; null for other protocols than TCP",
            |row| row.tcp().map(|_| f64::from(row.orig().initial_window))
        ),
        optional!(
            "Init_Win_bytes_backward",
            "bytes",
            "window of the first backward packet; null if there is none",
            |row| row.tcp().and_then(|_| row.resp()).map(|side| f64::from(side.initial_window))
        ),
        number!("act_data_pkt_fwd", "packets", "forward packets that carry payload", |row| f64::from(
            row.orig().data_packets
        )),
        number!("min_seg_size_forward", "bytes", "least forward transport header length", |row| f64::from(
            row.orig().min_header_bytes
        )),
    ]);
    columns.extend(periods!(
        "Active",
        active,
        "periods of activity between silences over 5 s; 0 without such a silence"
    ));
    columns.extend(periods!("Idle", idle, "silences over 5 s; 0 without one"));
    columns
}
