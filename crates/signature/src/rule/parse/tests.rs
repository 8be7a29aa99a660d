//! Whole rules: what each family of keywords becomes, and what is refused.

use proptest::prelude::*;

use super::*;
use crate::field::{Field, Sent};
use crate::protocol::modbus::part;
use crate::rule::*;

fn file(text: &str) -> Parsed {
    read(&[Source { name: "test.rules", text: text.as_bytes() }], &Settings::default()).unwrap()
}

/// Reads a rule of a header's protocol with some options.
fn rule_of(protocol: &str, options: &str) -> Result<Rule, Refusal> {
    let mut parsed = file(&format!("alert {protocol} any any -> any any (msg:\"m\"; {options} sid:1;)"));
    parsed.refused.pop().map_or_else(|| Ok(parsed.rules.pop().unwrap()), Err)
}

fn rule(options: &str) -> Rule {
    rule_of("ip", options).unwrap_or_else(|refusal| panic!("{options}: {}", refusal.reason))
}

fn contents(tests: &[Match]) -> Vec<&Content> {
    let mut found = Vec::new();
    for test in tests {
        if let Match::Content(content) = test {
            found.push(content);
        }
    }
    found
}

/// Asserts that options are refused with a reason that says something, and with a remedy.
fn refused(options: &str, reason: &str) {
    let refusal = rule_of("ip", options).expect_err(options);
    assert!(refusal.reason.contains(reason), "{options}: {}", refusal.reason);
    assert!(!refusal.suggestion.is_empty() && refusal.sid == Some(1) && refusal.line == 1, "{refusal:?}");
}

#[test]
fn a_rule_says_what_it_is() {
    let text = "# comment\n\n#alert tcp any any -> any any (msg:\"off\\; still\"; sid:9; gid:3;)\n\
        drop tcp any any <> 10.0.0.0/8 [80,443] (msg:\"a \\\"b\\\"\\; c\"; sid:5; rev:2; gid:7; classtype:x-y; priority:1; \
        reference:url,a.example/b\\;c; metadata:created_at 2020_01_01, tag x y; target:dest_ip; noalert;)";
    let parsed = file(text);
    assert_eq!((parsed.rules.len(), parsed.refused.len()), (1, 0));
    let rule = &parsed.rules[0];
    assert_eq!((rule.gid, rule.sid, rule.rev, rule.priority, rule.origin.line), (7, 5, 2, 1, 4));
    assert_eq!((&*rule.msg, rule.action, rule.header.bidirectional), ("a \"b\"; c", Action::Drop, true));
    assert_eq!((rule.classtype.as_deref(), &*rule.category), (Some("x-y"), "Unknown Classtype"));
    assert_eq!(rule.references, [("url".into(), "a.example/b;c".into())]);
    assert_eq!(rule.metadata, [("created_at".into(), "2020_01_01".into()), ("tag".into(), "x y".into())]);
    assert!(rule.target == Some(Target::Destination) && rule.noalert);
    let off = &parsed.disabled[0];
    assert_eq!((off.gid, off.sid, &*off.msg, off.origin.line), (3, 9, "off; still", 3));
}

#[test]
fn one_bad_rule_stops_no_other_and_the_newest_revision_stays() {
    let rule = |sid: &str, rev: u32| format!("alert ip any any -> any any (sid:{sid}; rev:{rev};)\n");
    let parsed = file(&[rule("1", 2), rule("x", 1), rule("2", 1), rule("1", 2), rule("1", 3), rule("3", 1)].concat());
    let kept: Vec<_> = parsed.rules.iter().map(|rule| (rule.sid, rule.rev, rule.origin.line)).collect();
    assert_eq!(kept, [(2, 1, 3), (1, 3, 5), (3, 1, 6)]);
    let refused: Vec<_> = parsed.refused.iter().map(|refusal| (refusal.line, refusal.sid)).collect();
    assert_eq!(refused, [(2, None), (4, Some(1))]);
    assert!(parsed.refused[1].reason.contains("line 1"));
}

#[test]
fn rules_that_are_not_for_this_version_are_left_out() {
    let parsed = file("alert ip any any -> any any (requires:version >= 9; warp:1; sid:1;)");
    assert_eq!((parsed.rules.len(), parsed.refused.len()), (0, 0));
}

