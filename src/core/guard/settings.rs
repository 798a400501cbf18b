//! Settings: which a session may change, and to what. Everything else keeps
//! what the role and the gateway set.

use super::reason::{NO_DUMP, Reason};
use crate::core::sql::{Change, Setting};

/// `None` when the change may pass.
pub(super) fn check(setting: &Setting, may_write: bool) -> Option<Reason> {
    let name = setting.name.as_str();
    match &setting.change {
        // The one setting whose reset is not what the session began with: the
        // transaction becomes READ WRITE, whatever the default is (tried on 15).
        Change::Back if name == "transaction_read_only" => (!may_write).then(|| lifts_read_only(name)),
        // What the session began with is what the gateway and the role chose.
        Change::Back => None,
        Change::To(value) => check_value(name, value, may_write),
        Change::Unknown => Some(Reason::never(
            format!("changing the setting {} to something that is not a constant", shown(name)),
            "write the setting and its value as constants, with SET",
        )),
    }
}

/// The same for a value that came with the startup packet.
pub(super) fn check_value(name: &str, value: &str, may_write: bool) -> Option<Reason> {
    let Some((_, rule)) = SETTINGS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
        let what = format!("changing the setting {}", shown(name));
        // Row security and functions may trust a setting of the application's own.
        let custom =
            "a setting of the application's own may decide which rows are shown; ask for rows by --row";
        // What pg_dump sets, by whatever name it comes.
        if name == "synchronize_seqscans" {
            return Some(Reason::never("pg_dump, which copies whole databases,".to_owned(), NO_DUMP));
        }
        let instead = if name.contains('.') { custom } else { "it stays as the role has it" };
        return Some(Reason::never(what, instead));
    };
    // Not the value: refusals are on record, and what was typed is not for everybody.
    let outside = |allowed: &'static str| Some(Reason::never(format!("setting {} so", shown(name)), allowed));
    match rule {
        Rule::Any => None,
        Rule::On if boolean(value) == Some(true) => None,
        Rule::On => outside("it stays on"),
        Rule::ReadOnly if may_write || boolean(value) == Some(true) => None,
        Rule::ReadOnly => Some(lifts_read_only(name)),
        Rule::Utf8 if is_safe_encoding(value) => None,
        Rule::Utf8 => outside("use UTF8: under other encodings a text can be read in two ways"),
        Rule::Milliseconds(most) if milliseconds(value).is_some_and(|v| 0 < v && v <= *most) => None,
        Rule::Milliseconds(_) => outside("it may be lowered, up to an hour and never off"),
        Rule::Kilobytes(most) if kilobytes(value).is_some_and(|v| v <= *most) => None,
        Rule::Kilobytes(_) => outside("it may be up to 256MB"),
        Rule::AtMost(most) if value.trim().parse::<i64>().is_ok_and(|v| v <= *most) => None,
        Rule::AtMost(_) => outside("it may be lowered"),
    }
}

/// What every session begins with, whatever the server's default, because the
/// grammar here reads texts under them (parser differentials, masking.md).
pub(super) const PINNED: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
    ("backslash_quote", "safe_encoding"),
];

enum Rule {
    Any,
    /// Only on.
    On,
    /// On under any permit, off only under one that writes.
    ReadOnly,
    /// UTF-8, or SQL_ASCII (psql without a locale asks for it), under which texts
    /// go unconverted. In others a byte of a character can be a quote or a
    /// backslash, and a text would be recorded as something that it is not.
    Utf8,
    /// A time above zero, up to so many.
    Milliseconds(i64),
    Kilobytes(i64),
    AtMost(i64),
}

const HOUR: i64 = 3_600_000;

