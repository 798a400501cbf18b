//! What values a column's type takes, as far as that is cheap to see: shape
//! and range. Everything that PostgreSQL would cut, round or read by the
//! session's settings is refused, because a condition must mean one thing.

use crate::core::model::usual_type_name;
use pg_query::NodeEnum;
use pg_query::protobuf::{Node, TypeName};
use std::fmt;

/// A constant as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Constant {
    Number(String),
    Text(String),
    Boolean(bool),
}

/// For messages, cut where it is long.
impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(digits) => f.write_str(&cut(digits)),
            Self::Text(text) => write!(f, "'{}'", cut(text)),
            Self::Boolean(value) => write!(f, "{value}"),
        }
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= 40 {
        text.to_owned()
    } else {
        format!("{}…", text.chars().take(39).collect::<String>())
    }
}

/// Types, as far as their values are told apart here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Integer {
        from: i64,
        to: i64,
    },
    /// Digits before and after the point, where the column bounds them.
    Numeric {
        digits: Option<(usize, usize)>,
    },
    Float {
        single: bool,
    },
    /// The most characters, where the column bounds them.
    Text {
        longest: Option<usize>,
    },
    Boolean,
    Uuid,
    Date,
    /// `digits` after the seconds.
    Time {
        zone: bool,
        digits: usize,
    },
    Timestamp {
        zone: bool,
        digits: usize,
    },
    Interval,
    /// An enum, a domain, another type of the database's own, or one with text
    /// of its own (inet): the database says whether a value fits.
    Named,
}

/// Built-in types without an order, with one that surprises, with values that
/// are cut or that read differently by locale.
const INCOMPARABLE: [&str; 27] = [
    "json",
    "jsonb",
    "jsonpath",
    "xml",
    "bytea",
    "bit",
    "bit varying",
    "point",
    "line",
    "lseg",
    "box",
    "path",
    "polygon",
    "circle",
    "tsvector",
    "tsquery",
    "record",
    "refcursor",
    "pg_lsn",
    "pg_snapshot",
    "txid_snapshot",
    "money",
    "name",
    "tid",
    "xid",
    "cid",
    "\"char\"",
];

impl Kind {
    /// From a type as `format_type` prints it.
    pub fn of(type_name: &str) -> Option<Self> {
        let (name, modifiers) = parts(type_name)?;
        let whole = |from, to| modifiers.is_empty().then_some(Self::Integer { from, to });
        let fraction = |most: &[i64]| match most {
            [] => Some(6),
            [digits] => usize::try_from(*digits).ok(),
            _ => None,
        };
        match name.as_str() {
            "smallint" => whole(i16::MIN.into(), i16::MAX.into()),
            "integer" => whole(i32::MIN.into(), i32::MAX.into()),
            "bigint" => whole(i64::MIN, i64::MAX),
            "oid" => whole(0, u32::MAX.into()),
            "numeric" => match modifiers.as_slice() {
                [] => Some(Self::Numeric { digits: None }),
                [precision, scale] => {
                    let (precision, scale) =
                        (usize::try_from(*precision).ok()?, usize::try_from(*scale).ok()?);
                    Some(Self::Numeric { digits: Some((precision.checked_sub(scale)?, scale)) })
                }
                _ => None,
            },
            "real" => Some(Self::Float { single: true }),
            "double precision" => Some(Self::Float { single: false }),
            "text" | "citext" => Some(Self::Text { longest: None }),
            "character varying" | "character" | "bpchar" => {
                let longest = modifiers.first().map(|most| usize::try_from(*most)).transpose().ok()?;
                Some(Self::Text { longest })
            }
            "boolean" => Some(Self::Boolean),
            "uuid" => Some(Self::Uuid),
            "date" => Some(Self::Date),
            "time without time zone" => Some(Self::Time { zone: false, digits: fraction(&modifiers)? }),
            "time with time zone" => Some(Self::Time { zone: true, digits: fraction(&modifiers)? }),
            "timestamp without time zone" => {
                Some(Self::Timestamp { zone: false, digits: fraction(&modifiers)? })
            }
            "timestamp with time zone" => Some(Self::Timestamp { zone: true, digits: fraction(&modifiers)? }),
            "interval" => modifiers.is_empty().then_some(Self::Interval),
            other if other.ends_with("[]") || other.starts_with("interval ") => None,
            other if INCOMPARABLE.contains(&other) || other.ends_with("range") => None,
            _ => Some(Self::Named),
        }
    }

