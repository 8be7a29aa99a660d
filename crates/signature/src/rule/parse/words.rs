//! Words for the numbers of application protocols, as rules may write them.

/// Words and their numbers.
pub(super) type Words = &'static [(&'static str, u64)];

/// Finds the number of a word, whatever its case.
pub(super) fn of_word(words: Words, word: &str) -> Option<u64> {
    words.iter().find(|(known, _)| known.eq_ignore_ascii_case(word)).map(|(_, value)| *value)
}

pub(super) const TLS_VERSIONS: Words = &[
    ("sslv2", 0x0002),
    ("sslv3", 0x0300),
    ("tls1.0", 0x0301),
    ("tls1.1", 0x0302),
    ("tls1.2", 0x0303),
    ("tls1.3", 0x0304),
];

pub(super) const TLS_STATES: Words =
    &[("client_hello", 1), ("server_hello", 2), ("client_keyx", 4), ("server_keyx", 8), ("unknown", 16)];

/// Attributes of a proposal that was chosen (RFC 2409, appendix A).
pub(super) const IKE_ATTRIBUTES: Words = &[
    ("alg_enc", 1),
    ("alg_hash", 2),
    ("alg_auth", 3),
    ("alg_dh", 4),
    ("sa_group_type", 5),
    ("sa_life_type", 11),
    ("sa_life_duration", 12),
    ("alg_prf", 13),
    ("sa_key_length", 14),
    ("sa_field_size", 15),
];

pub(super) const WEBSOCKET_FLAGS: Words = &[("fin", 0x80), ("comp", 0x40)];

pub(super) const MODBUS_CATEGORIES: Words =
    &[("assigned", 1), ("unassigned", 2), ("public", 3), ("user", 4), ("reserved", 8), ("all", 15)];

pub(super) const MODBUS_TABLES: Words = &[("discretes", 4), ("coils", 8), ("input", 16), ("holding", 32)];

pub(super) const SWITCH: Words = &[("no", 0), ("false", 0), ("off", 0), ("yes", 1), ("true", 1), ("on", 1)];

/// RFC 1035 4.1.1, RFC 2136 2.2, RFC 6891 9.
pub(super) const RESPONSE_CODES: Words = &[
    ("noerror", 0),
    ("formerr", 1),
    ("servfail", 2),
    ("nxdomain", 3),
    ("notimp", 4),
    ("refused", 5),
    ("yxdomain", 6),
    ("yxrrset", 7),
    ("nxrrset", 8),
    ("notauth", 9),
    ("notzone", 10),
    ("badvers", 16),
    ("badkey", 17),
    ("badtime", 18),
    ("badmode", 19),
    ("badname", 20),
    ("badalg", 21),
    ("badtrunc", 22),
];

/// IANA, Resource Record (RR) TYPEs.
pub(super) const RECORD_TYPES: Words = &[
    ("a", 1),
    ("ns", 2),
    ("md", 3),
    ("mf", 4),
    ("cname", 5),
    ("soa", 6),
    ("mb", 7),
    ("mg", 8),
    ("mr", 9),
    ("null", 10),
    ("wks", 11),
    ("ptr", 12),
    ("hinfo", 13),
    ("minfo", 14),
    ("mx", 15),
    ("txt", 16),
    ("rp", 17),
    ("afsdb", 18),
    ("x25", 19),
    ("isdn", 20),
    ("rt", 21),
    ("sig", 24),
    ("key", 25),
    ("px", 26),
    ("gpos", 27),
    ("aaaa", 28),
    ("loc", 29),
    ("nxt", 30),
    ("srv", 33),
    ("atma", 34),
    ("naptr", 35),
    ("kx", 36),
    ("cert", 37),
    ("a6", 38),
    ("dname", 39),
    ("opt", 41),
    ("apl", 42),
    ("ds", 43),
    ("sshfp", 44),
    ("ipseckey", 45),
    ("rrsig", 46),
    ("nsec", 47),
    ("dnskey", 48),
    ("dhcid", 49),
    ("nsec3", 50),
    ("nsec3param", 51),
    ("tlsa", 52),
    ("hip", 55),
    ("cds", 59),
    ("cdnskey", 60),
    ("svcb", 64),
    ("https", 65),
    ("spf", 99),
    ("tkey", 249),
    ("tsig", 250),
    ("mailb", 253),
    ("maila", 254),
    ("any", 255),
    ("uri", 256),
];

/// RFC 9113, 6.
pub(super) const HTTP2_FRAMES: Words = &[
    ("data", 0),
    ("headers", 1),
    ("priority", 2),
    ("rststream", 3),
    ("settings", 4),
    ("pushpromise", 5),
    ("ping", 6),
    ("goaway", 7),
    ("windowupdate", 8),
    ("continuation", 9),
];

