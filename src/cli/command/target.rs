//! Those of the `target` commands that ask the server.

use super::request::length;
use super::{Context, TargetArgs, TargetCommand};
use crate::cli::error::CliError;
use crate::cli::output::{Format, OutputArgs, json, note, relative};
use crate::cli::session::shell_quoted;
use crate::os;
use crate::proto::{RotateTokens, Suspend};
use std::time::Duration;

/// Make way for a deploy: no masked or filtered table is in use until it is over.
///
/// Where the setup was not run by a superuser, views of dbaccess stand in the
/// way of dropping or retyping columns. This ends the sessions that have views,
/// drops those views, and lets no such session open until `target resume`, or
/// until its time is over. Other sessions go on. For security, admins, and leads
/// of the teams that own it. Exit code 1 when views are still there.
#[derive(Clone, Debug, clap::Args)]
pub struct SuspendArgs {
    /// The database
    target: String,
    /// For how long at most, such as 30m or 1h30m; 4h is the longest
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = length)]
    time: Duration,
    #[command(flatten)]
    output: OutputArgs,
}

/// Let sessions with masked or filtered tables open again.
///
/// For those who may suspend. Exit code 0 also when it was not suspended.
#[derive(Clone, Debug, clap::Args)]
pub struct ResumeArgs {
    /// The database
    target: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// Give tokens new keys: those that were seen before lead nowhere from now on.
///
/// For security and admins. Without a domain every key of the target is new,
/// that of the noise on sealed columns too.
#[derive(Clone, Debug, clap::Args)]
pub struct RotateTokensArgs {
    /// The database
    target: String,
    /// Only the tokens of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl TargetArgs {
    pub(super) async fn run(self, context: &Context) -> Result<u8, CliError> {
        match self.command {
            TargetCommand::Suspend(args) => args.run(context).await,
            TargetCommand::Resume(args) => args.run(context).await.map(|()| 0),
            TargetCommand::RotateTokens(args) => args.run(context).await.map(|()| 0),
            TargetCommand::Setup(_) | TargetCommand::Classify(_) | TargetCommand::Check(_) => {
                Err(CliError::usage("this command is not one of the client's"))
            }
        }
    }
}

impl SuspendArgs {
    async fn run(self, context: &Context) -> Result<u8, CliError> {
        let body = Suspend { for_seconds: Some(self.time.as_secs()) };
        let suspended = context.client()?.suspend(&self.target, &body).await?;
        if self.output.output == Format::Json {
            json(&suspended)?;
        }
        let suspension = &suspended.suspension;
        note(&format!(
            "{} is suspended; it ends {}, at {:.0}, or with: dbaccess target resume {}",
            suspension.target,
            relative(suspension.until, os::now()),
            suspension.until,
            shell_quoted(&suspension.target)
        ));
        match suspended.sessions.as_slice() {
            [] => note("no session with views was open"),
            sessions => {
                let ids: Vec<&str> = sessions.iter().map(|id| id.as_str()).collect();
                note(&format!("ended {}", ids.join(", ")));
            }
        }
        for left in &suspended.left {
            note(&format!("views are still there, which may hinder the deploy: {left}"));
        }
        Ok(u8::from(!suspended.left.is_empty()))
    }
}

impl ResumeArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let resumed = context.client()?.resume(&self.target).await?;
        if self.output.output == Format::Json {
            json(&resumed)?;
        }
        note(&match resumed.was {
            Some(was) => format!("{} is resumed: {} had suspended it", resumed.target, was.by.email),
            None => format!("{} was not suspended", resumed.target),
        });
        Ok(())
    }
}

impl RotateTokensArgs {
    async fn run(self, context: &Context) -> Result<(), CliError> {
        let body = RotateTokens { domain: self.domain };
        let rotated = context.client()?.rotate_tokens(&self.target, &body).await?;
        if self.output.output == Format::Json {
            json(&rotated)?;
        }
        let of = rotated.domain.map(|domain| format!(" for {domain}")).unwrap_or_default();
        note(&match rotated.keys {
            0 => format!("{} has no tokens yet", rotated.target),
            1 => format!("{} has a new key{of}: tokens seen before lead nowhere now", rotated.target),
            keys => {
                format!("{} has {keys} new keys{of}: tokens seen before lead nowhere now", rotated.target)
            }
        });
        Ok(())
    }
}
