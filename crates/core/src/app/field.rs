//! The application fields of a flow: one table of names, kinds and definitions, and the values found.

/// How a field's values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One text; the first value stays.
    Text,
    /// Up to [`MAX_LIST`] texts in order of appearance.
    TextList,
    /// One number; the first value stays.
    Number,
    /// Up to [`MAX_LIST`] numbers in order of appearance.
    NumberList,
    /// A sum of all values.
    Count,
}

/// Most values a list field keeps; further values are only counted by the matching count field.
pub const MAX_LIST: usize = 32;
/// Most bytes kept of one text.
pub const MAX_TEXT: usize = 1024;

/// What a field holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(Box<str>),
    TextList(Vec<Box<str>>),
    Number(u64),
    NumberList(Vec<u64>),
}

macro_rules! fields {
    ($($variant:ident $name:literal $kind:ident $definition:literal;)*) => {
        /// An application field of a flow.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Field { $($variant),* }

        impl Field {
            /// All fields, in column order.
            pub const ALL: &'static [Field] = &[$(Field::$variant),*];

            /// Names the column.
            pub const fn name(self) -> &'static str {
                match self { $(Field::$variant => $name),* }
            }

            /// Says how values are kept.
            pub const fn kind(self) -> Kind {
                match self { $(Field::$variant => Kind::$kind),* }
            }

            /// Defines the value, with its source.
            pub const fn definition(self) -> &'static str {
                match self { $(Field::$variant => $definition),* }
            }
        }
    };
}

