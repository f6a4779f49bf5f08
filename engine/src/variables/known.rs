//! The variables there are, with their defaults and what values they take.

use super::SERVER_VERSION;

/// One variable.
pub(crate) struct Known {
    /// As PostgreSQL spells it.
    pub(crate) name: &'static str,
    /// Its value before anybody sets it.
    pub(crate) default: &'static str,
    /// Which values it takes.
    pub(crate) rule: Rule,
    /// Whether clients are told its value at the start and whenever it changes.
    pub(crate) reported: bool,
    /// What it is, for `SHOW ALL`.
    pub(crate) description: &'static str,
}

/// Which values a variable takes.
pub(crate) enum Rule {
    /// Anything.
    Free,
    /// Only its default.
    Fixed,
    /// `on` or `off`, in any spelling.
    Boolean,
    /// One of these.
    OneOf(&'static [&'static str]),
    /// A duration.
    Duration,
    /// A name of UTF-8.
    Encoding,
    /// `ISO`, with any order of day and month.
    DateStyle,
    /// A zone of the tz database or an offset.
    TimeZone,
}

/// The variable called `lower`, which is in lowercase.
pub(crate) fn find(lower: &str) -> Option<&'static Known> {
    let lower = match lower {
        "time zone" | "time.zone" => "timezone",
        "names" => "client_encoding",
        other => other,
    };
    KNOWN
        .iter()
        .find(|known| known.name.eq_ignore_ascii_case(lower))
}

const fn reported(
    name: &'static str,
    default: &'static str,
    rule: Rule,
    what: &'static str,
) -> Known {
    Known {
        name,
        default,
        rule,
        reported: true,
        description: what,
    }
}

const fn kept(name: &'static str, default: &'static str, rule: Rule, what: &'static str) -> Known {
    Known {
        name,
        default,
        rule,
        reported: false,
        description: what,
    }
}

const NO_EFFECT: &str = "Kept for PostgreSQL's clients; has no effect.";
const FACT: &str = "A fact about this server.";
const ISOLATION: Rule = Rule::OneOf(&[
    "read committed",
    "repeatable read",
    "serializable",
    "read uncommitted",
]);
const MESSAGES: Rule = Rule::OneOf(&[
    "debug5", "debug4", "debug3", "debug2", "debug1", "log", "notice", "warning", "error",
]);

