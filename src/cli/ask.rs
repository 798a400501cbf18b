//! Questions to a person, on a terminal only; each has a flag that answers it.

use super::error::CliError;
use super::output::{can_ask, clean};
use crate::core::model::{ErrorKind, Secret};
use dialoguer::{Confirm, Input, Select};
use std::io::IsTerminal as _;

/// A line of text; empty is not an answer.
pub fn text(prompt: &str, flag: &str) -> Result<String, CliError> {
    if !can_ask() {
        return Err(CliError::usage(format!("{prompt}: nothing was given, and no terminal to ask on"))
            .hint(format!("say it with {flag}")));
    }
    let answer: String = Input::new().with_prompt(prompt).interact_text().map_err(|e| unanswered(&e))?;
    let answer = answer.trim();
    if answer.is_empty() { Err(CliError::usage(format!("{prompt}: empty"))) } else { Ok(answer.to_owned()) }
}

/// Yes or no; no is what Enter says.
pub fn confirm(prompt: &str, flag: &str) -> Result<bool, CliError> {
    if !can_ask() {
        let why = "there is no terminal to confirm it on";
        return Err(CliError::usage(clean(prompt)).why(why).hint(format!("confirm with {flag}")));
    }
    Confirm::new().with_prompt(clean(prompt)).default(false).interact().map_err(|error| unanswered(&error))
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
