//! What a bulk load puts on the wire, read again by somebody else: a server of the test's own that takes any login, describes tables by the
//! statements that made them, and keeps what it is sent ([`listener`]); types and rows as MS-TDS has them ([`declared`], [`reader`]).

mod declared;
mod listener;
mod reader;

use std::fmt::Write as _;

use reel_projector::{ColumnType, Manifest, Row, Table, Value};
use rust_decimal::Decimal;
use tiberius::SqlBulkCopyOption;
use uuid::Uuid;

use super::bulk::Into;
use super::connection::Session;
use super::dialect::{WRITER, tables};
use super::values;
use super::writer;
use crate::target::GenerationId;
use declared::Declared;
pub(super) use listener::Listener;

const ID: GenerationId = GenerationId(7);

/// The types of a table's columns, each once as it may be NULL and once as it may not.
const TYPES: [&str; 18] = [
    r#""type": "boolean""#,
    r#""type": "int16""#,
    r#""type": "int32""#,
    r#""type": "int64""#,
    r#""type": "double""#,
    r#""type": "decimal", "precision": 18, "scale": 0"#,
    r#""type": "decimal", "precision": 18, "scale": 18"#,
    r#""type": "decimal", "precision": 4, "scale": 2"#,
    r#""type": "text""#,
    r#""type": "text", "length": 64"#,
    r#""type": "text", "length": 1500"#,
    r#""type": "bytes""#,
    r#""type": "bytes", "length": 300"#,
    r#""type": "json""#,
    r#""type": "uuid""#,
    r#""type": "date""#,
    r#""type": "time""#,
    r#""type": "timestamp""#,
];

fn table() -> Table {
    let mut columns = String::from(r#"{"name": "id", "type": "int64"}"#);
    for (place, kind) in TYPES.iter().enumerate() {
        write!(columns, r#", {{"name": "n{place}", {kind}, "nullable": true}}, {{"name": "v{place}", {kind}}}"#)
            .unwrap();
    }
    let manifest = format!(
        r#"{{"manifest": 1, "name": "wire", "version": "1.0.0", "kinds": ["*"], "order": "global",
            "tables": [{{"name": "order", "columns": [{columns}], "key": ["id"]}}]}}"#
    );
    Manifest::parse(&manifest).unwrap().tables.remove(0)
}

/// The corners of a type.
fn corners(kind: ColumnType) -> Vec<Value> {
    let ints = |least: i64, most: i64| [least, -1, 0, 1, 258, most].map(Value::Int).to_vec();
    match kind {
        ColumnType::Boolean => [false, true].map(Value::Boolean).to_vec(),
        ColumnType::Int16 => ints(i16::MIN.into(), i16::MAX.into()),
        ColumnType::Int32 => ints(i32::MIN.into(), i32::MAX.into()),
        ColumnType::Int64 => ints(i64::MIN, i64::MAX),
        ColumnType::Double => [0.0, -1.5, f64::MIN, f64::MAX, f64::MIN_POSITIVE, 5e-324].map(Value::Double).to_vec(),
        ColumnType::Decimal { precision, scale } => {
            let most = 10_i64.pow(precision.into()) - 1;
            let decimal = |mantissa: i64| Value::Decimal(Decimal::new(mantissa, scale.into()));
            [0, 1, -1, 9_999.min(most), most, -most].map(decimal).to_vec()
        }
        ColumnType::Text { length } => {
            // As long as a bulk load may have it, and longer than a packet.
            let longest = "😀".repeat(length.unwrap_or(8_000) as usize);
            ["", " ", "a ", "Ä\u{301}", "\u{1}\n\u{ffff}", "\u{10ffff}", "'; DROP TABLE x; --", &longest]
                .map(|text| Value::Text(text.into()))
                .to_vec()
        }
        ColumnType::Bytes { length } => {
            let longest: Vec<u8> = (0..length.unwrap_or(65_535)).map(|byte| byte as u8).collect();
            [vec![], vec![0], vec![0, 255, 0xfe], longest].map(|bytes| Value::Bytes(bytes.into())).to_vec()
        }
        ColumnType::Json => ["null", "\"\"", "[1e300,\"😀\"]"].map(|json| Value::Json(json.into())).to_vec(),
        ColumnType::Uuid => [0, u128::MAX, 0x0011_2233_4455_6677_8899_aabb_ccdd_eeff]
            .map(|number| Value::Uuid(Uuid::from_u128(number)))
            .to_vec(),
        ColumnType::Date => [-719_162, -1, 0, 10_957, 2_932_896].map(Value::Date).to_vec(),
        ColumnType::Time => [0, 1, 86_399_999_999].map(Value::Time).to_vec(),
        ColumnType::Timestamp => [-62_135_596_800_000_000, -1, 0, 946_684_800_000_001, 253_402_300_799_999_999]
            .map(Value::Timestamp)
            .to_vec(),
    }
}