#[test]
fn contents_have_modifiers() {
    let rule = rule(
        "content:\"a|0d 0A|\\\"\\;\\\\\"; nocase; offset:2; depth:10; fast_pattern; content:!\"b\"; distance:-1; within:5; \
         content:\"cde\"; endswith; content:\"f\"; startswith; rawbytes; isdataat:!1,relative;",
    );
    let found = contents(&rule.payload);
    assert_eq!(&*found[0].bytes, b"a\r\n\";\\");
    assert!(found[0].nocase && found[0].fast_pattern && !found[0].negated);
    assert_eq!((found[0].offset, found[0].depth), (Some(Operand::Value(2)), Some(Operand::Value(10))));
    assert_eq!((found[1].distance, found[1].within), (Some(Operand::Value(-1)), Some(Operand::Value(5))));
    assert!(found[1].negated && found[2].endswith && found[3].startswith && found[3].rawbytes);
    let chopped = self::rule("content:\"cde\"; fast_pattern:1,2;");
    assert_eq!(contents(&chopped.payload)[0].fast_pattern_chop, Some((1, 2)));
    let last = rule.payload.last();
    assert!(matches!(last, Some(Match::Content(content)) if content.endswith));
    let rule = self::rule("content:!\".b\"; http_host; isdataat:!1,relative; content:\"c\"; isdataat:!2,relative;");
    assert!(contents(&rule.buffers[0].matches)[0].endswith && rule.buffers[0].matches.len() == 1);
    assert!(matches!(rule.payload.last(), Some(Match::IsDataAt { at: Operand::Value(2), negated: true, .. })));
}

#[test]
fn contents_that_cannot_be_are_refused() {
    for (options, reason) in [
        ("content:\"\";", "0 bytes"),
        ("content:a;", "quotes"),
        ("content:\"|0|\";", "hexadecimal"),
        ("content:\"|0d\";", "does not end"),
        ("content:\"a\\x\";", "escapes nothing"),
        ("content:\"a\"b\";", "quote"),
        ("nocase;", "no content"),
        ("content:\"a\"; nocase; nocase;", "twice"),
        ("content:\"a\"; depth:5; within:5;", "both from the beginning"),
        ("content:\"abc\"; depth:2;", "3 bytes"),
        ("content:\"a\"; startswith; offset:3;", "startswith"),
        ("content:\"a\"; offset:nowhere;", "variable"),
        ("content:\"a\"; offset:70000;", "out of range"),
        ("content:!\"a\"; fast_pattern:only;", "prefilter"),
        ("content:\"a\"; fast_pattern:only; depth:5;", "prefilter"),
        ("content:\"a\"; fast_pattern; content:\"b\"; fast_pattern;", "twice"),
        ("content:\"a\"; fast_pattern:only; content:\"b\"; distance:0;", "fast_pattern:only"),
        ("content:\"ab\"; fast_pattern:1,2;", "more than"),
        ("bsize:1;", "no buffer"),
        ("nocase:1;", "value"),
        ("content:\"abc\"; dsize:2;", "longer than dsize"),
        ("dsize:2; dsize:3;", "twice"),
        ("http.uri; content:\"a\"; rawbytes;", "rawbytes"),
        ("pcre:\"/[A-Z]/W\";", "lowercase"),
        ("content:!\"a\"; prefilter;", "negated"),
        ("sid:\"1\";", "sid is"),
        ("target:src_ip; target:dest_ip;", "both"),
        ("ip_proto:6; ip_proto:!6;", "ip_proto"),
        ("http.uri; bsize:<3; content:\"abc\";", "shorter buffer"),
        ("http.method; content:\"GET \";", "space"),
        ("http.host; content:\"A.example\";", "lowercase"),
        ("ja3.hash; content:\"abcdef\";", "hash of 6"),
    ] {
        refused(options, reason);
    }
}

