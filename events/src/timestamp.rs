//! A moment, in whole microseconds, UTC: the one time that events carry. Reading and writing RFC 3339; no clock.

use std::fmt;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Microseconds since 1970-01-01T00:00:00Z, within the years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A text that is no moment in the years 1 to 9999.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an RFC 3339 time in the years 1 to 9999, such as 2026-11-21T09:30:00Z")]
pub struct TimestampError(pub String);

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800_000_000);
    /// 9999-12-31T23:59:59.999999Z.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999_999);

    /// From microseconds since the epoch; a value outside the years 1 to 9999 becomes the nearest one inside.
    #[must_use]
    pub fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Reads RFC 3339 with any offset; digits beyond the microsecond are cut off.
    ///
    /// # Errors
    /// Where the text is not RFC 3339, or the moment is outside the years 1 to 9999 in UTC.
    pub fn parse(text: &str) -> Result<Timestamp, TimestampError> {
        let refused = || TimestampError(text.chars().take(60).collect());
        let moment = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| refused())?;
        let micros = i64::try_from(moment.unix_timestamp_nanos().div_euclid(1000)).map_err(|_| refused())?;
        let inside = (Self::MIN.0..=Self::MAX.0).contains(&micros);
        if inside { Ok(Timestamp(micros)) } else { Err(refused()) }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC, with six decimals where the microseconds are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).expect("within the years 1 to 9999");
        let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
        let (hour, minute, second, micros) = moment.to_hms_micro();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}
