//! `dbaccess audit unseal`: reading what redacted statements left out.

use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, note, relative};
use crate::cli::recorded::read_key;
use crate::core::model::ErrorKind;
use crate::core::recording::AuditorSecret;
use crate::core::sql::{PLACEHOLDER, redact};
use crate::core::unseal::{UnsealError, open};
use crate::os;
use crate::proto::{
    AskUnseal, DecideUnseal, OpenUnseal, OpenedStatement, SealedPart, UnsealView, UnsealsQuery,
};
use jiff::Timestamp;
use serde::Serialize;
use std::path::PathBuf;

/// Read what redacted statements left out: two auditors decide.
///
/// One asks and says why, another agrees; for a day both can open the originals
/// with the auditor's private key. Each step is on the ledger. Nobody takes part
/// in what is about their own statements.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct UnsealArgs {
    #[command(subcommand)]
    command: UnsealCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum UnsealCommand {
    Request(RequestArgs),
    List(ListArgs),
    Approve(ApproveArgs),
    Deny(DenyArgs),
    Open(OpenArgs),
}

/// Ask for the originals of a session's statements, or of single ones.
#[derive(Clone, Debug, clap::Args)]
struct RequestArgs {
    /// Statements, by their `seq` in `dbaccess audit`
    #[arg(value_name = "SEQ", required_unless_present = "session", conflicts_with = "session")]
    statements: Vec<u64>,
    /// All that is redacted of a session until now
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Why they must be read
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// List what waits for a second auditor, and what can be opened.
#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    /// Those too that were denied, have expired or are over
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Agree, as the second auditor.
#[derive(Clone, Debug, clap::Args)]
struct ApproveArgs {
    /// By id or unique prefix
    id: String,
    /// Words for the record
    #[arg(long)]
    comment: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Refuse it, or withdraw your own.
#[derive(Clone, Debug, clap::Args)]
struct DenyArgs {
    /// By id or unique prefix
    id: String,
    /// Why
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

/// Show the originals of an approved one. That you did is on the ledger.
///
/// They are opened here: the private key never leaves this machine.
#[derive(Clone, Debug, clap::Args)]
struct OpenArgs {
    /// By id or unique prefix
    id: String,
    /// The auditor's private key, of `dbaccess recording keygen`
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    output: OutputArgs,
}

impl UnsealArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        let client = context.client()?;
        match self.command {
            UnsealCommand::Request(args) => {
                let asked =
                    AskUnseal { session: args.session, statements: args.statements, reason: args.reason };
                let asked = client.ask_unseal(&asked).await?;
                show(args.output.output, std::slice::from_ref(&asked), &asked)?;
                note(&format!("another auditor decides: dbaccess audit unseal approve {}", asked.unseal.id));
            }
            UnsealCommand::List(args) => {
                let found = client.unseals(UnsealsQuery { all: args.all }).await?;
                show(args.output.output, &found, &found)?;
            }
            UnsealCommand::Approve(args) => {
                let word = DecideUnseal { approve: true, comment: args.comment };
                let decided = client.decide_unseal(&args.id, &word).await?;
                show(args.output.output, std::slice::from_ref(&decided), &decided)?;
                let id = &decided.unseal.id;
                note(&format!("you both can open it for a day: dbaccess audit unseal open {id} --key FILE"));
            }
            UnsealCommand::Deny(args) => {
                let word = DecideUnseal { approve: false, comment: args.reason };
                let decided = client.decide_unseal(&args.id, &word).await?;
                show(args.output.output, std::slice::from_ref(&decided), &decided)?;
            }
            UnsealCommand::Open(args) => return args.run(context).await,
        }
        Ok(0)
    }
}

fn show(format: Format, views: &[UnsealView], value: &impl Serialize) -> Result<(), CliError> {
    let now = os::now();
    let people = format == Format::Table;
    let time = |at| if people { relative(at, now) } else { format!("{at}") };
    let mut listing = Listing::new(
        ["id", "state", "asked by", "asked", "whose", "statements", "reason", "decided by", "open until"],
        "nothing waits, and nothing can be opened",
    );
    for UnsealView { unseal, state } in views {
        let decision = unseal.decision.as_ref();
        let whose: Vec<&str> = unseal.people.iter().map(|person| person.email.as_str()).collect();
        listing.row([
            unseal.id.to_string(),
            state.as_str().to_owned(),
            unseal.by.email.clone(),
            time(unseal.asked_at),
            whose.join(", "),
            unseal.statements.len().to_string(),
            unseal.reason.clone(),
            decision.map(|decision| decision.by.email.clone()).unwrap_or_default(),
            decision.and_then(|decision| decision.until).map(time).unwrap_or_default(),
        ]);
    }
    output::print_list(format, &listing, value)
}

/// A statement as it was typed.
#[derive(Serialize)]
struct Opened {
    seq: u64,
    at: Timestamp,
    person: String,
    target: String,
    session: String,
    text: String,
    parameters: Vec<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters_sha256: Option<String>,
    /// Of the error that it ended in.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl OpenArgs {
    async fn run(self, context: &Context) -> Result<u8, CliError> {
        // Before anybody is told that they were opened.
        let secret = read_key(&self.key)?;
        let client = context.client()?;
        let (mut opened, mut after) = (Vec::new(), None);
        let asked = loop {
            let page = client.open_unseal(&self.id, OpenUnseal { after }).await?;
            for statement in page.statements {
                opened.push(unsealed(statement, &secret)?);
            }
            after = page.next;
            if after.is_none() {
                break page.unseal.unseal.statements.len();
            }
        };
        let people = self.output.output == Format::Table;
        let now = os::now();
        let mut listing = Listing::new(
            ["seq", "when", "person", "target", "session", "statement", "values", "message"],
            "no statements",
        );
        for one in &opened {
            let values: Vec<&str> =
                one.parameters.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect();
            let text = match people {
                true => one.text.split_whitespace().collect::<Vec<_>>().join(" "),
                false => one.text.clone(),
            };
            listing.row([
                one.seq.to_string(),
                if people { relative(one.at, now) } else { one.at.to_string() },
                one.person.clone(),
                one.target.clone(),
                one.session.clone(),
                text,
                values.join(", "),
                one.message.clone().unwrap_or_default(),
            ]);
        }
        output::print_list(self.output.output, &listing, &opened)?;
        if opened.len() < asked {
            let gone = asked - opened.len();
            note(&format!("{gone} of {asked} are not there any more: retention has pruned them"));
        }
        Ok(0)
    }
}

/// Whether a record's text is what is left of an original without its values.
fn is_of(shown: &str, original: &str) -> bool {
    // Behind an EXECUTE stands in comments what it runs: here they are gone.
    let left = redact(original);
    shown.starts_with(left.split('\n').next().unwrap_or_default().trim_end())
}

fn unsealed(statement: OpenedStatement, secret: &AuditorSecret) -> Result<Opened, CliError> {
    let OpenedStatement { seq, at, person, target, session, text, original, message } = statement;
    let part = |part: Option<SealedPart>| {
        part.map(|part| open(&part.sealed, &part.share, &session, secret)).transpose()
    };
    let read = || Ok::<_, UnsealError>((part(original)?.unwrap_or_default(), part(message)?));
    let (original, message) = read().map_err(|error| match error.kind() {
        ErrorKind::Usage => CliError::usage(format!("the statement on line {seq} cannot be opened: {error}"))
            .hint("name that key's file with --key"),
        _ => CliError::usage(format!("the statement on line {seq} cannot be opened: {error}")).hint(
            "its line on the ledger is the proof: `dbaccess ledger verify` says whether it was changed",
        ),
    })?;
    // The server says which original is of which line; the line says what it must be like.
    let fits = original.text.as_deref().is_none_or(|original| text == PLACEHOLDER || is_of(&text, original));
    if !fits {
        return Err(CliError::usage(format!("the original of line {seq} is not of what that line shows"))
            .hint(
                "the server's index is not what its ledger says: tell those who run it, and keep its files",
            ));
    }
    Ok(Opened {
        seq,
        at,
        person: person.email,
        target,
        session: session.to_string(),
        text: original.text.map_or(text, std::borrow::Cow::into_owned),
        parameters: original.parameters.into_owned(),
        parameters_sha256: original.parameters_sha256.map(std::borrow::Cow::into_owned),
        message: message.and_then(|part| part.message).map(std::borrow::Cow::into_owned),
    })
}
