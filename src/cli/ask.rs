//! Questions to a person, on a terminal only; each has a flag that answers it.

use super::error::CliError;
use super::output::{can_ask, clean, note, width_of_stderr, wrapped};
use crate::core::model::{ErrorKind, Secret};
use dialoguer::{Confirm, Input, Select};
use std::io::IsTerminal as _;

/// How often a question is asked again.
const TRIES: usize = 3;

/// A line of text; empty is not an answer.
pub fn text(prompt: &str, flag: &str) -> Result<String, CliError> {
    if !can_ask() {
        return Err(CliError::usage(format!("{prompt}: nothing was given, and no terminal to ask on"))
            .hint(format!("say it with {flag}")));
    }
    for _ in 0..TRIES {
        let asked = Input::new().with_prompt(prompt).allow_empty(true).interact_text();
        let answer: String = asked.map_err(|error| unanswered(&error))?;
        match answer.trim() {
            "" => note(&format!("{prompt}: nothing was said; write a few words, or leave with Ctrl-C")),
            answer => return Ok(answer.to_owned()),
        }
    }
    Err(CliError::usage(format!("{prompt}: nothing was said")).hint(format!("say it with {flag}")))
}

/// Yes or no; no is what Enter says.
pub fn confirm(prompt: &str, flag: &str) -> Result<bool, CliError> {
    if !can_ask() {
        let why = "there is no terminal to confirm it on";
        return Err(CliError::usage(clean(prompt)).why(why).hint(format!("confirm with {flag}")));
    }
    // The terminal would break it within words, and `[y/n]` stands behind it.
    let room = width_of_stderr().map_or(usize::MAX, |width| usize::from(width).saturating_sub(8));
    let mut lines = wrapped(&clean(prompt), room);
    // The last line alone: it is drawn again with the answer.
    let last = lines.pop().unwrap_or_default();
    if !lines.is_empty() {
        note(&lines.join("\n"));
    }
    Confirm::new().with_prompt(last).default(false).interact().map_err(|error| unanswered(&error))
}

/// Yes or no, with what Enter says; the caller has made sure that somebody can be asked.
pub fn yes_or_no(prompt: &str, default: bool) -> Result<bool, CliError> {
    Confirm::new().with_prompt(prompt).default(default).interact().map_err(|error| unanswered(&error))
}

/// One of several; the caller has made sure that somebody can be asked.
pub fn choose(prompt: &str, items: &[String]) -> Result<usize, CliError> {
    let items: Vec<String> = items.iter().map(|item| clean(item)).collect();
    Select::new()
        .with_prompt(prompt)
        .items(&items)
        .default(0)
        .interact_opt()
        .map_err(|error| unanswered(&error))?
        .ok_or_else(|| CliError::new(ErrorKind::Usage, "nothing was chosen"))
}

fn unanswered(error: &dialoguer::Error) -> CliError {
    CliError::usage("the question was not answered").why(error.to_string())
}

/// A database administrator's password: from `PGPASSWORD`, else asked for.
pub fn admin_password() -> Result<Secret, CliError> {
    if let Ok(password) = std::env::var("PGPASSWORD") {
        return Ok(Secret::new(password));
    }
    if !std::io::stdin().is_terminal() {
        return Err(CliError::usage("the administrator's password is not known")
            .hint("put it into the environment as PGPASSWORD"));
    }
    dialoguer::Password::new()
        .with_prompt("Administrator's password")
        .interact()
        .map(Secret::new)
        .map_err(|error| unanswered(&error))
}
