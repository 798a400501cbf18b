//! Which of a person's grants a session is opened under.

use crate::core::model::Grant;

/// What the grants at hand say.
#[derive(Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    One(&'a Grant),
    /// The person must say which.
    Several(Vec<&'a Grant>),
    /// There is none that fits.
    None,
}

/// The grants that fit a target and, where one was named, an id or its prefix.
/// The dash and the kind may be left out: `7k2m` is `grt-7k2m…`.
pub fn choose<'a>(grants: &'a [Grant], target: &str, named: Option<&str>) -> Choice<'a> {
    let fits = |grant: &&Grant| {
        let id = grant.id.as_str();
        let bare = id.split_once('-').map_or(id, |(_, bare)| bare);
        grant.target == target
            && named.is_none_or(|named| id == named || id.starts_with(named) || bare.starts_with(named))
    };
    let mut found: Vec<&Grant> = grants.iter().filter(fits).collect();
    if let Some(exact) = found.iter().find(|grant| Some(grant.id.as_str()) == named) {
        return Choice::One(exact);
    }
    // The one that lasts longest comes first: it is the likeliest choice.
    found.sort_by(|a, b| b.until.cmp(&a.until).then_with(|| a.id.cmp(&b.id)));
    match found.as_slice() {
        [] => Choice::None,
        [one] => Choice::One(one),
        _ => Choice::Several(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::{GrantId, Limits, Objects, Path, Permission, PersonRef, RequestId, Scope};
    use jiff::Timestamp;
    use std::collections::BTreeSet;

    fn grant(id: &str, target: &str, until: i64) -> Grant {
        Grant {
            id: GrantId::from_stored(id),
            request: RequestId::from_stored("req-1"),
            person: PersonRef { subject: "1".into(), email: "ana@example.com".into() },
            target: target.into(),
            scope: Scope::new(Objects::Database, BTreeSet::from([Permission::Read])),
            path: Path::ReadOnly,
            limits: Limits::default(),
            script: None,
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::from_second(until).unwrap(),
            revoked: None,
        }
    }

    #[test]
    fn one_fits_several_ask_none_says_so() {
        let grants =
            [grant("grt-aaa1", "orders", 10), grant("grt-aab2", "orders", 20), grant("grt-c", "x", 5)];
        let ids = |choice: Choice<'_>| match choice {
            Choice::One(one) => vec![one.id.to_string()],
            Choice::Several(several) => several.iter().map(|grant| format!("?{}", grant.id)).collect(),
            Choice::None => vec![],
        };
        let table: [(&str, Option<&str>, &[&str]); 8] = [
            ("x", None, &["grt-c"]),
            ("orders", None, &["?grt-aab2", "?grt-aaa1"]),
            ("orders", Some("grt-aab"), &["grt-aab2"]),
            ("orders", Some("aaa"), &["grt-aaa1"]),
            ("orders", Some("grt-aa"), &["?grt-aab2", "?grt-aaa1"]),
            ("orders", Some("grt-c"), &[]),
            ("nowhere", None, &[]),
            ("orders", Some("zzz"), &[]),
        ];
        for (target, named, expected) in table {
            assert_eq!(ids(choose(&grants, target, named)), expected, "{target} {named:?}");
        }
        let longer = [grant("grt-a", "x", 1), grant("grt-ab", "x", 2)];
        assert_eq!(ids(choose(&longer, "x", Some("grt-a"))), ["grt-a"], "an exact id is not ambiguous");
    }
}
