//! PostgreSQL's own functions: which of them a session may call.
//!
//! An allow-list (G2): a function passes when its name is one that PostgreSQL
//! brings (`builtins.txt`, made from the servers themselves) and no rule here
//! speaks against it. Those that may have an effect (volatile) are named one by
//! one. What the rules refuse is refused in every schema, since an extension
//! may be installed in any. A target's own functions are [`super::vocabulary`]'s.

use super::reason::{Needs, Reason};
use crate::core::sql::Name;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// What calling a function of some name comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Passes(Needs),
    /// And what to do instead.
    Never(&'static str),
}

impl Call {
    pub(super) fn reason(self, rights: super::Rights<'_>, told: impl Fn() -> String) -> Option<Reason> {
        match self {
            Self::Passes(needs) => needs.unmet(rights, told),
            Self::Never(instead) => Some(Reason::Never(told(), Cow::Borrowed(instead))),
        }
    }
}

/// A function that PostgreSQL brings; `None` where it has none of that name.
pub(super) fn builtin(name: &str) -> Option<Call> {
    BUILTINS.get(name).copied()
}

/// What is said of a name whatever schema it stands in.
pub(super) fn listed(name: &str) -> Option<Call> {
    // Most names are columns that no pattern comes near.
    static STARTS: LazyLock<HashSet<[u8; 2]>> = LazyLock::new(|| {
        let patterns = NEVER.iter().map(|(_, pattern, _)| pattern).chain(NEEDING.iter().map(|(_, p, _)| p));
        patterns.filter_map(|pattern| pattern.as_bytes().first_chunk().copied()).collect()
    });
    let near = name.as_bytes().first_chunk().is_some_and(|start| STARTS.contains(start));
    if !near || ALLOWED.contains(&name) {
        return None;
    }
    if let Some((_, _, instead)) = NEVER.iter().find(|(kind, pattern, _)| kind.fits(pattern, name)) {
        return Some(Call::Never(instead));
    }
    NEEDING.iter().find(|(kind, pattern, _)| kind.fits(pattern, name)).map(|(.., needs)| Call::Passes(*needs))
}

/// Whether PostgreSQL has an operator of this name; none of its own has an effect.
pub(super) fn is_builtin_operator(name: &str) -> bool {
    static OPERATORS: LazyLock<HashSet<&str>> =
        LazyLock::new(|| include_str!("operators.txt").lines().collect());
    OPERATORS.contains(name)
}

/// Whether a function of PostgreSQL's is known to leave nothing behind.
pub(super) fn is_plain(name: &str) -> bool {
    PLAIN.binary_search(&name).is_ok()
}

/// Whether a function is PostgreSQL's own and gives, for one row and the next,
/// the same answer to the same question: not volatile.
pub fn is_steady(name: &Name) -> bool {
    static STEADY: LazyLock<HashSet<&str>> =
        LazyLock::new(|| include_str!("builtins.txt").lines().filter(|line| !line.contains(' ')).collect());
    name.may_be_builtin() && STEADY.contains(name.name.as_str())
}

static BUILTINS: LazyLock<HashMap<&str, Call>> = LazyLock::new(|| {
    let line = |line: &'static str| {
        let (name, volatile) = match line.strip_suffix(" volatile") {
            Some(name) => (name, true),
            None => (line, false),
        };
        let unlisted = || match volatile && !VOLATILE.contains(&name) && !ALLOWED.contains(&name) {
            true => Call::Never(SERVER),
            false => Call::Passes(Needs::default()),
        };
        (name, listed(name).unwrap_or_else(unlisted))
    };
    include_str!("builtins.txt").lines().map(line).collect()
});

#[derive(Clone, Copy)]
enum Kind {
    Is,
    Begins,
}
use Kind::{Begins, Is};

impl Kind {
    fn fits(self, pattern: &str, name: &str) -> bool {
        match self {
            Is => name == pattern,
            Begins => name.starts_with(pattern),
        }
    }
}

/// What the patterns below would catch and need not.
const ALLOWED: &[&str] = &["pg_advisory_unlock", "pg_advisory_unlock_all", "pg_advisory_unlock_shared"];

const HIDDEN: &str = "run that SQL as a statement of its own, so that it is seen and recorded";
const FILES: &str = "sessions do not touch the server's files";
const SOURCES: &str = "the source of a function is for those who keep it: read it in its repository";
const SERVER: &str = "ask the owners of the target to do it";
const ELSEWHERE: &str = "ask for access to that database instead";

