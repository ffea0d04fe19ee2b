//! Lists that are longer than a statement may have arguments: one argument, a JSON array of texts, which the server reads as values again.

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
        ColumnType::Bytes { .. } => format!("CONVERT({}, {text}, 2)", type_name(kind)),
        _ => format!("CAST({text} AS {})", type_name(kind)),
    }
}

/// The values as a JSON array of texts.
pub(super) fn json(values: &[&Value]) -> String {
    serde_json::Value::from_iter(values.iter().map(|value| text(value))).to_string()
}

/// Whether JSON would write it otherwise than it is: Babelfish does not take that back.
pub(super) fn needs_escapes(value: &Value) -> bool {
    match value {
        Value::Text(text) | Value::Json(text) => text.chars().any(|c| c.is_control() || matches!(c, '"' | '\\')),
        _ => false,
    }
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
        let expected = r#"["1","-9223372036854775808","-1.5e300","-1.50","a \"b\"\n😀","00ff","0001-01-01","00:00:00.000001","1970-01-01T00:00:01.500000"]"#;
        assert_eq!(json(&values.iter().collect::<Vec<_>>()), expected);
        assert!(needs_escapes(&values[4]) && !needs_escapes(&Value::Text("a'😀".into())));
    }
}