fields! {
    // DNS: RFC 1035; lists of queries and answers are parallel within themselves.
    DnsMessages "dns_messages" Count "DNS messages, both directions";
    DnsQueryCount "dns_query_count" Count "questions asked by requests";
    DnsQueries "dns_queries" TextList "names asked for, lower case, without the final dot (RFC 1035)";
    DnsQueryTypes "dns_query_types" TextList "types asked for, parallel to dns_queries (A, AAAA, TXT, TYPE65...)";
    DnsResponseCodes "dns_response_codes" TextList "response codes (NOERROR, NXDOMAIN, ...), one for each response";
    DnsAnswers "dns_answers" TextList "answer data as text (addresses, names, texts)";
    DnsAnswerTypes "dns_answer_types" TextList "answer types, parallel to dns_answers";
    DnsTtls "dns_ttls" NumberList "answer times to live in seconds, parallel to dns_answers";
    DnsAnnouncedNames "dns_announced_names" TextList "names whose addresses a response gives without repeating a question (mDNS, NetBIOS)";
    DnsNxdomainCount "dns_nxdomain_count" Count "responses with code NXDOMAIN";
    DnsQueryNameBytes "dns_query_name_bytes" Count "sum of the lengths of all names asked for";
    DnsAnswerBytes "dns_answer_bytes" Count "sum of the lengths of all answer data";
    // HTTP/1: RFC 9110, RFC 9112; request lists are parallel to each other, response lists likewise.
    HttpRequestCount "http_request_count" Count "requests seen";
    HttpMethods "http_methods" TextList "request methods";
    HttpHosts "http_hosts" TextList "Host header of each request, empty if absent";
    HttpUris "http_uris" TextList "request targets as sent";
    HttpUserAgents "http_user_agents" TextList "User-Agent of each request, empty if absent";
    HttpReferrers "http_referrers" TextList "Referer of each request, empty if absent";
    HttpRequestHeaders "http_request_headers" TextList "header names of each request, comma separated, as sent";
    HttpRequestBodyBytes "http_request_body_bytes" Count "bytes of all request bodies after removal of the transfer coding";
    HttpStatuses "http_statuses" NumberList "status codes; 0 for an answer of HTTP/0.9, which has none";
    HttpContentTypes "http_content_types" TextList "Content-Type of each response, empty if absent";
    HttpServers "http_servers" TextList "Server header of each response, empty if absent";
    HttpResponseHeaders "http_response_headers" TextList "header names of each response, comma separated, as sent";
    HttpResponseBodyBytes "http_response_body_bytes" Count "bytes of all response bodies after removal of the transfer coding";
    HttpMimeTypes "http_mime_types" TextList "type of each response body judged by its first bytes after decoding, empty if unknown";
    // TLS: RFC 8446, RFC 5246.
    TlsVersion "tls_version" Text "version chosen by the server, else the highest offered (TLSv1.2, TLSv1.3, SSLv3...)";
    TlsServerName "tls_server_name" Text "server name indication (RFC 6066)";
    TlsAlpn "tls_alpn" TextList "application protocols offered by the client (RFC 7301)";
    TlsAlpnChosen "tls_alpn_chosen" Text "application protocol chosen by the server";
    TlsCiphers "tls_ciphers" NumberList "cipher suites offered by the client, IANA numbers, without GREASE";
    TlsCipher "tls_cipher" Text "cipher suite chosen by the server, IANA name, or 0xNNNN if unknown";
    TlsJa3 "tls_ja3" Text "JA3 hash of the client hello (salesforce/ja3)";
    TlsJa3s "tls_ja3s" Text "JA3S hash of the server hello (salesforce/ja3)";
    TlsJa4 "tls_ja4" Text "JA4 fingerprint of the client hello (FoxIO JA4 specification)";
    TlsResumed "tls_resumed" Number "1 if the session was resumed, else 0";
    TlsEstablished "tls_established" Number "1 if encrypted application data was exchanged by both sides";
    TlsCertificateSubjects "tls_certificate_subjects" TextList "subjects of the server's certificates, leaf first (RFC 4514 text)";
    TlsCertificateIssuers "tls_certificate_issuers" TextList "issuers, parallel to tls_certificate_subjects";
    TlsCertificateSerials "tls_certificate_serials" TextList "serial numbers in upper-case hexadecimal, parallel to tls_certificate_subjects";
    TlsCertificateSha1 "tls_certificate_sha1" TextList "SHA-1 fingerprints in lower-case hexadecimal, parallel to tls_certificate_subjects";
    TlsCertificateNames "tls_certificate_names" TextList "subject alternative DNS names of the leaf";
    TlsCertificateNotBefore "tls_certificate_not_before" Number "start of the leaf's validity, seconds since the Unix epoch";
    TlsCertificateNotAfter "tls_certificate_not_after" Number "end of the leaf's validity, seconds since the Unix epoch";
    TlsAlerts "tls_alerts" NumberList "alert descriptions seen in clear";
    // QUIC: RFC 9000, RFC 9001, RFC 9369; the TLS fields above hold the client hello's values.
    QuicVersion "quic_version" Text "QUIC version of the first long header (v1, v2, or 0xNNNNNNNN)";
    // SSH: RFC 4253.
    SshClient "ssh_client" Text "identification string of the client, from after SSH-";
    SshServer "ssh_server" Text "identification string of the server";
    SshHassh "ssh_hassh" Text "HASSH of the client's key exchange offer (salesforce/hassh)";
    SshHasshServer "ssh_hassh_server" Text "HASSH of the server's key exchange offer";
    SshKexAlgorithm "ssh_kex_algorithm" Text "key exchange algorithm agreed";
    SshCipher "ssh_cipher" Text "cipher agreed from client to server";
    SshHostKeyAlgorithm "ssh_host_key_algorithm" Text "host key algorithm agreed";
    // SMB: MS-SMB2, MS-CIFS.
    SmbVersion "smb_version" Text "dialect: SMB1, 2.0.2, 2.1, 3.0, 3.0.2, 3.1.1";
    SmbCommandCount "smb_command_count" Count "requests seen";
    SmbCommands "smb_commands" TextList "request commands in order (NEGOTIATE, SESSION_SETUP, TREE_CONNECT, CREATE, ...)";
    SmbStatuses "smb_statuses" NumberList "NT status of each response with a warning or an error, except MORE_PROCESSING_REQUIRED";
    SmbTrees "smb_trees" TextList "share paths connected to";
    SmbFiles "smb_files" TextList "file names opened";
    SmbUsers "smb_users" TextList "distinct users of NTLM or SMB1 authentications as DOMAIN\\user (MS-NLMP)";
    SmbHosts "smb_hosts" TextList "distinct workstation names of NTLM authentications";
    SmbAuthFailures "smb_auth_failures" Count "session setups answered with STATUS_LOGON_FAILURE or another refusal";
    // FTP: RFC 959, RFC 2428.
    FtpCommandCount "ftp_command_count" Count "commands seen";
    FtpCommands "ftp_commands" TextList "commands with arguments; the argument of PASS is replaced by ****";
    FtpReplies "ftp_replies" NumberList "reply codes";
    FtpUser "ftp_user" Text "argument of USER";
    FtpDataAddresses "ftp_data_addresses" TextList "addresses given for data connections as ip:port (PORT, PASV, EPRT), or :port where none is given (EPSV)";
    FtpLoginFailures "ftp_login_failures" Count "replies 530 to USER, PASS or ACCT, or any 530 if no command was seen";
    // SMTP: RFC 5321.
    SmtpHelo "smtp_helo" Text "argument of HELO or EHLO";
    SmtpFrom "smtp_from" TextList "addresses of MAIL FROM";
    SmtpTo "smtp_to" TextList "addresses of RCPT TO";
    SmtpSubjects "smtp_subjects" TextList "Subject of each message that has one, unfolded, still encoded (RFC 5322, RFC 2047)";
    SmtpReplies "smtp_replies" NumberList "reply codes";
    SmtpMailBytes "smtp_mail_bytes" Count "bytes of mail data, headers included, without dot-stuffing and its final line";
    SmtpLoginFailures "smtp_login_failures" Count "replies 535 to AUTH";
    SmtpStartTls "smtp_starttls" Number "1 if the session went on in TLS (RFC 3207)";
    // DHCP: RFC 2131, RFC 2132.
    DhcpMessageTypes "dhcp_message_types" TextList "message types (DISCOVER, OFFER, REQUEST, ACK, ...)";
    DhcpHostName "dhcp_host_name" Text "host name of the client (option 12, or the name of option 81)";
    DhcpClientMac "dhcp_client_mac" Text "Ethernet address of the client";
    DhcpAddress "dhcp_address" Text "address a server gave last, else the first that the client requested or used";
    DhcpServer "dhcp_server" Text "server identifier (option 54)";
    DhcpVendorClass "dhcp_vendor_class" Text "vendor class identifier (option 60)";
    // NTP: RFC 5905.
    NtpVersion "ntp_version" Number "protocol version";
    NtpModes "ntp_modes" NumberList "mode of each message (3 client, 4 server, 6 control, 7 private)";
    NtpStratum "ntp_stratum" Number "stratum of the first response";
    // RDP: MS-RDPBCGR.
    RdpCookie "rdp_cookie" Text "user name of the mstshash cookie";
    RdpSecurity "rdp_security" Text "security protocol chosen: RDP, TLS, CredSSP, RDSTLS, CredSSP-EX";
    // Kerberos: RFC 4120.
    KerberosMessages "kerberos_messages" TextList "message types (AS-REQ, AS-REP, TGS-REQ, TGS-REP, AP-REQ, KRB-ERROR, ...)";
    KerberosClients "kerberos_clients" TextList "distinct client principals with realm (user@REALM)";
    KerberosServices "kerberos_services" TextList "distinct service principals, without realm (krbtgt/REALM, cifs/host)";
    KerberosErrors "kerberos_errors" NumberList "error codes of KRB-ERROR";
    KerberosCiphers "kerberos_ciphers" NumberList "distinct encryption types offered in requests (RFC 3961 numbers; negative ones as unsigned 32-bit)";
    KerberosTicketCipher "kerberos_ticket_cipher" Number "encryption type of the first ticket issued";
    // Internet relay chat: RFC 2812.
    IrcNick "irc_nick" Text "first name that the client gave itself (NICK)";
    IrcUser "irc_user" Text "parameters of USER";
    IrcChannels "irc_channels" TextList "channels that the client joined, several in one message separated by commas";
    IrcTexts "irc_texts" TextList "texts said to channels or hosts (PRIVMSG) and topics, by both sides";
    // Mining pools: Stratum (Bitcoin wiki), its extension by XMRig, EIP-1571.
    StratumMethods "stratum_methods" TextList "methods called by both sides (mining.subscribe, mining.submit, login, job, ...)";
    StratumWorker "stratum_worker" Text "wallet or account that the miner works for";
    StratumAgent "stratum_agent" Text "the miner's program";
}

