//! Every rule of a manifest, by example: judged by the parser, and by the published schema where it can express the rule.

use std::sync::LazyLock;

use serde_json::Value as Json;

use super::super::{ColumnType, KindPattern, Ownership, StreamPart};
use super::*;
use crate::value::Value;

mod corpus;

use corpus::{Bad, Judge, bad, good, posts};

/// The published schema.
pub(in super::super) static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema = include_str!("../../../../../wit/v1/manifest.schema.json");
    let schema: Json = serde_json::from_str(schema).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::options().offline().build(&schema).unwrap()
});

#[test]
fn the_example_is_read() {
    let manifest = Manifest::parse(&posts().to_string()).unwrap();
    let kinds = [KindPattern::Exactly("post-created".into()), KindPattern::Prefix("comment-".into())];
    assert_eq!(manifest.kinds, kinds);
    let table = &manifest.tables[0];
    assert_eq!(table.columns[0].kind, ColumnType::Text { length: Some(36) });
    assert_eq!(table.columns[2].default, Some(Value::Int(0)));
    assert_eq!(table.columns.iter().map(|column| column.indexed).collect::<Vec<_>>(), [true, true, false, false]);
    assert_eq!(table.ownership, Ownership::Owned { column: 0, holds: StreamPart::Key });
    assert_eq!(manifest.tables[1].references[0].table, 0);
    assert_eq!(manifest.queries[0].parameters[0].default.as_deref(), Some("10"));
    assert!(!manifest.metadata && !manifest.safe_integers && manifest.settings.is_none());
}

#[test]
fn good_manifests_are_taken_by_parser_and_schema() {
    for (what, manifest) in good() {
        if let Err(error) = Manifest::parse(&manifest.to_string()) {
            panic!("{what}: {error}");
        }
        if let Err(error) = SCHEMA.validate(&manifest) {
            panic!("{what}: the schema: {} at {}", error, error.instance_path());
        }
    }
}

#[test]
fn bad_manifests_are_refused_with_the_place_and_the_remedy() {
    for Bad { manifest, place, says, .. } in bad() {
        let error = Manifest::parse(&manifest.to_string()).expect_err(&says);
        assert_eq!(error.place, place, "{says}: {error}");
        assert!(error.problem.contains(&says), "expected {says:?}: {error}");
    }
}

#[test]
fn the_schema_refuses_what_it_can_express() {
    for Bad { manifest, place, says, schema } in bad() {
        let judge = if SCHEMA.is_valid(&manifest) { Judge::Takes } else { Judge::Refuses };
        assert_eq!(judge, schema, "{place}: {says}");
    }
}

#[test]
fn texts_that_are_no_json_are_refused() {
    let long = "x".repeat(MAX_MANIFEST_BYTES + 1);
    let cases = [
        ("", "(top)", "line 1, column 1"),
        ("{\n  \"manifest\": 1,\n}", "(top)", "line 3"),
        ("{\"manifest\":1,\"name\":\"a\",\"name\":\"b\"}", "(top)", "\"name\" stands here a second time"),
        ("[]", "(top)", "expected an object {…}, found []"),
        ("{\"manifest\":1,\"name\":\"a\\u0000\"}", "name", "line 1"),
        (&long, "(top)", "at most 1048576"),
    ];
    for (text, place, part) in cases {
        let error = Manifest::parse(text).expect_err(part);
        assert_eq!(error.place, place, "{error}");
        assert!(error.problem.contains(part), "expected {part:?}: {error}");
    }
}

#[test]
fn defaults_are_values_of_their_columns() {
    let manifest = Manifest::parse(&corpus::every_type().to_string()).unwrap();
    let defaults: Vec<_> = manifest.tables[0].columns.iter().filter_map(|column| column.default.clone()).collect();
    let expected = [
        Value::Boolean(true),
        Value::Int(-1),
        Value::Int(2),
        Value::Int(i64::MAX),
        Value::Double(0.1),
        Value::Decimal(rust_decimal::Decimal::new(-150, 2)),
        Value::Text("a b".into()),
        Value::Bytes([0, 255].into()),
        Value::Json(r#"{"a":1.0}"#.into()),
        Value::Uuid(uuid::Uuid::from_u128(1)),
        Value::Date(-1),
        Value::Time(34_200_000_001),
        Value::Timestamp(-1),
    ];
    assert_eq!(defaults, expected);
}

/// No database takes more than 1,024 where SQL Server is one of them.
#[test]
fn more_columns_than_every_database_takes_are_refused() {
    let table = |columns: usize| {
        let columns: Vec<String> = (1..columns)
            .map(|number| format!(r#", {{"name": "c{number}", "type": "int16", "nullable": true}}"#))
            .collect();
        format!(
            r#"{{"manifest": 1, "name": "wide", "version": "1.0.0", "kinds": ["*"], "order": "global", "tables": [
                {{"name": "lines", "columns": [{{"name": "id", "type": "int64"}}{}], "key": ["id"]}}]}}"#,
            columns.concat()
        )
    };
    assert!(Manifest::parse(&table(1_000)).is_ok());
    let refused = Manifest::parse(&table(1_024)).unwrap_err().to_string();
    assert!(refused.contains("columns") && refused.contains("1024") && refused.contains("1000"), "{refused}");
}
