//! Streaming statistics against the plain definitions over all packets.

use infraspectre_core::feature::damped::{Fading, HALF_LIVES_S};
use infraspectre_core::feature::moments::Described;
use infraspectre_core::flow::Limits;
use infraspectre_core::wire::Segment;
use proptest::prelude::*;

use super::segments::*;

/// Minimum, mean, sample standard deviation and maximum in two passes.
fn describe(values: &[f64]) -> Option<Described> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let std = if values.len() > 1 { (squares / (count - 1.0)).sqrt() } else { 0.0 };
    let extreme = |pick: fn(f64, f64) -> f64| values.iter().copied().reduce(pick);
    Some(Described { min: extreme(f64::min)?, mean, std, max: extreme(f64::max)? })
}

fn gaps(times: &[i64]) -> Vec<f64> {
    times.windows(2).map(|pair| (pair[1] - pair[0]) as f64).collect()
}

fn close(ours: Option<Described>, plain: Option<Described>) -> bool {
    // the sum of squares keeps 53 bits, the extremes 24
    let near = |a: f64, b: f64, scale: f64| (a - b).abs() <= 1e-6 * scale.max(1.0);
    match (ours, plain) {
        (Some(a), Some(b)) => {
            near(a.min, b.min, b.max)
                && near(a.mean, b.mean, b.max)
                && near(a.std, b.std, b.max)
                && near(a.max, b.max, b.max)
        }
        (None, None) => true,
        _ => false,
    }
}

/// Gap in nanoseconds, payload length, and whether the server sent it.
fn packets() -> impl Strategy<Value = Vec<(i64, usize, bool)>> {
    prop::collection::vec((0..3 * SECOND, 0..1460usize, any::<bool>()), 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lengths_and_gaps_match_their_definitions(packets in packets()) {
        let payload = [7u8; 1460];
        let mut now = 0;
        let segments: Vec<Segment<'_>> = packets.iter().enumerate().map(|(index, (gap, length, back))| {
            now += gap;
            let segment = udp(now, 1, &payload[..*length]);
            if *back && index > 0 { reply(segment) } else { segment }
        }).collect();
        let flows = flows(Limits::default(), &segments);
        prop_assert_eq!(flows.len(), 1);
        let detail = &flows[0].detail;
        let of = |from_client: Option<bool>| segments.iter().filter(move |segment| from_client.is_none_or(|wanted| (segment.src_port == 1) == wanted));
        for (from_client, packet, segment, gap) in [
            (None, detail.packet_bytes(), detail.segment_bytes(), detail.gaps_ns(flows[0].flow.first_at)),
            (Some(true), detail.orig.packet_bytes(), detail.orig.segment_bytes(), detail.orig.gaps_ns()),
            (Some(false), detail.resp.packet_bytes(), detail.resp.segment_bytes(), detail.resp.gaps_ns()),
        ] {
            let times: Vec<i64> = of(from_client).map(|segment| segment.at).collect();
            let lengths: Vec<f64> = of(from_client).map(|segment| f64::from(segment.ip_bytes)).collect();
            let payloads: Vec<f64> = of(from_client).map(|segment| f64::from(segment.payload_bytes)).collect();
            prop_assert!(close(packet, describe(&lengths)), "{:?} {:?}", packet, lengths);
            prop_assert!(close(segment, describe(&payloads)), "{:?} {:?}", segment, payloads);
            prop_assert!(close(gap, describe(&gaps(&times))), "{:?} {:?}", gap, times);
        }
    }

    #[test]
    fn damped_sums_match_their_definition(values in prop::collection::vec((0..20 * SECOND, 40u32..1500), 1..80)) {
        let mut sums = Fading::default();
        let mut times = Vec::new();
        let mut now = 0i64;
        for (gap, value) in &values {
            now += gap;
            times.push((now, f64::from(*value)));
            sums.add(*gap, *value as f32);
        }
        let damped = sums.describe();
        for (lane, half_life) in HALF_LIVES_S.into_iter().enumerate() {
            let weights: Vec<f64> = times.iter().map(|(at, _)| (-((now - at) as f64) / 1e9 / f64::from(half_life)).exp2()).collect();
            let weight: f64 = weights.iter().sum();
            let mean = weights.iter().zip(&times).map(|(weight, (_, value))| weight * value).sum::<f64>() / weight;
            let variance = weights.iter().zip(&times).map(|(weight, (_, value))| weight * (value - mean).powi(2)).sum::<f64>() / weight;
            // bfloat16 keeps 8 significant bits; the deviation is a small difference of large sums in f32
            prop_assert!((f64::from(damped.weight(lane)) / weight - 1.0).abs() < 0.01);
            prop_assert!((f64::from(damped.mean(lane)) / mean - 1.0).abs() < 0.01);
            prop_assert!((f64::from(damped.std(lane)) - variance.sqrt()).abs() < 3.0 + 0.01 * variance.sqrt());
        }
    }
}
