//! The rule language: what a rule in Suricata's language says, as plain data.
//!
//! Nothing in this file knows how rules are read (see [`parse`]) or run.

use infraspectre_core::app::Direction;

use crate::field::{Field, Sent};

pub mod parse;

/// What a rule asks for when it matches (Suricata User Guide, "Rules Format": Action).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    Pass,
    Drop,
    Reject,
    Alert,
}

/// Where a rule stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// Index of the file in the order of loading.
    pub file: u32,
    /// Line on which the rule begins, counted from 1.
    pub line: u32,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub origin: Origin,
    pub action: Action,
    pub header: Header,
    pub gid: u32,
    pub sid: u32,
    pub rev: u32,
    pub msg: Box<str>,
    /// Short name of the classification, if given.
    pub classtype: Option<Box<str>>,
    /// From `priority`, else of the classification, else 3.
    pub priority: u8,
    /// Description of the classification, empty if none.
    pub category: Box<str>,
    pub references: Vec<(Box<str>, Box<str>)>,
    pub metadata: Vec<(Box<str>, Box<str>)>,
    /// `target:src_ip` or `target:dest_ip`.
    pub target: Option<Target>,
    /// As written; the direction also where all fields that the rule asks for belong to one.
    pub flow: FlowTest,
    /// Tests of the packet and of the flow's state, in the order of the rule.
    pub packet: Vec<PacketTest>,
    /// Tests of the payload: of each packet, of the stream, or of both (see [`Scope`]).
    pub payload: Vec<Match>,
    /// Tests of application buffers, in the order of the rule.
    pub buffers: Vec<BufferTest>,
    /// Tests of frames, the parts of a protocol's messages as they came.
    pub frames: Vec<FrameTest>,
    /// Tests of application fields that are numbers or flags.
    pub numbers: Vec<NumberTest>,
    pub files: Vec<FileTest>,
    /// `tls_cert_expired`, `tls_cert_valid`.
    pub validity: Option<Validity>,
    /// `app-layer-protocol`.
    pub app_protocols: Vec<AppProtocolTest>,
    /// `app-layer-event`, `decode-event`, `stream-event`, each by its full name (`http.gzip_decompression_failed`).
    pub events: Vec<EventTest>,
    /// What a match changes.
    pub effects: Vec<Effect>,
    /// `threshold`, `detection_filter`, `rate_filter` of the rule itself.
    pub threshold: Option<Threshold>,
    pub noalert: bool,
    /// `prefilter`: the keyword before it is to be the prefilter.
    pub prefilter: bool,
}

/// What a rule asks of a certificate at the time of its packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    Expired,
    Valid,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Source,
    Destination,
}

/// Protocol, addresses and ports of a rule.
#[derive(Clone, Debug)]
pub struct Header {
    pub protocol: RuleProtocol,
    pub source: Addresses,
    pub source_ports: Ports,
    pub bidirectional: bool,
    /// `=>`: buffers of both directions of one transaction may be asked for.
    pub transactional: bool,
    pub destination: Addresses,
    pub destination_ports: Ports,
}

/// What `alert PROTOCOL` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProtocol {
    /// As written, such as `tcp-pkt`.
    pub name: Box<str>,
    pub ip_version: Option<u8>,
    /// IP protocol numbers; empty for any.
    pub transports: Vec<u8>,
    pub scope: Scope,
    /// Index into [`crate::protocol::Protocol`]; none for rules below the application layer.
    pub app: Option<crate::protocol::Protocol>,
    /// `http1:request_started` and the like: what stands after the colon.
    pub hook: Option<Hook>,
}

/// When a rule is looked at, where its header says so (Suricata User Guide, "Rule hooks").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// With the first packet of each direction of a flow.
    FlowStart,
    /// Once a direction of a transaction has come so far.
    Progress { direction: Direction, progress: u8 },
}

impl RuleProtocol {
    /// Tells whether it is the application protocol of a flow, or none at all.
    pub fn is_of(&self, known: Option<crate::protocol::Protocol>) -> bool {
        use crate::protocol::Protocol;
        match (self.app, known) {
            (None, _) => true,
            (Some(Protocol::Http), Some(Protocol::Http2)) => &*self.name != "http1",
            (Some(Protocol::Dcerpc), Some(Protocol::Smb)) => true,
            (own, known) => own == known,
        }
    }
}

