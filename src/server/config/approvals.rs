//! `[approvals]`: how fresh an approver's roles are, and who is told when a request waits.

use super::Directory;
use super::reader::Section;
use crate::core::model::{Role, format_duration, parse_duration};
use crate::core::reminder::Reminding;
use std::collections::BTreeSet;
use std::time::Duration;

/// Who decides, and who is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// A decision needs roles that the identity provider confirmed no longer ago.
    pub fresh: Duration,
    pub reminding: Reminding,
    /// The roles that are told of a request that has waited for too long.
    pub escalate_to: BTreeSet<Role>,
}

impl Default for Approvals {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(15 * 60),
            reminding: Reminding::default(),
            escalate_to: ["manager", "security"].map(Role::new).into(),
        }
    }
}

/// More reminders than anybody reads.
const MOST_REMINDERS: u64 = 10;
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

pub(super) fn approvals(section: Option<Section<'_>>, directory: &Directory) -> Approvals {
    let default = Approvals::default();
    let Some(section) = section else { return default };
    let length = |name: &str, usual: Duration| {
        let expected = format!("a length of time such as 15m, at most {}", format_duration(LONGEST));
        let fits = |length: &Duration| *length <= LONGEST;
        section.parsed(name, &expected, |text| parse_duration(text).ok().filter(fits)).unwrap_or(usual)
    };
    let reminding = Reminding {
        remind_after: length("remind_after", default.reminding.remind_after),
        most: u32::try_from(section.number_within("reminders", 0..=MOST_REMINDERS).unwrap_or(u64::MAX))
            .unwrap_or(default.reminding.most),
        escalate_after: length("escalate_after", default.reminding.escalate_after),
    };
    let fresh = length("fresh", default.fresh);
    let escalate_to = section.texts("escalate_to", "a list of roles").map_or(default.escalate_to, |roles| {
        let known = |found: &super::reader::Found<'_, &str>| {
            let role = Role::new(found.value);
            if !directory.roles.contains_key(&role) {
                found.say(format!("no role {role}: expected one that has a table [roles.NAME]"));
            }
            role
        };
        roles.iter().map(known).collect()
    });
    section.finish();
    Approvals { fresh, reminding, escalate_to }
}