/// Refused under every permit.
const NEVER: &[(Kind, &str, &str)] = &[
    // SQL in a string.
    (Begins, "query_to_xml", HIDDEN),
    (Begins, "table_to_xml", HIDDEN),
    (Begins, "schema_to_xml", HIDDEN),
    (Begins, "database_to_xml", HIDDEN),
    (Begins, "cursor_to_xml", HIDDEN),
    (Is, "ts_stat", HIDDEN),
    (Is, "ts_rewrite", HIDDEN),
    (Begins, "crosstab", HIDDEN),
    (Is, "connectby", HIDDEN),
    (Is, "xpath_table", HIDDEN),
    // Another database, another connection.
    (Begins, "dblink", ELSEWHERE),
    (Begins, "postgres_fdw_", ELSEWHERE),
    // What functions are made of: keys stand in some.
    (Is, "pg_get_functiondef", SOURCES),
    (Is, "pg_get_function_sqlbody", SOURCES),
    // Files of the server.
    (Begins, "pg_read_", FILES),
    (Begins, "pg_ls_", FILES),
    (Begins, "pg_stat_file", FILES),
    (Begins, "pg_file_", FILES),
    (Is, "pg_logdir_ls", FILES),
    (Is, "pg_current_logfile", FILES),
    (Is, "lo_import", FILES),
    (Is, "lo_export", FILES),
    // Other sessions and the server itself.
    (Is, "pg_terminate_backend", "end the session with dbaccess instead"),
    (Is, "pg_cancel_backend", "cancel from the client (Ctrl-C in psql)"),
    (Begins, "pg_reload_conf", SERVER),
    (Begins, "pg_rotate_logfile", SERVER),
    (Begins, "pg_log_", SERVER),
    (Is, "pg_promote", SERVER),
    (Begins, "pg_switch_", SERVER),
    (Begins, "pg_wal_replay_", SERVER),
    (Begins, "pg_start_backup", SERVER),
    (Begins, "pg_stop_backup", SERVER),
    (Begins, "pg_backup_", SERVER),
    (Begins, "pg_create_", SERVER),
    (Begins, "pg_drop_", SERVER),
    (Begins, "pg_copy_", SERVER),
    (Begins, "pg_logical_", SERVER),
    (Begins, "pg_replication_", SERVER),
    (Begins, "pg_sync_replication_", SERVER),
    (Begins, "pg_stat_reset", SERVER),
    (Begins, "pg_stat_statements_reset", SERVER),
    (Begins, "pg_stat_force_", SERVER),
    (Begins, "pg_restore_", SERVER),
    (Begins, "pg_clear_", SERVER),
    (Begins, "pg_export_snapshot", SERVER),
    (Begins, "pg_import_", SERVER),
    (Begins, "pg_extension_config_dump", SERVER),
    (Begins, "pg_nextoid", SERVER),
    (Begins, "pg_prewarm", SERVER),
    (Begins, "autoprewarm", SERVER),
    (Begins, "pg_buffercache_evict", SERVER),
    (Begins, "binary_upgrade_", SERVER),
    (Begins, "brin_summarize_", SERVER),
    (Begins, "brin_desummarize_", SERVER),
    (Begins, "gin_clean_", SERVER),
    // Pages below every privilege (pageinspect, pg_surgery, pg_walinspect).
    (Is, "get_raw_page", SERVER),
    (Begins, "heap_force_", SERVER),
    (Begins, "pg_get_wal_", SERVER),
];

const WRITE: Needs = Needs { write: true, ..Needs::NONE };
const EXPORT: Needs = Needs { export: true, ..Needs::NONE };
const WRITE_EXPORT: Needs = Needs { write: true, export: true, ..Needs::NONE };
const ALL_ROWS: Needs = Needs { all_rows: true, ..Needs::NONE };

/// What needs more than a permit to read: effects that PostgreSQL lets through
/// even in a read-only transaction, locks that others wait for, files in the
/// guise of large objects, and counters that tell of rows that are not seen.
const NEEDING: &[(Kind, &str, Needs)] = &[
    (Is, "nextval", WRITE),
    (Is, "setval", WRITE),
    (Is, "pg_notify", WRITE),
    (Begins, "pg_advisory_", WRITE),
    (Begins, "pg_try_advisory_", WRITE),
    // They use up a transaction id, a standby cannot give one.
    (Is, "txid_current", WRITE),
    (Is, "pg_current_xact_id", WRITE),
    (Begins, "lo_creat", WRITE_EXPORT),
    (Is, "lo_from_bytea", WRITE_EXPORT),
    (Is, "lo_put", WRITE_EXPORT),
    (Is, "lowrite", WRITE_EXPORT),
    (Is, "lo_unlink", WRITE_EXPORT),
    (Begins, "lo_truncate", WRITE_EXPORT),
    (Is, "lo_manage", WRITE_EXPORT),
    (Is, "lo_get", EXPORT),
    (Is, "loread", EXPORT),
    (Is, "lo_open", EXPORT),
    (Is, "lo_close", EXPORT),
    (Begins, "lo_lseek", EXPORT),
    (Begins, "lo_tell", EXPORT),
    (Begins, "pg_stat_get_", ALL_ROWS),
];

