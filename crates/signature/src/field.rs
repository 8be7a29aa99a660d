//! Application fields that rules can test: their keywords, protocols, directions and when they are complete.
//!
//! One table states them all; sessions fill fields of a transaction, the matcher looks them up.

use infraspectre_core::app::Direction;

use crate::protocol::Protocol;

/// What kind of value a field has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bytes that are complete when they are put; several instances are tested one by one.
    Bytes,
    /// A number, tested with comparisons.
    Number,
    /// Bytes that grow: a body, looked at in windows.
    Body,
    /// A property of each file of the transaction.
    File,
}

/// Which direction of a transaction can hold a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    ToServer,
    ToClient,
    Either,
}

macro_rules! fields {
    ($($(#[$meta:meta])* $variant:ident: $kind:ident, $sent:ident, $progress:expr, [$($keyword:literal),*], [$($protocol:ident),*];)*) => {
        /// A field of an application transaction.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Field { $($(#[$meta])* $variant),* }

        impl Field {
            /// Every field.
            pub const ALL: &'static [Field] = &[$(Field::$variant),*];

            /// Returns what kind of value it has.
            pub const fn kind(self) -> Kind {
                match self { $(Field::$variant => Kind::$kind),* }
            }

            /// Returns the directions that can hold it.
            pub const fn sent(self) -> Sent {
                match self { $(Field::$variant => Sent::$sent),* }
            }

            /// Returns the progress of a transaction's direction at which the field is complete.
            pub const fn progress(self) -> u8 {
                match self { $(Field::$variant => $progress),* }
            }

            /// Returns the keywords that select it: the present name first, then older ones.
            pub const fn keywords(self) -> &'static [&'static str] {
                match self { $(Field::$variant => &[$($keyword),*]),* }
            }

            /// Returns the protocols that have it.
            pub const fn protocols(self) -> &'static [Protocol] {
                match self { $(Field::$variant => &[$(Protocol::$protocol),*]),* }
            }
        }
    };
}

/// Progress of a transaction's direction (HTTP; other protocols use the last one, [`DONE`], and what they define).
pub const NONE: u8 = 0;
/// The request or status line is complete.
pub const LINE: u8 = 1;
/// The headers are complete.
pub const HEADERS: u8 = 2;
/// The body is arriving; bodies are looked at from here on.
pub const BODY: u8 = 3;
/// The trailer is complete.
pub const TRAILER: u8 = 4;
/// This direction of the transaction is complete.
pub const DONE: u8 = 255;
/// TLS: the hello of this side is complete.
pub const HELLO: u8 = 1;
/// TLS: the certificates of this side are complete.
pub const CERTIFICATES: u8 = 2;
/// SSH: the offer of algorithms of this side is complete.
pub const OFFER: u8 = 2;

