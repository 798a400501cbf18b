//! What a column means by its name and type.

use super::{Confidence, Meaning};
use crate::core::model::words;

/// Phrases that mean something, in words. The longest that a name holds wins.
const PHRASES: &[(Meaning, Confidence, &[&str])] = {
    use Confidence::{Certain, Likely, Unsure};
    use Meaning::*;
    &[
        (Email, Certain, &["email", "e mail", "mail", "email address", "mail address", "emails"]),
        (
            Phone,
            Certain,
            &[
                "phone",
                "phones",
                "mobile",
                "telephone",
                "tel",
                "fax",
                "msisdn",
                "cell phone",
                "phone number",
                "mobile number",
            ],
        ),
        (
            Card,
            Certain,
            &[
                "card number",
                "card no",
                "card num",
                "card pan",
                "pan",
                "credit card",
                "cc number",
                "cardnumber",
                "creditcard",
            ],
        ),
        (Card, Likely, &["card"]),
        (
            Iban,
            Certain,
            &["iban", "bank account", "account number", "account no", "routing number", "sort code"],
        ),
        (
            NationalId,
            Certain,
            &[
                "ssn",
                "social security",
                "national id",
                "national insurance",
                "nino",
                "passport",
                "tax id",
                "tax number",
                "tin",
                "itin",
                "driver license",
                "drivers license",
                "driving licence",
                "driver licence",
                "personnummer",
                "cpf",
                "curp",
                "dni",
                "nif",
                "pesel",
                "aadhaar",
                "identity number",
                "id card",
                "vat id",
                "sin number",
            ],
        ),
        (
            BirthDate,
            Certain,
            &[
                "dob",
                "birthdate",
                "birthday",
                "birth date",
                "date of birth",
                "birth day",
                "born",
                "born on",
                "birth year",
            ],
        ),
        (
            Ip,
            Certain,
            &[
                "ip",
                "ip address",
                "ip addr",
                "remote addr",
                "client ip",
                "ipv4",
                "ipv6",
                "remote address",
                "ipaddress",
            ],
        ),
        (
            Name,
            Certain,
            &[
                "first name",
                "last name",
                "full name",
                "surname",
                "given name",
                "family name",
                "maiden name",
                "middle name",
                "firstname",
                "lastname",
                "fullname",
                "legal name",
                "cardholder",
                "card holder",
                "holder name",
                "beneficiary",
                "real name",
                "birth name",
                "contact name",
                "customer name",
                "patient name",
                "employee name",
            ],
        ),
        (Name, Unsure, &["username", "user name", "login", "nickname", "display name"]),
        (
            Address,
            Certain,
            &[
                "home address",
                "postal address",
                "street address",
                "billing address",
                "shipping address",
                "street",
                "address line",
            ],
        ),
        (
            Address,
            Likely,
            &["address", "addr", "postcode", "postal code", "zip code", "zipcode", "zip", "house number"],
        ),
        (Address, Unsure, &["latitude", "longitude", "lat", "lng", "geolocation"]),
        (
            Secret,
            Certain,
            &[
                "password",
                "passwd",
                "pwd",
                "passphrase",
                "password hash",
                "secret",
                "secrets",
                "api key",
                "apikey",
                "private key",
                "secret key",
                "access key",
                "access token",
                "refresh token",
                "client secret",
                "cvv",
                "cvc",
                "otp secret",
                "totp",
                "mfa secret",
                "credential",
                "credentials",
                "recovery code",
                "recovery codes",
                "pin code",
            ],
        ),
        (Secret, Likely, &["token", "session key", "signing key", "encryption key", "otp"]),
        (
            Health,
            Certain,
            &[
                "diagnosis",
                "diagnoses",
                "icd",
                "medication",
                "medications",
                "allergy",
                "allergies",
                "blood type",
                "blood group",
                "disability",
                "pregnancy",
                "pregnant",
                "hiv",
                "prescription",
                "symptom",
                "symptoms",
                "medical history",
                "medical record",
                "health condition",
                "mental health",
            ],
        ),
        (Health, Likely, &["treatment", "disease", "health", "medical", "patient note", "patient notes"]),
        (
            Personal,
            Likely,
            &[
                "gender",
                "sex",
                "religion",
                "ethnicity",
                "race",
                "sexual orientation",
                "marital status",
                "political party",
                "union member",
            ],
        ),
        (
            Pay,
            Certain,
            &["salary", "wage", "wages", "compensation", "base pay", "gross pay", "net pay", "net worth"],
        ),
        (Pay, Likely, &["bonus", "income", "payroll", "credit score", "credit limit"]),
        (Pay, Unsure, &["amount", "balance"]),
    ]
};

