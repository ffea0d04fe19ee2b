//! The rule for plugins whose language has no 64-bit integers: one beyond ±(2⁵³−1) is the event's fault, never rounded.

use reel_projector::{Manifest, ValueRef};

/// The largest integer that a double holds together with its neighbours.
const MOST: u64 = (1 << 53) - 1;

/// Which integers may cross.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntegerRule {
    /// All of 64 bits.
    Any,
    /// Only those that a double holds exactly.
    Safe,
}

/// An integer that may not cross, as it was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the integer {0} is beyond ±(2⁵³−1), and the projection's language would round it")]
pub(crate) struct UnsafeInteger(String);

impl IntegerRule {
    /// The rule that a manifest asks for.
    pub(crate) fn of(manifest: &Manifest) -> IntegerRule {
        if manifest.safe_integers { IntegerRule::Safe } else { IntegerRule::Any }
    }

    /// Whether `value` may cross.
    #[inline]
    pub(crate) fn check(self, value: &ValueRef<'_>) -> Result<(), UnsafeInteger> {
        match self {
            IntegerRule::Any => Ok(()),
            IntegerRule::Safe => check_value(value),
        }
    }

    /// Whether an event's numbers and its payload may cross.
    #[inline]
    pub(crate) fn check_event(self, event: &reel_events::EventRef<'_>) -> Result<(), UnsafeInteger> {
        match self {
            IntegerRule::Any => Ok(()),
            IntegerRule::Safe => check_event(event),
        }
    }
}

fn check_value(value: &ValueRef<'_>) -> Result<(), UnsafeInteger> {
    match value {
        ValueRef::Int(number) | ValueRef::Time(number) | ValueRef::Timestamp(number) => check_signed(*number),
        ValueRef::Json(text) => check_json(text),
        _ => Ok(()),
    }
}

fn check_event(event: &reel_events::EventRef<'_>) -> Result<(), UnsafeInteger> {
    check_unsigned(event.position)?;
    check_unsigned(event.version)?;
    check_signed(event.recorded_at)?;
    check_json(event.payload.as_bytes())?;
    check_json(event.metadata.as_bytes())
}

fn check_signed(number: i64) -> Result<(), UnsafeInteger> {
    if number.unsigned_abs() <= MOST { Ok(()) } else { Err(UnsafeInteger(number.to_string())) }
}

fn check_unsigned(number: u64) -> Result<(), UnsafeInteger> {
    if number <= MOST { Ok(()) } else { Err(UnsafeInteger(number.to_string())) }
}

/// Looks through JSON for integers, outside its strings. Text that is no JSON is not judged here.
fn check_json(text: &[u8]) -> Result<(), UnsafeInteger> {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at = match byte {
            b'"' => behind_string(text, at),
            b'-' | b'0'..=b'9' => {
                let end = behind_number(text, at);
                check_number(&text[at..end])?;
                end
            }
            _ => at + 1,
        };
    }
    Ok(())
}

fn behind_string(text: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

fn behind_number(text: &[u8], start: usize) -> usize {
    let inside = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    text[start..].iter().position(|byte| !inside(byte)).map_or(text.len(), |length| start + length)
}

/// A number with a point or an exponent is a double already.
fn check_number(number: &[u8]) -> Result<(), UnsafeInteger> {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    if digits.len() < 16 || !digits.iter().all(u8::is_ascii_digit) {
        return Ok(());
    }
    let text = String::from_utf8_lossy(number);
    match text.trim_start_matches('-').parse::<u64>() {
        Ok(size) if size <= MOST => Ok(()),
        _ => Err(UnsafeInteger(text.chars().take(40).collect())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_held_against_what_a_double_holds() {
        let safe = IntegerRule::Safe;
        assert!(safe.check(&ValueRef::Int(9_007_199_254_740_991)).is_ok());
        assert!(safe.check(&ValueRef::Int(-9_007_199_254_740_991)).is_ok());
        assert!(safe.check(&ValueRef::Int(9_007_199_254_740_992)).is_err());
        assert!(safe.check(&ValueRef::Int(i64::MIN)).is_err());
        assert!(safe.check(&ValueRef::Timestamp(i64::MAX)).is_err());
        assert!(IntegerRule::Any.check(&ValueRef::Int(i64::MIN)).is_ok());
    }

    #[test]
    fn json_is_searched_outside_its_strings_only() {
        let fine: [&[u8]; 6] = [
            br#"{"a":9007199254740991,"b":-9007199254740991}"#,
            br#"{"a":"9007199254740993","9007199254740993":1}"#,
            br#"{"a":"\"9007199254740993"}"#,
            br#"{"a":9007199254740993.5,"b":9007199254740993e2}"#,
            b"",
            br#""open 9007199254740993\"#,
        ];
        for json in fine {
            assert_eq!(check_json(json), Ok(()), "{}", String::from_utf8_lossy(json));
        }
        for json in ["9007199254740993", r#"{"a":[1,-9007199254740992]}"#, "[99999999999999999999999999999999999]"] {
            assert!(check_json(json.as_bytes()).is_err(), "{json}");
        }
    }
}
