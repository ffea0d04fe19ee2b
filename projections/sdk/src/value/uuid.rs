//! UUIDs: read, written, compared; never made, for a projection has no randomness.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::column_value;
use crate::{
    abi::{Value, bytes, store},
    manifest::ColumnType,
};

/// A UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Uuid([u8; 16]);

/// A text that is no UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UuidError(String);

impl Uuid {
    /// From its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Uuid {
        Uuid(bytes)
    }

    /// Its 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

column_value!([] Uuid, ColumnType::Uuid, |own, heap| Value::Uuid(store(heap, &own.0)), |value, heap| match value {
    Value::Uuid(span) => bytes(heap, span).try_into().ok().map(Uuid),
    _ => None,
});

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl FromStr for Uuid {
    type Err = UuidError;

    /// Reads 32 hexadecimal digits, with or without the four hyphens in their places.
    fn from_str(text: &str) -> Result<Uuid, UuidError> {
        let refused = || UuidError(text.chars().take(60).collect());
        let hyphens_fit =
            text.len() == 32 || (text.len() == 36 && [8, 13, 18, 23].iter().all(|at| text.as_bytes()[*at] == b'-'));
        let mut digits = text.bytes().filter(|b| *b != b'-').map(|b| char::from(b).to_digit(16));
        let mut id = [0; 16];
        for byte in &mut id {
            let (Some(Some(high)), Some(Some(low))) = (digits.next(), digits.next()) else {
                return Err(refused());
            };
            *byte = (high << 4 | low) as u8;
        }
        if hyphens_fit && digits.next().is_none() { Ok(Uuid(id)) } else { Err(refused()) }
    }
}

impl fmt::Display for UuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no UUID, such as 0190163d-8694-739b-aea5-966c26f8ad90", self.0)
    }
}

impl std::error::Error for UuidError {}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Uuid, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        let text = "0190163d-8694-739b-aea5-966c26f8ad90";
        assert_eq!(text.parse::<Uuid>().unwrap().to_string(), text);
        assert_eq!("0190163D8694739BAEA5966C26F8AD90".parse::<Uuid>().unwrap().to_string(), text);
    }

    #[test]
    fn refuses_what_is_no_uuid() {
        for bad in [
            "",
            "0190163d",
            "0190163d-8694-739b-aea5-966c26f8ad9",
            "0190163d8694-739b-aea5-966c26f8ad9-0",
            "x190163d-8694-739b-aea5-966c26f8ad90",
        ] {
            assert!(bad.parse::<Uuid>().is_err(), "{bad}");
        }
    }
}