/// A name that ends in one of these speaks about the thing, it is not the thing.
const ASPECTS: &[&str] = &[
    "id",
    "ids",
    "type",
    "kind",
    "count",
    "status",
    "state",
    "verified",
    "confirmed",
    "at",
    "on",
    "enabled",
    "required",
    "template",
    "brand",
    "provider",
    "version",
    "format",
    "length",
    "expires",
    "expiry",
    "expiration",
    "sent",
    "valid",
    "label",
    "currency",
    "used",
    "attempts",
    "limit",
    "policy",
    "category",
    "code",
];

/// Tables whose `name` is a person's.
const PEOPLE: &[&str] = &[
    "user",
    "users",
    "person",
    "persons",
    "people",
    "customer",
    "customers",
    "patient",
    "patients",
    "employee",
    "employees",
    "contact",
    "contacts",
    "member",
    "members",
    "applicant",
    "applicants",
    "student",
    "students",
    "staff",
    "guest",
    "guests",
    "subscriber",
    "subscribers",
    "client",
    "clients",
    "recipient",
    "recipients",
    "passenger",
    "passengers",
    "driver",
    "drivers",
    "tenant",
    "lead",
    "leads",
    "participant",
    "participants",
];

/// What a column of this name and type in this table means, and how sure that is.
pub(super) fn meaning(column: &str, type_name: &str, table: &str) -> Option<(Meaning, Confidence)> {
    let words = words(column);
    let holds = |phrase: &str| {
        (0..words.len()).any(|start| {
            let mut rest = words.iter().skip(start);
            phrase.split(' ').all(|part| rest.next().is_some_and(|word| word == part))
        })
    };
    let mut best: Option<(usize, Meaning, Confidence)> = None;
    for (meaning, confidence, phrases) in PHRASES {
        for phrase in phrases.iter().filter(|phrase| holds(phrase)) {
            let whole = words.len() == phrase.split(' ').count();
            let confidence = if whole { *confidence } else { (*confidence).min(Confidence::Likely) };
            if best.is_none_or(|(length, ..)| phrase.len() > length) {
                best = Some((phrase.len(), *meaning, confidence));
            }
        }
    }
    let known = best.filter(|(length, ..)| {
        // `pin_code` and `born_on` are phrases; `email_verified_at` is about one.
        let last = words.last().map(String::as_str).unwrap_or_default();
        !ASPECTS.contains(&last) || best_ends_with(&words, *length)
    });
    let found = match known {
        Some((_, meaning, confidence)) => (meaning, confidence),
        None => of_a_person(&words, table)?,
    };
    fits(found.0, type_name).then_some(found)
}

/// Whether the phrase of this length is the end of the name itself.
fn best_ends_with(words: &[String], length: usize) -> bool {
    let name = words.join(" ");
    let tail = name.get(name.len().saturating_sub(length)..).unwrap_or_default();
    PHRASES.iter().any(|(.., phrases)| phrases.contains(&tail))
}

fn of_a_person(of_column: &[String], of_table: &str) -> Option<(Meaning, Confidence)> {
    let person = words(of_table).iter().any(|word| PEOPLE.contains(&word.as_str()));
    (of_column == ["name"] && person).then_some((Meaning::Name, Confidence::Likely))
}

