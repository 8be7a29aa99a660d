//! Where live flows are kept: numbered slots in chunks that never move and are given back one by one at the end.

use super::record::Flow;

/// Slots of a chunk.
const CHUNK: usize = 1 << CHUNK_BITS;
const CHUNK_BITS: usize = 10;

/// Flows by the number of their slot.
#[derive(Default)]
pub(super) struct Slots {
    chunks: Vec<Chunk>,
    free: Vec<u32>,
    /// Whether no further flow will come, so that a chunk that becomes empty is not needed any more.
    closing: bool,
}

#[derive(Default)]
struct Chunk {
    flows: Vec<Option<Flow>>,
    used: usize,
}

impl Slots {
    /// Returns the flow in a slot, if there is one.
    #[inline(always)]
    pub(super) fn get(&self, slot: u32) -> Option<&Flow> {
        self.chunks.get(slot as usize >> CHUNK_BITS)?.flows.get(slot as usize & (CHUNK - 1))?.as_ref()
    }

    /// Returns the flow in a slot for change, if there is one.
    #[inline(always)]
    pub(super) fn get_mut(&mut self, slot: u32) -> Option<&mut Flow> {
        self.chunks.get_mut(slot as usize >> CHUNK_BITS)?.flows.get_mut(slot as usize & (CHUNK - 1))?.as_mut()
    }

    /// Keeps a flow and returns its slot.
    pub(super) fn insert(&mut self, flow: Flow) -> u32 {
        if let Some(slot) = self.free.pop() {
            if let Some(chunk) = self.chunks.get_mut(slot as usize >> CHUNK_BITS) {
                if let Some(place) = chunk.flows.get_mut(slot as usize & (CHUNK - 1)) {
                    *place = Some(flow);
                    chunk.used += 1;
                }
            }
            return slot;
        }
        self.append(flow)
    }

    fn append(&mut self, flow: Flow) -> u32 {
        if self.chunks.last().is_none_or(|chunk| chunk.flows.len() == CHUNK) {
            self.chunks.push(Chunk { flows: Vec::with_capacity(CHUNK), used: 0 });
        }
        let before = (self.chunks.len() - 1) << CHUNK_BITS;
        let Some(chunk) = self.chunks.last_mut() else { return u32::MAX };
        chunk.flows.push(Some(flow));
        chunk.used += 1;
        (before + chunk.flows.len() - 1) as u32
    }

    /// Takes the flow out of a slot, which becomes free.
    pub(super) fn take(&mut self, slot: u32) -> Option<Flow> {
        let chunk = self.chunks.get_mut(slot as usize >> CHUNK_BITS)?;
        let flow = chunk.flows.get_mut(slot as usize & (CHUNK - 1))?.take()?;
        chunk.used -= 1;
        if !self.closing {
            self.free.push(slot);
        } else if chunk.used == 0 {
            chunk.flows = Vec::new();
        }
        Some(flow)
    }

    /// Gives back what only further flows would need; none may be inserted after this.
    pub(super) fn close(&mut self) {
        self.closing = true;
        self.free = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::FlowKey;
    use super::*;
    use crate::wire::{Segment, Tcp};

    fn flow(number: u64) -> Flow {
        let segment = Segment {
            at: 0,
            number,
            src: [0; 16],
            dst: [0; 16],
            ip_version: 4,
            protocol: 17,
            src_port: 1,
            dst_port: 2,
            context: 0,
            ttl: 64,
            packets: 1,
            ip_bytes: 28,
            ip_payload_bytes: 8,
            payload_bytes: 0,
            payload: &[],
            src_mac: None,
            dst_mac: None,
            tcp: Tcp::default(),
            vlans: Default::default(),
            network: &[],
            transport: &[],
        };
        Flow::start(FlowKey::of(&segment).0, true, &segment, 0, 0)
    }

    #[test]
    fn slots_are_used_again_and_chunks_given_back_at_the_end() {
        let mut slots = Slots::default();
        let numbers = 0..2 * CHUNK as u64 + 1;
        let taken: Vec<u32> = numbers.map(|number| slots.insert(flow(number))).collect();
        assert!(taken.iter().enumerate().all(|(index, slot)| index == *slot as usize));
        assert_eq!(slots.take(7).map(|flow| flow.first_number), Some(7));
        assert!(slots.take(7).is_none() && slots.get(7).is_none());
        assert_eq!(slots.insert(flow(99)), 7);
        assert_eq!(slots.get_mut(7).map(|flow| flow.first_number), Some(99));
        slots.close();
        assert!((0..CHUNK as u32).all(|slot| slots.take(slot).is_some()));
        assert_eq!(slots.chunks[0].flows.capacity(), 0);
        assert!(slots.get(0).is_none() && slots.take(0).is_none());
        assert_eq!(slots.get(CHUNK as u32).map(|flow| flow.first_number), Some(CHUNK as u64));
    }
}
