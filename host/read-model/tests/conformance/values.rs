//! Values at every edge come back as they were written, by key and by query.

use std::sync::Arc;

use reel_projector::{Row, TableWrites, Value};
use reel_read_model::Filter;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::loads::fill;
use crate::place::Place;
use crate::samples::{all, ask, deploy, int, note, notes, text, upsert, values, write, writes};

const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;
const FIRST_MOMENT: i64 = -62_135_596_800_000_000;
const LAST_MOMENT: i64 = 253_402_300_799_999_999;

fn decimal(mantissa: i64, scale: u32) -> Value {
    Value::Decimal(Decimal::from_i128_with_scale(i128::from(mantissa), scale))
}

/// Values for each column; a column with fewer than the longest is filled with NULL.
fn edges() -> Vec<Vec<Value>> {
    let most = 999_999_999_999_999_999;
    let decimals = |scale| [0, 1, -1, 9_999, 10_000, 100_000_000, -most, most].map(|m| decimal(m, scale)).to_vec();
    let ints = |least: i64, most: i64| vec![int(least), int(least + 1), int(-1), int(0), int(1), int(most)];
    let texts = [
        "",
        " ",
        "a ",
        "A",
        "Ä",
        "é",
        "e\u{301}",
        "😀",
        "𐍈",
        "'; DROP TABLE \"notes\"; --",
        "\"",
        "\\",
        "%",
        "_",
        "\n\t\r",
        "\u{1}",
        "\u{fffd}",
        "\u{ffff}",
        "\u{10ffff}",
        "NULL",
        "$1",
        "?1",
        "{}",
        "{a,b}",
    ];
    vec![
        vec![Value::Boolean(false), Value::Boolean(true)],
        ints(i16::MIN.into(), i16::MAX.into()),
        ints(i32::MIN.into(), i32::MAX.into()),
        ints(i64::MIN, i64::MAX),
        [0.0, 0.1, -1.5, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324, 1e308, 9_007_199_254_740_993.0, 3.0]
            .map(Value::Double)
            .to_vec(),
        decimals(2),
        decimals(0),
        decimals(18),
        texts.map(text).to_vec(),
        vec![
            Value::Bytes([].into()),
            Value::Bytes([0].into()),
            Value::Bytes([0, 255, 39, 92].into()),
            Value::Bytes((0..=255).collect()),
        ],
        ["null", "\"\"", "{\"b\":1,\"a\":[1.5,\"😀\"]}", "[]", "1e300"].map(|json| Value::Json(json.into())).to_vec(),
        vec![Value::Uuid(Uuid::nil()), Value::Uuid(Uuid::max()), Value::Uuid(Uuid::from_u128(1 << 127))],
        [FIRST_DAY, -1, 0, 1, 10_957, LAST_DAY].map(Value::Date).to_vec(),
        [0, 1, 86_399_999_999].map(Value::Time).to_vec(),
        [FIRST_MOMENT, -1, 0, 1, 946_684_800_000_000, LAST_MOMENT].map(Value::Timestamp).to_vec(),
    ]
}

pub(crate) fn rows() -> Vec<Row> {
    let edges = edges();
    let most = edges.iter().map(Vec::len).max().unwrap();
    let row = |place: usize| {
        let mut row = vec![int(place as i64 - 3)];
        row.extend(edges.iter().map(|column| column.get(place).cloned().unwrap_or(Value::Null)));
        row.into()
    };
    (0..=most).map(row).collect()
}

pub(crate) async fn every_edge_round_trips(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &values()).await;
    let rows = rows();
    upsert(target, &generation, 0, rows.clone()).await;
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await, rows);

    let model = target.read_model(&generation);
    let mut keys: Vec<_> = rows.iter().map(|row| Box::from([row[0].clone()])).collect();
    keys.reverse();
    keys.insert(1, [int(1_000)].into());
    let mut expected: Vec<_> = rows.iter().rev().cloned().map(Some).collect();
    expected.insert(1, None);
    assert_eq!(model.read(0, &keys).await.unwrap(), expected);

    // Every value finds its own row again, and is in order among the others.
    for column in 1..16_u16 {
        for row in rows.iter().filter(|row| row[usize::from(column)] != Value::Null) {
            let value = row[usize::from(column)].clone();
            let comparison = reel_read_model::Comparison::Equal;
            let mut query = all(&generation, 0);
            query.filter = Some(Filter::Compare { column, comparison, value });
            assert_eq!(ask(target, &generation, &query).await, std::slice::from_ref(row), "column {column}");
        }
    }
}

