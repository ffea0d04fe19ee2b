//! Days, times of day and moments, as the read models hold them: the Gregorian calendar, the years 1 to 9999, microseconds, UTC.
//! No clock: the only time that a projection knows is its events'.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::{Ordered, column_value};
use crate::{abi::Value, manifest::ColumnType};

const DAY: i64 = 86_400_000_000;

/// A moment: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// A day: days since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Date(i32);

/// A time of day: microseconds since midnight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Time(i64);

/// A text that is no moment, day or time of day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MomentError {
    text: String,
    wanted: &'static str,
}

impl Timestamp {
    /// From microseconds since the epoch. The host refuses moments outside the years 1 to 9999.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros)
    }

    /// Microseconds since the epoch.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// The day it falls on, in UTC.
    #[must_use]
    pub const fn date(self) -> Date {
        Date(self.0.div_euclid(DAY) as i32)
    }

    /// The time of day, in UTC.
    #[must_use]
    pub const fn time(self) -> Time {
        Time(self.0.rem_euclid(DAY))
    }
}

impl Date {
    /// From days since 1970-01-01. The host refuses days outside the years 1 to 9999.
    #[must_use]
    pub const fn from_days(days: i32) -> Date {
        Date(days)
    }

    /// Days since 1970-01-01.
    #[must_use]
    pub const fn days(self) -> i32 {
        self.0
    }

    /// Year, month (from 1) and day (from 1).
    #[must_use]
    pub const fn year_month_day(self) -> (i32, u32, u32) {
        let from_march = self.0 as i64 + 719_468;
        let era = from_march.div_euclid(146_097);
        let of_era = from_march.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * of_year + 2) / 153;
        let day = of_year - (153 * shifted + 2) / 5 + 1;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        let year = year_of_era + era * 400 + (month <= 2) as i64;
        (year as i32, month as u32, day as u32)
    }

    /// The day of the calendar; nothing where it does not exist or lies outside the years 1 to 9999.
    #[must_use]
    pub fn from_year_month_day(year: i32, month: u32, day: u32) -> Option<Date> {
        if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let shifted_year = i64::from(year) - i64::from(month <= 2);
        let era = shifted_year.div_euclid(400);
        let year_of_era = shifted_year.rem_euclid(400);
        let shifted_month = i64::from(month + 9) % 12;
        let of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
        let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
        let date = Date((era * 146_097 + of_era - 719_468) as i32);
        (date.year_month_day() == (year, month, day)).then_some(date)
    }

    fn parse(text: &str) -> Option<Date> {
        let fits = text.len() == 10 && text.is_ascii() && &text[4..5] == "-" && &text[7..8] == "-";
        if !fits {
            return None;
        }
        Date::from_year_month_day(number(&text[..4])?.try_into().ok()?, number(&text[5..7])?, number(&text[8..])?)
    }
}

impl Time {
    /// From microseconds since midnight. The host refuses times of 24:00 and later.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Time {
        Time(micros)
    }

    /// Microseconds since midnight.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// `09:30:00`, with any number of decimals; those beyond the microsecond are cut off.
    fn parse(text: &str) -> Option<Time> {
        let fits = text.is_ascii() && text.len() >= 8 && &text[2..3] == ":" && &text[5..6] == ":";
        if !fits {
            return None;
        }
        let (hour, minute, second) = (number(&text[..2])?, number(&text[3..5])?, number(&text[6..8])?);
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let micros = match &text[8..] {
            "" => 0,
            decimals => fraction(decimals.strip_prefix('.')?)?,
        };
        Some(Time(i64::from(hour * 3600 + minute * 60 + second) * 1_000_000 + micros))
    }
}