#[test]
fn buffers_are_named_before_or_after_their_contents() {
    let rule = rule(
        "content:\"one\"; http_uri; nocase; content:\"two\"; distance:1; http_uri; content:\"raw\"; \
         http.method; content:\"GET\"; http.uri; content:\"three\"; pcre:\"/x/U\"; urilen:<9; pkt_data; content:\"end\";",
    );
    let fields: Vec<_> = rule.buffers.iter().map(|test| (test.field, test.matches.len())).collect();
    assert_eq!(fields, [(Field::HttpUri, 5), (Field::HttpMethod, 1)]);
    let uri = contents(&rule.buffers[0].matches);
    assert!(uri[0].nocase && uri[1].distance == Some(Operand::Value(1)) && &*uri[2].bytes == b"three");
    assert_eq!(
        contents(&rule.payload).iter().map(|content| &*content.bytes).collect::<Vec<_>>(),
        [&b"raw"[..], b"end"]
    );
}

#[test]
fn fields_of_one_direction_say_the_direction_of_the_rule() {
    let flow = |options| {
        let flow = rule(options).flow;
        (flow.to_server, flow.to_client)
    };
    assert_eq!(flow("http.uri; content:\"a\";"), (true, false));
    assert_eq!(flow("http.stat_code; content:\"200\";"), (false, true));
    assert_eq!(flow("http.header; content:\"a\";"), (false, false));
}

#[test]
fn frames_are_named_with_their_protocol() {
    let rule = rule_of("smtp", "frame:command_line; content:\"EHLO\"; startswith;").unwrap();
    assert_eq!((&*rule.frames[0].name, rule.frames[0].matches.len()), ("smtp.command_line", 1));
    refused("frame:command_line; content:\"a\";", "no protocol");
    refused("frame:smtp.data; content:\"a\"; dns.query; content:\"b\";", "a rule of");
    refused("frame:smtp.data; content:\"a\"; smtp.helo; content:\"b\";", "beside another buffer");
    refused("frame:http1.request; content:\"a\";", "no frame http1.request");
    refused("frame:smtp.stream; to_lowercase; content:\"a\";", "whole stream");
    refused("content:\"b\"; frame:smtp.stream; content:\"a\";", "beside another buffer");
    refused("content:\"b\"; frame:smtp.data; content:\"a\";", "beside another buffer");
    refused("frame:smtp.data; content:\"a\"; filesize:>5;", "beside another buffer");
    refused("frame:smtp.stream; content:\"a\"; frame:smtp.data; content:\"b\";", "whole stream");
    refused("frame:smtp.stream; content:\"a\"; dsize:5;", "rule of streams");
}

#[test]
fn naming_a_buffer_that_repeats_asks_for_another_instance() {
    let rule = rule("dns.query; content:\"a\"; dns.query; content:\"b\"; to_lowercase; content:\"c\";");
    let tests: Vec<_> = rule.buffers.iter().map(|test| (test.matches.len(), test.transforms.len())).collect();
    assert_eq!(tests, [(1, 0), (1, 0), (1, 1)]);
}

#[test]
fn buffers_that_contradict_are_refused() {
    for (options, reason) in [
        ("http.uri;", "nothing is asked"),
        ("ip.src;", "nothing is asked"),
        ("dns.query; content:\"a\"; dns.query;", "nothing is asked"),
        ("http.uri; http.method; content:\"a\";", "nothing is asked"),
        ("http.uri; content:\"a\"; http_header;", "already belongs"),
        ("content:\"a\"; http_uri; http_header;", "second buffer"),
        ("http.uri; content:\"a\"; http.stat_code; content:\"200\";", "sent to the server"),
        ("flow:to_client; http.uri; content:\"a\";", "never sent to the client"),
        ("http.uri; content:\"a\"; ssh.proto; content:\"2\";", "a rule of"),
        ("http.uri:1; content:\"a\";", "value"),
        ("to_lowercase; content:\"a\";", "does not follow"),
        ("http.uri; absent; content:\"a\";", "absent stands before"),
        ("http.uri; absent:or_else;", "no other test"),
        ("ssh.softwareversion:\"a\";", "quotes"),
        ("http.uri; pcre:\"/a/H\";", "after the name of another"),
        ("pcre:\"/a/R\";", "no content before it"),
        ("contnet:\"a\";", "no keyword"),
    ] {
        refused(options, reason);
    }
    assert!(rule_of("dns", "http.uri; content:\"a\";").unwrap_err().reason.contains("a rule of dns"));
    assert_eq!(rule_of("ip", "contnet:\"a\";").unwrap_err().suggestion, "write content");
}

