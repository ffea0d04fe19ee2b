//! Manifests, good and bad. A bad one is a good one with one thing changed; most of them stand in `bad.jsonl`.

use serde::Deserialize;
use serde_json::{Value as Json, json};

/// What the published schema makes of a bad manifest: it cannot express every rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Judge {
    Refuses,
    Takes,
}

/// A bad manifest, the place of the error, and a part of what it says.
#[derive(Debug)]
pub(super) struct Bad {
    pub(super) manifest: Json,
    pub(super) place: String,
    pub(super) says: String,
    pub(super) schema: Judge,
}

/// A line of `bad.jsonl`: the base with members removed, then set.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    base: Option<String>,
    #[serde(default)]
    remove: Vec<String>,
    #[serde(default)]
    set: Vec<(String, Json)>,
    place: String,
    says: String,
    schema: Judge,
}

pub(super) fn posts() -> Json {
    json!({
        "manifest": 1, "name": "posts", "version": "1.0.0", "description": "Posts",
        "kinds": ["post-created", "comment-*"],
        "tables": [
            {
                "name": "posts",
                "columns": [
                    {"name": "id", "type": "text", "length": 36},
                    {"name": "author", "type": "text", "length": 64},
                    {"name": "likes", "type": "int64", "default": 0},
                    {"name": "price", "type": "decimal", "precision": 18, "scale": 2, "nullable": true}
                ],
                "key": ["id"],
                "owner": {"column": "id", "holds": "stream-key"},
                "indexes": [{"columns": ["author"], "unique": false}]
            },
            {
                "name": "comments",
                "columns": [{"name": "id", "type": "uuid"}, {"name": "post", "type": "text", "length": 36}],
                "key": ["post", "id"],
                "owner": {"column": "post", "holds": "stream-key"},
                "references": [{"columns": ["post"], "table": "posts"}]
            }
        ],
        "queries": [{
            "name": "popular", "table": "posts", "query": "likes=gte.{least}&order=likes.desc&limit=10",
            "parameters": [{"name": "least", "type": "int64", "default": "10"}]
        }]
    })
}

/// One table with a default of every type.
pub(super) fn every_type() -> Json {
    json!({
        "manifest": 1, "name": "t", "version": "1", "kinds": ["*"], "order": "global", "tables": [{
            "name": "t", "key": ["id"], "columns": [
                {"name": "id", "type": "int64"},
                {"name": "a", "type": "boolean", "default": true},
                {"name": "b", "type": "int16", "default": -1},
                {"name": "c", "type": "int32", "default": 2},
                {"name": "d", "type": "int64", "default": 9_223_372_036_854_775_807_i64},
                {"name": "e", "type": "double", "default": 0.1},
                {"name": "f", "type": "decimal", "precision": 4, "scale": 2, "default": "-1.5"},
                {"name": "g", "type": "text", "default": "a b"},
                {"name": "h", "type": "bytes", "length": 9, "default": "\\x00Ff"},
                {"name": "i", "type": "json", "default": "{ \"a\": 1.0 }"},
                {"name": "j", "type": "uuid", "default": "00000000-0000-0000-0000-000000000001"},
                {"name": "k", "type": "date", "default": "1969-12-31"},
                {"name": "l", "type": "time", "default": "09:30:00.000001"},
                {"name": "m", "type": "timestamp", "default": "1969-12-31T23:59:59.999999Z"},
                {"name": "n", "type": "date", "nullable": true, "default": null}
            ]
        }]
    })
}

/// `base` with the value at a JSON pointer set; a last segment `-` adds to a list.
fn set(mut base: Json, pointer: &str, value: Json) -> Json {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    match base.pointer_mut(parent).unwrap() {
        Json::Array(items) if last == "-" => items.push(value),
        Json::Array(items) => items[last.parse::<usize>().unwrap()] = value,
        Json::Object(members) => {
            members.insert(last.to_owned(), value);
        }
        other => panic!("{pointer} is in {other}"),
    }
    base
}

