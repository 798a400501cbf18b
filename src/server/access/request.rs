//! Asking for access.

use super::incidents::fact;
use super::targets::{Survey, TargetState};
use super::{Access, AccessError, Caller, script};
use crate::core::approval::{self, Submission};
use crate::core::model::{
    AskedScope, Decision, ErrorKind, GrantId, IncidentRef, Migration, Person, PersonRef, RequestId,
    RequestState, Scope,
};
use crate::core::policy::{Question, Touched};
use crate::core::rows;
use crate::proto::{NewRequest, NewScript, RequestView};
use crate::server::store::Tx;
use jiff::Timestamp;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// A reason is for people to read: one paragraph, in characters.
const LONGEST_REASON: usize = 2000;
const MOST_NAMES: usize = 500;
const MOST_CONDITIONS: usize = 50;
const MOST_UNMASKED: usize = 100;
/// What is granted at once is bounded, too, where nobody else slows it down.
const MOST_GRANTS: usize = 100;
/// A part of a name: 63 bytes, every one of them a doubled quote, and what is around them.
const LONGEST_PART: usize = 2 * 63 + 2;
const LONGEST_NAME: usize = 2 * LONGEST_PART + 1;
const LONGEST_COLUMN: usize = 3 * LONGEST_PART + 2;

/// What is asked for, as it is in the target.
pub(super) struct Found<'a> {
    pub state: &'a TargetState,
    pub scope: Scope,
    pub survey: Arc<Survey>,
    pub migration: Option<Migration>,
}

impl Access {
    /// Takes a request in and lets policy decide: granted at once, waiting for
    /// people, or denied. What was decided, and by which rule, is in the answer.
    pub async fn request(
        self: &Arc<Self>,
        caller: &Caller,
        asked: NewRequest,
    ) -> Result<RequestView, AccessError> {
        reasoned("a request", &asked.reason)?;
        let found = self.find(asked.target.as_deref(), &asked.scope, asked.migration.as_ref()).await?;
        let incident = match &asked.incident {
            Some(named) => Some(self.incident_for(&caller.person, found.state, named).await?),
            None => None,
        };
        let window = asked.window_seconds.map_or(self.config.default_window, Duration::from_secs);
        let on_call = self.on_call(&caller.person, found.state).await;
        let now = crate::os::now();
        let decision = self.decision(&caller.person, &found, window, on_call, incident.as_ref(), now);
        let (person, target) = (&caller.person, &found.state.target.name);
        let decision = self.after_reviews(person, target, &found.scope, decision).await?;
        let tier = decision.tier;
        let submission = self.submission(caller, found, asked.reason, window, decision, incident);
        let outcome = approval::submit(submission, now, GrantId::from_random(crate::os::random()))?;
        let most = self.config.limits.waiting_requests_per_person;
        let waits = outcome.request.state == RequestState::Waiting;
        let approvers = if waits { self.approvers(&outcome.request).await? } else { Vec::new() };
        let to: Vec<PersonRef> = approvers.into_iter().map(|approver| approver.person).collect();
        let access = Arc::clone(self);
        let saved = self
            .store
            .write(move |tx| {
                let subject = &outcome.request.person.subject;
                match outcome.request.state {
                    RequestState::Waiting => room_for_a_request(tx, subject, most)?,
                    RequestState::Granted => room_for_a_grant(tx, subject, now)?,
                    _ => {}
                }
                access.save(tx, now, &outcome, &to)?;
                Ok::<_, AccessError>(outcome)
            })
            .await?;
        self.metrics.requested(tier.as_str());
        self.wake();
        self.view(caller, saved.request).await
    }

    /// Finds what is asked for in the target, and reads the script, if there is
    /// one: its scope follows from it.
    pub(super) async fn find(
        &self,
        target: Option<&str>,
        asked: &AskedScope,
        script: Option<&NewScript>,
    ) -> Result<Found<'_>, AccessError> {
        let script = script.map(script::read).transpose()?;
        let asked = match &script {
            Some(script) => Cow::Owned(script::scope(asked, script)?),
            None => Cow::Borrowed(asked),
        };
        few_and_short(&asked)?;
        let state = match target {
            Some(name) => self.target(name)?,
            None => self.infer_target(&asked).await?,
        };
        let with_lines = |error| match &script {
            Some(script) => script::with_lines(error, script),
            None => error,
        };
        let (scope, survey) = resolve(state, &asked).await.map_err(with_lines)?;
        if state.is_standby() && (scope.writes() || scope.changes_schema()) {
            return Err(self.read_only(state));
        }
        if scope.changes_schema() {
            may_be_migrated(state, &scope, &survey)?;
        }
        let migration = script.map(|script| script::review(&script, &scope, &survey)).transpose()?;
        Ok(Found { state, scope, survey, migration })
    }

    /// Policy's answer.
    pub(super) fn decision(
        &self,
        person: &Person,
        found: &Found<'_>,
        window: Duration,
        on_call: bool,
        incident: Option<&IncidentRef>,
        now: Timestamp,
    ) -> Decision {
        let Found { state, scope, survey, .. } = found;
        self.policy().decide(&Question {
            person,
            target: &state.target,
            scope,
            touched: Touched::of(scope, &survey.classification, &survey.catalog),
            window,
            business_hours: self.business_hours().contains(now),
            on_call,
            incident: fact(incident),
        })
    }

    /// What comes in, with policy's answer to it.
    pub(super) fn submission(
        &self,
        caller: &Caller,
        found: Found<'_>,
        reason: String,
        window: Duration,
        decision: Decision,
        incident: Option<IncidentRef>,
    ) -> Submission {
        let Found { state, scope, migration, .. } = found;
        Submission {
            id: RequestId::from_random(crate::os::random()),
            person: caller.person.to_ref(),
            target: state.target.name.clone(),
            scope,
            reason,
            migration,
            window,
            expiry: self.config.request_expiry,
            decision,
            incident,
            break_glass: false,
        }
    }

    /// Said before anybody is asked to approve it.
    pub(super) fn read_only(&self, standby: &TargetState) -> AccessError {
        let name = &standby.target.name;
        let message = format!("{name} is a standby: it can be read, and nothing in it can be changed");
        let hint = match self.writable(standby) {
            Some(primary) => {
                let primary = &primary.target.name;
                format!("ask for its primary, {primary}: `dbaccess request {primary} …`")
            }
            None => format!(
                "its primary, {}, is no target here: {name}'s owners can have it configured as one",
                standby.way.to.writable().host
            ),
        };
        AccessError::usage(message).hint(hint)
    }
}