#[test]
fn rules_of_both_sides_may_say_which_side_they_mean() {
    let text = "alert http any any => any any (http.uri; content:\"a\"; http.connection:to_client; content:\"b\"; \
        filesize:to_client,>100; sid:1;)";
    let rule = file(text).rules.pop().unwrap();
    assert!(rule.header.transactional);
    assert_eq!(rule.buffers[1].sent, Sent::ToClient);
    assert!(matches!(rule.files[..], [FileTest::Size { compare: Compare::Greater(100), sent: Sent::ToClient }]));
}

#[test]
fn transforms_change_the_buffer_they_follow() {
    let rule = rule("http.uri; url_decode; xor:\"0a1B\"; from_base64:bytes 6, offset 2, mode strict; content:\"a\";");
    let expected = [
        Transform::UrlDecode,
        Transform::Xor([0x0a, 0x1b].into()),
        Transform::FromBase64 { bytes: Some(6), offset: 2, mode: Base64Mode::Strict },
    ];
    assert_eq!(rule.buffers[0].transforms, expected);
    for (options, reason) in [
        ("http.uri; xor:\"0\"; content:\"a\";", "key of xor"),
        ("http.uri; from_base64:mode loose; content:\"a\";", "no mode"),
        ("http.uri; pcrexform:\"(\"; content:\"a\";", "open"),
    ] {
        refused(options, reason);
    }
}

#[test]
fn numbers_are_read_out_of_bytes() {
    let rule = rule(
        "byte_extract:2,0,length,relative,little; byte_math:bytes 1, offset 1, oper +, rvalue length, result sum; \
         byte_test:4,!&,0x80,6,relative,string,hex; byte_jump:0,0,from_end,post_offset -10; content:\"a\"; within:sum; \
         isdataat:length; base64_decode:bytes 8, offset 1, relative; base64_data; content:\"b\";",
    );
    let [Match::ByteExtract(extract), Match::ByteMath(math), Match::ByteTest(test), Match::ByteJump(jump), rest @ ..] =
        &rule.payload[..]
    else {
        panic!("{:?}", rule.payload);
    };
    assert!(extract.relative && extract.order == ByteOrder::Little && extract.variable == 0);
    assert_eq!((math.value, math.result, math.operator), (Operand::Variable(0), 1, MathOperator::Add));
    assert!(test.negated && test.operator == ByteOperator::And && test.text == Some(Base::Hexadecimal));
    assert!(jump.from_end && jump.post_offset == Operand::Value(-10));
    let [Match::Content(content), Match::IsDataAt { at: Operand::Variable(0), .. }, Match::Base64 { matches, .. }] =
        rest
    else {
        panic!("{rest:?}");
    };
    assert_eq!((content.within, contents(matches).len()), (Some(Operand::Variable(1)), 1));
    for (options, reason) in [
        ("byte_test:9,=,1,0;", "too long"),
        ("byte_test:1,~,1,0;", "compares nothing"),
        ("byte_test:1,=,1;", "no offset"),
        ("byte_test:1,=,1,0,hex;", "a base"),
        ("byte_jump:1,0,from_end,from_beginning;", "from_beginning and from_end"),
        ("byte_extract:1,0,9lives;", "no name"),
        ("byte_math:bytes 1, offset 0;", "lacks"),
        ("base64_data; content:\"a\";", "nothing to look at"),
        ("base64_decode; base64_data; content:\"a\"; http.uri; content:\"b\";", "base64_data"),
    ] {
        refused(options, reason);
    }
}