/// RFC 9113, 7.
pub(super) const HTTP2_ERRORS: Words = &[
    ("no_error", 0),
    ("protocol_error", 1),
    ("internal_error", 2),
    ("flow_control_error", 3),
    ("settings_timeout", 4),
    ("stream_closed", 5),
    ("frame_size_error", 6),
    ("refused_stream", 7),
    ("cancel", 8),
    ("compression_error", 9),
    ("connect_error", 10),
    ("enhance_your_calm", 11),
    ("inadequate_security", 12),
    ("http_1_1_required", 13),
];

/// RFC 9113, 6.5.2.
pub(super) const HTTP2_SETTINGS: Words = &[
    ("settings_header_table_size", 1),
    ("settings_enable_push", 2),
    ("settings_max_concurrent_streams", 3),
    ("settings_initial_window_size", 4),
    ("settings_max_frame_size", 5),
    ("settings_max_header_list_size", 6),
];

/// MQTT 5.0, 2.1.2.
pub(super) const MQTT_TYPES: Words = &[
    ("unassigned", 0),
    ("connect", 1),
    ("connack", 2),
    ("publish", 3),
    ("puback", 4),
    ("pubrec", 5),
    ("pubrel", 6),
    ("pubcomp", 7),
    ("subscribe", 8),
    ("suback", 9),
    ("unsubscribe", 10),
    ("unsuback", 11),
    ("pingreq", 12),
    ("pingresp", 13),
    ("disconnect", 14),
    ("auth", 15),
];

/// RFC 3416, 3.
pub(super) const SNMP_PDUS: Words = &[
    ("get_request", 0),
    ("get_next_request", 1),
    ("response", 2),
    ("set_request", 3),
    ("trap_v1", 4),
    ("get_bulk_request", 5),
    ("inform_request", 6),
    ("trap_v2", 7),
    ("report", 8),
];

/// RFC 4511, 4.
pub(super) const LDAP_OPERATIONS: Words = &[
    ("bind_request", 0),
    ("bind_response", 1),
    ("unbind_request", 2),
    ("search_request", 3),
    ("search_result_entry", 4),
    ("search_result_done", 5),
    ("modify_request", 6),
    ("modify_response", 7),
    ("add_request", 8),
    ("add_response", 9),
    ("del_request", 10),
    ("del_response", 11),
    ("mod_dn_request", 12),
    ("mod_dn_response", 13),
    ("compare_request", 14),
    ("compare_response", 15),
    ("abandon_request", 16),
    ("search_result_reference", 19),
    ("extended_request", 23),
    ("extended_response", 24),
    ("intermediate_response", 25),
];

/// RFC 4511, 4.1.9.
pub(super) const LDAP_RESULTS: Words = &[
    ("success", 0),
    ("operations_error", 1),
    ("protocol_error", 2),
    ("time_limit_exceeded", 3),
    ("size_limit_exceeded", 4),
    ("compare_false", 5),
    ("compare_true", 6),
    ("auth_method_not_supported", 7),
    ("stronger_auth_required", 8),
    ("referral", 10),
    ("admin_limit_exceeded", 11),
    ("unavailable_critical_extension", 12),
    ("confidentiality_required", 13),
    ("sasl_bind_in_progress", 14),
    ("no_such_attribute", 16),
    ("undefined_attribute_type", 17),
    ("inappropriate_matching", 18),
    ("constraint_violation", 19),
    ("attribute_or_value_exists", 20),
    ("invalid_attribute_syntax", 21),
    ("no_such_object", 32),
    ("alias_problem", 33),
    ("invalid_dns_syntax", 34),
    ("is_leaf", 35),
    ("alias_dereferencing_problem", 36),
    ("inappropriate_authentication", 48),
    ("invalid_credentials", 49),
    ("insufficient_access_rights", 50),
    ("busy", 51),
    ("unavailable", 52),
    ("unwilling_to_perform", 53),
    ("loop_detect", 54),
    ("naming_violation", 64),
    ("object_class_violation", 65),
    ("not_allowed_on_non_leaf", 66),
    ("not_allowed_on_rdn", 67),
    ("entry_already_exists", 68),
    ("object_class_mods_prohibited", 69),
    ("affects_multiple_dsas", 71),
    ("other", 80),
];

/// RFC 6455, 5.2.
pub(super) const WEBSOCKET_OPCODES: Words =
    &[("continuation", 0), ("text", 1), ("binary", 2), ("connection_close", 8), ("ping", 9), ("pong", 10)];

