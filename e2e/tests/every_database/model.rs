//! What a query must answer: its filter, order and page applied to rows in memory, one row at a time.

use std::cmp::Ordering;

use reel_projector::json::RowWriter;
use reel_projector::{Row, Table, Value};

use crate::queries::{Asked, Condition};

/// The body of the answer.
pub(crate) fn answer(table: &Table, rows: &[Row], asked: &Asked) -> String {
    let fits = |row: &&Row| asked.filter.iter().all(|condition| holds(condition, row) == Some(true));
    let mut fitting: Vec<&Row> = rows.iter().filter(fits).collect();
    fitting.sort_by(|a, b| {
        let by = asked.order.iter().map(|(column, way, nulls)| {
            let (a, b) = (&a[usize::from(*column)], &b[usize::from(*column)]);
            match (a, b) {
                (Value::Null, Value::Null) => Ordering::Equal,
                (Value::Null, _) => {
                    if *nulls == "nullsfirst" {
                        Ordering::Less
                    } else {
                        Ordering::Greater
                    }
                }
                (_, Value::Null) => {
                    if *nulls == "nullsfirst" {
                        Ordering::Greater
                    } else {
                        Ordering::Less
                    }
                }
                _ if *way == "asc" => compared(a, b),
                _ => compared(b, a),
            }
        });
        let key = table.key.iter().map(|column| compared(&a[usize::from(*column)], &b[usize::from(*column)]));
        by.chain(key).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    });
    let labels: Vec<String> = (0..asked.select.len()).map(|at| format!("c{at}")).collect();
    let writer = RowWriter::new(&labels);
    let page = fitting.into_iter().skip(asked.offset).take(asked.limit.unwrap_or(usize::MAX));
    let objects = page.map(|row| {
        let selected: Vec<Value> = asked.select.iter().map(|column| row[usize::from(*column)].clone()).collect();
        let mut object = Vec::new();
        writer.write(&selected, &mut object);
        String::from_utf8(object).unwrap()
    });
    format!("[{}]", objects.collect::<Vec<_>>().join(",\n"))
}

/// As in SQL: nothing is known of a comparison with NULL.
fn holds(condition: &Condition, row: &Row) -> Option<bool> {
    let value = |column: &u16| Some(&row[usize::from(*column)]).filter(|value| **value != Value::Null);
    match condition {
        Condition::Compare(column, operator, with) => {
            let order = compared(value(column)?, with);
            Some(match *operator {
                "eq" => order.is_eq(),
                "neq" => order.is_ne(),
                "gt" => order.is_gt(),
                "gte" => order.is_ge(),
                "lt" => order.is_lt(),
                _ => order.is_le(),
            })
        }
        Condition::In(column, values) => {
            let found = value(column)?;
            Some(values.iter().any(|one| compared(found, one).is_eq()))
        }
        Condition::Like(column, pattern, how) => {
            let Value::Text(text) = value(column)? else { unreachable!("only texts have patterns") };
            let folded = |text: &str| if *how == "ilike" { text.to_ascii_lowercase() } else { text.to_owned() };
            Some(is_like(&folded(text).chars().collect::<Vec<_>>(), &folded(pattern).chars().collect::<Vec<_>>()))
        }
        Condition::IsNull(column) => Some(value(column).is_none()),
        Condition::Not(inner) => holds(inner, row).map(|holds| !holds),
        Condition::And(members) => joined(members, row, false),
        Condition::Or(members) => joined(members, row, true),
    }
}

/// One member that is `decisive` decides; else one that is unknown leaves it unknown.
fn joined(members: &[Condition], row: &Row, decisive: bool) -> Option<bool> {
    let all: Vec<Option<bool>> = members.iter().map(|member| holds(member, row)).collect();
    if all.contains(&Some(decisive)) {
        return Some(decisive);
    }
    if all.contains(&None) { None } else { Some(!decisive) }
}

fn is_like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['*' | '%', rest @ ..] => (0..=text.len()).any(|from| is_like(&text[from..], rest)),
        ['_', rest @ ..] => !text.is_empty() && is_like(&text[1..], rest),
        ['\\', c, rest @ ..] | [c, rest @ ..] => text.first() == Some(c) && is_like(&text[1..], rest),
    }
}

/// The order of two values of one type, neither of them NULL: text by its bytes.
fn compared(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) => a.total_cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::Text(a), Value::Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Value::Bytes(a), Value::Bytes(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::Time(a), Value::Time(b)) | (Value::Timestamp(a), Value::Timestamp(b)) => a.cmp(b),
        _ => unreachable!("{a:?} and {b:?} are not compared"),
    }
}
