//! Exact numbers of base 10, with their precision and scale in the type.

use std::{fmt, str::FromStr};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

use super::{Number, Ordered, column_value};
use crate::{
    abi::{Value, bytes, span_from},
    manifest::ColumnType,
};

/// A number with at most `P` digits (1 to 18), `S` of them behind the point: `Decimal<18, 2>` for money.
///
/// Serde reads it from text (`"12.34"`) and from numbers; one that does not fit exactly is refused, never rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Decimal<const P: u8, const S: u8>(i64);

/// A text or number that is no decimal of the given form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecimalError {
    text: String,
    precision: u8,
    scale: u8,
}

impl<const P: u8, const S: u8> Decimal<P, S> {
    const FITS: () =
        assert!(P >= 1 && P <= 18 && S <= P, "a decimal has 1 to 18 digits, and no more of them behind the point");
    const LIMIT: i64 = 10_i64.pow(P as u32);
    const UNIT: i64 = 10_i64.pow(S as u32);

    /// From a number of the smallest units: `Decimal::<18, 2>::from_units(1234)` is 12.34. Nothing where it has too many digits.
    #[must_use]
    pub const fn from_units(units: i64) -> Option<Decimal<P, S>> {
        const { Self::FITS };
        if units > -Self::LIMIT && units < Self::LIMIT { Some(Decimal(units)) } else { None }
    }

    /// The number of smallest units: 1234 of 12.34.
    #[must_use]
    pub const fn units(self) -> i64 {
        self.0
    }

    /// The sum; nothing where it has too many digits.
    #[must_use]
    pub const fn checked_add(self, other: Decimal<P, S>) -> Option<Decimal<P, S>> {
        Self::from_units(self.0 + other.0)
    }

    /// The difference; nothing where it has too many digits.
    #[must_use]
    pub const fn checked_sub(self, other: Decimal<P, S>) -> Option<Decimal<P, S>> {
        Self::from_units(self.0 - other.0)
    }

    fn parse(text: &str) -> Option<Decimal<P, S>> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let is_number = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || digits.ends_with('.') || !is_number(whole) || !is_number(fraction) {
            return None;
        }
        let fraction = fraction.trim_end_matches('0');
        let missing = usize::from(S).checked_sub(fraction.len())?;
        let mut units: i64 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).chain(std::iter::repeat_n(b'0', missing)) {
            units = units.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        }
        Self::from_units(if text.starts_with('-') { -units } else { units })
    }
}

column_value!([const P: u8, const S: u8] Decimal<P, S>, ColumnType::Decimal { precision: P, scale: S }, |own, heap| {
    use std::io::Write;
    let offset = heap.len();
    write!(heap, "{own}").expect("memory takes all that is written");
    Value::Decimal(span_from(heap, offset))
}, |value, heap| match value {
    Value::Decimal(span) => std::str::from_utf8(bytes(heap, span)).ok().and_then(Decimal::parse),
    _ => None,
});

impl<const P: u8, const S: u8> Number for Decimal<P, S> {
    type Amount = Decimal<P, S>;
}

impl<const P: u8, const S: u8> Ordered for Decimal<P, S> {}

impl<const P: u8, const S: u8> fmt::Display for Decimal<P, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let units = self.0.unsigned_abs();
        let unit = Self::UNIT.unsigned_abs();
        let (whole, fraction) = (units / unit, units % unit);
        match S {
            0 => write!(f, "{sign}{whole}"),
            _ => write!(f, "{sign}{whole}.{fraction:0width$}", width = usize::from(S)),
        }
    }
}

impl<const P: u8, const S: u8> FromStr for Decimal<P, S> {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Decimal<P, S>, DecimalError> {
        let refused = || DecimalError { text: text.chars().take(60).collect(), precision: P, scale: S };
        Decimal::parse(text).ok_or_else(refused)
    }
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DecimalError { text, precision, scale } = self;
        write!(f, "{text:?} is no decimal of at most {precision} digits, {scale} of them behind the point")
    }
}

impl std::error::Error for DecimalError {}

impl<const P: u8, const S: u8> Serialize for Decimal<P, S> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_str(self)
    }
}

impl<'de, const P: u8, const S: u8> Deserialize<'de> for Decimal<P, S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decimal<P, S>, D::Error> {
        deserializer.deserialize_any(DecimalVisitor)
    }
}

struct DecimalVisitor<const P: u8, const S: u8>;

impl<const P: u8, const S: u8> Visitor<'_> for DecimalVisitor<P, S> {
    type Value = Decimal<P, S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a decimal of at most {P} digits, {S} of them behind the point, as text or number")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Money = Decimal<18, 2>;

    #[test]
    fn writes_all_digits_of_the_scale() {
        for (units, text) in [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (-1234, "-12.34"), (100, "1.00")] {
            assert_eq!(Money::from_units(units).unwrap().to_string(), text);
        }
        assert_eq!(Decimal::<3, 0>::from_units(-12).unwrap().to_string(), "-12");
    }

    #[test]
    fn refuses_what_does_not_fit_exactly() {
        for bad in ["", "-", ".5", "1.", "1.005", "1e3", "+1", "10000000000000000.00", "1.2.3", " 1"] {
            assert!(bad.parse::<Money>().is_err(), "{bad}");
        }
        assert_eq!("1.500".parse::<Money>().unwrap().units(), 150);
    }

    #[test]
    fn serde_reads_text_and_numbers() {
        let read = |json: &str| serde_json::from_str::<Money>(json).map(Money::units).ok();
        assert_eq!(read("\"12.34\""), Some(1234));
        assert_eq!(read("12.34"), Some(1234));
        assert_eq!(read("-7"), Some(-700));
        assert_eq!(read("0.001"), None);
    }

    proptest! {
        #[test]
        fn reads_what_it_writes(units in -999_999_999_999_999_999_i64..=999_999_999_999_999_999) {
            let number = Money::from_units(units).unwrap();
            prop_assert_eq!(number.to_string().parse::<Money>().unwrap(), number);
        }
    }
}