/// PostgreSQL manual, chapter 20.
const SETTINGS: &[(&str, Rule)] = &[
    ("application_name", Rule::Any),
    ("search_path", Rule::Any),
    ("client_encoding", Rule::Utf8),
    ("standard_conforming_strings", Rule::On),
    ("row_security", Rule::On),
    ("escape_string_warning", Rule::Any),
    ("client_min_messages", Rule::Any),
    // What values look like.
    ("datestyle", Rule::Any),
    ("timezone", Rule::Any),
    ("intervalstyle", Rule::Any),
    ("extra_float_digits", Rule::Any),
    ("bytea_output", Rule::Any),
    ("xmloption", Rule::Any),
    ("xmlbinary", Rule::Any),
    ("lc_messages", Rule::Any),
    ("lc_monetary", Rule::Any),
    ("lc_numeric", Rule::Any),
    ("lc_time", Rule::Any),
    ("quote_all_identifiers", Rule::Any),
    ("default_text_search_config", Rule::Any),
    ("seed", Rule::Any),
    // Transactions.
    ("transaction_isolation", Rule::Any),
    ("transaction_deferrable", Rule::Any),
    ("default_transaction_isolation", Rule::Any),
    ("default_transaction_deferrable", Rule::Any),
    ("transaction_read_only", Rule::ReadOnly),
    ("default_transaction_read_only", Rule::ReadOnly),
    // Limits.
    ("statement_timeout", Rule::Milliseconds(HOUR)),
    ("lock_timeout", Rule::Milliseconds(HOUR)),
    ("transaction_timeout", Rule::Milliseconds(HOUR)),
    ("idle_in_transaction_session_timeout", Rule::Milliseconds(HOUR)),
    ("idle_session_timeout", Rule::Milliseconds(HOUR)),
    ("work_mem", Rule::Kilobytes(256 << 10)),
    ("max_parallel_workers_per_gather", Rule::AtMost(4)),
    // Of extensions, about how they search.
    ("pg_trgm.similarity_threshold", Rule::Any),
    ("pg_trgm.word_similarity_threshold", Rule::Any),
    ("pg_trgm.strict_word_similarity_threshold", Rule::Any),
    ("hnsw.ef_search", Rule::AtMost(1000)),
    ("ivfflat.probes", Rule::AtMost(1000)),
    // The planner.
    ("jit", Rule::Any),
    ("plan_cache_mode", Rule::Any),
    ("cursor_tuple_fraction", Rule::Any),
    ("from_collapse_limit", Rule::AtMost(20)),
    ("join_collapse_limit", Rule::AtMost(20)),
    ("geqo", Rule::Any),
    ("random_page_cost", Rule::Any),
    ("seq_page_cost", Rule::Any),
    ("effective_cache_size", Rule::Any),
    ("enable_async_append", Rule::Any),
    ("enable_bitmapscan", Rule::Any),
    ("enable_gathermerge", Rule::Any),
    ("enable_hashagg", Rule::Any),
    ("enable_hashjoin", Rule::Any),
    ("enable_incremental_sort", Rule::Any),
    ("enable_indexonlyscan", Rule::Any),
    ("enable_indexscan", Rule::Any),
    ("enable_material", Rule::Any),
    ("enable_memoize", Rule::Any),
    ("enable_mergejoin", Rule::Any),
    ("enable_nestloop", Rule::Any),
    ("enable_parallel_append", Rule::Any),
    ("enable_parallel_hash", Rule::Any),
    ("enable_partition_pruning", Rule::Any),
    ("enable_partitionwise_aggregate", Rule::Any),
    ("enable_partitionwise_join", Rule::Any),
    ("enable_presorted_aggregate", Rule::Any),
    ("enable_seqscan", Rule::Any),
    ("enable_sort", Rule::Any),
    ("enable_tidscan", Rule::Any),
];

fn lifts_read_only(name: &str) -> Reason {
    Reason::NeedsWrite(format!("turning {name} off"))
}

fn shown(name: &str) -> String {
    let is_name = name.chars().all(|c| c.is_ascii_alphabetic() || matches!(c, '_' | '.'));
    match name {
        "" => "whose name is not a constant".to_owned(),
        name if is_name => name.to_owned(),
        _ => "of that name".to_owned(),
    }
}

/// A boolean as PostgreSQL reads it (`bool.c`): any unambiguous prefix.
fn boolean(value: &str) -> Option<bool> {
    let value = value.trim().to_ascii_lowercase();
    let begins = |word: &str, least: usize| value.len() >= least && word.starts_with(&value);
    if begins("true", 1) || begins("yes", 1) || value == "on" || value == "1" {
        Some(true)
    } else if begins("false", 1) || begins("no", 1) || begins("off", 2) || value == "0" {
        Some(false)
    } else {
        None
    }
}

/// PostgreSQL compares encoding names by their letters and digits only.
fn is_safe_encoding(value: &str) -> bool {
    let letters: String =
        value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    ["utf8", "unicode", "sqlascii"].contains(&letters.as_str())
}

fn milliseconds(value: &str) -> Option<i64> {
    amount(value, &[("", 1), ("ms", 1), ("s", 1000), ("min", 60_000), ("h", HOUR), ("d", 24 * HOUR)])
}

fn kilobytes(value: &str) -> Option<i64> {
    amount(value, &[("", 1), ("kB", 1), ("MB", 1 << 10), ("GB", 1 << 20), ("TB", 1 << 30)])
}

/// A whole decimal number with a unit, in the smallest of the units.
fn amount(value: &str, units: &[(&str, i64)]) -> Option<i64> {
    let value = value.trim();
    let digits = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    let (number, unit) = value.split_at_checked(digits)?;
    // PostgreSQL reads a leading zero as octal.
    if number.len() > 1 && number.starts_with('0') {
        return None;
    }
    let (_, factor) = units.iter().find(|(known, _)| *known == unit.trim())?;
    number.parse::<i64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_postgresql_reads_them() {
        for (value, read) in [
            ("30s", Some(30_000)),
            ("500", Some(500)),
            ("5min", Some(300_000)),
            (" 1 h ", Some(HOUR)),
            ("0", Some(0)),
            ("-1", None),
            ("010", None),
            ("1e3", None),
            ("99999999999999999999", None),
            ("9999999999999999d", None),
            ("5 parsecs", None),
        ] {
            assert_eq!(milliseconds(value), read, "{value}");
        }
        for (value, read) in [
            ("on", Some(true)),
            ("T", Some(true)),
            ("ye", Some(true)),
            ("1", Some(true)),
            ("of", Some(false)),
            ("n", Some(false)),
            ("o", None),
            ("", None),
            ("2", None),
        ] {
            assert_eq!(boolean(value), read, "{value}");
        }
    }
}
