//! What is written is read back as the same manifest, and is a manifest by the published schema too.

use proptest::prelude::*;
use rust_decimal::Decimal;

use super::super::parse::tests::SCHEMA;
use super::super::{KindPattern, width};
use super::*;
use crate::value::Value;

fn kind() -> impl Strategy<Value = ColumnType> {
    let length = || prop::option::of(1..40_u32);
    prop_oneof![
        Just(ColumnType::Boolean),
        Just(ColumnType::Int16),
        Just(ColumnType::Int32),
        Just(ColumnType::Int64),
        Just(ColumnType::Double),
        (1..=18_u8, 0..=18_u8)
            .prop_map(|(precision, scale)| ColumnType::Decimal { precision, scale: scale.min(precision) }),
        length().prop_map(|length| ColumnType::Text { length }),
        length().prop_map(|length| ColumnType::Bytes { length }),
        Just(ColumnType::Json),
        Just(ColumnType::Uuid),
        Just(ColumnType::Date),
        Just(ColumnType::Time),
        Just(ColumnType::Timestamp),
    ]
}

/// A value of the column's domain, made of any number and text.
fn value(kind: ColumnType, number: i64, text: &str) -> Value {
    let filled = |length: Option<u32>| length.unwrap_or(3) as usize;
    match kind {
        ColumnType::Boolean => Value::Boolean(number % 2 == 0),
        ColumnType::Int16 => Value::Int((number as i16).into()),
        ColumnType::Int32 => Value::Int((number as i32).into()),
        ColumnType::Int64 => Value::Int(number),
        ColumnType::Double => {
            let double = f64::from_bits(number as u64);
            Value::Double(if double.is_finite() { double + 0.0 } else { 0.5 })
        }
        ColumnType::Decimal { precision, scale } => {
            Value::Decimal(Decimal::new(number % 10_i64.pow(precision.into()), scale.into()))
        }
        ColumnType::Text { length } => Value::Text(text.chars().take(filled(length)).collect::<String>().into()),
        ColumnType::Bytes { length } => Value::Bytes(vec![number as u8; filled(length)].into()),
        ColumnType::Json => Value::Json(json!({"a": [text, number]}).to_string().into()),
        ColumnType::Uuid => Value::Uuid(uuid::Uuid::from_u128(number as u128)),
        ColumnType::Date => Value::Date((number % 700_000) as i32),
        ColumnType::Time => Value::Time(number.rem_euclid(86_400_000_000)),
        ColumnType::Timestamp => Value::Timestamp(number % 60_000_000_000_000_000),
    }
}

prop_compose! {
    fn any_column()(
        kind in kind(),
        nullable in any::<bool>(),
        default in prop::option::of((any::<i64>(), "[a-z\"\\\\é😀]{0,5}")),
    ) -> Column {
        let default = default.map(|(number, text)| value(kind, number, &text));
        Column { name: String::new(), kind, nullable, default, indexed: false }
    }
}

prop_compose! {
    /// A table whose first column is its key and its owner. References are made when all tables are there.
    fn any_table(order: Order)(
        mut columns in prop::collection::vec(any_column(), 1..6),
        ownership in 0..3_u8,
        wants_index in any::<bool>(),
    ) -> Table {
        columns[0] = Column { kind: ColumnType::Text { length: Some(36) }, nullable: false, default: None, indexed: true, name: String::new() };
        let ownership = match (order, ownership) {
            (Order::Global, _) => Ownership::Global,
            (_, 0) => Ownership::Shared,
            (_, 1) => Ownership::Owned { column: 0, holds: StreamPart::Id },
            _ => Ownership::Owned { column: 0, holds: StreamPart::Key },
        };
        let wanted = columns.iter().rposition(|column| wants_index && width::bytes(column).is_ok());
        let indexes: Vec<Index> = wanted.map(|at| Index { columns: vec![at as u16], unique: at % 2 == 0 }).into_iter().collect();
        for (at, column) in columns.iter_mut().enumerate() {
            column.name = format!("c{at}");
            column.nullable |= ownership == Ownership::Shared && at > 0;
            column.indexed |= wanted == Some(at);
        }
        Table { name: String::new(), columns, key: vec![0], indexes, references: Vec::new(), ownership }
    }
}

prop_compose! {
    fn any_manifest()(order in prop_oneof![Just(Order::ByStream), Just(Order::Global)])(
        order in Just(order),
        mut tables in prop::collection::vec(any_table(order), 1..4),
        (metadata, safe_integers, has_settings, has_query) in any::<(bool, bool, bool, bool)>(),
        description in "[a-z\"é ]{0,9}",
        parameter in kind(),
    ) -> Manifest {
        let last = tables.len() as u16 - 1;
        for (at, table) in tables.iter_mut().enumerate() {
            table.name = format!("t{at}");
            table.references = vec![Reference { columns: vec![0], table: last }];
        }
        let parameters = vec![Parameter { name: "p".to_owned(), kind: parameter, default: metadata.then(|| "d".to_owned()) }];
        let query = NamedQuery { name: "q".to_owned(), table: last, query: "c0=eq.{p}".to_owned(), parameters };
        Manifest {
            name: "any".to_owned(),
            version: "1.0.0-rc.1".to_owned(),
            description,
            kinds: vec![KindPattern::Exactly("a".to_owned()), KindPattern::Prefix("b-".to_owned()), KindPattern::All],
            tables,
            queries: if has_query { vec![query] } else { Vec::new() },
            order,
            metadata,
            settings: has_settings.then(|| json!({"properties": {"a": {"maximum": 0.1}}})),
            safe_integers,
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_and_meets_the_schema(manifest in any_manifest()) {
        let written = manifest.to_json();
        let read = Manifest::parse(&written.to_string());
        prop_assert_eq!(read.as_ref(), Ok(&manifest), "{}", &written);
        if let Err(error) = SCHEMA.validate(&written) {
            panic!("{error} at {}: {written}", error.instance_path());
        }
    }
}