/// Whether payload tests look at packets, at the stream, or at both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// As Suricata decides: the stream for TCP, and packets too where an offset or depth is given.
    #[default]
    Any,
    Packet,
    Stream,
}

/// A set of IPv4 and IPv6 addresses as sorted, disjoint, inclusive ranges; IPv4 is IPv4-mapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// None for any.
    pub ranges: Option<std::sync::Arc<[(u128, u128)]>>,
}

impl Addresses {
    /// Tells whether an address is in the set.
    pub fn contains(&self, address: u128) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        let at = ranges.partition_point(|(_, last)| *last < address);
        ranges.get(at).is_some_and(|(first, _)| *first <= address)
    }
}

/// A set of ports as sorted, disjoint, inclusive ranges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// None for any.
    pub ranges: Option<std::sync::Arc<[(u16, u16)]>>,
}

impl Ports {
    /// Tells whether a port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        let Some(ranges) = &self.ranges else { return true };
        let at = ranges.partition_point(|(_, last)| *last < port);
        ranges.get(at).is_some_and(|(first, _)| *first <= port)
    }
}

/// `flow:`; false where the option is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowTest {
    pub to_server: bool,
    pub to_client: bool,
    pub established: bool,
    pub not_established: bool,
    pub stateless: bool,
    pub only_stream: bool,
    pub no_stream: bool,
    pub only_frag: bool,
    pub no_frag: bool,
}

/// How a number is compared; `Between` is exclusive as in Suricata's `<>`, bounds are as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compare {
    Equal(u64),
    NotEqual(u64),
    Less(u64),
    LessOrEqual(u64),
    Greater(u64),
    GreaterOrEqual(u64),
    /// Greater than the first and less than the second.
    Between(u64, u64),
    NotBetween(u64, u64),
    /// `value & mask == wanted` (and its negation).
    Masked {
        mask: u64,
        wanted: u64,
        negated: bool,
    },
    /// Any of these.
    OneOf(Box<[u64]>),
    /// Within any of these ranges, whose ends belong to them.
    Within(Box<[(u64, u64)]>),
}

impl Compare {
    /// Tells whether a number passes.
    pub fn holds(&self, value: u64) -> bool {
        match self {
            Compare::Equal(wanted) => value == *wanted,
            Compare::NotEqual(other) => value != *other,
            Compare::Less(bound) => value < *bound,
            Compare::LessOrEqual(bound) => value <= *bound,
            Compare::Greater(bound) => value > *bound,
            Compare::GreaterOrEqual(bound) => value >= *bound,
            Compare::Between(low, high) => *low < value && value < *high,
            Compare::NotBetween(low, high) => value <= *low || *high <= value,
            Compare::Masked { mask, wanted, negated } => (value & mask == *wanted) != *negated,
            Compare::OneOf(wanted) => wanted.contains(&value),
            Compare::Within(ranges) => ranges.iter().any(|(first, last)| (*first..=*last).contains(&value)),
        }
    }
}

/// A test of one packet's headers, or of its flow's state and variables.
#[derive(Clone, Debug)]
pub enum PacketTest {
    Dsize(Compare),
    /// `flags`, `tcp.flags`: bits compared after `ignored` ones are cleared.
    Flags {
        wanted: u8,
        ignored: u8,
        mode: FlagMode,
    },
    Seq(Compare),
    Ack(Compare),
    Window(Compare),
    Mss(Compare),
    /// `tcp.wscale`.
    WindowScale(Compare),
    Ttl(Compare),
    Tos(Compare),
    IpId(Compare),
    IpProtocol(Compare),
    /// `ipopts:` option number; 255 for any.
    IpOption(u8),
    /// `fragbits`: bits R=4, D=2, M=1.
    FragmentBits {
        wanted: u8,
        mode: FlagMode,
    },
    FragmentOffset(Compare),
    SameIp,
    IcmpType(Compare),
    IcmpCode(Compare),
    IcmpId(u16),
    IcmpSeq(u16),
    Icmp6Mtu(Compare),
    /// `stream_size:direction,comparison`.
    StreamSize {
        direction: SizeOf,
        compare: Compare,
    },
    Vlan {
        layer: Instance,
        id: Compare,
    },
    VlanLayers(Compare),
    /// `ipv4-csum`, `tcpv4-csum` and their kin: of the header where no transport is named.
    Checksum {
        ip_version: u8,
        transport: Option<u8>,
        is_right: bool,
    },
    /// `ip.src` / `ip.dst` with a dataset.
    IpDataset {
        source: bool,
        dataset: DatasetTest,
    },
    /// `flow.age`, `flow.pkts`, `flow.bytes` and their per-direction forms.
    FlowCounter {
        counter: FlowCounter,
        compare: Compare,
    },
    Flowbits {
        bits: Vec<Box<str>>,
        mode: BitTest,
    },
    Xbits {
        name: Box<str>,
        track: Track,
        mode: BitTest,
    },
    Hostbits {
        name: Box<str>,
        track: Track,
        mode: BitTest,
    },
    Flowint {
        name: Box<str>,
        test: FlowintTest,
    },
    AppLayerEvent(Box<str>),
    /// Ethernet, IP or transport header bytes: `ipv4.hdr`, `tcp.hdr`, `icmpv6.hdr`, ... with the tests on it.
    HeaderBytes {
        part: HeaderPart,
        transforms: Vec<Transform>,
        matches: Vec<Match>,
    },
}