/// Each corner of each column at least once, beside other columns' other corners; and every NULL.
fn rows(table: &Table) -> Vec<Row> {
    let corners: Vec<Vec<Value>> = table.columns.iter().map(|column| corners(column.kind)).collect();
    let value = |row: usize, column: usize| {
        let is_null = table.columns[column].nullable && row % 9 == 8;
        let of = &corners[column];
        if is_null { Value::Null } else { of[(row + column) % of.len()].clone() }
    };
    (0..18).map(|row| (0..table.columns.len()).map(|column| value(row, column)).collect()).collect()
}

async fn session(listener: &Listener) -> Session {
    Session::connect(&super::address::read(&listener.url()).unwrap(), WRITER).await.unwrap()
}

#[tokio::test]
async fn a_bulk_load_says_what_was_meant() {
    let table = table();
    let listener = Listener::begin().await;
    let mut session = session(&listener).await;
    let kinds: Vec<ColumnType> = table.columns.iter().map(|column| column.kind).collect();
    let rows = rows(&table);
    session.batch(&tables::create_heap(ID, &table)).await.unwrap();
    let name = tables::physical(ID, &table);
    let into = Into { table: &name, kinds: &kinds, options: SqlBulkCopyOption::TableLock.into() };
    into.load(&mut session, &rows, |row| values::loaded(&kinds, row)).await.unwrap();

    let load = listener.load();
    assert!(load.statement.contains("TABLOCK"), "{}", load.statement);
    check_declared(&load, &table);
    assert_eq!(reader::rows(&load.bytes, &kinds), rows);
}

/// A stage keeps decimals as integers.
#[tokio::test]
async fn so_does_the_load_of_a_stage() {
    let table = table();
    let listener = Listener::begin().await;
    let mut session = session(&listener).await;
    let columns: Vec<u16> = (0..table.columns.len() as u16).collect();
    let rows = rows(&table);
    writer::stage(&mut session, ID, (0, &table), &columns, &rows).await.unwrap();

    let load = listener.load();
    let kinds: Vec<ColumnType> = table.columns.iter().map(|column| tables::staged(column.kind)).collect();
    let unscaled = |value: &Value| match value {
        Value::Decimal(decimal) => Value::Int(i64::try_from(decimal.mantissa()).unwrap()),
        other => other.clone(),
    };
    let expected: Vec<Row> = rows.iter().map(|row| row.iter().map(unscaled).collect()).collect();
    assert_eq!(reader::rows(&load.bytes, &kinds), expected);
}

/// SQL Server refuses a load (4816, 4823) whose statement declares a column in another way than the rows behind it do.
fn check_declared(load: &listener::Load, table: &Table) {
    let declared = declared::of_load(&load.statement);
    let described = reader::types(&load.bytes);
    assert_eq!(declared.len(), table.columns.len());
    for ((name, declared), described) in declared.iter().zip(&described) {
        let agree = match (declared, described) {
            // How long a text may be is said in characters, and in bytes: the longer the better, and none that is kept beside the row.
            (Declared::Text(Some(characters)), Declared::Text(Some(of_rows))) => characters >= of_rows,
            (declared, described) => declared == described,
        };
        assert!(agree, "{name} is declared as {declared:?}, and comes as {described:?}");
    }
}