/// The application fields found in one flow; empty until a parser reports something.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    values: Vec<(Field, Value)>,
}

impl Fields {
    /// Returns what a field holds, if anything was reported.
    pub fn get(&self, field: Field) -> Option<&Value> {
        self.values.iter().find(|(known, _)| *known == field).map(|(_, value)| value)
    }

    /// Returns the values in order of their first report.
    pub fn iter(&self) -> impl Iterator<Item = &(Field, Value)> {
        self.values.iter()
    }

    /// Tells whether a list has all the values that it keeps, so that further ones need not be made.
    pub fn is_full(&self, field: Field) -> bool {
        match self.get(field) {
            Some(Value::TextList(list)) => list.len() >= MAX_LIST,
            Some(Value::NumberList(list)) => list.len() >= MAX_LIST,
            _ => false,
        }
    }

    /// Tells whether nothing was reported.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Reports a text; bytes that are not UTF-8 or are control characters are written as `\xNN`.
    pub fn text(&mut self, field: Field, bytes: &[u8]) {
        match self.slot(field) {
            Some(Value::TextList(list)) => {
                if list.len() < MAX_LIST {
                    list.push(printable(bytes));
                }
            }
            Some(_) => {}
            None => {
                let text = printable(bytes);
                let value = match field.kind() {
                    Kind::TextList => Value::TextList(vec![text]),
                    _ => Value::Text(text),
                };
                self.values.push((field, value));
            }
        }
    }

    /// Reports a text unless the list already holds it.
    pub fn distinct_text(&mut self, field: Field, bytes: &[u8]) {
        let text = printable(bytes);
        if !matches!(self.slot(field), Some(Value::TextList(list)) if list.contains(&text)) {
            self.text(field, bytes);
        }
    }

