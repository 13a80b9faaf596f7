//! The time: the one place that asks for it on behalf of the pure rooms.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Now, in UTC, to the second.
#[must_use]
pub fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc().replace_nanosecond(0).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// Now as RFC 3339, as records and reports write it.
#[must_use]
pub fn timestamp() -> String {
    now().format(&Rfc3339).unwrap_or_default()
}
