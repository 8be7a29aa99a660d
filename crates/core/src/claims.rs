//! Claims about the owners of addresses, as Arrow columns beside those of flows: ARP makes no flow.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int64Builder, StringBuilder, UInt16Builder, UInt64Builder};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::ArrowError;

use crate::schema::push_mac;
use crate::wire::{Claim, Context};

/// Claims that wait to be taken, 6 MiB; a network of a thousand hosts makes fewer within the life of a batch of flows.
const MOST_WAITING: usize = 1 << 17;

/// Claims that wait to be taken, in the order of their packets, and how many found no room.
#[derive(Default)]
pub(crate) struct Claims {
    waiting: Vec<Claim>,
    dropped: u64,
}

impl Claims {
    pub(crate) fn note(&mut self, claim: Option<Claim>) {
        if let Some(claim) = claim {
            if self.waiting.len() < MOST_WAITING {
                self.waiting.push(claim);
            } else {
                self.dropped += 1;
            }
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Hands over what waits: packet, at, vlan, address, mac, target, is_reply.
    pub(crate) fn take(&mut self, contexts: &[Context]) -> Result<RecordBatch, ArrowError> {
        let (mut packet, mut at, mut vlan) = (UInt64Builder::new(), Int64Builder::new(), UInt16Builder::new());
        let (mut address, mut mac, mut target) = (StringBuilder::new(), StringBuilder::new(), StringBuilder::new());
        let mut is_reply = BooleanBuilder::new();
        let mut text = String::new();
        for claim in std::mem::take(&mut self.waiting) {
            packet.append_value(claim.number);
            at.append_value(claim.at);
            vlan.append_option(contexts.get(claim.context as usize).and_then(|context| context.vlan));
            for (builder, octets) in [(&mut address, claim.address), (&mut target, claim.target)] {
                text.clear();
                let _ = write!(text, "{}", Ipv4Addr::from(octets)); // a String takes any text
                builder.append_value(&text);
            }
            text.clear();
            push_mac(&mut text, Some(claim.mac));
            mac.append_value(&text);
            is_reply.append_value(claim.is_reply);
        }
        let columns: [(&str, ArrayRef, bool); 7] = [
            ("packet", Arc::new(packet.finish()), false),
            ("at", Arc::new(at.finish()), false),
            ("vlan", Arc::new(vlan.finish()), true),
            ("address", Arc::new(address.finish()), false),
            ("mac", Arc::new(mac.finish()), false),
            ("target", Arc::new(target.finish()), false),
            ("is_reply", Arc::new(is_reply.finish()), false),
        ];
        RecordBatch::try_from_iter_with_nullable(columns)
    }
}