fn number(digits: &str) -> Option<u32> {
    if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// The microseconds of `123` in `.123`.
fn fraction(digits: &str) -> Option<i64> {
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let six = digits.bytes().chain(std::iter::repeat(b'0')).take(6);
    Some(six.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0')))
}

impl Timestamp {
    /// RFC 3339 with any offset; digits beyond the microsecond are cut off.
    fn parse(text: &str) -> Option<Timestamp> {
        if !text.is_ascii() || text.len() < 20 || !matches!(text.as_bytes()[10], b'T' | b't' | b' ') {
            return None;
        }
        let date = Date::parse(&text[..10])?;
        let zone_at = 11 + text[11..].find(['Z', 'z', '+', '-'])?;
        let time = Time::parse(&text[11..zone_at])?;
        let offset = offset_minutes(&text[zone_at..])?;
        let micros = i64::from(date.0) * DAY + time.0 - offset * 60_000_000;
        let is_in_range = (1..=9999).contains(&Timestamp(micros).date().year_month_day().0);
        is_in_range.then_some(Timestamp(micros))
    }
}

fn offset_minutes(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    if zone.len() != 6 || &zone[3..4] != ":" {
        return None;
    }
    let (hours, minutes) = (number(&zone[1..3])?, number(&zone[4..])?);
    let size = i64::from(hours * 60 + minutes);
    (hours <= 23 && minutes <= 59).then_some(if zone.starts_with('-') { -size } else { size })
}

impl fmt::Display for Date {
    /// `2026-11-21`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.year_month_day();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl fmt::Display for Time {
    /// `09:30:00`, with six decimals where the microseconds are not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        write!(f, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)?;
        if micros != 0 { write!(f, ".{micros:06}") } else { Ok(()) }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}T{}Z", self.date(), self.time())
    }
}

impl fmt::Display for MomentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not {}", self.text, self.wanted)
    }
}

impl std::error::Error for MomentError {}

macro_rules! moment {
    ($type:ident, $wanted:literal, |$own:ident| $write:expr, $case:ident) => {
        column_value!([] $type, ColumnType::$case, |$own, _heap| Value::$case($write), |value, _bytes| match value {
            Value::$case(number) => Some($type(number)),
            _ => None,
        });

        impl Ordered for $type {}

        impl FromStr for $type {
            type Err = MomentError;

            fn from_str(text: &str) -> Result<$type, MomentError> {
                $type::parse(text).ok_or_else(|| MomentError { text: text.chars().take(60).collect(), wanted: $wanted })
            }
        }

        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    };
}

moment!(Timestamp, "an RFC 3339 time in the years 1 to 9999, such as 2026-11-21T09:30:00Z", |own| own.0, Timestamp);
moment!(Date, "a day in the years 1 to 9999, such as 2026-11-21", |own| own.0, Date);
moment!(Time, "a time of day, such as 09:30:00", |own| own.0, Time);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_moments_with_any_offset() {
        let read = |text: &str| text.parse::<Timestamp>().map(Timestamp::micros);
        assert_eq!(read("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(read("1970-01-01T02:00:00.5+02:00"), Ok(500_000));
        assert_eq!(read("1969-12-31T23:59:59.9999999-00:00"), Ok(-1));
        assert_eq!(read("0001-01-01T00:00:00Z"), Ok(-62_135_596_800_000_000));
        assert_eq!(read("9999-12-31T23:59:59.999999Z"), Ok(253_402_300_799_999_999));
    }

    #[test]
    fn refuses_what_the_calendar_does_not_have() {
        for bad in [
            "2026-02-29T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "0001-01-01T00:00:00+01:00",
            "2026-01-01T00:00:00.Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
        assert!("2024-02-29".parse::<Date>().is_ok());
        assert!("2100-02-29".parse::<Date>().is_err());
        assert!("09:30".parse::<Time>().is_err());
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(micros in -62_135_596_800_000_000_i64..=253_402_300_799_999_999) {
            let moment = Timestamp::from_micros(micros);
            prop_assert_eq!(moment.to_string().parse::<Timestamp>().unwrap(), moment);
            prop_assert_eq!(moment.date().to_string().parse::<Date>().unwrap(), moment.date());
            prop_assert_eq!(moment.time().to_string().parse::<Time>().unwrap(), moment.time());
        }
    }
}
