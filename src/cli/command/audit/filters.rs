//! Which statements `audit` is asked for, as people say it.

use crate::cli::error::CliError;
use crate::core::model::{Environment, parse_duration};
use crate::os;
use crate::proto::{AuditQuery, ResultKind, TouchedKind};
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _, Zoned};
use serde::de::DeserializeOwned;
use serde_json::Value;

#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Which statements (all that is said must fit)")]
pub(super) struct Filters {
    /// Of this person, by e-mail address
    #[arg(long, value_name = "EMAIL")]
    person: Option<String>,
    /// Of this team's members, as the teams were when they asked for access
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,
    /// On this target
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// On targets that were production, staging or development
    #[arg(long, value_name = "ENVIRONMENT", value_parser = named::<Environment>)]
    environment: Option<Environment>,
    /// That name this table, TABLE or SCHEMA.TABLE, to read or to change it
    #[arg(long, value_name = "TABLE")]
    table: Option<String>,
    /// That name classified columns which their grant showed unmasked: pii,
    /// financial, health, secret, any; unknown where the grant is not on record
    #[arg(long, value_name = "KIND", value_parser = named::<TouchedKind>)]
    sensitivity: Option<TouchedKind>,
    /// That are, or hold, such a command: select, delete, "copy to", …
    #[arg(long, value_name = "COMMAND")]
    verb: Option<String>,
    /// That took data out: by COPY, or as a result of so many rows and more
    #[arg(long, value_name = "ROWS", num_args = 0..=1, require_equals = true, default_missing_value = "1000")]
    export: Option<u64>,
    /// That returned or changed so many rows and more
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// That ended so: ok, failed, refused, cut, skipped, unknown, running; or
    /// ran, for all that reached the database
    #[arg(long, value_name = "HOW", value_parser = named::<ResultKind>)]
    result: Option<ResultKind>,
    /// Whose text has this in it; ASCII letters in any case
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
    /// Under this grant, by id or unique prefix
    #[arg(long, value_name = "ID")]
    grant: Option<String>,
    /// Of this session, by id or unique prefix
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Under break-glass for this incident
    #[arg(long, value_name = "ID")]
    incident: Option<String>,
    /// Since then: a length of time back (90d), a day (2026-11-01), a time, or
    /// today, week, month, quarter, year: since its beginning
    #[arg(long, value_name = "WHEN", conflicts_with = "between")]
    since: Option<String>,
    /// From one time up to another; a day as the second counts with all its hours
    #[arg(long, num_args = 2, value_names = ["FROM", "TO"])]
    between: Option<Vec<String>>,
    /// Older than this place in the ledger: what a page said to go on with
    #[arg(long, value_name = "SEQ")]
    before: Option<u64>,
}

impl Filters {
    pub(super) fn query(self) -> Result<AuditQuery, CliError> {
        let now = os::now().to_zoned(TimeZone::system());
        let (mut since, mut until) = (None, None);
        if let Some(text) = &self.since {
            since = Some(moment(text, &now, false)?);
        }
        if let Some([from, to]) = self.between.as_deref() {
            since = Some(moment(from, &now, false)?);
            until = Some(moment(to, &now, true)?);
        }
        Ok(AuditQuery {
            session: self.session,
            grant: self.grant,
            person: self.person,
            team: self.team,
            target: self.target,
            environment: self.environment,
            incident: self.incident,
            table: self.table,
            sensitivity: self.sensitivity,
            verb: self.verb,
            export: self.export,
            rows: self.rows,
            result: self.result,
            text: self.text,
            since,
            until,
            before: self.before,
            after: None,
            limit: None,
            by: None,
        })
    }
}

/// A value by the name that it has in the API.
pub(super) fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(Value::String(text.to_lowercase())).map_err(|error| error.to_string())
}

/// A time in the past as people write it; a day's end where `end` is asked for.
pub(in crate::cli::command) fn moment(text: &str, now: &Zoned, end: bool) -> Result<Timestamp, CliError> {
    let wrong = || {
        CliError::usage(format!("`{text}` is not a time in the past"))
            .hint("write it as 90d, 2026-11-01, 2026-11-01T14:00, quarter, month or today")
    };
    if let Ok(back) = parse_duration(text) {
        let seconds = i64::try_from(back.as_secs()).map_err(|_| wrong())?;
        return Timestamp::from_second(now.timestamp().as_second() - seconds).map_err(|_| wrong());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at);
    }
    let today = now.date();
    let day = match text {
        "today" => Some(today),
        "week" => today.tomorrow().ok().and_then(|next| next.nth_weekday(-1, Weekday::Monday).ok()),
        "month" => Some(today.first_of_month()),
        "quarter" => Date::new(today.year(), (today.month() - 1) / 3 * 3 + 1, 1).ok(),
        "year" => Some(today.first_of_year()),
        // A text with a time of day is a date, too, for the parser.
        _ if text.contains(['T', 't', ' ']) => None,
        _ => text.parse().ok(),
    };
    let local = match day {
        Some(day) if end => day.checked_add(1.day()).map_err(|_| wrong())?.to_datetime(Default::default()),
        Some(day) => day.to_datetime(Default::default()),
        None => text.parse::<DateTime>().map_err(|_| wrong())?,
    };
    Ok(local.to_zoned(now.time_zone().clone()).map_err(|_| wrong())?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_while_ago_a_day_a_time_or_a_beginning() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let now = "2026-11-28T20:00:00Z".parse::<Timestamp>().unwrap().to_zoned(berlin);
        for (text, end, expected) in [
            ("90d", false, "2026-08-30T20:00:00Z"),
            ("2026-11-01T00:00:00Z", false, "2026-11-01T00:00:00Z"),
            ("2026-11-01T14:00", true, "2026-11-01T13:00:00Z"),
            ("2026-11-01", false, "2026-10-31T23:00:00Z"),
            ("2026-11-01", true, "2026-11-01T23:00:00Z"),
            ("today", false, "2026-11-27T23:00:00Z"),
            ("week", false, "2026-11-22T23:00:00Z"),
            ("month", false, "2026-10-31T23:00:00Z"),
            ("quarter", false, "2026-09-30T22:00:00Z"),
            ("year", false, "2025-12-31T23:00:00Z"),
        ] {
            assert_eq!(moment(text, &now, end).unwrap().to_string(), expected, "{text}");
        }
        for bad in ["yesterday", "", "2026-13-01", "24.12.2026"] {
            assert!(moment(bad, &now, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_those_of_the_api_in_any_case() {
        assert_eq!(named::<TouchedKind>("PII"), Ok(TouchedKind::Pii));
        assert_eq!(named::<Environment>("production"), Ok(Environment::Production));
        assert!(named::<ResultKind>("well").unwrap_err().contains("refused"));
    }
}
