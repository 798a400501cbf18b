use super::{Context, request};
use crate::cli::error::CliError;
use crate::cli::output::OutputArgs;
use crate::proto::Confirm;

/// Confirm a break-glass that the incident system could not: that there was such an incident.
///
/// Two people must, neither of them its user. Nobody is let in by it: without
/// it the access ends, and the person's next one is refused.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfirmArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// A word for the record
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl ConfirmArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let client = context.client()?;
        // The whole id from here on: what is read is what is confirmed.
        let seen = client.request_by_id(&self.id).await?;
        if !self.yes && seen.break_glass.is_some() {
            let who = &seen.request.person.email;
            let question = format!("Was there this incident, and was it {who}'s?");
            request::agreed(&seen, &question, "nothing was confirmed")?;
        }
        let body = Confirm { comment: self.comment };
        let view = client.confirm(seen.request.id.as_str(), &body).await?;
        request::print(&view, self.output.output)?;
        let due = view.break_glass.as_ref().and_then(|glass| glass.break_glass.confirmation.as_ref());
        let missing = due.iter().flat_map(|due| due.open_slots());
        request::said_yes("confirmed", missing, "confirmed");
        Ok(())
    }
}
