use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, relative, short_ids};
use crate::cli::view::scope_on;
use crate::os;
use crate::proto::SessionsQuery;

/// List sessions: who is in, where, on what scope, until when.
#[derive(Clone, Debug, clap::Args)]
pub struct SessionsArgs {
    /// Only your own
    #[arg(long)]
    mine: bool,
    /// Ended ones too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl SessionsArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let query = SessionsQuery { mine: self.mine, all: self.all };
        let views = context.client()?.sessions(&query).await?;
        let (format, now) = (self.output.output, os::now());
        let people = format == Format::Table;
        let short = short_ids(views.iter().map(|view| view.session.id.as_str()));
        let mut listing = Listing::new(
            [
                "id",
                "state",
                "person",
                "target",
                "scope",
                "opened",
                "ends",
                "connections",
                "statements",
                "rows",
                "recorded",
                "reason",
            ],
            "no sessions",
        );
        for view in &views {
            let session = &view.session;
            let time = |at| if people { relative(at, now) } else { at.to_string() };
            // An empty column is left out for people.
            let recorded = match (session.recorded, people) {
                (true, _) => "yes",
                (false, true) => "",
                (false, false) => "no",
            };
            let recorded = recorded.to_owned();
            let state = match session.end {
                Some(end) => format!("{} ({})", session.state.as_str(), end.as_str()),
                None => session.state.as_str().to_owned(),
            };
            listing.row([
                if people { short(session.id.as_str()) } else { session.id.to_string() },
                state,
                session.person.email.clone(),
                session.target.clone(),
                scope_on(view.path, &view.scope),
                time(session.opened_at),
                time(session.ended_at.unwrap_or(session.until)),
                view.connections.to_string(),
                session.totals.statements.to_string(),
                session.totals.rows.to_string(),
                recorded,
                view.reason.clone(),
            ]);
        }
        output::print_list(format, &listing, &views)
    }
}