/// Functions that PostgreSQL calls volatile and that pass all the same: they
/// have no effect but on the session itself. A sleep ends with statement_timeout.
const VOLATILE: &[&str] = &[
    "array_sample",
    "array_shuffle",
    "clock_timestamp",
    "current_query",
    "currval",
    "gen_random_uuid",
    "lastval",
    "pg_blocking_pids",
    "pg_collation_actual_version",
    "pg_current_wal_flush_lsn",
    "pg_current_wal_insert_lsn",
    "pg_current_wal_lsn",
    "pg_database_collation_actual_version",
    "pg_database_size",
    "pg_get_wait_events",
    "pg_indexes_size",
    "pg_is_in_backup",
    "pg_is_in_recovery",
    "pg_is_wal_replay_paused",
    "pg_jit_available",
    "pg_last_committed_xact",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_lock_status",
    "pg_notification_queue_usage",
    "pg_partition_ancestors",
    "pg_partition_tree",
    "pg_relation_size",
    "pg_sequence_last_value",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_xact_commit_timestamp",
    "pg_xact_status",
    "random",
    "random_normal",
    // Judged by the setting that it changes.
    "set_config",
    "setseed",
    "timeofday",
    "timezone",
    "txid_status",
    "uuidv4",
    "uuidv7",
];

