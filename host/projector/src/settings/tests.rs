//! Settings that meet their schema and that do not, and schemas that are meant to hurt.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn with_schema(schema: &Value) -> Manifest {
    let manifest = json!({
        "manifest": 1, "name": "posts", "version": "1", "kinds": ["*"], "settings": schema,
        "tables": [{"name": "t", "columns": [{"name": "id", "type": "int64"}], "key": ["id"]}], "order": "global"
    });
    Manifest::parse(&manifest.to_string()).unwrap()
}

fn limits() -> Value {
    json!({
        "type": "object",
        "properties": {
            "least": {"type": "integer", "minimum": 1},
            "names": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]+$"}},
            "inner": {"type": "object", "properties": {"mode": {"enum": ["a", "b"]}}, "additionalProperties": false}
        },
        "required": ["least"],
        "additionalProperties": false
    })
}

#[test]
fn settings_are_kept_in_one_form() {
    let manifest = with_schema(&limits());
    for text in [r#"{"names":["x"],"least":3}"#, "{ \"least\" : 3,\n \"names\":[\"\\u0078\"]}"] {
        assert_eq!(check_settings(&manifest, text).unwrap().as_str(), r#"{"least":3,"names":["x"]}"#);
    }
}

proptest! {
    /// Settings are part of a deployment's identity: reading and writing them must not move a digit.
    #[test]
    fn doubles_are_kept_exactly(double in any::<f64>().prop_filter("finite", |double| double.is_finite())) {
        let manifest = with_schema(&json!({}));
        let text = format!("{{\"a\":{double:e}}}");
        let kept = check_settings(&manifest, &text).unwrap();
        prop_assert_eq!(&kept, &CanonicalJson::parse(&text).unwrap());
        prop_assert_eq!(check_settings(&manifest, kept.as_str()).unwrap(), kept);
    }
}

#[test]
fn errors_name_the_place_and_what_was_expected() {
    let manifest = with_schema(&limits());
    let cases = [
        ("", "(top)", "\"least\" is a required property"),
        (r#"{"least":0}"#, "least", "minimum of 1"),
        (r#"{"least":"1"}"#, "least", "not of type \"integer\""),
        (r#"{"least":1.5}"#, "least", "not of type \"integer\""),
        (r#"{"least":1,"names":["a","B"]}"#, "names[1]", "does not match"),
        (r#"{"least":1,"inner":{"mode":"c"}}"#, "inner.mode", "\"a\""),
        (r#"{"least":1,"inner":{"made":"a"}}"#, "inner", "'made' was unexpected"),
        (r#"{"least":1,"leest":1}"#, "(top)", "'leest' was unexpected"),
        (r#"{"least":1"#, "(top)", "line 1"),
        (r#"{"least":1,"least":2}"#, "(top)", "\"least\" stands here a second time"),
        ("[1]", "(top)", "expected an object"),
        (r#"{"least":123456789012345678901234567890}"#, "least", "64"),
    ];
    for (text, place, part) in cases {
        let error = check_settings(&manifest, text).expect_err(text);
        assert_eq!(error.place, place, "{text}: {error}");
        assert!(error.problem.contains(part), "{text}: {error}");
    }
}

#[test]
fn without_a_schema_only_empty_settings_are_taken() {
    let mut manifest = with_schema(&limits());
    manifest.settings = None;
    for text in ["", " ", "{}", "{ }"] {
        assert_eq!(check_settings(&manifest, text).unwrap().as_str(), "{}");
    }
    let error = check_settings(&manifest, r#"{"least":1}"#).unwrap_err();
    assert_eq!(
        (error.place.as_str(), error.problem.as_str()),
        ("least", "projection posts takes no settings: remove it")
    );
}

#[test]
fn schemas_that_are_none_are_refused_with_their_place() {
    let many = |count: usize| (0..count).map(|at| (format!("p{at}"), json!({"pattern": "a"}))).collect::<Value>();
    let cases = [
        (json!({"type": "objekt"}), "type", "objekt"),
        (json!({"properties": {"a": {"minimum": "1"}}}), "properties.a.minimum", "number"),
        (json!({"properties": {"a": {"pattern": "("}}}), "properties.a.pattern", "regex"),
        (json!({"pattern": "(a{1000}){1000}"}), "pattern", "regex"),
        (json!({"$ref": "https://example.com/schema.json"}), "(top)", "example.com"),
        (json!({"$ref": "file:///schema.json"}), "(top)", "file:///schema.json"),
        (json!({"$ref": "#/$defs/none"}), "(top)", "none"),
        (json!({"$schema": "http://json-schema.org/draft-07/schema#"}), "$schema", "2020-12"),
        (json!({"properties": many(101)}), "(top)", "101 regular expressions"),
        (json!({"description": "x".repeat(MAX_SCHEMA_BYTES)}), "(top)", "bytes"),
        (json!({"$id": "https://example.com/a"}), "(top)", "$id"),
        (json!({"properties": {"a": {"$dynamicRef": "#a"}}}), "(top)", "$dynamicRef"),
        (json!({"$ref": "#a", "$defs": {"a": {"$anchor": "a"}}}), "(top)", "$anchor"),
        (json!({"properties": {"a": {"$ref": "#"}}}), "(top)", "leads back"),
        (
            json!({"$defs": {"a": {"not": {"$ref": "#/$defs/b"}}, "b": {"not": {"$ref": "#/$defs/a"}}}}),
            "(top)",
            "leads back",
        ),
    ];
    for (schema, place, part) in cases {
        let error = validator(&schema).map(|_| ()).expect_err(&schema.to_string()[..60.min(schema.to_string().len())]);
        assert_eq!(error.place, place, "{error}");
        assert!(error.problem.contains(part), "{error}");
    }
}

/// `d0` → `d1` → … → `d99`.
fn chain(link: fn(&str) -> Value) -> Value {
    let next = |at: usize| {
        if at < 99 { link(&format!("#/$defs/d{}", at + 1)) } else { json!(true) }
    };
    json!({"$ref": "#/$defs/d0", "$defs": (0..100).map(|at| (format!("d{at}"), next(at))).collect::<Value>()})
}

#[test]
fn schemas_made_to_hurt_are_refused() {
    let deep = |next: &str| (0..8).fold(json!({"$ref": next}), |inner, _| json!({"not": inner}));
    let cases = [
        // 2⁹⁹ ways through it.
        (chain(|next| json!({"allOf": [{"$ref": next}, {"$ref": next}]})), "with every $ref written out"),
        (chain(|next| json!({"anyOf": [{"not": {"$ref": next}}, {"$ref": next}]})), "with every $ref written out"),
        // 900 levels.
        (chain(deep), "levels"),
    ];
    for (schema, part) in cases {
        let error = validator(&schema).map(|_| ()).expect_err(part);
        assert!(error.problem.contains(part), "{error}");
    }
}

#[test]
fn schemas_may_be_made_of_parts_and_patterns_take_linear_time() {
    let chain = chain(|next| json!({"$ref": next}));
    assert!(validator(&chain).unwrap().is_valid(&json!({})));
    let slow = json!({"properties": {"a": {"$ref": "#/$defs/name"}}, "$defs": {"name": {"pattern": "^(a+)+$"}}});
    let validator = validator(&slow).unwrap();
    assert!(!validator.is_valid(&json!({"a": format!("{}b", "a".repeat(50_000))})));
    assert!(validator.is_valid(&json!({"a": "a".repeat(50_000)})));
}
