//! A value as text: as PostgreSQL wrote it, or what its bytes mean where they
//! are of a type that is known, else the bytes.

use crate::core::hex::hex;
use crate::wire::postgres::frontend::Format;
use jiff::{SignedDuration, Timestamp};

/// Seconds from 1970 to PostgreSQL's own epoch, the start of 2000.
const EPOCH: i64 = 946_684_800;

pub fn shown(bytes: &[u8], type_oid: u32, format: Format) -> String {
    match format {
        Format::Text | Format::Other(_) => String::from_utf8_lossy(bytes).into_owned(),
        Format::Binary => binary(bytes, type_oid).unwrap_or_else(|| format!("\\x{}", hex(bytes))),
    }
}

/// By the OIDs of `pg_type.dat`, which never change.
fn binary(bytes: &[u8], type_oid: u32) -> Option<String> {
    Some(match type_oid {
        16 => match bytes {
            [0] => "f".to_owned(),
            [1] => "t".to_owned(),
            _ => return None,
        },
        20 => i64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        21 => i16::from_be_bytes(bytes.try_into().ok()?).to_string(),
        23 => i32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        26 => u32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        700 => f32::from_be_bytes(bytes.try_into().ok()?).to_string(),
        701 => f64::from_be_bytes(bytes.try_into().ok()?).to_string(),
        // name, text, json, xml, unknown, bpchar, varchar
        19 | 25 | 114 | 142 | 705 | 1042 | 1043 => std::str::from_utf8(bytes).ok()?.to_owned(),
        // jsonb: a version stands before the text
        3802 => std::str::from_utf8(bytes.strip_prefix(&[1])?).ok()?.to_owned(),
        1082 => {
            let days = i32::from_be_bytes(bytes.try_into().ok()?);
            let at = moment(i64::from(days).checked_mul(86_400_000_000)?)?;
            at.strftime("%Y-%m-%d").to_string()
        }
        1114 => {
            moment(i64::from_be_bytes(bytes.try_into().ok()?))?.strftime("%Y-%m-%d %H:%M:%S%.f").to_string()
        }
        1184 => moment(i64::from_be_bytes(bytes.try_into().ok()?))?
            .strftime("%Y-%m-%d %H:%M:%S%.f+00")
            .to_string(),
        2950 => {
            let digits = hex(<&[u8; 16]>::try_from(bytes).ok()?);
            let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
            [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
        }
        1700 => numeric(bytes)?,
        _ => return None,
    })
}

fn moment(microseconds: i64) -> Option<Timestamp> {
    let epoch = Timestamp::from_second(EPOCH).ok()?;
    epoch.checked_add(SignedDuration::from_micros(microseconds)).ok()
}

/// Digits of base 10,000 and a scale (`numeric_send` in PostgreSQL's source).
fn numeric(bytes: &[u8]) -> Option<String> {
    let (words, []) = bytes.as_chunks::<2>() else { return None };
    let mut words = words.iter().map(|word| u16::from_be_bytes(*word));
    let (count, weight) = (words.next()?, words.next()?.cast_signed());
    let (sign, scale) = (words.next()?, usize::from(words.next()?));
    let sign = match sign {
        0 => "",
        0x4000 => "-",
        0xC000 => return Some("NaN".to_owned()),
        0xD000 => return Some("Infinity".to_owned()),
        0xF000 => return Some("-Infinity".to_owned()),
        _ => return None,
    };
    let digits: Vec<u16> = words.collect();
    if digits.len() != usize::from(count) {
        return None;
    }
    let digit =
        |place: i32| usize::try_from(place).ok().and_then(|place| digits.get(place)).copied().unwrap_or(0);
    let weight = i32::from(weight);
    let whole: String = (0..=weight).map(|place| format!("{:04}", digit(place))).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let places = i32::try_from(scale.div_ceil(4)).ok()?;
    let fraction: String = (1..=places).map(|place| format!("{:04}", digit(weight + place))).collect();
    let fraction = fraction.get(..scale).unwrap_or_default();
    let point = if scale > 0 { "." } else { "" };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binary_values_read_like_text() {
        for (type_oid, bytes, text) in [
            (16, b"\x01".as_slice(), "t"),
            (23, b"\xff\xff\xff\xfe", "-2"),
            (20, b"\0\0\0\0\0\0\0\x2a", "42"),
            (701, b"\x3f\xf8\0\0\0\0\0\0", "1.5"),
            (25, "grün".as_bytes(), "grün"),
            (3802, b"\x01{}", "{}"),
            (1082, b"\0\0\0\x01", "2000-01-02"),
            (1184, b"\0\0\0\0\0\x0f\x42\x40", "2000-01-01 00:00:01+00"),
            (1114, b"\0\0\0\0\0\x01\xe2\x40", "2000-01-01 00:00:00.123456"),
            (
                2950,
                b"\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
                "00112233-4455-6677-8899-aabbccddeeff",
            ),
            // 12345.67, -0.05, 20000, 0.00000001
            (1700, b"\0\x03\0\x01\0\0\0\x02\0\x01\x09\x29\x1a\x2c", "12345.67"),
            (1700, b"\0\x01\xff\xff\x40\0\0\x02\x01\xf4", "-0.05"),
            (1700, b"\0\x01\0\x01\0\0\0\0\0\x02", "20000"),
            (1700, b"\0\x01\xff\xfe\0\0\0\x08\0\x01", "0.00000001"),
            (1700, b"\0\0\0\0\xc0\0\0\0", "NaN"),
            // Of a type that is not known, or of a length that is wrong.
            (600, b"\x01\x02", "\\x0102"),
            (23, b"\x01", "\\x01"),
        ] {
            assert_eq!(shown(bytes, type_oid, Format::Binary), text, "{type_oid}");
        }
        assert_eq!(shown(b"\x31", 23, Format::Text), "1");
    }
}
