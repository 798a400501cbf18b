use super::Context;
use super::request::{self, length};
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs};
use crate::cli::script;
use crate::cli::view::short_scope;
use crate::core::model::{RequestState, format_duration};
use crate::proto::{Approve, RequestView};
use std::time::Duration;

/// Approve a request, as asked or narrowed. Nobody approves their own.
#[derive(Clone, Debug, clap::Args)]
pub struct ApproveArgs {
    /// The request's id, or a unique prefix of it
    id: String,
    /// Narrow the time, such as 30m
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    window: Option<Duration>,
    /// Narrow the scope to this table; give it again for more
    #[arg(long, short, value_name = "TABLE")]
    table: Vec<String>,
    /// Narrow the scope to this schema; give it again for more
    #[arg(long, short, value_name = "SCHEMA")]
    schema: Vec<String>,
    /// Keep every mask on, whatever was asked to be seen raw
    #[arg(long)]
    masked: bool,
    /// A word for the record and the requester
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl ApproveArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let client = context.client()?;
        // The whole id from here on: what is confirmed is what is approved.
        let seen = client.request_by_id(&self.id).await?;
        let waits = seen.request.state == RequestState::Waiting;
        if waits && seen.request.migration.is_some() {
            // Also without a question: nobody approves what was not shown.
            request::show_script(&seen, Format::Table);
        }
        // One that is decided already: the server says by whom, there is nothing to confirm.
        if !self.yes && waits {
            request::agreed(&seen, &self.question(&seen), "nothing was approved")?;
        }
        let approval = Approve {
            tables: (!self.table.is_empty()).then_some(self.table),
            schemas: (!self.schema.is_empty()).then_some(self.schema),
            masked: self.masked,
            window_seconds: self.window.map(|window| window.as_secs()),
            comment: self.comment,
            ..Approve::of(&seen.request)
        };
        let view = client.approve(seen.request.id.as_str(), &approval).await?;
        request::print(&view, self.output.output)?;
        let complete = format!("approved: {} now has access", view.request.person.email);
        request::said_yes("approved", view.request.open_slots(), &complete);
        Ok(())
    }

    fn question(&self, view: &RequestView) -> String {
        let request = &view.request;
        let schemas = self.schema.iter().map(|schema| format!("schema {schema}"));
        let kept: Vec<String> = schemas.chain(self.table.iter().cloned()).collect();
        let scope = match &request.migration {
            Some(script) => script::in_short(script),
            None if kept.is_empty() => short_scope(&request.scope),
            None => kept.join(", "),
        };
        let masked = if self.masked { ", every mask on," } else { "" };
        let window = format_duration(self.window.unwrap_or(request.window));
        let role = view.you_fill.first().map(|role| format!(" as {role}")).unwrap_or_default();
        let whose = view.on_behalf_of.as_ref().map(|whose| format!(" for {}", whose.email));
        let whose = whose.unwrap_or_default();
        format!("Approve{role}{whose}: {scope}{masked} on {} for {window}?", request.target)
    }
}