    /// The value as text for the type's input function, in one form for each
    /// number; or what is expected in its place.
    pub fn read(&self, constant: &Constant) -> Result<String, String> {
        let said = match constant {
            Constant::Boolean(value) => match self {
                Self::Boolean | Self::Named => return Ok(value.to_string()),
                _ => return Err(self.expected()),
            },
            Constant::Number(digits) => match self {
                Self::Integer { .. } | Self::Numeric { .. } | Self::Float { .. } | Self::Named => digits,
                _ => return Err(self.expected()),
            },
            Constant::Text(text) => text,
        };
        self.text(said).ok_or_else(|| self.expected())
    }

    fn text(&self, said: &str) -> Option<String> {
        let kept = |fits: bool| fits.then(|| said.to_owned());
        match self {
            Self::Integer { from, to } => {
                said.parse::<i64>().ok().filter(|value| (from..=to).contains(&value)).map(|v| v.to_string())
            }
            Self::Numeric { digits } => decimal(said, *digits),
            Self::Float { single } => {
                let value = decimal(said, None)?;
                let finite = if *single {
                    value.parse::<f32>().is_ok_and(f32::is_finite)
                } else {
                    value.parse::<f64>().is_ok_and(f64::is_finite)
                };
                finite.then_some(value)
            }
            Self::Text { longest } => kept(longest.is_none_or(|longest| said.chars().count() <= longest)),
            Self::Boolean => kept(matches!(said, "true" | "false")),
            Self::Uuid => {
                let shape = |(at, byte): (usize, u8)| match at {
                    8 | 13 | 18 | 23 => byte == b'-',
                    _ => byte.is_ascii_hexdigit(),
                };
                kept(said.len() == 36 && said.bytes().enumerate().all(shape)).map(|id| id.to_lowercase())
            }
            Self::Date => kept(said.len() == 10 && is_date(said)),
            Self::Time { zone, digits } => kept(is_time(said, *zone, *digits)),
            Self::Timestamp { zone, digits } => {
                let rest = said.get(10..).unwrap_or_default();
                let time = rest.strip_prefix([' ', 'T']);
                let midnight = rest.is_empty() && !zone;
                kept(
                    said.get(..10).is_some_and(is_date)
                        && (midnight || time.is_some_and(|time| is_time(time, *zone, *digits))),
                )
            }
            Self::Interval => {
                let plain = |c: char| c.is_ascii_alphanumeric() || " :.+-".contains(c);
                kept(
                    said.contains(|c: char| c.is_ascii_digit())
                        && said.len() <= 64
                        && said.chars().all(plain),
                )
            }
            Self::Named => kept(true),
        }
    }

    fn expected(&self) -> String {
        match self {
            Self::Integer { from, to } => format!("a whole number from {from} to {to}"),
            Self::Numeric { digits: Some((before, after)) } => {
                format!("a number with at most {before} digits before the point and {after} after it")
            }
            Self::Numeric { .. } | Self::Float { .. } => "a number".to_owned(),
            Self::Text { longest: Some(longest) } => {
                format!("text of at most {longest} characters, in single quotes")
            }
            Self::Text { .. } | Self::Named => "text in single quotes".to_owned(),
            Self::Boolean => "true or false".to_owned(),
            Self::Uuid => "a UUID, such as 'c0ffee00-0000-4000-8000-000000000000'".to_owned(),
            Self::Date => "a date, such as '2025-12-31'".to_owned(),
            Self::Time { zone: false, .. } => "a time, such as '23:59'".to_owned(),
            Self::Time { zone: true, .. } => "a time with its zone, such as '23:59+00'".to_owned(),
            Self::Timestamp { zone: false, .. } => "a time, such as '2025-12-31 23:59'".to_owned(),
            Self::Timestamp { zone: true, .. } => {
                "a time with its zone, such as '2025-12-31 23:59+00'".to_owned()
            }
            Self::Interval => "a length of time, such as '3 days'".to_owned(),
        }
    }
}

/// `numeric(10,2)` → `numeric`, [10, 2]; `timestamp(3) without time zone` →
/// `timestamp without time zone`, [3].
fn parts(type_name: &str) -> Option<(String, Vec<i64>)> {
    // A name of the database's own may hold anything in its quotes.
    if type_name.contains('"') {
        return Some((type_name.to_owned(), Vec::new()));
    }
    let Some((before, rest)) = type_name.split_once('(') else {
        return Some((type_name.to_owned(), Vec::new()));
    };
    let (inside, after) = rest.split_once(')')?;
    // An extension's type may have words there; what they mean is not known.
    let modifiers = inside.split(',').map(|number| number.trim().parse().ok()).collect::<Option<_>>()?;
    Some((format!("{before}{after}"), modifiers))
}

