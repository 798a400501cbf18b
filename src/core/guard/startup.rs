//! The startup packet: which parameters go upstream.

use super::reason::{NO_DUMP, Reason};
use super::{Refusal, settings};

/// What a client said of itself, checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    pub user: String,
    /// As PostgreSQL has it, the user's name where none is given.
    pub database: String,
    /// Settings to send upstream as parameters of the StartupMessage: those that
    /// the client gave, of `options` too, in order, then those that are pinned.
    /// RESET returns to them.
    pub settings: Vec<(String, String)>,
}

/// Checks the parameters of a StartupMessage. It comes before the permit is
/// known, so settings are judged as under a permit that only reads.
///
/// # Errors
/// A refusal when a parameter is not one that a session may set; the gateway
/// answers it as a FATAL error.
pub fn check_startup(parameters: &[(String, String)]) -> Result<Startup, Refusal> {
    let mut startup = Startup::default();
    for (name, value) in parameters {
        match name.as_str() {
            "user" => startup.user.clone_from(value),
            "database" => startup.database.clone_from(value),
            "options" => {
                for (name, value) in options(value)? {
                    push(&mut startup, &name, &value)?;
                }
            }
            "replication" if ["false", "off", "no", "0"].contains(&value.to_ascii_lowercase().as_str()) => {}
            "replication" => {
                return Err(refused("a replication connection", "connect as an ordinary client"));
            }
            // Protocol options, not settings: answered by NegotiateProtocolVersion.
            name if name.starts_with("_pq_.") => {}
            "application_name" | "fallback_application_name" if is_dump(value) => {
                return Err(refused(&format!("{value}, which copies whole databases,"), NO_DUMP));
            }
            name => push(&mut startup, name, value)?,
        }
    }
    if startup.user.is_empty() {
        return Err(Refusal {
            sqlstate: "28000",
            message: "no user name in the startup packet".to_owned(),
            hint: "connect with the user that dbaccess connect prints".to_owned(),
        });
    }
    if startup.database.is_empty() {
        startup.database.clone_from(&startup.user);
    }
    for (name, value) in settings::PINNED {
        if !startup.settings.iter().any(|(given, _)| given == name) {
            startup.settings.push(((*name).to_owned(), (*value).to_owned()));
        }
    }
    Ok(startup)
}

/// Programs that need COPY of every table, locks on all of them and the source
/// of functions: told at once, not at their tenth statement.
fn is_dump(application: &str) -> bool {
    ["pg_dump", "pg_dumpall"].contains(&application.trim())
}

fn push(startup: &mut Startup, name: &str, value: &str) -> Result<(), Refusal> {
    match settings::check_value(name, value, false) {
        None => {
            startup.settings.push((name.to_ascii_lowercase(), value.to_owned()));
            Ok(())
        }
        Some(Reason::NeedsWrite(what)) => Err(refused(&what, "set it inside the session instead")),
        Some(Reason::Never(what, instead)) => Err(refused(&what, &instead)),
        Some(_) => Err(refused(&format!("the setting {name}"), "set it inside the session instead")),
    }
}

fn refused(what: &str, instead: &str) -> Refusal {
    Refusal {
        sqlstate: "42501",
        message: format!("{what} is not allowed when a dbaccess session begins"),
        hint: instead.to_owned(),
    }
}

/// Reads `-c name=value`, `-cname=value` and `--name=value`; words are split at
/// white space, a backslash takes the next character as it is (`pg_split_opts`).
fn options(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let mut words = split(text).into_iter();
    let mut settings = Vec::new();
    while let Some(word) = words.next() {
        let assignment = match word.strip_prefix("--").or_else(|| word.strip_prefix("-c")) {
            Some("") => words.next(),
            Some(rest) => Some(rest.to_owned()),
            None => None,
        };
        let Some((name, value)) = assignment.as_deref().and_then(|a| a.split_once('=')) else {
            return Err(refused(&format!("the option {word}"), "give settings as -c name=value"));
        };
        // PostgreSQL takes a dash for an underscore here.
        settings.push((name.replace('-', "_"), value.to_owned()));
    }
    Ok(settings)
}

fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            // As C's isspace.
            ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c' => words.extend(word.take()),
            '\\' => word.get_or_insert_default().extend(rest.next()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}
