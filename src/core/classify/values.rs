//! What single values are, by their shape and their check digits.

use super::Meaning;
use ::core::net::IpAddr;
use serde_json::Value;

/// What a value is beyond doubt; `None` for everything else. Order numbers,
/// UUIDs, dates and timestamps are nothing.
pub(super) fn meaning(value: &str) -> Option<Meaning> {
    let value = value.trim();
    if value.len() > 4096 || value.is_empty() {
        return None;
    }
    type Test = fn(&str) -> bool;
    let tests: [(Test, Meaning); 7] = [
        (is_email, Meaning::Email),
        (is_secret, Meaning::Secret),
        (is_iban, Meaning::Iban),
        (is_card, Meaning::Card),
        (is_national_id, Meaning::NationalId),
        (is_ip, Meaning::Ip),
        (is_phone, Meaning::Phone),
    ];
    tests.into_iter().find(|(test, _)| test(value)).map(|(_, meaning)| meaning)
}

/// `local@domain.tld` (RFC 5321 as it is used).
pub(super) fn is_email(value: &str) -> bool {
    let Some((local, domain)) = value.rsplit_once('@') else { return false };
    let of_local = |c: char| c.is_alphanumeric() || "!#$%&'*+/=?^_`{|}~.-\"".contains(c);
    let label = |label: &str| {
        !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-') && !label.starts_with('-')
    };
    let top = domain.rsplit_once('.').map(|(_, top)| top);
    (1..=64).contains(&local.len())
        && local.chars().all(of_local)
        && domain.split('.').all(label)
        && top.is_some_and(|top| top.chars().count() >= 2 && top.chars().all(char::is_alphabetic))
}

/// 13 to 19 digits of a known issuer's range, with a right check digit (ISO/IEC 7812).
pub(super) fn is_card(value: &str) -> bool {
    looks_like_card(value) && luhn(&digits(value))
}

/// As a card is written: digits alone, or in groups of which none is longer than six.
pub(super) fn looks_like_card(value: &str) -> bool {
    let number = digits(value);
    let grouped = value
        .split([' ', '-'])
        .all(|group| (2..=6).contains(&group.len()) && group.bytes().all(|byte| byte.is_ascii_digit()));
    let plain = value.bytes().all(|byte| byte.is_ascii_digit());
    let varied = number.iter().any(|digit| Some(digit) != number.first());
    (plain || grouped && value.len() > number.len())
        && (13..=19).contains(&number.len())
        && matches!(number.first(), Some(2..=6))
        && varied
}

fn digits(value: &str) -> Vec<u32> {
    value.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn luhn(number: &[u32]) -> bool {
    let sum: u32 = number
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// ISO 13616, check digits by ISO 7064 mod 97-10.
pub(super) fn is_iban(value: &str) -> bool {
    let compact: String = value.chars().filter(|c| *c != ' ').collect();
    let bytes = compact.as_bytes();
    let (Some((head, account)), true) = (compact.split_at_checked(4), (15..=34).contains(&bytes.len()))
    else {
        return false;
    };
    let country = head.get(..2).is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_uppercase()));
    let check = head.get(2..).is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let account_fits = account.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    if !country || !check || !account_fits {
        return false;
    }
    let remainder =
        account.chars().chain(head.chars()).filter_map(|c| c.to_digit(36)).fold(0, |sum, digit| {
            let sum = if digit > 9 { sum * 100 } else { sum * 10 };
            (sum + digit) % 97
        });
    remainder == 1
}

/// As the United States write theirs, `123-45-6789`: others are plain digits,
/// which only a name can tell from any number.
pub(super) fn is_national_id(value: &str) -> bool {
    let parts: Vec<&str> = value.split('-').collect();
    let of_digits =
        |part: &&str, length| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit());
    match parts.as_slice() {
        [area, group, serial] => {
            of_digits(area, 3)
                && of_digits(group, 2)
                && of_digits(serial, 4)
                && *area != "000"
                && *area != "666"
        }
        _ => false,
    }
}

fn is_ip(value: &str) -> bool {
    let address = value.split_once('/').map_or(value, |(address, _)| address);
    // `::` and `1::` are somebody's shorthand for nothing.
    address.len() >= 7 && address.parse::<IpAddr>().is_ok()
}

/// 8 to 15 digits (ITU-T E.164) written as only telephone numbers are: with a
/// leading plus, or an area in parentheses. A number without is a number.
pub(super) fn is_phone(value: &str) -> bool {
    let marked = value.starts_with('+') || value.starts_with('(') && value.contains(')');
    marked && could_be_phone(value)
}

/// What a column that is called a telephone number would hold.
pub(super) fn could_be_phone(value: &str) -> bool {
    let rest = value.strip_prefix('+').unwrap_or(value);
    let of_phone = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '.' | '(' | ')' | '/');
    let count = digits(rest).len();
    (7..=15).contains(&count) && rest.chars().all(of_phone)
}