fields! {
    HttpUri: Bytes, ToServer, LINE, ["http.uri", "http_uri", "uricontent"], [Http, Http2];
    HttpUriRaw: Bytes, ToServer, LINE, ["http.uri.raw", "http_raw_uri"], [Http, Http2];
    HttpMethod: Bytes, ToServer, LINE, ["http.method", "http_method"], [Http, Http2];
    /// Present in both directions as each says it.
    HttpProtocol: Bytes, Either, LINE, ["http.protocol", "http_protocol"], [Http, Http2];
    HttpRequestLine: Bytes, ToServer, LINE, ["http.request_line", "http_request_line"], [Http, Http2];
    HttpResponseLine: Bytes, ToClient, LINE, ["http.response_line", "http_response_line"], [Http, Http2];
    HttpStatusCode: Bytes, ToClient, LINE, ["http.stat_code", "http_stat_code"], [Http, Http2];
    HttpStatusMessage: Bytes, ToClient, LINE, ["http.stat_msg", "http_stat_msg"], [Http, Http2];
    /// Normalised headers, one `Name: value\r\n` after the other, without cookies.
    HttpHeader: Bytes, Either, HEADERS, ["http.header", "http_header"], [Http, Http2];
    HttpHeaderRaw: Bytes, Either, HEADERS, ["http.header.raw", "http_raw_header"], [Http, Http2];
    /// `\r\nName1\r\nName2\r\n\r\n`.
    HttpHeaderNames: Bytes, Either, HEADERS, ["http.header_names", "http_header_names"], [Http, Http2];
    /// The request or status line and the headers, normalised.
    HttpStart: Bytes, Either, HEADERS, ["http.start", "http_start"], [Http, Http2];
    /// One instance for each header: `Name: value`.
    HttpRequestHeader: Bytes, ToServer, HEADERS, ["http.request_header"], [Http, Http2];
    HttpResponseHeader: Bytes, ToClient, HEADERS, ["http.response_header"], [Http, Http2];
    HttpHost: Bytes, ToServer, HEADERS, ["http.host", "http_host"], [Http, Http2];
    HttpHostRaw: Bytes, ToServer, HEADERS, ["http.host.raw", "http_raw_host"], [Http, Http2];
    HttpUserAgent: Bytes, ToServer, HEADERS, ["http.user_agent", "http_user_agent"], [Http, Http2];
    HttpReferer: Bytes, ToServer, HEADERS, ["http.referer", "http_referer"], [Http, Http2];
    HttpAccept: Bytes, ToServer, HEADERS, ["http.accept", "http_accept"], [Http, Http2];
    HttpAcceptEncoding: Bytes, ToServer, HEADERS, ["http.accept_enc", "http_accept_enc"], [Http, Http2];
    HttpAcceptLanguage: Bytes, ToServer, HEADERS, ["http.accept_lang", "http_accept_lang"], [Http, Http2];
    HttpConnection: Bytes, Either, HEADERS, ["http.connection", "http_connection"], [Http, Http2];
    HttpContentType: Bytes, Either, HEADERS, ["http.content_type", "http_content_type"], [Http, Http2];
    HttpContentLength: Bytes, Either, HEADERS, ["http.content_len", "http_content_len"], [Http, Http2];
    HttpCookie: Bytes, Either, HEADERS, ["http.cookie", "http_cookie"], [Http, Http2];
    HttpServer: Bytes, ToClient, HEADERS, ["http.server"], [Http, Http2];
    HttpLocation: Bytes, ToClient, HEADERS, ["http.location"], [Http, Http2];
    HttpRequestBody: Body, ToServer, BODY, ["http.request_body", "http_client_body"], [Http];
    HttpResponseBody: Body, ToClient, BODY, ["http.response_body", "http_server_body"], [Http];
    /// Identifier in the upper, value in the lower 32 bits.
    Http2Settings: Number, Either, DONE, ["http2.settings"], [Http2];
    Http2FrameType: Number, Either, NONE, ["http2.frametype"], [Http2];
    Http2ErrorCode: Number, Either, NONE, ["http2.errorcode"], [Http2];
    Http2Priority: Number, Either, NONE, ["http2.priority"], [Http2];
    Http2Window: Number, Either, NONE, ["http2.window"], [Http2];
    Http2SizeUpdate: Number, Either, NONE, ["http2.size_update"], [Http2];
    Http2HeaderName: Bytes, Either, HEADERS, ["http2.header_name"], [Http2];

    /// The content of a file or, in HTTP/1 to the client, the response body.
    FileData: Body, Either, BODY, ["file.data", "file_data"], [Http, Http2, Smtp, FtpData, Smb, Nfs];
    FileName: File, Either, BODY, ["file.name", "filename"], [Http, Http2, Smtp, FtpData, Smb, Nfs];
    FileExtension: File, Either, BODY, ["fileext"], [Http, Http2, Smtp, FtpData, Smb, Nfs];
    /// No buffer: hashes of files are made where a rule asks for them.
    FileHash: File, Either, BODY, [], [Http, Http2, Smtp, FtpData, Smb, Nfs];
    /// No buffer: frames are given where a rule asks for them.
    Frame: Bytes, Either, NONE, [], [];

    DnsQuery: Bytes, ToServer, DONE, ["dns.query", "dns_query"], [Dns];
    DnsQueriesName: Bytes, Either, DONE, ["dns.queries.rrname", "mdns.queries.rrname"], [Dns, Mdns];
    DnsAnswersName: Bytes, Either, DONE, ["dns.answers.rrname", "dns.answer.name", "mdns.answers.rrname"], [Dns, Mdns];
    DnsAuthoritiesName: Bytes, Either, DONE, ["dns.authorities.rrname", "mdns.authorities.rrname"], [Dns, Mdns];
    DnsAdditionalsName: Bytes, Either, DONE, ["dns.additionals.rrname", "mdns.additionals.rrname"], [Dns, Mdns];
    /// Names and name-like data of all records of a response.
    DnsResponseName: Bytes, ToClient, DONE, ["dns.response.rrname", "mdns.response.rrname"], [Dns, Mdns];
    /// The whole message, for the alert's `dns` object.
    DnsMessage: Bytes, Either, DONE, [], [Dns, Mdns];
    DnsOpcode: Number, Either, DONE, ["dns.opcode"], [Dns];
    DnsResponseCode: Number, Either, DONE, ["dns.rcode"], [Dns];
    DnsRecordType: Number, Either, DONE, ["dns.rrtype"], [Dns];

    TlsSni: Bytes, ToServer, HELLO, ["tls.sni", "tls_sni"], [Tls];
    TlsVersion: Number, Either, HELLO, ["tls.version", "ssl_version"], [Tls];
    /// `ssl_state`: bits client_hello 1, server_hello 2, client_keyx 4, server_keyx 8, unknown 16.
    TlsState: Number, Either, NONE, ["ssl_state"], [Tls];
    TlsCertSubject: Bytes, Either, CERTIFICATES, ["tls.cert_subject", "tls_cert_subject", "tls.subject"], [Tls];
    TlsCertIssuer: Bytes, Either, CERTIFICATES, ["tls.cert_issuer", "tls_cert_issuer", "tls.issuerdn"], [Tls];
    TlsCertSerial: Bytes, Either, CERTIFICATES, ["tls.cert_serial", "tls_cert_serial"], [Tls];
    TlsCertFingerprint: Bytes, Either, CERTIFICATES, ["tls.cert_fingerprint", "tls_cert_fingerprint", "tls.fingerprint"], [Tls];
    TlsSubjectAltName: Bytes, ToClient, CERTIFICATES, ["tls.subjectaltname"], [Tls];
    /// Each certificate of the chain, DER.
    TlsCerts: Bytes, Either, CERTIFICATES, ["tls.certs"], [Tls];
    TlsChainLength: Number, Either, CERTIFICATES, ["tls.cert_chain_len"], [Tls];
    /// Seconds since the epoch.
    TlsNotBefore: Number, ToClient, CERTIFICATES, ["tls_cert_notbefore"], [Tls];
    TlsNotAfter: Number, ToClient, CERTIFICATES, ["tls_cert_notafter"], [Tls];
    TlsRandom: Bytes, Either, HELLO, ["tls.random"], [Tls];
    TlsRandomTime: Bytes, Either, HELLO, ["tls.random_time"], [Tls];
    TlsRandomBytes: Bytes, Either, HELLO, ["tls.random_bytes"], [Tls];
    TlsAlpn: Bytes, Either, HELLO, ["tls.alpn"], [Tls];
    /// 1 where the server resumes a session, for the alert's `tls` object.
    TlsResumed: Number, ToClient, HELLO, [], [Tls];
    Ja3Hash: Bytes, ToServer, HELLO, ["ja3.hash", "ja3_hash"], [Tls, Quic];
    Ja3String: Bytes, ToServer, HELLO, ["ja3.string", "ja3_string"], [Tls, Quic];
    Ja3sHash: Bytes, ToClient, HELLO, ["ja3s.hash"], [Tls, Quic];
    Ja3sString: Bytes, ToClient, HELLO, ["ja3s.string"], [Tls, Quic];
    Ja4Hash: Bytes, ToServer, HELLO, ["ja4.hash"], [Tls, Quic];
    QuicSni: Bytes, ToServer, DONE, ["quic.sni"], [Quic];
    QuicUserAgent: Bytes, ToServer, DONE, ["quic.ua"], [Quic];
    QuicVersion: Bytes, Either, DONE, ["quic.version"], [Quic];
    QuicCyuHash: Bytes, ToServer, DONE, ["quic.cyu.hash"], [Quic];
    QuicCyuString: Bytes, ToServer, DONE, ["quic.cyu.string"], [Quic];

    SshProtocol: Bytes, Either, HELLO, ["ssh.proto", "ssh_proto", "ssh.protoversion"], [Ssh];
    SshSoftware: Bytes, Either, HELLO, ["ssh.software", "ssh_software", "ssh.softwareversion"], [Ssh];
    SshHassh: Bytes, ToServer, OFFER, ["ssh.hassh"], [Ssh];
    SshHasshString: Bytes, ToServer, OFFER, ["ssh.hassh.string"], [Ssh];
    SshHasshServer: Bytes, ToClient, OFFER, ["ssh.hassh.server"], [Ssh];
    SshHasshServerString: Bytes, ToClient, OFFER, ["ssh.hassh.server.string"], [Ssh];

    SmtpHelo: Bytes, ToServer, NONE, ["smtp.helo"], [Smtp];
    SmtpMailFrom: Bytes, ToServer, NONE, ["smtp.mail_from"], [Smtp];
    SmtpRcptTo: Bytes, ToServer, NONE, ["smtp.rcpt_to"], [Smtp];
    EmailFrom: Bytes, ToServer, NONE, ["email.from"], [Smtp];
    EmailTo: Bytes, ToServer, NONE, ["email.to"], [Smtp];
    EmailCc: Bytes, ToServer, NONE, ["email.cc"], [Smtp];
    EmailSubject: Bytes, ToServer, NONE, ["email.subject"], [Smtp];
    EmailDate: Bytes, ToServer, NONE, ["email.date"], [Smtp];
    EmailMessageId: Bytes, ToServer, NONE, ["email.message_id"], [Smtp];
    EmailXMailer: Bytes, ToServer, NONE, ["email.x_mailer"], [Smtp];
    EmailUrl: Bytes, ToServer, DONE, ["email.url"], [Smtp];
    EmailReceived: Bytes, ToServer, DONE, ["email.received"], [Smtp];
    EmailBodyMd5: Bytes, ToServer, DONE, ["email.body_md5"], [Smtp];

    /// Names of attachments, for the alert's `email` object.
    EmailAttachment: Bytes, ToServer, NONE, [], [Smtp];

    FtpCommand: Bytes, ToServer, NONE, ["ftp.command"], [Ftp];
    FtpCommandData: Bytes, ToServer, NONE, ["ftp.command_data"], [Ftp];
    FtpReply: Bytes, ToClient, DONE, ["ftp.reply"], [Ftp];
    FtpCompletionCode: Bytes, ToClient, DONE, ["ftp.completion_code"], [Ftp];
    /// `yes` or `no`.
    FtpReplyReceived: Bytes, ToClient, DONE, ["ftp.reply_received"], [Ftp];
    FtpMode: Bytes, Either, NONE, ["ftp.mode"], [Ftp];
    FtpDynamicPort: Number, Either, NONE, ["ftp.dynamic_port"], [Ftp];
    FtpDataCommand: Bytes, Either, NONE, ["ftpdata_command"], [FtpData];

    SmbNamedPipe: Bytes, ToServer, NONE, ["smb.named_pipe", "smb_named_pipe"], [Smb];
    SmbShare: Bytes, ToServer, NONE, ["smb.share", "smb_share"], [Smb];
    SmbNtlmUser: Bytes, ToServer, NONE, ["smb.ntlmssp_user"], [Smb];
    SmbNtlmDomain: Bytes, ToServer, NONE, ["smb.ntlmssp_domain"], [Smb];
    SmbVersion: Number, Either, NONE, ["smb.version"], [Smb];
    /// The interface's 16 bytes in the order they are written, then the version as two bytes, big-endian.
    DcerpcInterface: Bytes, Either, NONE, ["dcerpc.iface", "dce_iface"], [Dcerpc, Smb];
    DcerpcOpnum: Number, Either, NONE, ["dcerpc.opnum", "dce_opnum"], [Dcerpc, Smb];
    DcerpcStubData: Bytes, Either, NONE, ["dcerpc.stub_data", "dce_stub_data"], [Dcerpc, Smb];
    /// How numbers in the stub data are written, for `byte_test:...,dce`: 0 big-endian, 1 little-endian.
    DcerpcByteOrder: Number, Either, NONE, [], [Dcerpc, Smb];
    NfsProcedure: Number, ToServer, NONE, ["nfs_procedure"], [Nfs];
    NfsVersion: Number, ToServer, NONE, ["nfs.version", "nfs_version"], [Nfs];

    KrbMessageType: Number, Either, NONE, ["krb5.msg_type", "krb5_msg_type"], [Kerberos];
    /// Negative numbers as their 32 bits.
    KrbErrorCode: Number, ToClient, NONE, ["krb5_err_code"], [Kerberos];
    /// Each part of the name by itself.
    KrbClientName: Bytes, ToClient, NONE, ["krb5.cname", "krb5_cname"], [Kerberos];
    KrbServerName: Bytes, ToClient, NONE, ["krb5.sname", "krb5_sname"], [Kerberos];
    /// Encryption type of the ticket as its 32 bits.
    KrbTicketEncryption: Number, ToClient, NONE, ["krb5.ticket_encryption"], [Kerberos];
    /// 1 if the ticket's encryption is weak (`krb5.ticket_encryption: weak`), else 0.
    KrbWeakEncryption: Number, ToClient, NONE, ["krb5.weak_encryption"], [Kerberos];

    /// Of every message of a transaction; rules see only what the client begins.
    MqttType: Number, ToServer, DONE, ["mqtt.type"], [Mqtt];
    /// Bits of the fixed header: retain 1, dup 8.
    MqttFlags: Number, ToServer, DONE, ["mqtt.flags"], [Mqtt];
    MqttQos: Number, ToServer, DONE, ["mqtt.qos"], [Mqtt];
    MqttProtocolVersion: Number, ToServer, DONE, ["mqtt.protocol_version"], [Mqtt];
    MqttReasonCode: Number, ToServer, DONE, ["mqtt.reason_code", "mqtt.connack.return_code"], [Mqtt];
    MqttConnackSessionPresent: Number, ToServer, DONE, ["mqtt.connack.session_present"], [Mqtt];
    /// Bits: clean_session 2, will 4, will_retain 32, password 64, username 128.
    MqttConnectFlags: Number, ToServer, DONE, ["mqtt.connect.flags"], [Mqtt];
    MqttConnectClientId: Bytes, ToServer, DONE, ["mqtt.connect.clientid"], [Mqtt];
    MqttConnectUser: Bytes, ToServer, DONE, ["mqtt.connect.username"], [Mqtt];
    MqttConnectPassword: Bytes, ToServer, DONE, ["mqtt.connect.password"], [Mqtt];
    MqttConnectProtocol: Bytes, ToServer, DONE, ["mqtt.connect.protocol_string"], [Mqtt];
    MqttConnectWillTopic: Bytes, ToServer, DONE, ["mqtt.connect.willtopic"], [Mqtt];
    MqttConnectWillMessage: Bytes, ToServer, DONE, ["mqtt.connect.willmessage"], [Mqtt];
    MqttPublishTopic: Bytes, ToServer, DONE, ["mqtt.publish.topic"], [Mqtt];
    MqttPublishMessage: Bytes, ToServer, DONE, ["mqtt.publish.message"], [Mqtt];
    MqttSubscribeTopic: Bytes, ToServer, DONE, ["mqtt.subscribe.topic"], [Mqtt];
    MqttUnsubscribeTopic: Bytes, ToServer, DONE, ["mqtt.unsubscribe.topic"], [Mqtt];

    SipMethod: Bytes, ToServer, NONE, ["sip.method"], [Sip];
    SipUri: Bytes, ToServer, NONE, ["sip.uri"], [Sip];
    SipProtocol: Bytes, Either, NONE, ["sip.protocol"], [Sip];
    SipStatusCode: Bytes, ToClient, NONE, ["sip.stat_code"], [Sip];
    SipStatusMessage: Bytes, ToClient, NONE, ["sip.stat_msg"], [Sip];
    SipRequestLine: Bytes, ToServer, NONE, ["sip.request_line"], [Sip];
    SipResponseLine: Bytes, ToClient, NONE, ["sip.response_line"], [Sip];
    SipFrom: Bytes, Either, NONE, ["sip.from"], [Sip];
    SipTo: Bytes, Either, NONE, ["sip.to"], [Sip];
    SipVia: Bytes, Either, NONE, ["sip.via"], [Sip];
    SipUserAgent: Bytes, Either, NONE, ["sip.user_agent"], [Sip];
    SipContentType: Bytes, Either, NONE, ["sip.content_type"], [Sip];
    SipContentLength: Bytes, Either, NONE, ["sip.content_length"], [Sip];
    SdpSessionName: Bytes, Either, NONE, ["sdp.session_name"], [Sip];
    SdpOrigin: Bytes, Either, NONE, ["sdp.origin"], [Sip];
    SdpMedia: Bytes, Either, NONE, ["sdp.media.media"], [Sip];
    SdpConnection: Bytes, Either, NONE, ["sdp.connection_data"], [Sip];
    SdpAttribute: Bytes, Either, NONE, ["sdp.attribute"], [Sip];
    SdpTime: Bytes, Either, NONE, ["sdp.time"], [Sip];
    SdpBandwidth: Bytes, Either, NONE, ["sdp.bandwidth"], [Sip];
    SdpUri: Bytes, Either, NONE, ["sdp.uri"], [Sip];
    SdpEmail: Bytes, Either, NONE, ["sdp.email"], [Sip];
    SdpPhone: Bytes, Either, NONE, ["sdp.phone_number"], [Sip];
    SdpSessionInfo: Bytes, Either, NONE, ["sdp.session_info"], [Sip];
    SdpRepeatTime: Bytes, Either, NONE, ["sdp.repeat_time"], [Sip];
    SdpTimezone: Bytes, Either, NONE, ["sdp.timezone"], [Sip];
    SdpEncryptionKey: Bytes, Either, NONE, ["sdp.encryption_key"], [Sip];

    RfbName: Bytes, ToClient, NONE, ["rfb.name"], [Rfb];
    RfbSecurityType: Number, ToServer, NONE, ["rfb.sectype"], [Rfb];
    /// 0 ok, 1 fail, 2 toomany; others are unknown.
    RfbSecurityResult: Number, ToClient, NONE, ["rfb.secresult"], [Rfb];
    /// As hexadecimal text; in what the client sends.
    IkeInitSpi: Bytes, ToServer, NONE, ["ike.init_spi"], [Ike];
    IkeRespSpi: Bytes, ToClient, NONE, ["ike.resp_spi"], [Ike];
    IkeVendor: Bytes, ToServer, NONE, ["ike.vendor"], [Ike];
    IkeKeyExchange: Bytes, Either, NONE, ["ike.key_exchange_payload"], [Ike];
    IkeNonce: Bytes, Either, NONE, ["ike.nonce_payload"], [Ike];
    IkeKeyExchangeLength: Number, Either, NONE, ["ike.key_exchange_payload_length"], [Ike];
    IkeNonceLength: Number, Either, NONE, ["ike.nonce_payload_length"], [Ike];
    IkeExchangeType: Number, Either, NONE, ["ike.exchtype"], [Ike];
    /// Attribute number in the upper, value in the lower 32 bits.
    IkeChosenAttribute: Number, ToClient, NONE, ["ike.chosen_sa_attribute"], [Ike];
    SnmpVersion: Number, Either, NONE, ["snmp.version"], [Snmp];
    SnmpCommunity: Bytes, Either, NONE, ["snmp.community"], [Snmp];
    SnmpUsm: Bytes, Either, NONE, ["snmp.usm"], [Snmp];
    SnmpPduType: Number, Either, NONE, ["snmp.pdu_type"], [Snmp];
    PgsqlQuery: Bytes, ToServer, NONE, ["pgsql.query"], [Pgsql];
    /// Number of the operation's tag (RFC 4511): bind_request 0, bind_response 1, unbind_request 2, ...
    LdapRequestOperation: Number, ToServer, NONE, ["ldap.request.operation"], [Ldap];
    LdapRequestDn: Bytes, ToServer, NONE, ["ldap.request.dn"], [Ldap];
    LdapRequestAttribute: Bytes, ToServer, NONE, ["ldap.request.attribute_type"], [Ldap];
    /// One instance for each response, in order (for the index of the keyword); so are the result codes.
    LdapResponsesOperation: Number, ToClient, NONE, ["ldap.responses.operation"], [Ldap];
    LdapResponsesCount: Number, ToClient, NONE, ["ldap.responses.count"], [Ldap];
    LdapResponsesDn: Bytes, ToClient, NONE, ["ldap.responses.dn"], [Ldap];
    LdapResponsesResultCode: Number, ToClient, NONE, ["ldap.responses.result_code"], [Ldap];
    LdapResponsesMessage: Bytes, ToClient, NONE, ["ldap.responses.message"], [Ldap];
    LdapResponsesAttribute: Bytes, ToClient, NONE, ["ldap.responses.attribute_type"], [Ldap];
    WebsocketOpcode: Number, Either, NONE, ["websocket.opcode"], [Websocket];
    /// The upper four bits of a frame's first byte where they stand: 0x80 is `fin`.
    WebsocketFlags: Number, Either, NONE, ["websocket.flags"], [Websocket];
    WebsocketMask: Number, Either, NONE, ["websocket.mask"], [Websocket];
    WebsocketPayload: Bytes, Either, NONE, ["websocket.payload"], [Websocket];
    DhcpLeaseTime: Number, Either, NONE, ["dhcp.leasetime"], [Dhcp];
    DhcpRenewalTime: Number, Either, NONE, ["dhcp.renewal_time"], [Dhcp];
    DhcpRebindingTime: Number, Either, NONE, ["dhcp.rebinding_time"], [Dhcp];
    NtpMode: Number, Either, NONE, ["ntp.mode"], [Ntp];
    NtpVersion: Number, Either, NONE, ["ntp.version"], [Ntp];
    NtpStratum: Number, Either, NONE, ["ntp.stratum"], [Ntp];
    NtpReferenceId: Bytes, Either, NONE, ["ntp.reference_id"], [Ntp];
    /// Function code; see the Modbus session for how the other parts are numbered.
    ModbusFunction: Number, ToServer, NONE, ["modbus"], [Modbus];
    Dnp3Function: Number, Either, NONE, ["dnp3_func"], [Dnp3];
    Dnp3Indications: Number, Either, NONE, ["dnp3_ind"], [Dnp3];
    /// Group in the upper, variation in the lower byte.
    Dnp3Object: Number, Either, NONE, ["dnp3_obj"], [Dnp3];
    Dnp3Data: Bytes, Either, NONE, ["dnp3.data", "dnp3_data"], [Dnp3];
    EnipCommand: Number, Either, NONE, ["enip_command", "enip.command"], [Enip];
    CipService: Number, Either, NONE, ["cip_service"], [Enip];
    TftpPacket: Number, ToServer, NONE, ["tftp.packet"], [Tftp];
    /// Content of an echo message.
    TemplateBuffer: Bytes, Either, NONE, ["template.buffer"], [Template];
    TftpFile: Bytes, ToServer, NONE, [], [Tftp];
    TftpMode: Bytes, ToServer, NONE, [], [Tftp];
    RdpCookie: Bytes, ToServer, NONE, ["rdp.cookie"], [Rdp];
}

