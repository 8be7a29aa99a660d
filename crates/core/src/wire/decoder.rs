//! The way inwards: layer after layer until the innermost IP datagram is reached.

use std::collections::BTreeMap;

use super::arp::Claim;
use super::context::{Context, Contexts, Tag};
use super::fragment::{Added, Fragment, Fragments};
use super::ip::Ipv4;
use super::link::Frame;
use super::span::Span;
use super::transport::Transport;
use super::{ip, link, protocol, tunnel, wlan, Segment, Tcp};
use crate::source::Packet;

/// Headers that are followed in one packet; more of them are malice.
const MAX_LAYERS: usize = 64;
/// Tunnels that are followed into one another.
const MAX_TUNNELS: u8 = 8;
/// Reassemblies that one packet may complete, one inside the other.
const MAX_REASSEMBLIES: usize = 4;

/// What became of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    Segment(Segment<'a>),
    /// A fragment was kept; it is counted in the segment that its datagram becomes.
    Held,
    /// Not IP: the protocol's name.
    Other(&'static str),
    /// Not readable: the reason.
    Malformed(&'static str),
}

/// Decodes packets of any link type; owns the fragments that wait for their datagrams.
///
/// No packet is lost: after [`Decoder::flush`] the packets given to [`Decoder::decode`] equal the sum of
/// [`Segment::packets`] over all segments, of [`Decoder::other`] and of [`Decoder::malformed`].
#[derive(Default)]
pub struct Decoder {
    contexts: Contexts,
    fragments: Fragments,
    assembled: [Vec<u8>; MAX_REASSEMBLIES],
    views: Vec<View>,
    /// What carries the tunnels of the last packet, outermost first, without payload.
    carriers: Vec<Segment<'static>>,
    /// What is odd about the last packet, and what that has come to.
    oddities: Vec<&'static str>,
    odd: Option<Odd>,
    /// What the last packet claims about the owner of an address.
    claim: Option<Claim>,
    malformed: BTreeMap<&'static str, u64>,
    other: BTreeMap<&'static str, u64>,
}

/// A packet that breaks rules of its protocols, be it read or not.
#[derive(Clone, Debug)]
pub struct Odd {
    /// What its headers say, as far as they were read, without payload.
    pub segment: Segment<'static>,
    pub reasons: Vec<&'static str>,
    /// Whether it could not be read.
    pub is_malformed: bool,
}

/// Another view of a datagram whose fragments contradict one another.
struct View {
    /// What its IP header says.
    segment: Segment<'static>,
    protocol: u8,
    bytes: Vec<u8>,
}

/// A header to be read next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layer {
    Ethernet,
    EtherType(u16),
    Llc,
    Wlan,
    Ppp,
    Ip,
    /// Payload of IP by protocol number, extension headers included.
    Upper(u8),
}