/// Keys, hashes of passwords and tokens that say what they are.
fn is_secret(value: &str) -> bool {
    const STARTS: [&str; 22] = [
        "-----BEGIN ",
        "$2a$",
        "$2b$",
        "$2y$",
        "$argon2",
        "$pbkdf2",
        "$scrypt$",
        "$6$",
        "$5$",
        "SCRAM-SHA-256$",
        "pbkdf2_sha256$",
        "eyJ",
        "sk_live_",
        "sk_test_",
        "rk_live_",
        "whsec_",
        "AKIA",
        "ASIA",
        "ghp_",
        "github_pat_",
        "xoxb-",
        "xoxp-",
    ];
    let one_word = !value.contains(' ') || value.starts_with("-----");
    value.len() >= 20 && one_word && STARTS.iter().any(|start| value.starts_with(start))
}

/// The keys of JSON documents whose values look personal, each once.
pub(super) fn personal_keys(documents: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for document in documents {
        if let Ok(value) = serde_json::from_str(document) {
            search(&value, &mut Vec::new(), &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

fn search(value: &Value, path: &mut Vec<String>, found: &mut Vec<String>) {
    match value {
        Value::Object(keys) if path.len() < 8 => {
            for (key, value) in keys {
                path.push(key.clone());
                let personal = match value {
                    Value::String(text) => {
                        super::names::meaning(key, "text", "").is_some() || meaning(text).is_some()
                    }
                    Value::Number(_) => super::names::meaning(key, "numeric", "").is_some(),
                    _ => false,
                };
                if personal {
                    found.push(path.join("."));
                }
                search(value, path, found);
                path.pop();
            }
        }
        Value::Array(items) => items.iter().take(20).for_each(|item| search(item, path, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_their_shape_and_check_digits_say() {
        for (value, expected) in [
            ("alice@example.com", Some(Meaning::Email)),
            ("o'brien+tag@mail.example.co.uk", Some(Meaning::Email)),
            ("jörg@exämple.de", Some(Meaning::Email)),
            ("not an@email.com", None),
            ("a@b", None),
            ("@handle", None),
            ("user@10.0.0.1", None),
            ("4111111111111111", Some(Meaning::Card)),
            ("4111 1111 1111 1111", Some(Meaning::Card)),
            ("3782-822463-10005", Some(Meaning::Card)),
            ("5555555555554444", Some(Meaning::Card)),
            // An order number: no check digit, or no issuer's range.
            ("4111111111111112", None),
            ("1000000000000008", None),
            ("0000000000000000", None),
            ("4444444444444444448", None),
            ("20261123071534123", None),
            ("1700000000000", None),
            ("DE89370400440532013000", Some(Meaning::Iban)),
            ("GB29 NWBK 6016 1331 9268 19", Some(Meaning::Iban)),
            ("DE89370400440532013001", None),
            ("SKU0123456789012", None),
            ("901-71-5501", Some(Meaning::NationalId)),
            ("000-71-5501", None),
            ("2026-11-23", None),
            ("2026-11-23 07:15:34+00", None),
            ("203.0.113.7", Some(Meaning::Ip)),
            ("203.0.113.7/32", Some(Meaning::Ip)),
            ("2001:db8::1", Some(Meaning::Ip)),
            ("1.2.3", None),
            ("07:15:34", None),
            ("+1-415-867501-4001", Some(Meaning::Phone)),
            ("+49 30 901820", Some(Meaning::Phone)),
            ("(415) 555-2671", Some(Meaning::Phone)),
            ("4155552671", None),
            ("415-555-2671", None),
            ("+1", None),
            ("6f1c2f6e-2b1a-4c59-9d3c-0d4a35c2a111", None),
            ("$2b$12$KIXQ4v8c1nJ9h0yqv3s0UeJf", Some(Meaning::Secret)),
            ("eyJhbGciOiJIUzI1NiJ9.e30.abc", Some(Meaning::Secret)),
            ("AKIAIOSFODNN7EXAMPLE", Some(Meaning::Secret)),
            ("-----BEGIN RSA PRIVATE KEY-----", Some(Meaning::Secret)),
            ("ASIA is a continent of the world", None),
            ("", None),
            ("plain text", None),
        ] {
            assert_eq!(meaning(value), expected, "{value}");
        }
    }

    #[test]
    fn documents_are_searched_for_personal_keys() {
        let documents = [
            r#"{"address": "1 Elm St", "prefs": {"theme": "dark"}, "contact": {"a": "x@example.com"}}"#,
            r#"{"items": [{"dob": "1990-01-01"}], "count": 3, "salary": 5}"#,
            "no document",
        ]
        .map(str::to_owned);
        assert_eq!(personal_keys(&documents), ["address", "contact.a", "items.dob", "salary"]);
    }
}