/// Whether sessions may work as the owner of a scope's schemas: said before
/// anybody is asked to approve it.
fn may_be_migrated(state: &TargetState, scope: &Scope, survey: &Survey) -> Result<(), AccessError> {
    let name = &state.target.name;
    let profile = state.database.profile(scope, &survey.catalog, &survey.classification);
    let Some(owner) = &profile.views().become_role else {
        return Err(AccessError::usage(
            "these schemas belong to several owners, and a migration works as one",
        )
        .hint("ask for each schema by itself"));
    };
    if state.way.to.ddl_owners.contains(owner) {
        return Ok(());
    }
    Err(AccessError::new(
        ErrorKind::Denied,
        format!("no session may work as {owner}, who owns these schemas"),
    )
    .hint(format!(
        "whoever runs dbaccess can allow it: ddl_owners = [\"{owner}\"] under [targets.{name}], and \
             `dbaccess target setup {name}` again"
    )))
}

/// Nobody is let in without a word on what for.
pub(super) fn reasoned(what: &str, reason: &str) -> Result<(), AccessError> {
    if reason.trim().is_empty() {
        return Err(AccessError::usage(format!("{what} needs a reason"))
            .hint("say in a few words what the access is for: `--reason \"…\"`"));
    }
    short_enough("reason", Some(reason))
}

/// Words for the record are for people to read: a paragraph, not a file.
pub(super) fn short_enough(what: &str, text: Option<&str>) -> Result<(), AccessError> {
    if text.is_some_and(|text| text.chars().count() > LONGEST_REASON) {
        return Err(AccessError::usage(format!("the {what} is longer than {LONGEST_REASON} characters"))
            .hint("say it shorter, and link to the rest"));
    }
    Ok(())
}

/// Bounds what is sought in a catalog, and repeated in a refusal (G9).
pub(super) fn few_and_short(scope: &AskedScope) -> Result<(), AccessError> {
    let too_many = |most: usize, what: &str| {
        AccessError::usage(format!("a request has at most {most} {what}")).hint("ask for less at a time")
    };
    if scope.rows.len() > MOST_CONDITIONS {
        return Err(too_many(MOST_CONDITIONS, "row conditions"));
    }
    if scope.rows.iter().any(|text| text.len() > rows::LONGEST) {
        return Err(AccessError::usage(rows::RowsError::TooLong.to_string()));
    }
    if scope.unmask.len() > MOST_UNMASKED {
        return Err(too_many(MOST_UNMASKED, "columns to unmask"));
    }
    let names = || scope.schemas.iter().chain(&scope.tables);
    if names().count() > MOST_NAMES {
        return Err(AccessError::usage(format!("a request names at most {MOST_NAMES} schemas and tables"))
            .hint("ask for their schema: `--schema NAME`"));
    }
    let longer = |name: &String, most: usize| name.len() > most;
    if names().any(|name| longer(name, LONGEST_NAME))
        || scope.unmask.iter().any(|name| longer(name, LONGEST_COLUMN))
    {
        return Err(AccessError::usage("a name is longer than any that PostgreSQL has (63 bytes a part)"));
    }
    Ok(())
}

fn room_for_a_request(tx: &Tx<'_>, subject: &str, most: usize) -> Result<(), AccessError> {
    let limit = u32::try_from(most).unwrap_or(u32::MAX);
    if tx.requests(Some(subject), false, limit)?.len() < most {
        return Ok(());
    }
    let message = format!("you have {most} requests waiting already, which is the limit");
    Err(AccessError::new(ErrorKind::TooMany, message)
        .hint("`dbaccess requests --mine` lists them, `dbaccess cancel ID` withdraws one"))
}

pub(super) fn room_for_a_grant(tx: &Tx<'_>, subject: &str, now: Timestamp) -> Result<(), AccessError> {
    if tx.live_grants(subject, now)?.len() < MOST_GRANTS {
        return Ok(());
    }
    let message = format!("you hold {MOST_GRANTS} live grants already, which is the limit");
    Err(AccessError::new(ErrorKind::TooMany, message)
        .hint("`dbaccess targets` lists them, `dbaccess revoke ID` gives one back"))
}

/// The scope, and the survey that it was found in.
pub(super) async fn resolve(
    state: &TargetState,
    asked: &AskedScope,
) -> Result<(Scope, Arc<Survey>), AccessError> {
    let survey = state.survey().await?;
    let name = &state.target.name;
    let told =
        |error| AccessError::from(error).hint(format!("`dbaccess targets {name}` lists tables and columns"));
    match asked.resolve(&survey.catalog, &survey.classification) {
        // Perhaps it is there since a minute: look again before saying no.
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let survey = state.refresh().await?;
            let scope = asked.resolve(&survey.catalog, &survey.classification).map_err(told)?;
            Ok((scope, survey))
        }
        result => Ok((result.map_err(told)?, survey)),
    }
}