impl PacketTest {
    /// Tells whether it looks at what is known of the flow or of its hosts, and at no header.
    pub fn is_of_flow(&self) -> bool {
        matches!(
            self,
            PacketTest::Flowbits { .. }
                | PacketTest::Xbits { .. }
                | PacketTest::Hostbits { .. }
                | PacketTest::Flowint { .. }
                | PacketTest::FlowCounter { .. }
                | PacketTest::StreamSize { .. }
        )
    }
}

/// Which of several values a test speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Instance {
    #[default]
    Any,
    /// All of them, and at least one.
    All,
    /// The one at a position from 0 on; negative ones count from the last, -1.
    At(i32),
}

impl Instance {
    /// Tells whether the values that are spoken of pass a comparison.
    pub fn holds(self, values: impl Iterator<Item = u64>, compare: &Compare) -> bool {
        match self {
            Instance::Any => values.into_iter().any(|value| compare.holds(value)),
            Instance::All => {
                let mut values = values.peekable();
                values.peek().is_some() && values.all(|value| compare.holds(value))
            }
            Instance::At(at) => {
                let values: Vec<u64> = values.collect();
                let from_end = values.len().checked_sub(at.unsigned_abs() as usize);
                let at = if at < 0 { from_end } else { usize::try_from(at).ok() };
                at.and_then(|at| values.get(at)).is_some_and(|value| compare.holds(*value))
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlagMode {
    /// Exactly these bits.
    Exact,
    /// All of these, and perhaps others (`+`).
    All,
    /// Any of these (`*`).
    Any,
    /// None of these (`!`).
    Not,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeOf {
    Server,
    Client,
    Both,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    Source,
    Destination,
    Both,
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowCounter {
    AgeSeconds,
    PacketsToServer,
    PacketsToClient,
    PacketsEither,
    PacketsBoth,
    BytesToServer,
    BytesToClient,
    BytesEither,
    BytesBoth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderPart {
    Ethernet,
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Icmp4,
    Icmp6,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BitTest {
    IsSet,
    IsNotSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Track {
    Source,
    Destination,
    /// Source and destination.
    Pair,
    /// Ports and transport of a transaction, `track tx`.
    Transaction,
    Rule,
    Flow,
}

#[derive(Clone, Debug)]
pub enum FlowintTest {
    Compare(IntCompare, IntOperand),
    IsSet,
    NotSet,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntCompare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug)]
pub enum IntOperand {
    Value(u32),
    Variable(Box<str>),
}

/// What a match changes.
#[derive(Clone, Debug)]
pub enum Effect {
    FlowbitSet(Box<str>),
    FlowbitUnset(Box<str>),
    FlowbitToggle(Box<str>),
    /// With the lifetime in seconds.
    XbitSet {
        name: Box<str>,
        track: Track,
        seconds: u32,
    },
    XbitUnset {
        name: Box<str>,
        track: Track,
    },
    XbitToggle {
        name: Box<str>,
        track: Track,
        seconds: u32,
    },
    HostbitSet {
        name: Box<str>,
        track: Track,
        seconds: u32,
    },
    HostbitUnset {
        name: Box<str>,
        track: Track,
    },
    HostbitToggle {
        name: Box<str>,
        track: Track,
        seconds: u32,
    },
    FlowintSet {
        name: Box<str>,
        value: IntOperand,
    },
    FlowintAdd {
        name: Box<str>,
        value: IntOperand,
    },
    FlowintSubtract {
        name: Box<str>,
        value: IntOperand,
    },
    Tag,
    Bypass,
}

/// `threshold`, `detection_filter` and the entries of a threshold.config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Threshold {
    pub kind: ThresholdKind,
    pub track: Track,
    pub count: u32,
    pub seconds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdKind {
    Limit,
    Threshold,
    Both,
    DetectionFilter,
    /// `rate_filter`: after the threshold the rule takes another action for some seconds.
    Rate {
        action: Action,
        timeout: u32,
    },
    /// `threshold:type backoff`, with its multiplier.
    Backoff {
        multiplier: u32,
    },
    /// `suppress`.
    Suppress,
}

/// A test of an application buffer: all matches on one instance of it.
#[derive(Clone, Debug)]
pub struct BufferTest {
    pub field: Field,
    /// Whose value is looked at: as the field has it, unless a rule of `=>` says one side.
    pub sent: Sent,
    pub transforms: Vec<Transform>,
    pub matches: Vec<Match>,
}

/// A test of a frame: all matches on one instance of it.
#[derive(Clone, Debug)]
pub struct FrameTest {
    /// With its protocol, as `smtp.command_line`.
    pub name: Box<str>,
    pub transforms: Vec<Transform>,
    pub matches: Vec<Match>,
}

/// A test of an application field that is a number (`dns.opcode`, `mqtt.type`, `tls.version`, ...).
#[derive(Clone, Debug)]
pub struct NumberTest {
    pub field: Field,
    pub compare: Compare,
    pub instance: Instance,
}

/// A test of a file.
#[derive(Clone, Debug)]
pub enum FileTest {
    /// `filestore`: there is a file.
    Any,
    Size {
        compare: Compare,
        /// The direction that a rule of `=>` may say.
        sent: Sent,
    },
    /// `filemd5`, `filesha1`, `filesha256` with the list's hashes.
    Hash { kind: HashKind, negated: bool, hashes: std::sync::Arc<hashbrown::HashSet<Box<[u8]>>> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashKind {
    Md5,
    Sha1,
    Sha256,
}

/// `app-layer-protocol:[!]NAME[,MODE]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppProtocolTest {
    /// `failed`, `unknown` or the name of a protocol.
    pub name: Box<str>,
    pub negated: bool,
    pub mode: AppProtocolMode,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AppProtocolMode {
    #[default]
    Direction,
    Final,
    Either,
    ToServer,
    ToClient,
    Original,
}

/// An event of the decoder, the stream or an application protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventTest {
    /// `app-layer-event:http.missing_host_header`.
    App(Box<str>),
    /// `decode-event:ipv4.opt_pad_required`.
    Decode(Box<str>),
    /// `stream-event:3whs_ack_in_wrong_dir`.
    Stream(Box<str>),
}

/// A change of a buffer before it is looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transform {
    ToLowercase,
    ToUppercase,
    CompressWhitespace,
    StripWhitespace,
    StripPseudoHeaders,
    DotPrefix,
    UrlDecode,
    Md5,
    Sha1,
    Sha256,
    HeaderLowercase,
    Xor(Box<[u8]>),
    /// The first capture group of a regular expression.
    Pcre(Pcre),
    /// `from_base64: bytes, offset, mode`.
    FromBase64 {
        bytes: Option<u32>,
        offset: u32,
        mode: Base64Mode,
    },
    Domain,
    TopLevelDomain,
    Gunzip {
        max_size: u32,
    },
    ZlibDeflate {
        max_size: u32,
    },
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Base64Mode {
    Rfc2045,
    #[default]
    Rfc4648,
    Strict,
}

/// A number written out, or a variable that `byte_extract` or `byte_math` has filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    Value(i64),
    /// Index of the variable in its rule.
    Variable(u8),
}

/// One test within a buffer, evaluated from left to right with a cursor, as in Suricata.
#[derive(Clone, Debug)]
pub enum Match {
    Content(Content),
    Pcre(Pcre),
    IsDataAt {
        at: Operand,
        relative: bool,
        negated: bool,
    },
    ByteTest(ByteTest),
    ByteJump(ByteJump),
    ByteExtract(ByteExtract),
    ByteMath(ByteMath),
    Bsize(Compare),
    /// `urilen` on the raw or the normalised URI is a `Bsize` of that buffer.
    /// `base64_decode`, followed by tests of what was decoded (`base64_data`).
    Base64 {
        bytes: Option<Operand>,
        offset: u32,
        relative: bool,
        matches: Vec<Match>,
    },
    /// `absent` (`or_else: false`) and `absent: or_else`.
    Absent {
        or_else: bool,
    },
    Dataset(DatasetTest),
    /// `entropy: bytes, offset, value comparison` in thousandths of a bit.
    Entropy {
        bytes: u32,
        offset: u32,
        compare: Compare,
    },
}

/// `content` with its modifiers.
#[derive(Clone, Debug)]
pub struct Content {
    pub bytes: Box<[u8]>,
    pub negated: bool,
    pub nocase: bool,
    pub offset: Option<Operand>,
    pub depth: Option<Operand>,
    pub distance: Option<Operand>,
    pub within: Option<Operand>,
    pub startswith: bool,
    pub endswith: bool,
    pub fast_pattern: bool,
    /// `fast_pattern:only`.
    pub fast_pattern_only: bool,
    /// `fast_pattern:offset,length`.
    pub fast_pattern_chop: Option<(u16, u16)>,
    pub rawbytes: bool,
}

/// `pcre:"/regex/modifiers"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pcre {
    pub pattern: Box<str>,
    pub negated: bool,
    /// `i`, `s`, `m`, `x`, `A`, `E`, `G` as given.
    pub caseless: bool,
    pub dot_all: bool,
    pub multi_line: bool,
    pub extended: bool,
    pub anchored: bool,
    pub dollar_end_only: bool,
    pub ungreedy: bool,
    /// `R`: from the end of the last match.
    pub relative: bool,
    /// Names given to capture groups: `/, flow:name` / `pkt:name`.
    pub captures: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    Big,
    Little,
    /// As the DCERPC header says.
    Dce,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    Binary,
    Octal,
    Decimal,
    Hexadecimal,
    /// `string` without a base: by prefix.
    Detect,
}

#[derive(Clone, Debug)]
pub struct ByteTest {
    pub bytes: Operand,
    pub operator: ByteOperator,
    pub negated: bool,
    pub value: Operand,
    pub offset: Operand,
    pub relative: bool,
    pub order: ByteOrder,
    /// None for binary numbers.
    pub text: Option<Base>,
    pub mask: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOperator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    And,
    Or,
}

#[derive(Clone, Debug)]
pub struct ByteJump {
    pub bytes: Operand,
    pub offset: Operand,
    pub relative: bool,
    pub multiplier: u16,
    pub order: ByteOrder,
    pub text: Option<Base>,
    pub align: bool,
    pub from_beginning: bool,
    pub from_end: bool,
    pub post_offset: Operand,
    pub mask: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct ByteExtract {
    pub bytes: u8,
    pub offset: i64,
    pub variable: u8,
    pub relative: bool,
    pub multiplier: u16,
    pub order: ByteOrder,
    pub text: Option<Base>,
    pub align: u8,
    pub mask: Option<u64>,
}

#[derive(Clone, Debug)]
pub struct ByteMath {
    pub bytes: Operand,
    pub offset: i64,
    pub operator: MathOperator,
    pub value: Operand,
    pub result: u8,
    pub relative: bool,
    pub order: ByteOrder,
    pub text: Option<Base>,
    pub mask: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MathOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    ShiftLeft,
    ShiftRight,
}

/// `dataset` and `datarep` on a buffer.
#[derive(Clone, Debug)]
pub struct DatasetTest {
    pub mode: DatasetMode,
    /// `match subdomain`: the value or any end of it that begins with a dot.
    pub subdomains: bool,
    pub set: std::sync::Arc<Dataset>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatasetMode {
    IsSet,
    IsNotSet,
    Set,
    Unset,
    /// `datarep`: the value's reputation compared.
    Reputation(Compare),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DatasetKind {
    String,
    Md5,
    Sha256,
    Ip,
}

/// A named set of values, with a reputation each (0 where there is none); an address is its sixteen bytes.
#[derive(Debug)]
pub struct Dataset {
    pub name: Box<str>,
    pub kind: DatasetKind,
    pub values: std::sync::RwLock<hashbrown::HashMap<Box<[u8]>, u16>>,
}