/// The functions that people use most, none with an effect that lasts. Not on
/// this list means no more than a synced record under a write permit. Sorted.
const PLAIN: &[&str] = &[
    "abs",
    "age",
    "any_value",
    "array_agg",
    "array_append",
    "array_cat",
    "array_dims",
    "array_length",
    "array_lower",
    "array_ndims",
    "array_position",
    "array_positions",
    "array_prepend",
    "array_remove",
    "array_replace",
    "array_to_json",
    "array_to_string",
    "array_upper",
    "ascii",
    "avg",
    "bit_and",
    "bit_or",
    "bool_and",
    "bool_or",
    "btrim",
    "cardinality",
    "ceil",
    "ceiling",
    "char_length",
    "character_length",
    "chr",
    "clock_timestamp",
    "col_description",
    "concat",
    "concat_ws",
    "corr",
    "count",
    "covar_pop",
    "covar_samp",
    "cume_dist",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_setting",
    "currval",
    "date",
    "date_bin",
    "date_part",
    "date_trunc",
    "decode",
    "dense_rank",
    "div",
    "encode",
    "every",
    "exp",
    "extract",
    "first_value",
    "floor",
    "format",
    "format_type",
    "gen_random_uuid",
    "generate_series",
    "generate_subscripts",
    "get_byte",
    "getdatabaseencoding",
    "has_column_privilege",
    "has_database_privilege",
    "has_function_privilege",
    "has_schema_privilege",
    "has_table_privilege",
    "inet_server_addr",
    "inet_server_port",
    "initcap",
    "isfinite",
    "json_agg",
    "json_array_elements",
    "json_array_elements_text",
    "json_array_length",
    "json_build_array",
    "json_build_object",
    "json_each",
    "json_each_text",
    "json_extract_path",
    "json_extract_path_text",
    "json_object",
    "json_object_agg",
    "json_object_keys",
    "json_typeof",
    "jsonb_agg",
    "jsonb_array_elements",
    "jsonb_array_elements_text",
    "jsonb_array_length",
    "jsonb_build_array",
    "jsonb_build_object",
    "jsonb_each",
    "jsonb_each_text",
    "jsonb_extract_path",
    "jsonb_extract_path_text",
    "jsonb_object",
    "jsonb_object_agg",
    "jsonb_object_keys",
    "jsonb_path_exists",
    "jsonb_path_query",
    "jsonb_pretty",
    "jsonb_set",
    "jsonb_typeof",
    "justify_interval",
    "lag",
    "last_value",
    "lastval",
    "lead",
    "left",
    "length",
    "like_escape",
    "ln",
    "log",
    "lower",
    "lpad",
    "ltrim",
    "make_date",
    "make_interval",
    "make_timestamp",
    "make_timestamptz",
    "max",
    "md5",
    "min",
    "mod",
    "mode",
    "now",
    "nth_value",
    "ntile",
    "num_nonnulls",
    "num_nulls",
    "obj_description",
    "octet_length",
    "overlaps",
    "overlay",
    "percent_rank",
    "percentile_cont",
    "percentile_disc",
    "pg_backend_pid",
    "pg_char_to_encoding",
    "pg_client_encoding",
    "pg_collation_is_visible",
    "pg_column_size",
    "pg_conversion_is_visible",
    "pg_database_size",
    "pg_encoding_to_char",
    "pg_function_is_visible",
    "pg_get_constraintdef",
    "pg_get_expr",
    "pg_get_function_arguments",
    "pg_get_function_identity_arguments",
    "pg_get_function_result",
    "pg_get_indexdef",
    "pg_get_keywords",
    "pg_get_partkeydef",
    "pg_get_ruledef",
    "pg_get_serial_sequence",
    "pg_get_statisticsobjdef_columns",
    "pg_get_triggerdef",
    "pg_get_userbyid",
    "pg_get_viewdef",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_opclass_is_visible",
    "pg_operator_is_visible",
    "pg_opfamily_is_visible",
    "pg_postmaster_start_time",
    "pg_relation_is_publishable",
    "pg_relation_size",
    "pg_show_all_settings",
    "pg_size_pretty",
    "pg_sleep",
    "pg_statistics_obj_is_visible",
    "pg_table_is_visible",
    "pg_table_size",
    "pg_tablespace_location",
    "pg_total_relation_size",
    "pg_ts_config_is_visible",
    "pg_type_is_visible",
    "pg_typeof",
    "pi",
    "plainto_tsquery",
    "position",
    "power",
    "quote_ident",
    "quote_literal",
    "quote_nullable",
    "random",
    "rank",
    "regexp_count",
    "regexp_like",
    "regexp_match",
    "regexp_matches",
    "regexp_replace",
    "regexp_split_to_array",
    "regexp_split_to_table",
    "regexp_substr",
    "regr_slope",
    "repeat",
    "replace",
    "reverse",
    "right",
    "round",
    "row_number",
    "row_to_json",
    "rpad",
    "rtrim",
    "set_config",
    "sha256",
    "shobj_description",
    "sign",
    "similar_to_escape",
    "split_part",
    "sqrt",
    "starts_with",
    "statement_timestamp",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "string_agg",
    "string_to_array",
    "string_to_table",
    "strpos",
    "substr",
    "substring",
    "sum",
    "timeofday",
    "timezone",
    "to_char",
    "to_date",
    "to_json",
    "to_jsonb",
    "to_number",
    "to_regclass",
    "to_regtype",
    "to_timestamp",
    "to_tsquery",
    "to_tsvector",
    "transaction_timestamp",
    "translate",
    "trunc",
    "ts_headline",
    "ts_rank",
    "unnest",
    "upper",
    "var_pop",
    "var_samp",
    "variance",
    "version",
    "websearch_to_tsquery",
    "width_bucket",
    "xmlagg",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_functions_are_sorted_and_refused_by_no_rule() {
        assert!(PLAIN.is_sorted());
        for name in PLAIN {
            assert_eq!(builtin(name), Some(Call::Passes(Needs::NONE)), "{name}");
        }
    }

    #[test]
    fn what_is_named_here_is_what_postgresql_has() {
        for name in VOLATILE.iter().chain(ALLOWED) {
            assert!(include_str!("builtins.txt").lines().any(|l| l == format!("{name} volatile")), "{name}");
            assert_eq!(listed(name), None, "{name}");
        }
        for pattern in NEVER.iter().map(|(_, pattern, _)| pattern).chain(NEEDING.iter().map(|(_, p, _)| p)) {
            assert!(listed(pattern).is_some(), "{pattern}");
        }
        assert_eq!(builtin("bernoulli"), Some(Call::Passes(Needs::NONE)));
        assert_eq!(builtin("pg_stat_get_xact_tuples_fetched"), Some(Call::Passes(ALL_ROWS)));
        assert_eq!(builtin("currtid2"), Some(Call::Never(SERVER)));
        assert_eq!(builtin("dblink"), None);
        assert!(is_builtin_operator("||") && !is_builtin_operator("@#@"));
    }
}
