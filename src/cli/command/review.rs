use super::Context;
use super::campaign::CampaignArgs;
use crate::cli::error::CliError;
use crate::cli::output::{
    self, Format, Listing, OutputArgs, clean, field, relative, short_ids, width_of_stdout,
};
use crate::core::model::{ErrorKind, Review, StatementResult, Verdict, format_duration};
use crate::os;
use crate::proto::{AuditRow, LedgerEvent, ReviewDetail, ReviewView, ReviewsQuery, WriteReview};
use jiff::Timestamp;
use std::time::Duration;

/// Review break-glass access after its end, and by campaigns who has which access.
#[derive(Clone, Debug, clap::Args)]
pub struct ReviewArgs {
    #[command(subcommand)]
    command: ReviewCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum ReviewCommand {
    List(ListArgs),
    Show(ShowArgs),
    Write(WriteArgs),
    Campaign(CampaignArgs),
}

/// List the reviews that somebody owes, the first due first.
#[derive(Clone, Debug, clap::Args)]
struct ListArgs {
    /// Written ones too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

/// Show what was done: sessions, statements and how they ended, what they wrote and read.
#[derive(Clone, Debug, clap::Args)]
struct ShowArgs {
    /// The review's id, or a unique prefix of it
    id: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Write what you found. It cannot be changed afterwards, only added to.
///
/// For leads, managers and security, as policy names them for that person and
/// target; never for the person whose access it was.
#[derive(Clone, Debug, clap::Args)]
struct WriteArgs {
    /// The review's id, or a unique prefix of it
    id: String,
    /// Whether the incident needed what was done: justified or unjustified
    #[arg(long, value_name = "VERDICT", value_parser = verdict)]
    verdict: Verdict,
    /// What you found
    #[arg(long, value_name = "TEXT")]
    finding: String,
    /// What is to be done about it; may be given several times
    #[arg(long = "action", value_name = "TEXT")]
    actions: Vec<String>,
    #[command(flatten)]
    output: OutputArgs,
}

fn verdict(text: &str) -> Result<Verdict, String> {
    let all = [Verdict::Justified, Verdict::Unjustified];
    let found = all.into_iter().find(|verdict| verdict.as_str() == text);
    found.ok_or_else(|| "expected justified or unjustified".to_owned())
}

impl ReviewArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        match self.command {
            ReviewCommand::List(args) => args.run(context).await,
            ReviewCommand::Show(args) => args.run(context).await,
            ReviewCommand::Write(args) => args.run(context).await,
            ReviewCommand::Campaign(args) => args.run(context).await,
        }
    }
}

impl ListArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let views = context.client()?.reviews(ReviewsQuery { all: self.all }).await?;
        let format = self.output.output;
        output::print_list(format, &listing(&views, format), &views)?;
        let for_you = views.iter().filter(|view| is_for_you(view)).count();
        if format == Format::Table && for_you > 0 {
            output::note(&format!(
                "{for_you} for you to write: dbaccess review show ID, then review write ID"
            ));
        }
        Ok(())
    }
}

impl ShowArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let detail = context.client()?.review(&self.id).await?;
        match self.output.output {
            Format::Json => output::json(&detail),
            Format::Table => output::result(&describe(&detail, os::now(), width_of_stdout())),
            Format::Csv => Err(CliError::usage("a review is no table").hint("--output table, or json")),
        }
    }
}

impl WriteArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        if self.finding.trim().is_empty() {
            return Err(CliError::new(ErrorKind::Usage, "a review needs a finding")
                .hint("say what was done, and whether the incident needed it: --finding \"…\""));
        }
        let body = WriteReview { verdict: self.verdict, finding: self.finding, actions: self.actions };
        let view = context.client()?.write_review(&self.id, &body).await?;
        let format = self.output.output;
        output::print_list(format, &listing(std::slice::from_ref(&view), format), &view)
    }
}

fn is_for_you(view: &ReviewView) -> bool {
    view.you_review_as.is_some() && !view.review.is_written()
}

/// Reviews as rows; whole ids and times for programs, short ones for people.
fn listing(views: &[ReviewView], format: Format) -> Listing {
    let (now, people) = (os::now(), format == Format::Table);
    let short = short_ids(views.iter().map(|view| view.review.id.as_str()));
    let mut listing =
        Listing::new(["id", "state", "person", "target", "ended", "due", "reason", "you"], "no reviews");
    for view in views {
        let review = &view.review;
        let time = |at: Timestamp| if people { relative(at, now) } else { at.to_string() };
        let you = view.you_review_as.as_ref().map(|role| format!("as {role}"));
        listing.row([
            if people { short(review.id.as_str()) } else { review.id.to_string() },
            review.state(now).to_owned(),
            review.person.email.clone(),
            review.target.clone(),
            time(review.ended_at),
            if people && review.is_written() { String::new() } else { time(review.due_at) },
            view.reason.clone(),
            you.filter(|_| !people || is_for_you(view)).unwrap_or_default(),
        ]);
    }
    listing
}

/// The width of the names before the lines.
const LABEL: usize = 11;