#[test]
fn headers_of_packets_are_compared() {
    let rule = rule_of(
        "tcp",
        "flags:S,12; ttl:>64; dsize:10<>20; fragbits:!M; window:!100; stream_size:client,>=,5; ipopts:lsrr; vlan.id:5,-1; \
         tcp.hdr; content:\"|00|\"; flow:established,to_server,no_stream;",
    )
    .unwrap();
    assert!(matches!(rule.packet[0], PacketTest::Flags { wanted: 2, ignored: 192, mode: FlagMode::Exact }));
    assert!(matches!(rule.packet[1], PacketTest::Ttl(Compare::Greater(64))));
    assert!(matches!(rule.packet[2], PacketTest::Dsize(Compare::Between(10, 20))));
    assert!(matches!(rule.packet[3], PacketTest::FragmentBits { wanted: 1, mode: FlagMode::Not }));
    assert!(matches!(rule.packet[5], PacketTest::StreamSize { direction: SizeOf::Client, .. }));
    assert!(matches!(rule.packet[6], PacketTest::IpOption(131)));
    assert!(matches!(rule.packet[7], PacketTest::Vlan { layer: Instance::At(-1), id: Compare::Equal(5) }));
    assert!(
        matches!(&rule.packet[8], PacketTest::HeaderBytes { part: HeaderPart::Tcp, matches, .. } if matches.len() == 1)
    );
    assert!(rule.flow.established && rule.flow.to_server && rule.flow.no_stream && !rule.flow.to_client);
    for (options, reason) in [
        ("flow:to_client,to_server;", "to_client"),
        ("flow:sideways;", "sideways"),
        ("flags:Z;", "no flag"),
        ("ttl:256;", "compares no number"),
        ("flow:only_stream; dsize:5;", "rule of streams"),
    ] {
        refused(options, reason);
    }
    assert!(rule_of("tcp", "ip_proto:17;").unwrap_err().reason.contains("one protocol"));
}

#[test]
fn rules_remember_for_other_rules() {
    let rule = rule(
        "flowbits:set,a; flowbits:isset,b|c; flowbits:noalert; xbits:set,d,track ip_pair,expire 9; hostbits:isnotset,e,dst; \
         flowint:f,+,1; flowint:f,>,g; threshold:type limit, track by_src, count 1, seconds 60;",
    );
    assert!(rule.noalert && rule.effects.len() == 3 && rule.packet.len() == 3);
    assert!(matches!(&rule.packet[0], PacketTest::Flowbits { bits, mode: BitTest::IsSet } if bits.len() == 2));
    assert!(matches!(rule.effects[1], Effect::XbitSet { track: Track::Pair, seconds: 9, .. }));
    assert!(matches!(
        &rule.packet[2],
        PacketTest::Flowint { test: FlowintTest::Compare(IntCompare::Greater, IntOperand::Variable(_)), .. }
    ));
    let threshold = Threshold { kind: ThresholdKind::Limit, track: Track::Source, count: 1, seconds: 60 };
    assert_eq!(rule.threshold, Some(threshold));
    for (options, reason) in [
        ("flowbits:set;", "no name"),
        ("flowbits:isset,a; flowbits:isnotset,a;", "set and not set"),
        ("flowbits:keep,a;", "keep"),
        ("xbits:set,a;", "tracks"),
        ("flowint:a,?,1;", "flowint"),
        ("threshold:type limit, track by_src, count 0, seconds 1;", "count"),
        ("detection_filter:track by_src, count 1;", "lacks"),
    ] {
        refused(options, reason);
    }
}

#[test]
fn fields_that_are_numbers_know_their_words() {
    let masked = |mask, wanted| Compare::Masked { mask, wanted, negated: false };
    for (option, field, expected) in [
        ("dns.opcode:!4;", Field::DnsOpcode, Compare::NotEqual(4)),
        ("dns.rrtype:AAAA;", Field::DnsRecordType, Compare::Equal(28)),
        ("mqtt.type:CONNACK;", Field::MqttType, Compare::Equal(2)),
        ("mqtt.flags:!retain,dup;", Field::MqttFlags, masked(9, 8)),
        ("tls.version:1.2;", Field::TlsVersion, Compare::Equal(0x303)),
        ("ssl_version:tls1.0,tls1.1;", Field::TlsVersion, Compare::OneOf([0x301, 0x302].into())),
        ("krb5_err_code:-1;", Field::KrbErrorCode, Compare::Equal(0xffff_ffff)),
        ("krb5.ticket_encryption:weak;", Field::KrbWeakEncryption, Compare::Equal(1)),
        ("dcerpc.opnum:3,15-20;", Field::DcerpcOpnum, Compare::Within([(3, 3), (15, 20)].into())),
        ("ike.chosen_sa_attribute:alg_hash=2;", Field::IkeChosenAttribute, Compare::Equal(1 << 33 | 2)),
        ("rfb.secresult:unknown;", Field::RfbSecurityResult, Compare::Greater(2)),
        ("websocket.flags:fin,!comp;", Field::WebsocketFlags, masked(0xc0, 0x80)),
        ("dnp3_obj:99,2;", Field::Dnp3Object, Compare::Equal(99 << 8 | 2)),
        ("cip_service:5;", Field::CipService, Compare::Equal(5)),
        ("modbus:function 8;", Field::ModbusFunction, Compare::Equal(8)),
        ("tls_cert_notafter:<1970-01-02;", Field::TlsNotAfter, Compare::Less(86_400)),
    ] {
        let rule = rule(option);
        assert_eq!((rule.numbers[0].field, &rule.numbers[0].compare), (field, &expected), "{option}");
        refused(&option.replace(':', ":~"), "");
    }
}