    /// Reports a number unless the list already holds it.
    pub fn distinct_number(&mut self, field: Field, number: u64) {
        if !matches!(self.slot(field), Some(Value::NumberList(list)) if list.contains(&number)) {
            self.number(field, number);
        }
    }

    /// Reports a number: added to a count, appended to a list, or kept if it is the first.
    pub fn number(&mut self, field: Field, number: u64) {
        match self.slot(field) {
            Some(Value::NumberList(list)) => {
                if list.len() < MAX_LIST {
                    list.push(number);
                }
            }
            Some(Value::Number(sum)) if field.kind() == Kind::Count => *sum = sum.saturating_add(number),
            Some(_) => {}
            None => {
                let value = match field.kind() {
                    Kind::NumberList => Value::NumberList(vec![number]),
                    _ => Value::Number(number),
                };
                self.values.push((field, value));
            }
        }
    }

    /// Adds one to a count.
    pub fn count(&mut self, field: Field) {
        self.number(field, 1);
    }

    /// Replaces what a text or number field holds, for a value known better later.
    pub fn replace(&mut self, field: Field, value: Value) {
        match self.slot(field) {
            Some(known) => *known = value,
            None => self.values.push((field, value)),
        }
    }

    /// Forgets what a field holds, for a value that turns out to belong elsewhere.
    pub fn remove(&mut self, field: Field) {
        self.values.retain(|(known, _)| *known != field);
    }

    /// Replaces an entry of a text list, for a value known better later.
    pub fn amend(&mut self, field: Field, index: usize, bytes: &[u8]) {
        if let Some(Value::TextList(list)) = self.slot(field) {
            if let Some(entry) = list.get_mut(index) {
                *entry = printable(bytes);
            }
        }
    }

    fn slot(&mut self, field: Field) -> Option<&mut Value> {
        self.values.iter_mut().find(|(known, _)| *known == field).map(|(_, value)| value)
    }
}

/// Makes bytes from the wire safe to print: UTF-8 stays, everything else and control characters become `\xNN`.
pub fn printable(bytes: &[u8]) -> Box<str> {
    use std::fmt::Write;
    let bytes = bytes.get(..MAX_TEXT).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        // Nearly all texts; a second walk over their bytes is much cheaper than one over characters.
        Ok(text) if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) => return text.into(),
        _ => {}
    }
    let mut text = String::with_capacity(bytes.len());
    'chunks: for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    if write!(text, "\\x{byte:02x}").is_err() {
                        break 'chunks;
                    }
                }
            } else {
                text.push(character);
            }
        }
        for byte in chunk.invalid() {
            if write!(text, "\\x{byte:02x}").is_err() {
                break 'chunks;
            }
        }
    }
    text.into_boxed_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_text_stays_and_lists_are_bounded() {
        let mut fields = Fields::default();
        fields.text(Field::TlsServerName, b"a.example");
        fields.text(Field::TlsServerName, b"b.example");
        for _ in 0..100 {
            fields.text(Field::DnsQueries, b"x");
            fields.count(Field::DnsQueryCount);
        }
        assert_eq!(fields.get(Field::TlsServerName), Some(&Value::Text("a.example".into())));
        assert_eq!(fields.get(Field::DnsQueryCount), Some(&Value::Number(100)));
        let Some(Value::TextList(list)) = fields.get(Field::DnsQueries) else { panic!("no list") };
        assert_eq!(list.len(), MAX_LIST);
    }

    #[test]
    fn distinct_values_are_kept_once_and_removed_ones_not_at_all() {
        let mut fields = Fields::default();
        for _ in 0..2 {
            fields.distinct_text(Field::SmbUsers, b"LAB\\alice");
            fields.distinct_number(Field::KerberosCiphers, 23);
        }
        fields.text(Field::SshClient, b"2.0-x");
        fields.remove(Field::SshClient);
        assert_eq!(fields.get(Field::SmbUsers), Some(&Value::TextList(vec!["LAB\\alice".into()])));
        assert_eq!(fields.get(Field::KerberosCiphers), Some(&Value::NumberList(vec![23])));
        assert_eq!(fields.get(Field::SshClient), None);
    }

    #[test]
    fn entries_of_a_list_can_be_amended() {
        let mut fields = Fields::default();
        fields.text(Field::HttpMimeTypes, b"");
        fields.amend(Field::HttpMimeTypes, 0, b"text/html");
        fields.amend(Field::HttpMimeTypes, 1, b"not there");
        assert_eq!(fields.get(Field::HttpMimeTypes), Some(&Value::TextList(vec!["text/html".into()])));
    }

    #[test]
    fn control_and_invalid_bytes_are_escaped() {
        assert_eq!(&*printable(b"a\x00\xffb\n"), "a\\x00\\xffb\\x0a");
    }
}
