//! What is recorded of the emergency path, and what people are told of it (R8.4).

use crate::core::model::{
    AccessRequest, BreakGlass, BreakGlassEndReason, Event, Grant, Notice, NoticeKind, Urgency,
};

pub(super) fn opened(glass: &BreakGlass, grant: &Grant, request: &AccessRequest) -> (Event, Notice) {
    let event = Event::BreakGlassOpened { break_glass: Box::new(glass.clone()), until: grant.until };
    let title =
        format!("{} broke the glass on {} for {}", glass.person.email, glass.target, glass.incident.id);
    let mut notice = notice(NoticeKind::BreakGlassOpened, glass, title);
    fact(&mut notice, "reason", request.reason.clone());
    fact(&mut notice, "scope", grant.scope.to_string());
    fact(&mut notice, "until", format!("{:.0}", grant.until));
    unconfirmed(&mut notice, glass);
    fact(&mut notice, "to end it", format!("dbaccess revoke {}", grant.id));
    (event, notice)
}

pub(super) fn renewed(glass: &BreakGlass, grant: &Grant, confirmed: bool, policy: String) -> (Event, Notice) {
    let event = Event::BreakGlassRenewed {
        grant: grant.id.clone(),
        incident: glass.incident.id.clone(),
        confirmed,
        renewals: glass.renewals,
        until: grant.until,
        policy,
    };
    let why = match confirmed {
        true => "the incident is still open".to_owned(),
        false => format!("{} could not be asked", glass.incident.id.system.name()),
    };
    let title = format!("{}'s break-glass on {} goes on: {why}", glass.person.email, glass.target);
    let mut notice = notice(NoticeKind::BreakGlassRenewed, glass, title);
    fact(&mut notice, "until", format!("{:.0}", grant.until));
    fact(&mut notice, "renewals", glass.renewals.to_string());
    unconfirmed(&mut notice, glass);
    fact(&mut notice, "to end it", format!("dbaccess revoke {}", grant.id));
    (event, notice)
}

pub(super) fn ended(glass: &BreakGlass, why: BreakGlassEndReason) -> (Event, Notice) {
    let (grant, incident) = (glass.grant.clone(), glass.incident.id.clone());
    let title =
        format!("{}'s break-glass on {} has ended: {}", glass.person.email, glass.target, why.words());
    let mut notice = notice(NoticeKind::BreakGlassEnded, glass, title);
    fact(&mut notice, "renewals", glass.renewals.to_string());
    unconfirmed(&mut notice, glass);
    (Event::BreakGlassEnded { grant, incident, why }, notice)
}

/// The time to confirm is over, and nobody has.
pub(super) fn overdue(glass: &BreakGlass) -> Option<(Event, Notice)> {
    let (grant, incident) = (glass.grant.clone(), glass.incident.id.clone());
    let due = glass.confirmation.as_ref()?.due;
    let title = format!("nobody has confirmed {}'s break-glass on {}", glass.person.email, glass.target);
    let mut notice = notice(NoticeKind::BreakGlassUnconfirmed, glass, title);
    unconfirmed(&mut notice, glass);
    Some((Event::BreakGlassUnconfirmed { grant, incident, due }, notice))
}

fn notice(kind: NoticeKind, glass: &BreakGlass, title: String) -> Notice {
    let incident = &glass.incident;
    let words = [Some(incident.id.to_string()), incident.title.clone(), incident.url.clone()];
    let incident_words = words.into_iter().flatten().collect::<Vec<_>>().join(" ");
    Notice {
        kind,
        urgency: Urgency::High,
        title,
        facts: vec![
            ("who".to_owned(), glass.person.email.clone()),
            ("target".to_owned(), glass.target.clone()),
            ("incident".to_owned(), incident_words),
            ("request".to_owned(), glass.request.to_string()),
        ],
        request: None,
        to: Vec::new(),
        thread: Some(incident.id.to_string()),
    }
}

fn fact(notice: &mut Notice, name: &str, value: String) {
    notice.facts.push((name.to_owned(), value));
}

/// That people must confirm it, where they must.
fn unconfirmed(notice: &mut Notice, glass: &BreakGlass) {
    let Some(due) = glass.confirmation.as_ref().filter(|due| !due.is_complete()) else { return };
    let needed: Vec<String> = due.open_slots().map(|(_, slot)| slot.to_string()).collect();
    let words = format!("{}, until {:.0}: dbaccess confirm {}", needed.join(" and "), due.due, glass.request);
    fact(notice, "to be confirmed by", words);
}
