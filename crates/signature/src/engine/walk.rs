//! The way from captures to occasions: sources, decoder, flows; and the account of it.

use std::sync::Arc;

use infraspectre_core::engine::Account;
use infraspectre_core::source::Sources;
use infraspectre_core::wire::{protocol, Decoder, Outcome, Segment};

use crate::field::FieldSet;
use crate::flow::{FlowTable, Limits, Occasion, PacketKind};
use crate::oddity;
use crate::settings::Settings;

use super::eve::Frame;

/// How often the defragmenter is asked for incomplete datagrams, in nanoseconds of capture time.
const EXPIRE_EVERY_NS: i64 = 1_000_000_000;
/// Flows that are followed at a time, and bytes kept for their streams.
const LIMITS: Limits = Limits { flows: 1 << 20, bytes: 256 << 20 };

/// Leaves out the kinds of which there is none.
pub fn counted<const N: usize>(counts: [(&'static str, u64); N]) -> impl Iterator<Item = (&'static str, u64)> {
    counts.into_iter().filter(|(_, count)| *count > 0)
}

/// Reads captures packet by packet and follows their flows; `S` is what its user keeps with each.
pub struct Walk<S> {
    sources: Sources,
    decoder: Decoder,
    table: FlowTable<S>,
    packets: u64,
    bytes: u64,
    span: Option<(i64, i64)>,
    next_expiry: i64,
    is_over: bool,
}

impl<S: Default> Walk<S> {
    /// Takes captures to be read.
    pub fn new(sources: Sources, settings: Arc<Settings>, wanted: FieldSet) -> Walk<S> {
        Walk {
            sources,
            decoder: Decoder::default(),
            table: FlowTable::new(settings, LIMITS, wanted),
            packets: 0,
            bytes: 0,
            span: None,
            next_expiry: i64::MIN,
            is_over: false,
        }
    }

    /// Asks for other fields from the next packet on.
    pub fn want(&mut self, wanted: FieldSet) {
        self.table.wanted = wanted;
    }

    /// Counts the packets that were read.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Tells whether everything was read, and every flow has ended.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// Reads one packet, or ends what is left, and gives the occasions with the packet as it was captured.
    pub fn step(&mut self, each: &mut impl FnMut(Occasion<'_, S>, Option<Frame<'_>>)) {
        let table = &mut self.table;
        let Some(packet) = self.sources.next() else {
            let mut each = |occasion: Occasion<'_, S>| each(occasion, None);
            self.decoder.flush(&mut |part| table.observe(&part, part.ip_bytes, part.vlans.ids(), &[], &mut each));
            table.finish(&mut each);
            self.is_over = true;
            return;
        };
        self.packets += 1;
        self.bytes += u64::from(packet.wire_len);
        let (start, end) = self.span.unwrap_or((packet.at, packet.at));
        self.span = Some((start.min(packet.at), end.max(packet.at)));
        if packet.at >= self.next_expiry {
            self.next_expiry = packet.at.saturating_add(EXPIRE_EVERY_NS);
            let mut each = |occasion: Occasion<'_, S>| each(occasion, None);
            let mut observe = |part: Segment<'_>| table.observe(&part, part.ip_bytes, part.vlans.ids(), &[], &mut each);
            self.decoder.expire(packet.at, &mut observe);
        }
        let frame = Frame { link: packet.link, data: packet.data };
        let mut each = |occasion: Occasion<'_, S>| each(occasion, Some(frame));
        if let Outcome::Segment(segment) = &self.decoder.decode(&packet) {
            table.observe(segment, packet.wire_len, segment.vlans.ids(), &[], &mut each);
        }
        let mut observe = |view: Segment<'_>| table.observe(&view, packet.wire_len, view.vlans.ids(), &[], &mut each);
        self.decoder.take_views(&mut observe);
        // Datagrams that carry tunnels would be flows of their own, which nobody asked for.
        for carrier in self.decoder.carriers().iter().filter(|carrier| carrier.protocol != protocol::UDP) {
            let ids = carrier.vlans.ids();
            self.table.observe_alone(carrier, packet.wire_len, ids, PacketKind::Carrier, &[], &mut each);
        }
        if let Some(odd) = self.decoder.take_odd() {
            let (segment, events) = (&odd.segment, oddity::events(&odd));
            let is_of_ip = segment.ip_version != 0;
            let kind = if odd.is_malformed && is_of_ip { PacketKind::Malformed } else { PacketKind::Odd };
            self.table.observe_alone(segment, packet.wire_len, segment.vlans.ids(), kind, &events, &mut each);
        }
    }

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        let mut shed = self.table.shed();
        shed.extend(counted([
            ("contexts_merged", self.decoder.context_overflows()),
            ("datagrams_evicted", self.decoder.datagrams_evicted()),
        ]));
        Account {
            packets: self.packets,
            bytes: self.bytes,
            flows: self.table.flows(),
            without_flow: self.decoder.other().clone(),
            malformed: self.decoder.malformed().clone(),
            shed,
            ambiguous_fragment_bytes: self.decoder.ambiguous_fragment_bytes(),
            unreadable: self.sources.unreadable().clone(),
            start: self.span.map(|(start, _)| start),
            end: self.span.map(|(_, end)| end),
        }
    }

    /// Returns bytes read and bytes in all, as far as known, of the files on disk.
    pub fn progress(&self) -> (u64, u64) {
        (self.sources.bytes_read(), self.sources.total_bytes())
    }
}
