use super::Context;
use crate::cli::error::CliError;
use crate::cli::output::{self, Format, Listing, OutputArgs, relative, rounded, short_ids};
use crate::cli::view::{short_scope, standing};
use crate::core::model::{Path, RequestState, needed};
use crate::os;
use crate::proto::{RequestView, RequestsQuery};

/// List requests: your own, and those that wait for you.
#[derive(Clone, Debug, clap::Args)]
pub struct RequestsArgs {
    /// Only your own
    #[arg(long)]
    mine: bool,
    /// Finished ones too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    output: OutputArgs,
}

impl RequestsArgs {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let query = RequestsQuery { mine: self.mine, all: self.all };
        let views = context.client()?.requests(&query).await?;
        let format = self.output.output;
        output::print_list(format, &listing(&views, format), &views)?;
        let to_confirm = views.iter().filter(|view| confirmable(view)).count();
        if format == Format::Table && to_confirm > 0 {
            output::note(&format!("{to_confirm} for you to confirm: dbaccess confirm ID"));
        }
        let for_you = views.iter().filter(|view| !view.you_fill.is_empty()).count();
        if format == Format::Table && for_you > 0 {
            output::note(&format!("{for_you} for you to decide: dbaccess approve ID, or dbaccess deny ID"));
        }
        Ok(())
    }
}

fn confirmable(view: &RequestView) -> bool {
    view.break_glass.as_ref().is_some_and(|glass| !glass.you_confirm.is_empty())
}

/// Who must still confirm a break-glass, if anybody.
fn unconfirmed(view: &RequestView) -> Option<String> {
    let due = view.break_glass.as_ref()?.break_glass.confirmation.as_ref()?;
    let missing = needed(due.open_slots());
    let yours = if confirmable(view) { " (you)" } else { "" };
    (!missing.is_empty()).then(|| format!("to be confirmed by {missing}{yours}"))
}

/// Requests as rows; whole ids and times for programs, short ones for people.
pub(super) fn listing(views: &[RequestView], format: Format) -> Listing {
    let now = os::now();
    let short = short_ids(views.iter().map(|view| view.request.id.as_str()));
    let grants = || views.iter().filter_map(|view| view.grant.as_ref());
    let short_grant = short_ids(grants().map(|grant| grant.id.as_str()));
    let people = format == Format::Table;
    let mut listing = Listing::new(
        ["id", "state", "grant", "person", "target", "scope", "for", "tier", "reason", "asked"],
        "no requests",
    );
    for view in views {
        let request = &view.request;
        let state = match request.state {
            RequestState::Waiting => {
                let yours = if view.you_fill.is_empty() { "" } else { " (you)" };
                format!("waiting for {}{yours}", needed(request.open_slots()))
            }
            _ => {
                let standing = standing(view, now);
                unconfirmed(view).map(|words| format!("{standing}, {words}")).unwrap_or(standing)
            }
        };
        let grant = view.grant.as_ref();
        // As it was granted, where it was: an approver may have narrowed it.
        let scope = grant.map_or(&request.scope, |grant| &grant.scope);
        let window = grant.map(|grant| grant.until.duration_since(grant.from));
        let window = window.and_then(|length| length.try_into().ok()).unwrap_or(request.window);
        let word = grant.map_or(request.state.as_str(), |grant| grant.standing(now).as_str());
        let grant =
            grant.map(|grant| if people { short_grant(grant.id.as_str()) } else { grant.id.to_string() });
        // The scope says `read+write`; the path is for programs that filter.
        let scope = if people { short_scope(scope) } else { scope.to_string() };
        let path = match request.path {
            Path::ReadOnly => String::new(),
            Path::BreakGlass => " (BREAK-GLASS)".to_owned(),
            _ if people => String::new(),
            other => format!(" ({})", other.as_str()),
        };
        listing.row([
            if people { short(request.id.as_str()) } else { request.id.to_string() },
            if people { state } else { word.to_owned() },
            grant.unwrap_or_default(),
            request.person.email.clone(),
            request.target.clone(),
            format!("{scope}{path}"),
            rounded(window),
            request.decision.tier.as_str().to_owned(),
            request.reason.clone(),
            if people { relative(request.created_at, now) } else { request.created_at.to_string() },
        ]);
    }
    listing
}