/// Whether a column of this type can hold that.
fn fits(meaning: Meaning, type_name: &str) -> bool {
    let (text, number) = (is_text(type_name), is_number(type_name));
    // A domain or an enum of the database's own may be anything.
    let own = type_name.contains('.');
    match meaning {
        Meaning::Email | Meaning::Name | Meaning::Address => {
            text || own || type_name == "jsonb" || type_name == "json"
        }
        Meaning::Phone | Meaning::Card | Meaning::Iban | Meaning::NationalId => text || own || number,
        Meaning::BirthDate => {
            text || own || type_name == "date" || type_name.starts_with("timestamp") || number
        }
        Meaning::Ip => text || matches!(type_name, "inet" | "cidr"),
        Meaning::Secret => text || own || matches!(type_name, "bytea" | "jsonb" | "json" | "uuid"),
        Meaning::Health | Meaning::Personal => type_name != "uuid" && !type_name.starts_with("timestamp"),
        Meaning::Pay => number || type_name == "money",
        Meaning::Document => false,
    }
}

/// Character types, arrays of them included.
pub(super) fn is_text(type_name: &str) -> bool {
    let base = type_name.trim_end_matches("[]");
    let base = base.split_once('(').map_or(base, |(base, _)| base);
    matches!(base, "text" | "character varying" | "character" | "citext" | "name" | "bpchar")
        || base.ends_with(".citext")
}

pub(super) fn is_number(type_name: &str) -> bool {
    let base = type_name.split_once('(').map_or(type_name, |(base, _)| base);
    matches!(base, "bigint" | "integer" | "smallint" | "numeric" | "real" | "double precision")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_what_people_mean_by_them() {
        use Confidence::{Certain, Likely, Unsure};
        for (table, column, type_name, expected) in [
            ("users", "email", "text", Some((Meaning::Email, Certain))),
            ("users", "userEmail", "character varying(200)", Some((Meaning::Email, Likely))),
            ("t", "e.mail", "text", Some((Meaning::Email, Certain))),
            ("users", "email_verified", "text", None),
            ("users", "email_sent_at", "timestamp with time zone", None),
            ("users", "email", "boolean", None),
            ("users", "email_id", "bigint", None),
            ("users", "phone", "text", Some((Meaning::Phone, Certain))),
            ("users", "ssn", "text", Some((Meaning::NationalId, Certain))),
            ("users", "salary", "numeric(12,5)", Some((Meaning::Pay, Certain))),
            ("payments", "amount", "numeric(12,5)", Some((Meaning::Pay, Unsure))),
            ("payments", "card_number", "text", Some((Meaning::Card, Certain))),
            ("payments", "card_brand", "text", None),
            ("payments", "japan_region", "text", None),
            ("events", "ip", "inet", Some((Meaning::Ip, Certain))),
            ("events", "ship_to", "text", None),
            ("people", "full_name", "text", Some((Meaning::Name, Certain))),
            ("people", "name", "text", Some((Meaning::Name, Likely))),
            ("products", "name", "text", None),
            ("products", "file_name", "text", None),
            ("people", "passport", "text", Some((Meaning::NationalId, Certain))),
            ("people_vip", "home_address", "text", Some((Meaning::Address, Certain))),
            ("users", "ip_address", "text", Some((Meaning::Ip, Certain))),
            ("users", "emailAddress", "text", Some((Meaning::Email, Certain))),
            ("users", "date_of_birth", "date", Some((Meaning::BirthDate, Certain))),
            ("users", "born_on", "date", Some((Meaning::BirthDate, Certain))),
            ("users", "created_at", "timestamp with time zone", None),
            ("users", "password_hash", "text", Some((Meaning::Secret, Certain))),
            ("users", "api_key", "text", Some((Meaning::Secret, Certain))),
            ("users", "stripe_api_key", "text", Some((Meaning::Secret, Likely))),
            ("users", "primary_key", "text", None),
            ("users", "token_count", "integer", None),
            ("audit_secrets", "token", "text", Some((Meaning::Secret, Likely))),
            ("patients", "diagnosis", "text", Some((Meaning::Health, Certain))),
            ("users", "gender", "text", Some((Meaning::Personal, Likely))),
            ("orders", "order_number", "text", None),
            ("orders", "total", "numeric(12,2)", None),
            ("users", "plan", "public.plan_t", None),
        ] {
            assert_eq!(meaning(column, type_name, table), expected, "{table}.{column} {type_name}");
        }
    }
}
