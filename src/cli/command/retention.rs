use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Listing, OutputArgs, note};
use crate::proto::RuleView;

/// Show how long what is kept, what goes next, and what stays and why.
///
/// It takes nothing out: the server does, once a day. For security and auditors.
#[derive(Clone, Debug, clap::Args)]
pub struct RetentionArgs {
    #[command(flatten)]
    output: OutputArgs,
}

impl RetentionArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let view = context.client()?.retention().await?;
        let mut listing = Listing::new(
            ["what", "rule", "sessions", "statements", "then"],
            "statements and recordings are kept for ever: there is no [retention] in the configuration",
        );
        for (what, rule) in [("statements", &view.statements), ("recordings", &view.recordings)] {
            if let Some(rule) = rule {
                rows(&mut listing, what, rule);
            }
        }
        output::print_list(self.output.output, &listing, &view)?;
        if view.statements.is_some() || view.recordings.is_some() {
            note("sessions that have not come to their age are not counted");
        }
        Ok(())
    }
}

fn rows(listing: &mut Listing, what: &str, rule: &RuleView) {
    let mut row = |sessions: u64, statements: Option<u64>, then: String| {
        let statements = statements.map(|count| count.to_string()).unwrap_or_default();
        listing.row([what.to_owned(), rule.rule.clone(), sessions.to_string(), statements, then]);
    };
    row(rule.sessions, (what == "statements").then_some(rule.statements), "go with the next run".to_owned());
    for (why, sessions) in &rule.stay {
        row(*sessions, None, format!("stay: {why}"));
    }
}