/// RFC 5905, 7.3.
pub(super) const NTP_MODES: Words = &[
    ("reserved", 0),
    ("symmetric_active", 1),
    ("symmetric_passive", 2),
    ("client", 3),
    ("server", 4),
    ("broadcast", 5),
    ("control", 6),
    ("private", 7),
];

/// IANA, Kerberos Encryption Type Numbers.
pub(super) const ENCRYPTIONS: Words = &[
    ("des-cbc-crc", 1),
    ("des-cbc-md4", 2),
    ("des-cbc-md5", 3),
    ("des3-cbc-md5", 5),
    ("des3-cbc-sha1", 7),
    ("dsawithsha1-cmsoid", 9),
    ("md5withrsaencryption-cmsoid", 10),
    ("sha1withrsaencryption-cmsoid", 11),
    ("rc2cbc-envoid", 12),
    ("rsaencryption-envoid", 13),
    ("rsaes-oaep-env-oid", 14),
    ("des-ede3-cbc-env-oid", 15),
    ("des3-cbc-sha1-kd", 16),
    ("aes128-cts-hmac-sha1-96", 17),
    ("aes256-cts-hmac-sha1-96", 18),
    ("aes128-cts-hmac-sha256-128", 19),
    ("aes256-cts-hmac-sha384-192", 20),
    ("rc4-hmac", 23),
    ("rc4-hmac-exp", 24),
    ("camellia128-cts-cmac", 25),
    ("camellia256-cts-cmac", 26),
    ("subkey-keymaterial", 65),
    ("rc4-md4", 0xffff_ff80),
    ("rc4-plain2", 0xffff_ff7f),
    ("rc4-lm", 0xffff_ff7e),
    ("rc4-sha", 0xffff_ff7d),
    ("des-plain", 0xffff_ff7c),
    ("rc4-hmac-old", 0xffff_ff7b),
    ("rc4-plain-old", 0xffff_ff7a),
    ("rc4-hmac-old-exp", 0xffff_ff79),
    ("rc4-plain-old-exp", 0xffff_ff78),
    ("rc4-plain", 0xffff_ff74),
    ("rc4-plain-exp", 0xffff_ff73),
];

/// IEEE 1815, function codes.
pub(super) const DNP3_FUNCTIONS: Words = &[
    ("confirm", 0),
    ("read", 1),
    ("write", 2),
    ("select", 3),
    ("operate", 4),
    ("direct_operate", 5),
    ("direct_operate_nr", 6),
    ("immed_freeze", 7),
    ("immed_freeze_nr", 8),
    ("freeze_clear", 9),
    ("freeze_clear_nr", 10),
    ("freeze_at_time", 11),
    ("freeze_at_time_nr", 12),
    ("cold_restart", 13),
    ("warm_restart", 14),
    ("initialize_data", 15),
    ("initialize_appl", 16),
    ("start_appl", 17),
    ("stop_appl", 18),
    ("save_config", 19),
    ("enable_unsolicited", 20),
    ("disable_unsolicited", 21),
    ("assign_class", 22),
    ("delay_measure", 23),
    ("record_current_time", 24),
    ("open_file", 25),
    ("close_file", 26),
    ("delete_file", 27),
    ("get_file_info", 28),
    ("authenticate_file", 29),
    ("abort_file", 30),
    ("activate_config", 31),
    ("authenticate_req", 32),
    ("authenticate_err", 33),
    ("response", 129),
    ("unsolicited_response", 130),
    ("authenticate_resp", 131),
];

/// IEEE 1815, internal indications: the first octet in the upper byte.
pub(super) const DNP3_INDICATIONS: Words = &[
    ("all_stations", 0x0100),
    ("class_1_events", 0x0200),
    ("class_2_events", 0x0400),
    ("class_3_events", 0x0800),
    ("need_time", 0x1000),
    ("local_control", 0x2000),
    ("device_trouble", 0x4000),
    ("device_restart", 0x8000),
    ("no_func_code_support", 0x0001),
    ("object_unknown", 0x0002),
    ("parameter_error", 0x0004),
    ("event_buffer_overflow", 0x0008),
    ("already_executing", 0x0010),
    ("config_corrupt", 0x0020),
    ("reserved_2", 0x0040),
    ("reserved_1", 0x0080),
];

/// ODVA, The EtherNet/IP Specification: encapsulation commands.
pub(super) const ENIP_COMMANDS: Words = &[
    ("nop", 0),
    ("list_services", 4),
    ("list_identity", 0x63),
    ("list_interfaces", 0x64),
    ("register_session", 0x65),
    ("unregister_session", 0x66),
    ("send_rr_data", 0x6f),
    ("send_unit_data", 0x70),
    ("indicate_status", 0x72),
    ("cancel", 0x73),
];
