//! Lists that are longer than a statement may have arguments: one argument, texts with a separator between them, which the server takes
//! apart and reads as values again.

use std::collections::HashSet;
use std::fmt::Write as _;

use reel_events::Timestamp;
use reel_projector::{ColumnType, Value};

use super::{COLLATION, type_name};

/// What the list is called inside a condition.
pub(super) const LIST: &str = "listed";

/// Microseconds in a day.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// One value of the list as a value of its column.
pub(super) fn element(kind: ColumnType) -> String {
    let text = format!("{LIST}.[value]");
    match kind {
        ColumnType::Text { .. } | ColumnType::Json => format!("{text} COLLATE {COLLATION}"),
        // Babelfish does not take the digits as `STRING_SPLIT` gives them.
        ColumnType::Bytes { .. } => format!("CONVERT({}, CAST({text} AS nvarchar(max)), 2)", type_name(kind)),
        _ => format!("CAST({text} AS {})", type_name(kind)),
    }
}

/// The values as one text, and a character that stands between them and in none of them; nothing, if they have all characters there are.
/// (Not JSON: Babelfish does not take its escapes back.)
pub(super) fn joined(values: &[Value]) -> Option<(String, u16)> {
    let texts: Vec<String> = values.iter().map(text).collect();
    let used: HashSet<char> = texts.iter().flat_map(|text| text.chars()).collect();
    // What was made to separate units, else one that means nothing: each is one code unit.
    let free = |unit: &u16| !used.contains(&char::from_u32(u32::from(*unit)).expect("none of them is half a pair"));
    let unit = std::iter::once(0x1f).chain(0xe000..=0xf8ff).find(free)?;
    let separator = char::from_u32(u32::from(unit)).expect("none of them is half a pair");
    Some((texts.join(separator.encode_utf8(&mut [0; 4])), unit))
}

fn text(value: &Value) -> String {
    match value {
        // A list has none.
        Value::Null => String::new(),
        Value::Boolean(truth) => i32::from(*truth).to_string(),
        Value::Int(number) => number.to_string(),
        Value::Double(number) => format!("{number:e}"),
        Value::Decimal(decimal) => decimal.to_string(),
        Value::Text(text) | Value::Json(text) => text.to_string(),
        Value::Bytes(bytes) => bytes.iter().fold(String::new(), |mut digits, byte| {
            write!(digits, "{byte:02x}").expect("a string takes everything");
            digits
        }),
        Value::Uuid(uuid) => uuid.to_string(),
        Value::Date(day) => moment(i64::from(*day) * DAY)[..10].to_owned(),
        Value::Time(micros) => moment(*micros)[11..].to_owned(),
        Value::Timestamp(micros) => moment(*micros),
    }
}

/// `2026-11-21T09:30:00.123456`
fn moment(micros: i64) -> String {
    let text = Timestamp::from_micros(micros).to_string();
    text.trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;

    #[test]
    fn values_are_written_so_that_the_server_reads_them_again() {
        let values = [
            Value::Boolean(true),
            Value::Int(i64::MIN),
            Value::Double(-1.5e300),
            Value::Decimal(Decimal::new(-150, 2)),
            Value::Text("a \"b\"\n😀".into()),
            Value::Bytes(vec![0, 0xff].into()),
            Value::Date(-719_162),
            Value::Time(1),
            Value::Timestamp(1_500_000),
        ];
        let expected = "1|-9223372036854775808|-1.5e300|-1.50|a \"b\"\n😀|00ff|0001-01-01|00:00:00.000001|1970-01-01T00:00:01.500000";
        assert_eq!(joined(&values), Some((expected.replace('|', "\u{1f}"), 0x1f)));
    }

    #[test]
    fn what_separates_is_in_none_of_them() {
        let values = ["a\u{1f}", "", "\u{e000}"].map(|text| Value::Text(text.into()));
        assert_eq!(joined(&values), Some(("a\u{1f}\u{e001}\u{e001}\u{e000}".to_owned(), 0xe001)));
        let all: String = std::iter::once('\u{1f}').chain('\u{e000}'..='\u{f8ff}').collect();
        assert_eq!(joined(&[Value::Text(all.as_str().into())]), None);
    }
}