/// Everything about one review, as a person reads it.
fn describe(detail: &ReviewDetail, now: Timestamp, width: Option<u16>) -> String {
    let ReviewDetail { view, grant, summary, .. } = detail;
    let Review { id, person, target, ended_at, due_at, findings, .. } = &view.review;
    let mut lines = format!("{id}  {}\n", view.review.state(now));
    let mut line = |name: &str, text: String| lines.push_str(&field(name, &clean(&text), LABEL, width));
    line("who", person.email.clone());
    line("target", target.clone());
    line("reason", view.reason.clone());
    line("scope", grant.scope.to_string());
    line("window", format!("{:.0} to {:.0} ({})", grant.from, ended_at, length(grant.from, *ended_at)));
    line("due", format!("{due_at:.0} ({})", relative(*due_at, now)));
    let rules: Vec<String> =
        detail.rules.iter().map(|rule| format!("{} ({})", rule.title, rule.id)).collect();
    line("rule", rules.join("; "));
    line("why", detail.why.clone());
    for approval in &detail.approvals {
        line(
            "approved",
            format!("{} as {}, {}", approval.by.email, approval.role, relative(approval.at, now)),
        );
    }
    for event in &detail.history {
        line("ledger", history(event));
    }
    let names =
        |names: &std::collections::BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
    line(
        "did",
        format!("{} statements, {} failed, {} rows", summary.statements, summary.failed, summary.rows),
    );
    line("wrote", if summary.writes.is_empty() { "nothing".to_owned() } else { names(&summary.writes) });
    line("read", names(&summary.reads));
    if !summary.unmasked.is_empty() {
        line("unmasked", summary.unmasked.join(", "));
    }
    for reviewed in &detail.sessions {
        let session = &reviewed.session;
        let recording = match &reviewed.recording {
            None => "not recorded".to_owned(),
            Some(recording) => {
                let sealed = if recording.sealed_to.is_some() { ", sealed" } else { "" };
                let sha256 = recording.sha256.as_deref().unwrap_or("not whole yet");
                format!("recording {}{sealed}, {} bytes, SHA-256 {sha256}", recording.state, recording.bytes)
            }
        };
        line("session", format!("{}, {:.0}, {}", session.id, session.opened_at, recording));
        for (what, pruned) in
            [("statements", &session.statements_pruned), ("rows", &session.recording_pruned)]
        {
            if let Some(pruned) = pruned {
                line("", pruned.said(&format!("its {what}")));
            }
        }
    }
    let more = summary.sessions.saturating_sub(detail.sessions.len() as u64);
    if more > 0 {
        line("", format!("and {more} more sessions: dbaccess sessions --all"));
    }
    for finding in findings {
        let actions: String = finding.actions.iter().map(|action| format!("\n- {action}")).collect();
        let who = format!("{} as {}, {:.0}", finding.by.email, finding.role, finding.at);
        line("finding", format!("{}: {} ({who}){actions}", finding.verdict.as_str(), finding.finding));
    }
    if let Some(role) = view.you_review_as.as_ref() {
        line("you", format!("can write it as {role}: dbaccess review write {id} --verdict … --finding …"));
    }
    lines.push('\n');
    detail.statements.iter().for_each(|row| lines.push_str(&statement(row)));
    let more = summary.statements.saturating_sub(detail.statements.len() as u64);
    if more > 0 {
        let writing = summary.writing_left_out;
        lines.push_str(&format!(
            "and {more} more, {writing} of which may have changed something: dbaccess audit --session ID shows them\n"
        ));
    }
    lines
}

fn length(from: Timestamp, to: Timestamp) -> String {
    let length = Duration::try_from(to.duration_since(from)).unwrap_or_default();
    format_duration(Duration::from_secs(length.as_secs()))
}

/// An event with what it says in plain values.
fn history(event: &LedgerEvent) -> String {
    let known = ["kind", "event", "grant"];
    let mut said = vec![format!("{:.0}  {}", event.at, event.kind)];
    for (key, value) in event.body.as_object().into_iter().flatten() {
        let text = match value {
            _ if known.contains(&key.as_str()) => continue,
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Number(number) => number.to_string(),
            serde_json::Value::Bool(yes) => yes.to_string(),
            serde_json::Value::Object(object) => match object.get("email").or_else(|| object.get("id")) {
                Some(serde_json::Value::String(text)) => text.clone(),
                _ => continue,
            },
            _ => continue,
        };
        said.push(format!("{key} {text}"));
    }
    said.join(", ")
}

fn statement(row: &AuditRow) -> String {
    let result = match &row.result {
        None => "runs".to_owned(),
        Some(StatementResult::Ok { tag }) => tag.clone(),
        Some(StatementResult::Suspended) => "to be continued".to_owned(),
        Some(StatementResult::Error { sqlstate, message }) => format!("failed: {sqlstate} {message}"),
        Some(StatementResult::Refused { sqlstate, message }) => format!("refused: {sqlstate} {message}"),
        Some(StatementResult::Cut { sqlstate, message }) => format!("cut: {sqlstate} {message}"),
        Some(StatementResult::Skipped) => "skipped".to_owned(),
        Some(StatementResult::Unknown) => "unknown".to_owned(),
    };
    format!(
        "{:.0}  #{}\n  {}\n  → {}\n",
        row.at,
        row.seq,
        clean(&row.text).replace('\n', "\n  "),
        clean(&result)
    )
}