/// Tells which of some numbers pass the first comparison of a rule.
fn passing(options: &str, numbers: &[u64]) -> Vec<u64> {
    let rule = rule(options);
    numbers.iter().copied().filter(|number| rule.numbers[0].compare.holds(*number)).collect()
}

#[test]
fn parts_of_a_number_are_told_apart() {
    let setting = |id: u64, value: u64| id << 32 | value;
    let settings = [setting(3, 5), setting(4, 0), setting(4, 4), setting(4, 5), setting(4, 6), setting(5, 5)];
    for (options, expected) in [
        ("http2.settings:SETTINGS_INITIAL_WINDOW_SIZE >4;", &settings[3..5]),
        ("http2.settings:4 <5;", &settings[1..3]),
        ("http2.settings:4;", &settings[1..5]),
        ("http2.settings:4 5;", &settings[3..4]),
    ] {
        assert_eq!(passing(options, &settings), expected, "{options}");
    }
    assert_eq!(passing("modbus:access write coils;", &[part::ACCESS | 6, part::ACCESS | 10, 10]), [part::ACCESS | 10]);
    assert_eq!(passing("modbus:function !user;", &[part::CATEGORY | 1, part::CATEGORY | 4]), [part::CATEGORY | 1]);
    assert_eq!(
        passing("modbus:address >9;", &[part::ADDRESS | 9, part::ADDRESS | 10, part::VALUE]),
        [part::ADDRESS | 10]
    );
    assert_eq!(passing("ssl_version:!tls1.3,tls1.2;", &[0x301, 0x303, 0x304]), [0x301]);
}

#[test]
fn an_interface_is_its_bytes_and_its_version() {
    let rule = rule("dcerpc.iface:367abb81-9844-35f1-ad32-98f038001003,>1,any_frag;");
    let [Match::Content(uuid), Match::ByteTest(version)] = &rule.buffers[0].matches[..] else { panic!() };
    assert!(uuid.startswith && uuid.bytes[..4] == [0x36, 0x7a, 0xbb, 0x81]);
    assert_eq!(
        (version.offset, version.value, version.operator),
        (Operand::Value(16), Operand::Value(1), ByteOperator::Greater)
    );
    refused("dcerpc.iface:367abb81;", "no interface");
}

#[test]
fn events_protocols_and_files_are_asked_for() {
    let rule = rule(
        "app-layer-event:http.missing_host_header; decode-event:ipv4.frag_overlap; stream-event:3whs_ack_in_wrong_dir; \
         filename:\"a.exe\"; fileext:!\"txt\"; filesize:>1mib; filestore;",
    );
    assert_eq!(rule.events[2], EventTest::Stream("3whs_ack_in_wrong_dir".into()));
    assert!(
        matches!(rule.files[1], FileTest::Any)
            && matches!(rule.files[0], FileTest::Size { compare: Compare::Greater(1_048_576), .. })
    );
    let extension = contents(&rule.buffers[1].matches)[0];
    assert!(extension.negated && extension.startswith && extension.endswith);
    let asked = self::rule("app-layer-protocol:!tls,final;");
    assert!(asked.app_protocols[0].negated && asked.app_protocols[0].mode == AppProtocolMode::Final);
    for (options, reason) in [
        ("app-layer-event:warp.core_breach;", "no event"),
        ("app-layer-protocol:htttp;", "no protocol"),
        ("dns.query; content:\"a\"; filesize:1;", "a rule of"),
        ("tag:host;", "tag"),
        ("asn1:double_overflow;", "asn1 is not supported"),
        ("file.magic; content:\"PE\";", "file.magic is not supported"),
        ("decode-event:ipv4.opt_pad_required;", "not supported"),
        ("prefilter;", "no test"),
    ] {
        refused(options, reason);
    }
}