/// A decimal number in one form: no sign of plus, no zeros before it, a digit
/// on each side of the point.
fn decimal(said: &str, digits: Option<(usize, usize)>) -> Option<String> {
    let (negative, rest) = match said.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, said.strip_prefix('+').unwrap_or(said)),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.parse::<i16>().ok()?)),
        None => (rest, None),
    };
    let (before, after) = match mantissa.split_once('.') {
        Some((before, after)) => (before, after),
        None => (mantissa, ""),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if before.is_empty() && after.is_empty() || !all_digits(before) || !all_digits(after) {
        return None;
    }
    let before = before.trim_start_matches('0');
    if digits.is_some_and(|(most, scale)| exponent.is_some() || before.len() > most || after.len() > scale) {
        return None;
    }
    let mut text = if before.is_empty() { "0".to_owned() } else { before.to_owned() };
    if !after.is_empty() {
        text.push_str(&format!(".{after}"));
    }
    if let Some(exponent) = exponent {
        text.push_str(&format!("e{exponent}"));
    }
    let zero = !text.contains(|c: char| c.is_ascii_digit() && c != '0') && exponent.is_none();
    Some(if negative && !zero { format!("-{text}") } else { text })
}

/// `YYYY-MM-DD`, a day that there is; no `now`, `today` or `infinity`, whose
/// meaning moves.
fn is_date(said: &str) -> bool {
    let shape =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    said.len() == 10
        && said.bytes().enumerate().all(shape)
        && !said.starts_with("0000")
        && said.parse::<jiff::civil::Date>().is_ok()
}

/// `HH:MM`, `HH:MM:SS`, `HH:MM:SS.ffffff`; with a zone `Z`, `+HH` or `+HH:MM` behind it.
fn is_time(said: &str, zone: bool, digits: usize) -> bool {
    let at = said.find(['+', '-', 'Z']).unwrap_or(said.len());
    let (clock, offset) = said.split_at(at);
    let offset_fits = match (zone, offset) {
        (false, offset) => offset.is_empty(),
        (true, "Z") => true,
        (true, offset) => match offset.get(1..).map(|rest| rest.split(':').collect::<Vec<_>>()).as_deref() {
            Some([hours]) => number(hours, 14),
            Some([hours, minutes]) => number(hours, 14) && number(minutes, 59),
            _ => false,
        },
    };
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let fraction_fits = fraction.len() <= digits
        && fraction.bytes().all(|byte| byte.is_ascii_digit())
        && (fraction.is_empty() != clock.contains('.'));
    let clock_fits = match whole.split(':').collect::<Vec<_>>().as_slice() {
        [hours, minutes] => fraction.is_empty() && number(hours, 23) && number(minutes, 59),
        [hours, minutes, seconds] => number(hours, 23) && number(minutes, 59) && number(seconds, 59),
        _ => false,
    };
    offset_fits && fraction_fits && clock_fits
}

/// Two digits, up to `most`.
fn number(text: &str, most: u8) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse().is_ok_and(|n: u8| n <= most)
}

/// Whether a cast's type is the column's, without modifiers of its own.
pub(super) fn own_type(cast: &TypeName, type_name: &str) -> bool {
    if cast.setof || cast.pct_type || !cast.typmods.is_empty() || !cast.array_bounds.is_empty() {
        return false;
    }
    let word = |node: &Node| match &node.node {
        Some(NodeEnum::String(word)) => Some(word.sval.clone()),
        _ => None,
    };
    let Some(words) = cast.names.iter().map(word).collect::<Option<Vec<String>>>() else { return false };
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((column, _)) = parts(type_name) else { return false };
    match words.as_slice() {
        ["pg_catalog", name] => usual_type_name(name) == column,
        // `format_type` leaves the schema out where the search path finds the type.
        [name] => {
            let own = crate::core::model::split_name(&column).unwrap_or_default();
            usual_type_name(name) == column || own.last().is_some_and(|last| last == name)
        }
        several => crate::core::model::split_name(&column).is_some_and(|own| {
            own.len() <= several.len() && several.iter().rev().zip(own.iter().rev()).all(|(a, b)| a == b)
        }),
    }
}
