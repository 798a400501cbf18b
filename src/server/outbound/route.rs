//! Which notices go where, and to whom: decided when a notice is written down,
//! so that every copy is a row of its own, sent and retried by itself.

use super::{mail, pagerduty, slack, webhook};
use crate::core::model::{Notice, NoticeKind, Urgency};
use crate::server::config::{Config, Takes};
use crate::server::store::Recipient;

/// The way into one channel's queue.
pub struct Route {
    pub channel: &'static str,
    /// The webhook takes everything.
    takes: Option<Takes>,
    to: To,
}

enum To {
    /// Whoever reads the channel.
    Channel,
    /// The people who are meant; these addresses learn of what is urgent.
    People { of_urgent: Vec<String> },
    /// A pager: what was opened there is closed there, too.
    Pager,
}

impl Route {
    /// One for each channel that is configured.
    pub fn all(config: &Config) -> Vec<Self> {
        let notify = &config.notify;
        let webhook = config.alerts.webhook.as_ref();
        let webhook = webhook.map(|_| Self { channel: webhook::NAME, takes: None, to: To::Channel });
        let slack = notify.slack.as_ref();
        let slack = slack.map(|slack| Self {
            channel: slack::NAME,
            takes: Some(slack.takes.clone()),
            to: To::Channel,
        });
        let mail = notify.mail.as_ref().map(|mail| {
            let of_urgent = mail.to.iter().map(ToString::to_string).collect();
            Self { channel: mail::NAME, takes: Some(mail.takes.clone()), to: To::People { of_urgent } }
        });
        let pager = notify.pagerduty.as_ref();
        let pager = pager.map(|pager| Self {
            channel: pagerduty::NAME,
            takes: Some(pager.takes.clone()),
            to: To::Pager,
        });
        [webhook, slack, mail, pager].into_iter().flatten().collect()
    }

    /// Whether a notice goes before others that wait. A pager keeps its order: an
    /// end that came after the next beginning would close it.
    pub fn goes_first(&self, notice: &Notice) -> bool {
        notice.urgency == Urgency::High || matches!(self.to, To::Pager)
    }

    /// The copies of a notice that this channel is to carry; `None` is whoever reads it.
    pub fn copies(&self, notice: &Notice) -> Vec<Option<Recipient>> {
        // Its end is told as soon as its beginning was, urgent or not.
        let closes = matches!(self.to, To::Pager)
            && notice.kind == NoticeKind::BreakGlassEnded
            && self.takes.as_ref().is_none_or(|takes| takes.takes_kind(notice.kind));
        if !closes && self.takes.as_ref().is_some_and(|takes| !takes.takes(notice)) {
            return Vec::new();
        }
        let To::People { of_urgent } = &self.to else { return vec![None] };
        let mut people: Vec<Recipient> = Vec::new();
        let mut add = |address: &str, subject: Option<&str>| {
            if !people.iter().any(|there| there.address.eq_ignore_ascii_case(address)) {
                people.push(Recipient { address: address.to_owned(), subject: subject.map(str::to_owned) });
            }
        };
        for person in &notice.to {
            add(&person.email, Some(&person.subject));
        }
        if notice.urgency == Urgency::High || notice.kind == NoticeKind::PolicyRefused {
            of_urgent.iter().for_each(|address| add(address, None));
        }
        people.into_iter().map(Some).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::PersonRef;

    fn notice(kind: NoticeKind, urgency: Urgency, to: &[&str]) -> Notice {
        let person =
            |name: &&str| PersonRef { subject: (*name).to_owned(), email: format!("{name}@example.com") };
        Notice {
            kind,
            urgency,
            title: "t".to_owned(),
            facts: Vec::new(),
            request: None,
            to: to.iter().map(person).collect(),
            thread: Some("inc-1".to_owned()),
        }
    }

    fn told(route: &Route, notice: &Notice) -> Vec<String> {
        let name = |copy: Option<Recipient>| copy.map_or_else(|| "all".to_owned(), |to| to.address);
        route.copies(notice).into_iter().map(name).collect()
    }

    #[test]
    fn each_channel_takes_what_it_is_for() {
        use NoticeKind::{BreakGlassEnded, BreakGlassOpened, RequestWaiting};
        let takes = |urgency| Some(Takes { kinds: None, urgency });
        let of_urgent = vec!["Security@example.com".to_owned()];
        let mail = Route { channel: "mail", takes: takes(Urgency::Normal), to: To::People { of_urgent } };
        let pager = Route { channel: "pagerduty", takes: takes(Urgency::High), to: To::Pager };
        let slack = Route { channel: "slack", takes: takes(Urgency::Normal), to: To::Channel };

        let waiting = notice(RequestWaiting, Urgency::Normal, &["carol", "dave", "carol"]);
        assert_eq!(told(&mail, &waiting), ["carol@example.com", "dave@example.com"]);
        assert_eq!((told(&slack, &waiting), told(&pager, &waiting)), (vec!["all".to_owned()], vec![]));

        let opened = notice(BreakGlassOpened, Urgency::High, &["security"]);
        assert_eq!(told(&mail, &opened), ["security@example.com"], "once, whatever the capitals");
        assert_eq!(told(&pager, &opened), ["all"]);
        let nobody = notice(BreakGlassOpened, Urgency::High, &[]);
        assert_eq!(told(&mail, &nobody), ["Security@example.com"]);
        assert!(told(&mail, &notice(RequestWaiting, Urgency::Normal, &[])).is_empty());
        let calm = notice(BreakGlassEnded, Urgency::Normal, &[]);
        assert!(slack.goes_first(&opened) && !slack.goes_first(&calm), "urgent first");
        assert!(pager.goes_first(&opened) && pager.goes_first(&calm), "a pager's in their order");
        // What a pager was called for is over.
        assert_eq!(told(&pager, &notice(BreakGlassEnded, Urgency::Normal, &[])), ["all"]);

        let kinds = Some(vec![RequestWaiting]);
        let picky = Route { takes: Some(Takes { kinds, urgency: Urgency::Normal }), ..slack };
        assert_eq!((told(&picky, &waiting), told(&picky, &opened)), (vec!["all".to_owned()], vec![]));
    }
}