impl Field {
    /// Returns the field that a keyword selects.
    pub fn of_keyword(keyword: &str) -> Option<Field> {
        Field::ALL.iter().copied().find(|field| field.keywords().contains(&keyword))
    }

    /// Tells whether it may occur several times in one transaction, so that naming it again asks for another instance.
    pub const fn is_repeated(self) -> bool {
        matches!(
            self,
            Field::HttpRequestHeader
                | Field::HttpResponseHeader
                | Field::Http2HeaderName
                | Field::FileData
                | Field::FileName
                | Field::DnsQuery
                | Field::DnsQueriesName
                | Field::DnsAnswersName
                | Field::DnsAuthoritiesName
                | Field::DnsAdditionalsName
                | Field::DnsResponseName
                | Field::TlsCerts
                | Field::TlsSubjectAltName
                | Field::TlsAlpn
                | Field::QuicCyuHash
                | Field::QuicCyuString
                | Field::SmtpRcptTo
                | Field::EmailUrl
                | Field::EmailReceived
                | Field::FtpReply
                | Field::FtpCompletionCode
                | Field::KrbClientName
                | Field::KrbServerName
                | Field::MqttSubscribeTopic
                | Field::MqttUnsubscribeTopic
                | Field::SipFrom
                | Field::SipTo
                | Field::SipVia
                | Field::SipUserAgent
                | Field::SipContentType
                | Field::SipContentLength
                | Field::SdpMedia
                | Field::SdpConnection
                | Field::SdpAttribute
                | Field::SdpTime
                | Field::SdpBandwidth
                | Field::SdpRepeatTime
                | Field::IkeVendor
                | Field::LdapRequestAttribute
                | Field::LdapResponsesDn
                | Field::LdapResponsesMessage
                | Field::LdapResponsesAttribute
        )
    }