/// All variables.
pub(crate) const KNOWN: &[Known] = &[
    reported(
        "application_name",
        "",
        Rule::Free,
        "What the client calls itself.",
    ),
    reported(
        "client_encoding",
        "UTF8",
        Rule::Encoding,
        "Encoding of text.",
    ),
    reported(
        "DateStyle",
        "ISO, MDY",
        Rule::DateStyle,
        "How dates are shown.",
    ),
    reported(
        "default_transaction_read_only",
        "off",
        Rule::Boolean,
        "Whether writes are refused.",
    ),
    reported("in_hot_standby", "off", Rule::Fixed, FACT),
    reported("integer_datetimes", "on", Rule::Fixed, FACT),
    reported(
        "IntervalStyle",
        "postgres",
        Rule::OneOf(&["postgres"]),
        "How intervals are shown.",
    ),
    reported("is_superuser", "on", Rule::Fixed, FACT),
    reported("search_path", "public", Rule::Free, NO_EFFECT),
    reported("server_encoding", "UTF8", Rule::Fixed, FACT),
    reported(
        "server_version",
        SERVER_VERSION,
        Rule::Fixed,
        "PostgreSQL version to expect.",
    ),
    reported(
        "session_authorization",
        "rtsap",
        Rule::Fixed,
        "The authenticated user.",
    ),
    reported("standard_conforming_strings", "on", Rule::Fixed, FACT),
    reported(
        "TimeZone",
        "UTC",
        Rule::TimeZone,
        "Time zone in which instants are shown.",
    ),
    kept(
        "rtsap.read_consistency",
        "fresh",
        Rule::OneOf(&["fresh", "committed"]),
        "Whether reads see the last publish or the last durable checkpoint.",
    ),
    kept(
        "statement_timeout",
        "0",
        Rule::Duration,
        "Longest time a statement may run; 0 for any.",
    ),
    kept("client_min_messages", "notice", MESSAGES, NO_EFFECT),
    kept(
        "bytea_output",
        "hex",
        Rule::OneOf(&["hex"]),
        "How bytea is shown.",
    ),
    kept("server_version_num", "170005", Rule::Fixed, FACT),
    kept("max_identifier_length", "63", Rule::Fixed, FACT),
    kept("max_index_keys", "32", Rule::Fixed, FACT),
    kept("max_connections", "100", Rule::Fixed, FACT),
    kept("block_size", "8192", Rule::Fixed, FACT),
    kept("lc_collate", "C", Rule::Fixed, FACT),
    kept("lc_ctype", "C", Rule::Fixed, FACT),
    kept("lc_messages", "C", Rule::Free, NO_EFFECT),
    kept("lc_monetary", "C", Rule::Free, NO_EFFECT),
    kept("lc_numeric", "C", Rule::Free, NO_EFFECT),
    kept("lc_time", "C", Rule::Free, NO_EFFECT),
    kept("ssl", "off", Rule::Fixed, FACT),
    kept("data_checksums", "on", Rule::Fixed, FACT),
    kept("wal_level", "replica", Rule::Fixed, FACT),
    kept(
        "transaction_isolation",
        "repeatable read",
        ISOLATION,
        "A block reads one cut.",
    ),
    kept(
        "default_transaction_isolation",
        "repeatable read",
        ISOLATION,
        "A block reads one cut.",
    ),
    kept(
        "transaction_read_only",
        "off",
        Rule::Boolean,
        "Whether writes are refused.",
    ),
    kept("transaction_deferrable", "off", Rule::Boolean, NO_EFFECT),
    kept(
        "default_transaction_deferrable",
        "off",
        Rule::Boolean,
        NO_EFFECT,
    ),
    kept("default_table_access_method", "heap", Rule::Free, NO_EFFECT),
    kept("default_tablespace", "", Rule::Free, NO_EFFECT),
    kept("default_with_oids", "off", Rule::Boolean, NO_EFFECT),
    kept("extra_float_digits", "1", Rule::Free, NO_EFFECT),
    kept("array_nulls", "on", Rule::Boolean, NO_EFFECT),
    kept("backslash_quote", "safe_encoding", Rule::Free, NO_EFFECT),
    kept("check_function_bodies", "on", Rule::Boolean, NO_EFFECT),
    kept("escape_string_warning", "on", Rule::Boolean, NO_EFFECT),
    kept("geqo", "on", Rule::Boolean, NO_EFFECT),
    kept(
        "idle_in_transaction_session_timeout",
        "0",
        Rule::Duration,
        NO_EFFECT,
    ),
    kept("idle_session_timeout", "0", Rule::Duration, NO_EFFECT),
    kept("jit", "off", Rule::Boolean, NO_EFFECT),
    kept("lock_timeout", "0", Rule::Duration, NO_EFFECT),
    kept("transaction_timeout", "0", Rule::Duration, NO_EFFECT),
    kept("row_security", "on", Rule::Boolean, NO_EFFECT),
    kept("synchronous_commit", "on", Rule::Free, NO_EFFECT),
    kept("synchronize_seqscans", "on", Rule::Boolean, NO_EFFECT),
    kept("work_mem", "4MB", Rule::Free, NO_EFFECT),
    kept("maintenance_work_mem", "64MB", Rule::Free, NO_EFFECT),
    kept("effective_cache_size", "4GB", Rule::Free, NO_EFFECT),
    kept("xmloption", "content", Rule::Free, NO_EFFECT),
    kept("xmlbinary", "base64", Rule::Free, NO_EFFECT),
    kept("enable_seqscan", "on", Rule::Boolean, NO_EFFECT),
    kept("enable_hashjoin", "on", Rule::Boolean, NO_EFFECT),
    kept("enable_mergejoin", "on", Rule::Boolean, NO_EFFECT),
    kept("enable_nestloop", "on", Rule::Boolean, NO_EFFECT),
    kept("enable_indexscan", "on", Rule::Boolean, NO_EFFECT),
    kept("enable_bitmapscan", "on", Rule::Boolean, NO_EFFECT),
    kept("quote_all_identifiers", "off", Rule::Boolean, NO_EFFECT),
    kept("track_activities", "on", Rule::Boolean, NO_EFFECT),
    kept("log_statement", "none", Rule::Free, NO_EFFECT),
    kept("log_min_duration_statement", "-1", Rule::Free, NO_EFFECT),
];
