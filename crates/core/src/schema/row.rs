//! A finished flow with everything that several columns share computed once.

use crate::app::{Inspector, Protocol};
use crate::feature::damped::Damped;
use crate::feature::moments::Described;
use crate::feature::payload::PayloadStats;
use crate::flow::community_id;
use crate::flow::identity::flow_id;
use crate::flow::key::Endpoint;
use crate::flow::record::{Detail, Periods, Side};
use crate::flow::tcp::Connection;
use crate::flow::Finished;
use crate::wire::{protocol, Context};

/// Index of a direction in arrays of (flow, orig, resp).
pub const FLOW: usize = 0;
pub const ORIG: usize = 1;
pub const RESP: usize = 2;

/// One row of a flow batch.
pub struct Row {
    pub finished: Finished,
    pub orig: Endpoint,
    pub resp: Endpoint,
    /// VLANs and tunnels around the flow.
    pub context: Context,
    pub community: [u8; 20],
    pub flow_id: u64,
    pub periods: Option<Periods>,
    /// Descriptions of (flow, orig, resp).
    pub packet: [Option<Described>; 3],
    pub segment: [Option<Described>; 3],
    pub gap: [Option<Described>; 3],
    /// Damped statistics of (sender, pair of hosts, the flow itself).
    pub damped: [Damped; 3],
    /// Measures of the payload of (orig, resp).
    pub payload: [Option<PayloadStats>; 2],
}

impl Row {
    /// Computes what columns share.
    pub fn new(finished: Finished, context: Context) -> Row {
        let flow = &finished.flow;
        let detail = &finished.detail;
        let (orig, resp) = flow.key.endpoints(flow.orig_is_low);
        let community = community_id::digest(orig, resp, flow.key.protocol, flow.key.ip_version);
        Row {
            orig,
            resp,
            flow_id: flow_id(&community, flow.key.context, flow.first_at, flow.first_number),
            community,
            context,
            periods: detail.periods.as_ref().map(|periods| periods.closed_at(detail.last_at)),
            packet: [detail.packet_bytes(), detail.orig.packet_bytes(), detail.resp.packet_bytes()],
            segment: [detail.segment_bytes(), detail.orig.segment_bytes(), detail.resp.segment_bytes()],
            gap: [detail.gaps_ns(flow.first_at), detail.orig.gaps_ns(), detail.resp.gaps_ns()],
            damped: flow.damped(detail),
            payload: [detail.orig.sample.stats(), detail.resp.sample.stats()],
            finished,
        }
    }

    /// Returns what was counted beyond the first packet.
    pub fn detail(&self) -> &Detail {
        &self.finished.detail
    }

    /// Returns the side that started the flow.
    pub fn orig(&self) -> &Side {
        &self.finished.detail.orig
    }

    /// Returns the side that answered, if it sent anything.
    pub fn resp(&self) -> Option<&Side> {
        Some(&self.finished.detail.resp).filter(|side| side.packets > 0)
    }

    /// Returns the TCP connection, for TCP flows.
    pub fn tcp(&self) -> Option<&Connection> {
        self.finished.detail.connection.as_deref()
    }

    /// Returns what read the application protocol, if there was payload to read.
    pub fn inspector(&self) -> Option<&Inspector> {
        self.finished.detail.inspector.as_deref()
    }

    /// Names the application protocol, once recognised.
    pub fn app_protocol(&self) -> Option<&'static str> {
        self.inspector()?.protocol().map(Protocol::name)
    }

    /// Returns the time from the first to the last packet in nanoseconds.
    pub fn duration_ns(&self) -> i64 {
        self.finished.detail.last_at - self.finished.flow.first_at
    }

    /// Divides by the duration in seconds; nothing for a flow without duration.
    pub fn per_second(&self, value: f64) -> Option<f64> {
        let duration = self.duration_ns();
        (duration > 0).then(|| value / (duration as f64 / 1e9))
    }
}

/// Names an IP protocol (IANA keywords, lower case) or writes its number.
pub fn protocol_name(number: u8) -> Option<&'static str> {
    Some(match number {
        protocol::ICMP => "icmp",
        protocol::IGMP => "igmp",
        protocol::TCP => "tcp",
        protocol::UDP => "udp",
        protocol::ICMP6 => "icmp6",
        protocol::SCTP => "sctp",
        4 => "ipip",
        41 => "ipv6",
        47 => "gre",
        50 => "esp",
        51 => "ah",
        88 => "eigrp",
        89 => "ospf",
        103 => "pim",
        112 => "vrrp",
        136 => "udplite",
        _ => return None,
    })
}