/// Where reading one header has led.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next<'a> {
    Layer(Layer, Span<'a>),
    Fragment(Fragment, Span<'a>),
    /// The segment is complete.
    Done,
    Other(&'static str),
    Malformed(&'static str),
}

/// What the way through a packet has come to; the segment itself is filled in place.
#[derive(Clone, Copy)]
enum Verdict {
    Segment,
    Held,
    Other(&'static str),
    Malformed(&'static str),
}

/// State of the way through one packet.
pub(super) struct Walk<'a, 'w> {
    pub(super) segment: &'w mut Segment<'a>,
    /// The datagram that carries the current tunnel: the result, if the tunnel holds no readable IP.
    carrier: Option<Segment<'a>>,
    tunnels: u8,
    contexts: &'w mut Contexts,
    views: &'w mut Vec<View>,
    carriers: &'w mut Vec<Segment<'static>>,
    oddities: &'w mut Vec<&'static str>,
    /// Whether IPv6 extension headers, and fragment headers among them, came before the present one.
    pub(super) has_extension: bool,
    pub(super) has_fragment: bool,
    pub(super) claim: Option<Claim>,
}

impl<'a, 'w> Walk<'a, 'w> {
    fn new(
        segment: &'w mut Segment<'a>,
        contexts: &'w mut Contexts,
        views: &'w mut Vec<View>,
        carriers: &'w mut Vec<Segment<'static>>,
        oddities: &'w mut Vec<&'static str>,
    ) -> Self {
        let (has_extension, has_fragment) = (false, false);
        Walk {
            segment,
            carrier: None,
            tunnels: 0,
            contexts,
            views,
            carriers,
            oddities,
            has_extension,
            has_fragment,
            claim: None,
        }
    }

    /// Enters a tunnel that the current segment carries; None beyond the limit of nesting.
    pub(super) fn enter_tunnel(&mut self, kind: &'static str, id: Option<u32>) -> Option<()> {
        if self.tunnels >= MAX_TUNNELS {
            return None;
        }
        self.tunnels += 1;
        self.carrier = Some(*self.segment);
        self.carriers.push(self.segment.without_payload());
        self.segment.context = self.contexts.enter(self.segment.context, Tag::Tunnel(kind, id));
        Some(())
    }

    /// Notes that something is odd about the packet, which is read on.
    pub(super) fn note_odd(&mut self, reason: &'static str) {
        if !self.oddities.contains(&reason) {
            self.oddities.push(reason);
        }
    }

    pub(super) fn enter_vlan(&mut self, id: u16) {
        self.segment.vlans.push(id);
        self.segment.context = self.contexts.enter(self.segment.context, Tag::Vlan(id));
    }

    /// Follows headers until the segment is complete or the way ends.
    fn follow(&mut self, first: Next<'a>, fragments: &mut Fragments, slots: &'a mut [Vec<u8>]) -> Verdict {
        let mut slots = slots.iter_mut();
        let mut next = first;
        for _ in 0..MAX_LAYERS {
            next = match next {
                Next::Layer(layer, span) => self.read(layer, span),
                Next::Fragment(fragment, span) => match fragments.add(self.segment, fragment, span, self.oddities) {
                    Added::Complete(datagram) => match slots.next() {
                        Some(slot) => {
                            self.note_views(datagram.protocol, datagram.views);
                            *slot = datagram.bytes;
                            Next::Layer(Layer::Upper(datagram.protocol), Span { stored: slot, len: datagram.len })
                        }
                        None => Next::Malformed("nesting"),
                    },
                    Added::Held => return self.hold(fragments),
                    Added::Refused(reason) => Next::Malformed(reason),
                },
                Next::Done => return Verdict::Segment,
                Next::Other(name) => return self.fall_back(Verdict::Other(name)),
                Next::Malformed(reason) => {
                    self.note_odd(reason);
                    return self.fall_back(Verdict::Malformed(reason));
                }
            };
        }
        self.note_odd("nesting");
        self.fall_back(Verdict::Malformed("nesting"))
    }

    fn read(&mut self, layer: Layer, span: Span<'a>) -> Next<'a> {
        match layer {
            Layer::Ethernet => link::ethernet(self, span),
            Layer::EtherType(kind) => link::ether_type(self, kind, span),
            Layer::Llc => link::llc(span),
            Layer::Wlan => wlan::frame(self.segment, span, false),
            Layer::Ppp => link::ppp(span),
            Layer::Ip => ip::header(self, span),
            Layer::Upper(protocol) => ip::payload(self, protocol, span),
        }
    }

    /// Remembers other views of a datagram; they stand for no further packets.
    fn note_views(&mut self, protocol: u8, views: Vec<Vec<u8>>) {
        let segment = Segment { packets: 0, ip_bytes: 0, ip_payload_bytes: 0, ..self.segment.without_payload() };
        self.views.extend(views.into_iter().map(|bytes| View { segment, protocol, bytes }));
    }

    /// Gives room to a datagram that was evicted, so that evicted ones never pile up.
    fn hold(&mut self, fragments: &mut Fragments) -> Verdict {
        match fragments.pop_evicted() {
            Some(evicted) => {
                *self.segment = evicted;
                Verdict::Segment
            }
            None => Verdict::Held,
        }
    }

    /// Returns to the carrier where something went wrong inside a tunnel, with all packets joined so far.
    fn fall_back(&mut self, verdict: Verdict) -> Verdict {
        match self.carrier {
            Some(carrier) => {
                *self.segment = Segment { packets: self.segment.packets, ..carrier };
                Verdict::Segment
            }
            None => verdict,
        }
    }
}

impl Decoder {
    /// Decodes one packet to the segment of its innermost IP datagram.
    ///
    /// Where a fragment is kept, a datagram that was evicted incomplete may be handed over instead of `Held`.
    #[inline]
    pub fn decode<'a>(&'a mut self, packet: &Packet<'a>) -> Outcome<'a> {
        self.views.clear();
        self.carriers.clear();
        self.oddities.clear();
        match plain(packet) {
            Some(segment) => Outcome::Segment(segment),
            None => self.decode_any(packet),
        }
    }

    fn decode_any<'a>(&'a mut self, packet: &Packet<'a>) -> Outcome<'a> {
        let Decoder { contexts, fragments, assembled, views, carriers, oddities, odd, claim, malformed, other } = self;
        let mut segment = Segment::of(packet);
        let mut walk = Walk::new(&mut segment, contexts, views, carriers, oddities);
        let first = link::enter(&mut walk, packet.link, Span::new(packet.data, packet.wire_len as usize));
        let verdict = walk.follow(first, fragments, assembled);
        *claim = walk.claim;
        let packets = u64::from(segment.packets);
        let is_malformed = matches!(verdict, Verdict::Malformed(_));
        *odd = (!oddities.is_empty()).then(|| Odd {
            segment: segment.without_payload(),
            reasons: oddities.clone(),
            is_malformed,
        });
        match verdict {
            Verdict::Segment => Outcome::Segment(segment),
            Verdict::Held => Outcome::Held,
            Verdict::Other(name) => {
                *other.entry(name).or_default() += packets;
                Outcome::Other(name)
            }
            Verdict::Malformed(reason) => {
                *malformed.entry(reason).or_default() += packets;
                Outcome::Malformed(reason)
            }
        }
    }

    /// Hands over what other kinds of receivers make of the datagram that the last packet completed, where its fragments
    /// contradict one another; these segments stand for no packets.
    pub fn take_views(&mut self, sink: &mut dyn FnMut(Segment<'_>)) {
        for view in std::mem::take(&mut self.views) {
            let Decoder { contexts, fragments, views, carriers, oddities, .. } = self;
            let mut segment = view.segment;
            let mut walk = Walk::new(&mut segment, contexts, views, carriers, oddities);
            let span = Span::new(&view.bytes, view.bytes.len());
            let verdict = walk.follow(Next::Layer(Layer::Upper(view.protocol), span), fragments, &mut []);
            if let Verdict::Segment = verdict {
                sink(segment);
            }
        }
    }

    /// Returns what carries the tunnels of the last packet, outermost first, without payload.
    pub fn carriers(&self) -> &[Segment<'static>] {
        &self.carriers
    }

    /// Returns the last packet if there is something odd about it.
    pub fn take_odd(&mut self) -> Option<Odd> {
        self.odd.take()
    }

    /// Returns what the last packet claims about the owner of an address, if it is an ARP message.
    pub fn take_claim(&mut self) -> Option<Claim> {
        self.claim.take()
    }

    /// Hands over datagrams that are still incomplete 30 s after their first fragment (RFC 8200, 4.5).
    ///
    /// Their ports are known when the first fragment is there; their payload is left out.
    pub fn expire(&mut self, now: i64, sink: &mut dyn FnMut(Segment<'_>)) {
        self.fragments.expire(now);
        while let Some(segment) = self.fragments.pop_evicted() {
            sink(segment);
        }
    }

    /// Hands over all incomplete datagrams, at the end of the capture.
    pub fn flush(&mut self, sink: &mut dyn FnMut(Segment<'_>)) {
        self.expire(i64::MAX, sink);
    }

    /// Returns the contexts that segments refer to; the first stands for none.
    pub fn contexts(&self) -> &[Context] {
        self.contexts.list()
    }

    /// Counts steps into VLANs and tunnels that came after the table of contexts was full.
    pub fn context_overflows(&self) -> u64 {
        self.contexts.overflows()
    }

    /// Counts malformed packets by reason.
    pub fn malformed(&self) -> &BTreeMap<&'static str, u64> {
        &self.malformed
    }

    /// Counts packets that are not IP by protocol.
    pub fn other(&self) -> &BTreeMap<&'static str, u64> {
        &self.other
    }

    /// Counts incomplete datagrams given up because the memory for fragments was used up.
    pub fn datagrams_evicted(&self) -> u64 {
        self.fragments.evicted_for_room()
    }

    /// Counts bytes of overlapping fragments that differ from those that came first, which are kept.
    pub fn ambiguous_fragment_bytes(&self) -> u64 {
        self.fragments.ambiguous_bytes()
    }
}

/// Decodes the most frequent packet, a whole TCP segment or UDP datagram in IPv4 in Ethernet without tags or tunnels.
///
/// Its segment is built in one piece, which takes a third of the time of filling it on the way through the layers;
/// None for all other packets.
#[inline(always)]
fn plain<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    if packet.link != link::ETHERNET {
        return None;
    }
    let frame = Frame::read(Span::new(packet.data, packet.wire_len as usize))?;
    if frame.kind != link::ether_type::IPV4 || frame.body.stored.first()? >> 4 != 4 {
        return None;
    }
    let ip = Ipv4::read(frame.body).ok()?;
    if ip.fragment.is_some() || !matches!(ip.protocol, protocol::TCP | protocol::UDP) {
        return None;
    }
    let transport = Transport::read(ip.protocol, ip.payload).ok()?;
    if ip.protocol == protocol::UDP && tunnel::is_port(transport.src_port, transport.dst_port) {
        return None;
    }
    Some(Segment {
        src: ip.src,
        dst: ip.dst,
        ip_version: 4,
        protocol: ip.protocol,
        src_port: transport.src_port,
        dst_port: transport.dst_port,
        ttl: ip.ttl,
        ip_bytes: ip.ip_bytes,
        ip_payload_bytes: ip.payload.claimed(),
        payload_bytes: transport.payload.claimed(),
        payload: transport.payload.stored,
        src_mac: Some(frame.src),
        dst_mac: Some(frame.dst),
        tcp: transport.tcp,
        vlans: Default::default(),
        network: frame.body.take(ip.ip_bytes as usize).stored,
        transport: ip.payload.stored,
        ..Segment::of(packet)
    })
}

impl<'a> Segment<'a> {
    #[inline(always)]
    fn of(packet: &Packet<'a>) -> Segment<'a> {
        Segment {
            at: packet.at,
            number: packet.number,
            src: [0; 16],
            dst: [0; 16],
            ip_version: 0,
            protocol: 0,
            src_port: 0,
            dst_port: 0,
            context: 0,
            ttl: 0,
            packets: 1,
            ip_bytes: 0,
            ip_payload_bytes: 0,
            payload_bytes: 0,
            payload: &[],
            src_mac: None,
            dst_mac: None,
            tcp: Tcp::default(),
            vlans: Default::default(),
            network: &[],
            transport: &[],
        }
    }

    /// Leaves out what is borrowed from a packet.
    pub(super) fn without_payload(&self) -> Segment<'static> {
        let tcp = Tcp { options: &[], ..self.tcp };
        Segment { payload: &[], payload_bytes: 0, tcp, network: &[], transport: &[], ..*self }
    }
}
