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
        let moment =
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1000).expect("within the years 1 to 9999");
        let (year, month, day) = (moment.year(), u8::from(moment.month()), moment.day());
        let (hour, minute, second, micros) = moment.to_hms_micro();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if micros != 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_and_moments() {
        let pairs = [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2023-01-04T16:03:33+01:00", 1_672_844_613_000_000, "2023-01-04T15:03:33Z"),
            ("1969-12-31T23:59:59.9999999Z", -1, "1969-12-31T23:59:59.999999Z"),
            ("1969-12-31T23:59:59.9Z", -100_000, "1969-12-31T23:59:59.900000Z"),
            ("2024-02-29T23:59:59.123456789Z", 1_709_251_199_123_456, "2024-02-29T23:59:59.123456Z"),
            ("0001-01-01T00:00:00Z", Timestamp::MIN.micros(), "0001-01-01T00:00:00Z"),
            ("0001-01-01T05:00:00+05:00", Timestamp::MIN.micros(), "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59.999999Z", Timestamp::MAX.micros(), "9999-12-31T23:59:59.999999Z"),
        ];
        for (text, micros, written) in pairs {
            let read = Timestamp::parse(text).unwrap();
            assert_eq!((read.micros(), read.to_string().as_str()), (micros, written), "{text}");
        }
    }

    #[test]
    fn texts_that_are_no_moment() {
        let texts = [
            "",
            "2023-01-04",
            "2023-01-04 16:03:33",
            "2023-01-04T16:03:33",
            "2023-02-29T00:00:00Z",
            "2023-01-04T24:00:00Z",
            "0000-12-31T00:00:00Z",
            "0001-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "10000-01-01T00:00:00Z",
            "1672844613",
        ];
        for text in texts {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_moment_outside_becomes_the_nearest_inside() {
        assert_eq!(Timestamp::from_micros(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::from_micros(i64::MIN), Timestamp::MIN);
    }

    proptest! {
        #[test]
        fn written_and_read_is_the_same(micros in Timestamp::MIN.micros()..=Timestamp::MAX.micros()) {
            let moment = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&moment.to_string()).unwrap(), moment);
        }
    }
}
