//! Masks: what a person sees of a classified column (R6). The target's own
//! views apply them; nothing here touches a value.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a classified column is shown while it is masked. Its serialised form is
/// part of a profile, which the target's setup turns into a view's expression.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "mask")]
pub enum Mask {
    /// Always NULL: not even the view's owner can read the column (R6.4).
    Null,
    /// A part of the value (R6.1).
    Partial(Partial),
    /// Some keys of a JSON document, the rest left out (R6.1).
    Json {
        /// Paths of object keys from the root, such as `["prefs", "theme"]`.
        keep: Vec<Vec<String>>,
    },
    /// A keyed hash: equal values of one domain have equal tokens (R6.2).
    Token { domain: String },
    /// No value, only `avg`, `sum` and `count` over groups (R6.3, B2).
    Aggregate {
        /// The fewest rows that an answer may be made of.
        min_group: u32,
    },
}

/// The smallest group that an aggregate answers for unless configured.
pub const MIN_GROUP: u32 = 10;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Partial {
    pub kind: PartialKind,
    /// Characters kept at the start, where the kind's own number is not wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u16>,
    /// Characters kept at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<u16>,
}

/// What a value looks like, and so which part of it tells little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PartialKind {
    /// `john.d***@example.com`
    Email,
    /// `***42`
    Phone,
    /// `************1881`
    Card,
    /// `DE**************3000`
    Iban,
    /// `J*** D***`
    Name,
    /// `a***`
    Generic,
}

impl PartialKind {
    pub const ALL: [Self; 6] = [Self::Email, Self::Phone, Self::Card, Self::Iban, Self::Name, Self::Generic];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Phone => "phone",
            Self::Card => "card",
            Self::Iban => "iban",
            Self::Name => "name",
            Self::Generic => "generic",
        }
    }

    /// What a column of this name most likely holds: one of the name's words
    /// says so, in `snake_case` or `camelCase`.
    pub fn of_name(column: &str) -> Self {
        let words = words(column);
        let any = |known: &[&str]| words.iter().any(|word| known.contains(&word.as_str()));
        if any(&["email", "mail", "emails", "mails"]) {
            Self::Email
        } else if any(&["phone", "phones", "mobile", "tel", "telephone", "fax", "msisdn"]) {
            Self::Phone
        } else if any(&["card", "cards", "pan", "cardnumber", "creditcard"]) {
            Self::Card
        } else if any(&["iban", "ibans", "account", "accounts"]) {
            Self::Iban
        } else if any(&["name", "names", "firstname", "lastname", "fullname", "surname"]) {
            Self::Name
        } else {
            Self::Generic
        }
    }
}

/// The words of a column's name, in lower case: `userEmail_2` is `user`,
/// `email` and `2`.
pub(crate) fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let starts = c.is_uppercase() && before.is_lowercase() || c.is_numeric() != before.is_numeric();
        if (starts || !c.is_alphanumeric()) && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| c.is_alphanumeric()) {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words.retain(|word| !word.is_empty());
    words
}

/// For people: `partial (email)`.
impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&match self {
            Self::Null => "null".to_owned(),
            Self::Partial(partial) => format!("partial ({})", partial.kind.as_str()),
            Self::Json { keep } => {
                let paths: Vec<String> = keep.iter().map(|path| path.join(".")).collect();
                format!("json (keeps {})", paths.join(", "))
            }
            Self::Token { domain } => format!("token ({domain})"),
            Self::Aggregate { min_group } => format!("aggregate (groups of {min_group} and more)"),
        })
    }
}
