//! When a request deserves another try, and how long to wait before it. Time and chance are arguments; [`chance`] draws the latter.

use std::time::Duration;

use time::OffsetDateTime;
use time::PrimitiveDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// How often and how long one request is repeated.
#[derive(Debug, Clone, Copy)]
pub struct RetryPolicy {
    /// Tries in all, the first included.
    pub tries: u32,
    /// Wait before the second try; it doubles from try to try.
    pub first_wait: Duration,
    /// No wait is longer, whatever a server asks for.
    pub longest_wait: Duration,
    /// Time that one push or pull may lose to failed tries and to waits, all its requests together.
    pub budget: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { tries: 6, first_wait: Duration::from_millis(500), longest_wait: Duration::from_secs(60), budget: Duration::from_secs(300) }
    }
}

impl RetryPolicy {
    /// The wait before the next try, or `None` when there shall be none.
    ///
    /// `made` counts the tries so far, `asked` is what the server asked for, `lost` what the push or pull has lost of its budget,
    /// `chance` is in 0..1. A server that asks for more than the whole budget is not tried again.
    #[must_use]
    pub fn wait(&self, made: u32, asked: Option<Duration>, lost: Duration, chance: f64) -> Option<Duration> {
        if made >= self.tries || asked.is_some_and(|asked| asked > self.budget) {
            return None;
        }
        let doubled = self.first_wait.saturating_mul(1_u32.checked_shl(made.saturating_sub(1)).unwrap_or(u32::MAX));
        // Half is fixed and half is chance, so that parallel jobs drift apart.
        let own = doubled.min(self.longest_wait).mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        let wait = asked.map_or(own, |asked| asked.max(own)).min(self.longest_wait);
        (lost + wait <= self.budget).then_some(wait)
    }
}

/// A number in 0..1 for [`RetryPolicy::wait`]. Where the system has no randomness, the waits are merely less spread.
#[must_use]
pub fn chance() -> f64 {
    let mut random = [0_u8; 2];
    let _ = getrandom::fill(&mut random);
    f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX)
}

/// Whether an answer with this status may be another one a little later.
#[must_use]
pub fn is_transient(status: u16, body: &str) -> bool {
    match status {
        408 | 425 | 429 | 500 | 502 | 503 | 504 => true,
        // GitHub's secondary limit comes as a refusal.
        403 => body.to_ascii_lowercase().contains("secondary rate limit"),
        _ => false,
    }
}

/// How long a server asks to wait: `Retry-After` in seconds or as a date, or GHCR's `retry-after: 10.3ms, allowed: 2000/minute` in the body.
///
/// Source: RFC 9110 section 10.2.3.
#[must_use]
pub fn asked_wait(header: Option<&str>, body: &str, now: OffsetDateTime) -> Option<Duration> {
    header.and_then(|value| seconds(value.trim()).or_else(|| until(value.trim(), now))).or_else(|| in_body(body))
}

const HTTP_DATE: &[BorrowedFormatItem<'static>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

fn seconds(text: &str) -> Option<Duration> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| Duration::from_secs(text.parse().unwrap_or(u64::MAX)))
}

fn until(text: &str, now: OffsetDateTime) -> Option<Duration> {
    let date = PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc();
    Some(Duration::try_from(date - now).unwrap_or_default())
}

fn in_body(body: &str) -> Option<Duration> {
    let body = body.to_ascii_lowercase();
    let after = body.split_once("retry-after:")?.1.trim_start();
    let number = &after[..after.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(after.len())];
    let unit = after[number.len()..].trim_start();
    let scale = match () {
        () if unit.starts_with("ms") => 1e-3,
        () if unit.starts_with("µs") || unit.starts_with("us") => 1e-6,
        () if unit.starts_with('m') => 60.0,
        () => 1.0,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_ask_in_many_ways() {
        let now = time::macros::datetime!(2026-11-22 04:00:00 UTC);
        let cases = [
            (Some("7"), "", Some(7.0)),
            (Some("Sun, 22 Nov 2026 04:00:09 GMT"), "", Some(9.0)),
            (Some("Sun, 22 Nov 2026 03:00:00 GMT"), "", Some(0.0)),
            (Some("86400"), "", Some(86_400.0)),
            (None, "retry-after: 250ms, allowed: 2000/minute", Some(0.25)),
            (None, r#"{"message":"Retry-After: 3s"}"#, Some(3.0)),
            (Some("soon"), "", None),
            (None, "", None),
        ];
        for (header, body, expected) in cases {
            assert_eq!(asked_wait(header, body, now), expected.map(Duration::from_secs_f64), "{header:?} {body:?}");
        }
    }

    #[test]
    fn waits_double_and_end() {
        let policy = RetryPolicy::default();
        let waits: Vec<_> = (1..=6).map(|made| policy.wait(made, None, Duration::ZERO, 1.0).map(|wait| wait.as_millis())).collect();
        assert_eq!(waits, [Some(500), Some(1000), Some(2000), Some(4000), Some(8000), None]);
        assert_eq!(policy.wait(1, None, Duration::ZERO, 0.0), Some(Duration::from_millis(250)));
        assert_eq!(policy.wait(1, Some(Duration::from_secs(200)), Duration::ZERO, 0.5), Some(policy.longest_wait));
        let ages = asked_wait(Some("99999999999999999999999"), "", OffsetDateTime::UNIX_EPOCH);
        assert!(ages.is_some() && policy.wait(1, ages, Duration::ZERO, 0.5).is_none());
        assert_eq!(policy.wait(1, None, policy.budget, 0.5), None);
    }

    #[test]
    fn only_passing_troubles_are_repeated() {
        assert!([408, 429, 500, 502, 503, 504].iter().all(|status| is_transient(*status, "")));
        assert!(![200, 400, 401, 403, 404, 405, 413, 501].iter().any(|status| is_transient(*status, "")));
        assert!(is_transient(403, "You have exceeded a secondary rate limit"));
    }
}