fn with(pointer: &str, value: Json) -> Json {
    set(posts(), pointer, value)
}

/// The posts with one more column, which is in an index too.
fn indexed(column: Json) -> Json {
    set(with("/tables/0/columns/-", column), "/tables/0/indexes/-", json!({"columns": ["extra"]}))
}

fn shared() -> Json {
    json!({
        "name": "totals", "shared": true, "key": ["author"],
        "columns": [{"name": "author", "type": "text", "length": 64}, {"name": "posts", "type": "int64", "default": 0}]
    })
}

/// `count` different columns, `k0` and so on.
fn many(count: usize, kind: &Json) -> Json {
    let column = |index: usize| set(kind.clone(), "/name", format!("k{index}").into());
    (0..count).map(column).collect()
}

fn names(count: usize) -> Json {
    (0..count).map(|index| Json::from(format!("k{index}"))).collect()
}

/// A table `wide` in a projection of global order.
fn wide(count: usize, kind: &Json, key: Json) -> Json {
    let table = json!({"name": "wide", "columns": many(count, kind), "key": key});
    set(every_type(), "/tables/-", table)
}

pub(super) fn good() -> Vec<(&'static str, Json)> {
    let int = json!({"type": "int64"});
    vec![
        ("posts", posts()),
        ("every type", every_type()),
        ("a shared table", with("/tables/-", shared())),
        ("a key of 16 columns", wide(16, &int, names(16))),
        ("1,000 columns", wide(1_000, &int, json!(["k0"]))),
        ("a key of 1,700 bytes", wide(1, &json!({"type": "text", "length": 425}), json!(["k0"]))),
        ("an owner by stream id", with("/tables/0/owner/holds", json!("stream-id"))),
        ("shared: false", with("/tables/0/shared", json!(false))),
        ("settings", with("/settings", json!({"type": "object", "properties": {"a": {"type": "string"}}}))),
        ("everything else", with("/kinds/-", json!("*"))),
        ("a name of 24 characters", with("/name", json!("a".repeat(24)))),
        ("a reserved word", with("/tables/0/columns/2/name", json!("select"))),
        ("braces", with("/queries/0/query", json!("author=eq.{{x}}&likes=gte.{least}"))),
        ("a reference to itself", with("/tables/0/references", json!([{"columns": ["author"], "table": "posts"}]))),
        ("flags", set(with("/metadata", json!(true)), "/safe-integers", json!(true))),
        ("an index of bytes", indexed(json!({"name": "extra", "type": "bytes", "length": 2, "default": "\\x0100"}))),
    ]
}

pub(super) fn bad() -> Vec<Bad> {
    let lines = include_str!("bad.jsonl").lines().map(|line| serde_json::from_str::<Line>(line).unwrap().bad());
    lines.chain(large()).collect()
}

fn large() -> [Bad; 2] {
    let bad = |manifest, place: &str, says: &str| Bad {
        manifest,
        place: place.to_owned(),
        says: says.to_owned(),
        schema: Judge::Refuses,
    };
    let columns = wide(1_001, &json!({"type": "int64"}), json!(["k0"]));
    let query = with("/queries/0/query", json!("x".repeat(8_193)));
    [
        bad(columns, "tables[1].columns", "1001 entries: at most 1000"),
        bad(query, "queries[0].query", "8193 bytes: at most 8192"),
    ]
}

impl Line {
    fn bad(self) -> Bad {
        let mut manifest = match self.base.as_deref() {
            None => posts(),
            Some("every-type") => every_type(),
            Some(other) => panic!("unknown base {other}"),
        };
        for pointer in &self.remove {
            let (parent, last) = pointer.rsplit_once('/').unwrap();
            manifest.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(last).unwrap();
        }
        let manifest = self.set.into_iter().fold(manifest, |manifest, (pointer, value)| set(manifest, &pointer, value));
        Bad { manifest, place: self.place, says: self.says, schema: self.schema }
    }
}