/// Longer than some servers let a statement have arguments.
const LONG: usize = 3_000;

pub(crate) async fn long_lists_find_every_edge(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &values()).await;
    let rows = rows();
    upsert(target, &generation, 0, rows.clone()).await;
    for column in 1..16_u16 {
        let has: Vec<&Row> = rows.iter().filter(|row| row[usize::from(column)] != Value::Null).collect();
        let (listed, others) = has.split_at(has.len() / 2);
        let list = || listed.iter().map(|row| row[usize::from(column)].clone());
        let found = Filter::In { column, values: list().cycle().take(LONG).collect() };
        let left = Filter::Not(Box::new(found.clone()));
        for (filter, expected) in [(found, listed), (left, others)] {
            let mut query = all(&generation, 0);
            query.filter = Some(filter);
            let rows = ask(target, &generation, &query).await;
            assert!(rows.iter().eq(expected.iter().copied()), "column {column}: {rows:?}, and not {expected:?}");
        }
    }
}

/// Texts that look like whatever a list could be written in: quotes, backslashes, controls, separators, trailing spaces.
pub(crate) async fn long_lists_of_texts_that_need_escapes(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let words = ["", "\"", "\\", "\\u001f", "\u{1}", "\u{1f}", "\n", "\u{e000}", "a", "a ", "','", "😀\"", "\u{7f}"];
    let has = (1..).zip(words).map(|(id, word)| note(id, word));
    upsert(target, &generation, 0, has.collect()).await;
    let asked = |wanted: &dyn Fn(usize) -> bool| {
        let listed = words.iter().enumerate().filter(|(place, _)| wanted(*place)).map(|(_, word)| text(word));
        listed.chain((0..LONG).map(|number| text(&format!("\\\"\t{number}")))).collect::<Vec<_>>()
    };
    for remainder in 0..2 {
        let mut query = all(&generation, 0);
        query.select = vec![0];
        query.filter = Some(Filter::In { column: 1, values: asked(&|place| place % 2 == remainder) });
        let expected: Vec<Row> = (0..words.len())
            .filter(|place| place % 2 == remainder)
            .map(|place| [int(place as i64 + 1)].into())
            .collect();
        assert_eq!(ask(target, &generation, &query).await, expected);
    }
}

pub(crate) async fn names_that_sql_reserves(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let rows: Vec<Row> = vec![
        [text("select"), text("from"), int(1), text("a"), Value::Boolean(true)].into(),
        [text("where"), Value::Null, int(2), text("b"), Value::Boolean(false)].into(),
    ];
    upsert(target, &generation, 1, rows.clone()).await;
    assert_eq!(ask(target, &generation, &all(&generation, 1)).await, rows);
    let key = [text("b"), text("where")].into();
    let found = target.read_model(&generation).read(1, &[key]).await.unwrap();
    assert_eq!(found, [Some(rows[1].clone())]);
}

pub(crate) async fn long_values(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let long = "ä😀'\\".repeat(1 << 17);
    let rows: Vec<Row> = (0..20).map(|id| [int(id), text(&long), Value::Null, Value::Null].into()).collect();
    let model = target.read_model(&generation);
    let all_rows = TableWrites { upserts: rows.clone(), ..TableWrites::default() };
    write(model.as_ref(), 1, &writes(&generation, 0, all_rows)).await.unwrap();
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows);

    // The same among many rows, and in a load.
    let many = |id| [int(id), text(&long[..(id as usize % 8) << 16]), Value::Null, Value::Null].into();
    let rows: Vec<Row> = (0..64).map(many).collect();
    upsert(target, &generation, 0, rows.clone()).await;
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows);
    fill(target, &generation, &rows[1..]).await;
    assert!(ask(target, &generation, &all(&generation, 0)).await == rows[1..]);
}
