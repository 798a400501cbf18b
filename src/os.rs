//! The clock and the source of randomness. Rooms that decide take time and
//! random bytes as arguments; rooms that act ask here, and nowhere else.

use jiff::Timestamp;

/// The current time, at microsecond resolution so that it survives every store unchanged.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

/// `N` bytes from the operating system's generator.
///
/// # Panics
/// When the operating system has no randomness to give: nothing that this
/// program does is safe then.
#[expect(clippy::disallowed_methods, clippy::expect_used, reason = "the one place that reads randomness")]
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system's random source");
    bytes
}