#[test]
fn sets_are_shared_by_their_name() {
    let folder = std::env::temp_dir().join(format!("infraspectre-sets-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("names.lst"), "YS5leGFtcGxl\n").unwrap();
    std::fs::write(folder.join("names.rep"), "YS5leGFtcGxl,7\n").unwrap();
    std::fs::write(folder.join("files.md5"), "# hashes\nD41D8CD98F00B204E9800998ECF8427E  empty\n").unwrap();
    let name = folder.join("test.rules");
    let text = "alert dns any any -> any any (dns.query; dataset:isset,names,type string,load names.lst; sid:1;)\n\
        alert dns any any -> any any (dns.query; dataset:set,names; sid:2;)\n\
        alert dns any any -> any any (dns.query; datarep:scored,>,5,type string,load names.rep; sid:3;)\n\
        alert http any any -> any any (filemd5:!files.md5; sid:4;)\n\
        alert dns any any -> any any (dns.query; dataset:isset,other,type string,load nowhere.lst; sid:5;)\n\
        alert ip any any -> any any (ip.src; dataset:isset,seen,type ip,state seen.lst; sid:6;)";
    let parsed =
        read(&[Source { name: &name.to_string_lossy(), text: text.as_bytes() }], &Settings::default()).unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(parsed.refused.iter().map(|refusal| refusal.line).collect::<Vec<_>>(), [5]);
    let set = |at: usize| match &parsed.rules[at].buffers[0].matches[0] {
        Match::Dataset(test) => test,
        other => panic!("{other:?}"),
    };
    assert!(std::sync::Arc::ptr_eq(&set(0).set, &set(1).set));
    assert_eq!(set(0).set.values.read().unwrap().get(&b"a.example"[..]), Some(&0));
    assert_eq!(set(2).set.values.read().unwrap().get(&b"a.example"[..]), Some(&7));
    let FileTest::Hash { hashes, negated: true, .. } = &parsed.rules[3].files[0] else { panic!() };
    assert!(hashes.iter().all(|hash| hash.len() == 16));
    assert!(matches!(parsed.rules[4].packet[0], PacketTest::IpDataset { source: true, .. }));
}

#[test]
fn every_keyword_of_a_buffer_can_be_written() {
    for field in Field::ALL.iter().filter(|field| field.kind() != crate::field::Kind::Number) {
        for keyword in field
            .keywords()
            .iter()
            .filter(|keyword| keyword.contains('.') && !keyword.ends_with("version") && **keyword != "dcerpc.iface")
        {
            let digits = "a".repeat(if keyword.contains("fingerprint") { 59 } else { 32 });
            let options = format!("{keyword}; content:\"{digits}\";");
            let valued = format!("{keyword}:\"{digits}\";");
            let read = rule_of("ip", &options).or_else(|_| rule_of("ip", &valued));
            let word =
                rule_of("ip", &format!("{keyword}:yes;")).or_else(|_| rule_of("ip", &format!("{keyword}:active;")));
            assert!(read.or(word).is_ok_and(|rule| rule.buffers[0].field == *field), "{keyword}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = read(&[Source { name: "", text: &bytes }], &Settings::default());
        let _ = read_thresholds(Source { name: "", text: &bytes }, &Settings::default());
    }

    #[test]
    fn any_value_of_any_keyword_is_read_or_refused(
        keyword in proptest::sample::select(keywords::names()),
        before in "(http.uri; |dns.query; |base64_decode; base64_data; |content:\"a\"; )?",
        value in r#"!?"?[-|\\/,<>=&0-9a-z.: \[\]é"]{0,20}"?"#,
    ) {
        let text = format!("alert ip any any -> any any ({before}{keyword}:{value}; sid:1;)\n");
        let parsed = file(&text);
        prop_assert!(parsed.rules.len() + parsed.refused.len() <= 1, "{text}");
    }

    #[test]
    fn any_header_is_read_or_refused(header in r"[a-z]{2,5} [a-z:]{2,6} [\[\]!$,./:0-9a-zA-Z-]{1,20} [\[\]!$,:0-9]{1,9} (->|<>|=>) any any") {
        let parsed = file(&format!("{header} (sid:1;)"));
        prop_assert_eq!(parsed.rules.len() + parsed.refused.len(), 1);
    }
}