    /// Tells whether a protocol has the field.
    pub fn is_of(self, protocol: Protocol) -> bool {
        self.protocols().contains(&protocol)
    }

    /// Tells whether what goes in a direction can hold it.
    pub fn is_sent(self, direction: Direction) -> bool {
        match self.sent() {
            Sent::ToServer => direction == Direction::Orig,
            Sent::ToClient => direction == Direction::Resp,
            Sent::Either => true,
        }
    }

    /// Returns its position in [`Field::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// A set of fields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldSet([u64; 4]);

impl FieldSet {
    /// Returns the set of all fields.
    pub const fn all() -> FieldSet {
        FieldSet([u64::MAX; 4])
    }

    /// Takes out a field.
    pub fn remove(&mut self, field: Field) {
        if let Some(word) = self.0.get_mut(field.index() / 64) {
            *word &= !(1 << (field.index() % 64));
        }
    }

    /// Adds a field.
    pub fn insert(&mut self, field: Field) {
        if let Some(word) = self.0.get_mut(field.index() / 64) {
            *word |= 1 << (field.index() % 64);
        }
    }

    /// Tells whether a field is in the set.
    #[inline]
    pub fn contains(&self, field: Field) -> bool {
        self.0.get(field.index() / 64).is_some_and(|word| word >> (field.index() % 64) & 1 == 1)
    }
}

const _: () = assert!(Field::ALL.len() <= 256);
