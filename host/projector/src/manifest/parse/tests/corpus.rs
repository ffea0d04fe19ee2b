//! Manifests, good and bad. A bad one is a good one with one thing changed.

use serde_json::{Value as Json, json};

/// Who sees that a manifest is bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judge {
    /// The parser, and the published schema.
    Both,
    /// The parser: the schema cannot express the rule.
    Parser,
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
                "columns": [{"name": "id", "type": "uuid"}, {"name": "post", "type": "text"}],
                "key": ["id"],
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

fn without(pointer: &str) -> Json {
    let (parent, last) = pointer.rsplit_once('/').unwrap();
    let mut base = posts();
    base.pointer_mut(parent)
        .unwrap()
        .as_object_mut()
        .unwrap()
        .remove(last)
        .unwrap();
    base
}

/// The posts with one more column, which is in an index too.
fn indexed(column: Json) -> Json {
    set(
        with("/tables/0/columns/-", column),
        "/tables/0/indexes/-",
        json!({"columns": ["extra"]}),
    )
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
        (
            "a key of 1,700 bytes",
            wide(1, &json!({"type": "text", "length": 425}), json!(["k0"])),
        ),
        (
            "an owner by stream id",
            with("/tables/0/owner/holds", json!("stream-id")),
        ),
        ("shared: false", with("/tables/0/shared", json!(false))),
        (
            "settings",
            with(
                "/settings",
                json!({"type": "object", "properties": {"a": {"type": "string"}}}),
            ),
        ),
        ("everything else", with("/kinds/-", json!("*"))),
        ("a name of 24 characters", with("/name", json!("a".repeat(24)))),
        ("a reserved word", with("/tables/0/columns/2/name", json!("select"))),
        (
            "braces",
            with("/queries/0/query", json!("author=eq.{{x}}&likes=gte.{least}")),
        ),
        (
            "a reference to itself",
            with(
                "/tables/0/references",
                json!([{"columns": ["author"], "table": "posts"}]),
            ),
        ),
        (
            "flags",
            set(with("/metadata", json!(true)), "/safe-integers", json!(true)),
        ),
        (
            "an index of bytes",
            indexed(json!({"name": "extra", "type": "bytes", "length": 2, "default": "\\x0100"})),
        ),
    ]
}

/// The judge, the manifest, the place of the error, and a part of what it says.
pub(super) type Case = (Judge, Json, &'static str, &'static str);

pub(super) fn bad() -> Vec<Case> {
    [
        members(),
        texts(),
        columns(),
        defaults(),
        keys(),
        owners(),
        references(),
        queries(),
    ]
    .concat()
}

fn members() -> Vec<Case> {
    use Judge::{Both, Parser};
    vec![
        (
            Both,
            without("/manifest"),
            "(top)",
            "\"manifest\" is missing: write \"manifest\": 1",
        ),
        (
            Both,
            with("/manifest", json!(2)),
            "manifest",
            "version 2 of the manifest's format, but this host reads version 1 only",
        ),
        (Both, with("/manifest", json!("1")), "manifest", "version \"1\""),
        (Both, without("/name"), "(top)", "member \"name\" is missing"),
        (Both, without("/version"), "(top)", "member \"version\" is missing"),
        (
            Both,
            without("/kinds"),
            "(top)",
            "member \"kinds\" is missing: list the kinds",
        ),
        (Both, without("/tables"), "(top)", "member \"tables\" is missing"),
        (Both, without("/tables/0/key"), "tables[0]", "member \"key\" is missing"),
        (
            Both,
            without("/tables/1/columns/1/type"),
            "tables[1].columns[1]",
            "member \"type\" is missing: give one of boolean, int16",
        ),
        (
            Both,
            with("/safe_integers", json!(true)),
            "(top)",
            "unknown member \"safe_integers\": did you mean \"safe-integers\"?",
        ),
        (Both, with("/table", json!([])), "(top)", "did you mean \"tables\"?"),
        (
            Both,
            with("/zzzz", json!(1)),
            "(top)",
            "unknown member \"zzzz\": the members here are manifest, name",
        ),
        (
            Both,
            with("/tables/0/colums", json!([])),
            "tables[0]",
            "did you mean \"columns\"?",
        ),
        (
            Both,
            with("/tables/0/columns/0/lenght", json!(1)),
            "tables[0].columns[0]",
            "did you mean \"length\"?",
        ),
        (
            Both,
            with("/tables/0/owner/hold", json!(1)),
            "tables[0].owner",
            "did you mean \"holds\"?",
        ),
        (
            Both,
            with("/tables/0/indexes/0/uniq", json!(true)),
            "tables[0].indexes[0]",
            "did you mean \"unique\"?",
        ),
        (
            Both,
            with("/tables/1/references/0/colums", json!(1)),
            "tables[1].references[0]",
            "did you mean \"columns\"?",
        ),
        (
            Both,
            with("/queries/0/parameters/0/nullable", json!(true)),
            "queries[0].parameters[0]",
            "unknown member \"nullable\"",
        ),
        (
            Both,
            with("/settings", json!(true)),
            "settings",
            "expected an object {…}, found true",
        ),
        (
            Both,
            with("/settings", json!({"type": "objekt"})),
            "settings.type",
            "not a JSON Schema of the settings",
        ),
        (
            Parser,
            with("/settings", json!({"$ref": "https://example.com/x"})),
            "settings",
            "does not point into the schema",
        ),
        (
            Both,
            with("/metadata", json!("yes")),
            "metadata",
            "expected true or false, found \"yes\"",
        ),
    ]
}

fn texts() -> Vec<Case> {
    use Judge::{Both, Parser};
    vec![
        (
            Both,
            with("/name", json!("Posts")),
            "name",
            "\"Posts\" is no name of a projection: begin with a letter a-z",
        ),
        (Both, with("/name", json!("git_tree")), "name", "0-9 and -, at most 24"),
        (
            Both,
            with("/name", json!("a".repeat(25))),
            "name",
            "at most 24 characters",
        ),
        (Both, with("/name", json!("")), "name", "no name of a projection"),
        (Both, with("/name", json!(7)), "name", "expected a string, found 7"),
        (
            Both,
            with("/tables/0/name", json!("a-b")),
            "tables[0].name",
            "no name of a table",
        ),
        (
            Both,
            with("/tables/0/name", json!("a".repeat(33))),
            "tables[0].name",
            "at most 32 characters",
        ),
        (
            Both,
            with("/tables/0/columns/0/name", json!("ä")),
            "tables[0].columns[0].name",
            "no name of a column",
        ),
        (
            Both,
            with("/tables/0/columns/0/name", json!("a".repeat(49))),
            "tables[0].columns[0].name",
            "at most 48 characters",
        ),
        (
            Both,
            with("/queries/0/name", json!("1st")),
            "queries[0].name",
            "no name of a query",
        ),
        (
            Both,
            with("/queries/0/parameters/0/name", json!("A")),
            "queries[0].parameters[0].name",
            "no name of a parameter",
        ),
        (Both, with("/version", json!("")), "version", "\"\" is no version"),
        (Both, with("/version", json!("1 0")), "version", "\"1 0\" is no version"),
        (
            Both,
            with("/description", json!(null)),
            "description",
            "expected a string, found null",
        ),
        (
            Both,
            with("/order", json!("by-key")),
            "order",
            "expected \"by-stream\" or \"global\", found \"by-key\"",
        ),
        (Both, with("/kinds", json!([])), "kinds", "the list is empty"),
        (
            Both,
            with("/kinds", json!("*")),
            "kinds",
            "expected a list […], found \"*\"",
        ),
        (
            Both,
            with("/kinds/1", json!("post-created")),
            "kinds[1]",
            "post-created is there already, at kinds[0]",
        ),
        (
            Parser,
            with("/kinds/-", json!("comment-added")),
            "kinds[2]",
            "comment-added gets no event, as kinds[1] (comment-*)",
        ),
        (
            Parser,
            with("/kinds", json!(["*", "a-*"])),
            "kinds[1]",
            "a-* gets no event, as kinds[0] (*)",
        ),
        (
            Both,
            with("/kinds/0", json!("a*b")),
            "kinds[0]",
            "\"a*b\" is no event kind",
        ),
        (
            Both,
            with("/kinds/0", json!("-a")),
            "kinds[0]",
            "write a kind such as post-created",
        ),
        (Both, with("/kinds/0", json!("")), "kinds[0]", "\"\" is no event kind"),
    ]
}

fn columns() -> Vec<Case> {
    use Judge::{Both, Parser};
    let int = json!({"type": "int64"});
    let column = |column: Json| with("/tables/0/columns/-", set(column, "/name", json!("extra")));
    vec![
        (Both, with("/tables", json!([])), "tables", "the list is empty"),
        (
            Parser,
            with("/tables/1/name", json!("posts")),
            "tables[1]",
            "table posts is there already, at tables[0]",
        ),
        (
            Both,
            with("/tables/0/columns", json!([])),
            "tables[0].columns",
            "the list is empty",
        ),
        (
            Both,
            wide(1_001, &int, json!(["k0"])),
            "tables[1].columns",
            "1001 entries: at most 1000",
        ),
        (
            Parser,
            with("/tables/0/columns/2/name", json!("id")),
            "tables[0].columns[2]",
            "column id is there already, at columns[0]",
        ),
        (
            Both,
            column(json!({"type": "int"})),
            "tables[0].columns[4].type",
            "unknown type \"int\": did you mean \"int16\"?",
        ),
        (
            Both,
            column(json!({"type": "varchar"})),
            "tables[0].columns[4].type",
            "there are boolean, int16",
        ),
        (
            Both,
            column(json!({"type": "text", "length": 0})),
            "tables[0].columns[4].length",
            "a whole number from 1 to 10485760, found 0",
        ),
        (
            Both,
            column(json!({"type": "text", "length": 1.5})),
            "tables[0].columns[4].length",
            "found 1.5",
        ),
        (
            Both,
            column(json!({"type": "json", "length": 5})),
            "tables[0].columns[4].length",
            "\"length\" is for text and bytes",
        ),
        (
            Both,
            column(json!({"type": "text", "scale": 5})),
            "tables[0].columns[4].scale",
            "\"scale\" is for decimal",
        ),
        (
            Both,
            column(json!({"type": "decimal", "precision": 5})),
            "tables[0].columns[4]",
            "member \"scale\" is missing",
        ),
        (
            Both,
            column(json!({"type": "decimal", "scale": 5})),
            "tables[0].columns[4]",
            "member \"precision\" is missing",
        ),
        (
            Both,
            column(json!({"type": "decimal", "precision": 19, "scale": 0})),
            "tables[0].columns[4].precision",
            "from 1 to 18, found 19",
        ),
        (
            Parser,
            column(json!({"type": "decimal", "precision": 5, "scale": 6})),
            "tables[0].columns[4].scale",
            "from 0 to 5, found 6",
        ),
        (
            Both,
            column(json!({"type": "decimal", "precision": 5, "scale": 2, "length": 5})),
            "tables[0].columns[4].length",
            "the type is decimal",
        ),
    ]
}

fn defaults() -> Vec<Case> {
    use Judge::{Both, Parser};
    const PLACE: &str = "tables[0].columns[4].default";
    let default = |kind: &str, default: Json| {
        with(
            "/tables/0/columns/-",
            json!({"name": "extra", "type": kind, "default": default}),
        )
    };
    let decimal = |default: Json| {
        with(
            "/tables/0/columns/-",
            json!({"name": "extra", "type": "decimal", "precision": 4, "scale": 2, "default": default}),
        )
    };
    vec![
        (
            Both,
            default("boolean", json!(0)),
            PLACE,
            "expected a default for boolean: true or false, found 0",
        ),
        (
            Both,
            default("boolean", json!(null)),
            PLACE,
            "null, but the column is not nullable",
        ),
        (
            Both,
            default("int16", json!("1")),
            PLACE,
            "a default for int16: a whole number such as 0",
        ),
        (
            Both,
            default("int16", json!(1.5)),
            PLACE,
            "a whole number such as 0, found 1.5",
        ),
        (Both, default("int16", json!(32_768)), PLACE, "32768 does not fit int16"),
        (Both, default("double", json!("1")), PLACE, "a number such as 1.5"),
        (Both, decimal(json!(1.5)), PLACE, "digits in a string"),
        (Both, decimal(json!("1e3")), PLACE, "is not a decimal"),
        (
            Parser,
            decimal(json!("1.005")),
            PLACE,
            "3 digits behind the point, but the column takes 2",
        ),
        (Both, default("text", json!(1)), PLACE, "a default for text: a string"),
        (
            Parser,
            with("/tables/0/columns/1/default", json!("x".repeat(65))),
            "tables[0].columns[1].default",
            "65 characters",
        ),
        (
            Parser,
            with("/tables/0/columns/1/default", json!("a ")),
            "tables[0].columns[1].default",
            "ends in a space",
        ),
        (Both, default("bytes", json!("00")), PLACE, "hexadecimal digits"),
        (Both, default("bytes", json!("\\x0")), PLACE, "hexadecimal digits"),
        (
            Parser,
            indexed(json!({"name": "extra", "type": "bytes", "length": 2, "default": "\\x01"})),
            PLACE,
            "exactly its length",
        ),
        (Both, default("json", json!({})), PLACE, "the JSON text in a string"),
        (Parser, default("json", json!("{")), PLACE, "the JSON cannot be stored"),
        (Both, default("uuid", json!("x")), PLACE, "a UUID in a string"),
        (Both, default("date", json!("2026-1-1")), PLACE, "a day in a string"),
        (Parser, default("date", json!("2026-02-30")), PLACE, "a day in a string"),
        (Both, default("time", json!("9:30")), PLACE, "a time of day in a string"),
        (
            Both,
            default("time", json!("24:00:00")),
            PLACE,
            "a time of day in a string",
        ),
        (
            Both,
            default("time", json!("23:59:60")),
            PLACE,
            "a time of day in a string",
        ),
        (
            Both,
            default("timestamp", json!("2026-11-21")),
            PLACE,
            "a moment in a string",
        ),
        (
            Parser,
            default("timestamp", json!("2026-11-31T00:00:00Z")),
            PLACE,
            "a moment in a string",
        ),
    ]
}

fn keys() -> Vec<Case> {
    use Judge::{Both, Parser};
    const INDEX: &str = "tables[0].indexes[1].columns[0]";
    let int = json!({"type": "int64"});
    let extra = |kind: &str| indexed(json!({"name": "extra", "type": kind}));
    vec![
        (
            Both,
            with("/tables/0/key", json!([])),
            "tables[0].key",
            "the list is empty",
        ),
        (
            Parser,
            with("/tables/0/key/0", json!("ids")),
            "tables[0].key[0]",
            "unknown column \"ids\": did you mean \"id\"?",
        ),
        (
            Both,
            with("/tables/0/key/-", json!("id")),
            "tables[0].key[1]",
            "column id is named twice",
        ),
        (
            Parser,
            with("/tables/0/key/-", json!("price")),
            "tables[0].key[1]",
            "column price is nullable, which a key column must not be",
        ),
        (
            Parser,
            with("/tables/1/key/-", json!("post")),
            "tables[1].key[1]",
            "column post is text without a length",
        ),
        (
            Both,
            wide(17, &int, names(17)),
            "tables[1].key",
            "17 entries: at most 16",
        ),
        (
            Parser,
            wide(1, &json!({"type": "text", "length": 426}), names(1)),
            "tables[1].key",
            "1704 bytes wide",
        ),
        (
            Parser,
            wide(2, &json!({"type": "bytes", "length": 900}), names(2)),
            "tables[1].key",
            "at most 1700 in SQL Server",
        ),
        (
            Parser,
            with("/tables/0/indexes/0/columns/0", json!("autor")),
            "tables[0].indexes[0].columns[0]",
            "did you mean \"author\"?",
        ),
        (
            Parser,
            with("/tables/0/indexes/0/columns/0", json!("zzzz")),
            "tables[0].indexes[0].columns[0]",
            "there are id, author, likes, price",
        ),
        (
            Both,
            with("/tables/0/indexes/0/columns", json!([])),
            "tables[0].indexes[0].columns",
            "the list is empty",
        ),
        (
            Both,
            with("/tables/0/indexes/0/columns/-", json!("author")),
            "tables[0].indexes[0].columns[1]",
            "named twice",
        ),
        (
            Parser,
            with("/tables/0/indexes/-", json!({"columns": ["author"], "unique": true})),
            "tables[0].indexes[1]",
            "indexes[0] has the same",
        ),
        (Parser, extra("json"), INDEX, "column extra is json"),
        (Parser, extra("double"), INDEX, "column extra is double"),
        (Parser, extra("text"), INDEX, "text without a length"),
        (Parser, extra("bytes"), INDEX, "bytes without a length"),
    ]
}

fn owners() -> Vec<Case> {
    use Judge::{Both, Parser};
    vec![
        (
            Both,
            without("/tables/0/owner"),
            "tables[0]",
            "whose are its rows? Name the column",
        ),
        (
            Both,
            with("/tables/0/shared", json!(true)),
            "tables[0]",
            "\"owner\" and \"shared\" exclude each other",
        ),
        (
            Both,
            with("/order", json!("global")),
            "tables[0]",
            "one worker changes all rows: remove \"owner\"",
        ),
        (
            Both,
            set(every_type(), "/tables/0/shared", json!(true)),
            "tables[0]",
            "remove \"owner\" and \"shared\"",
        ),
        (
            Parser,
            with("/tables/0/owner/column", json!("ids")),
            "tables[0].owner.column",
            "did you mean \"id\"?",
        ),
        (
            Both,
            with("/tables/0/owner/holds", json!("key")),
            "tables[0].owner.holds",
            "expected \"stream-key\" or \"stream-id\"",
        ),
        (
            Both,
            without("/tables/0/owner/holds"),
            "tables[0].owner",
            "member \"holds\" is missing",
        ),
        (
            Parser,
            with("/tables/0/owner/column", json!("likes")),
            "tables[0].owner.column",
            "column likes is int64, but a stream-key is text or uuid",
        ),
        (
            Parser,
            with("/tables/1/owner", json!({"column": "id", "holds": "stream-id"})),
            "tables[1].owner.column",
            "column id is uuid, but a stream-id is text",
        ),
        (
            Parser,
            with("/tables/1/columns/1/nullable", json!(true)),
            "tables[1].owner.column",
            "column post is nullable",
        ),
        (
            Parser,
            with(
                "/tables/-",
                set(shared(), "/columns/1", json!({"name": "posts", "type": "int64"})),
            ),
            "tables[2].columns[1]",
            "column posts of a shared table needs a default, or must be nullable",
        ),
    ]
}

fn references() -> Vec<Case> {
    use Judge::{Both, Parser};
    const PLACE: &str = "tables[1].references[0]";
    vec![
        (
            Parser,
            with("/tables/1/references/0/table", json!("post")),
            "tables[1].references[0].table",
            "did you mean \"posts\"?",
        ),
        (
            Parser,
            with("/tables/1/references/0/columns/0", json!("posst")),
            "tables[1].references[0].columns[0]",
            "did you mean \"post\"?",
        ),
        (
            Parser,
            with("/tables/1/references/0/columns/0", json!("id")),
            "tables[1].references[0].columns[0]",
            "column id is uuid, but posts.id is text(36)",
        ),
        (
            Parser,
            with("/tables/1/references/0/columns/-", json!("id")),
            "tables[1].references[0].columns",
            "2 columns, but the key of table posts has 1 (id)",
        ),
        (
            Both,
            without("/tables/1/references/0/table"),
            PLACE,
            "member \"table\" is missing",
        ),
        (
            Both,
            without("/tables/1/references/0/columns"),
            PLACE,
            "member \"columns\" is missing",
        ),
    ]
}

fn queries() -> Vec<Case> {
    use Judge::{Both, Parser};
    const QUERY: &str = "queries[0].query";
    let query = |query: &str| with("/queries/0/query", json!(query));
    let twice = posts()["queries"][0].clone();
    vec![
        (
            Parser,
            with("/queries/-", twice),
            "queries[1]",
            "query popular is there already, at queries[0]",
        ),
        (
            Parser,
            with("/queries/0/name", json!("posts")),
            "queries[0]",
            "query posts has the name of a table",
        ),
        (
            Parser,
            with("/queries/0/table", json!("zzzz")),
            "queries[0].table",
            "unknown table \"zzzz\": there are posts, comments",
        ),
        (
            Parser,
            query("likes=gte.{leest}"),
            QUERY,
            "uses {leest}, which is not declared in \"parameters\" (did you mean {least}?)",
        ),
        (
            Parser,
            query("likes=gte.5"),
            "queries[0].parameters[0]",
            "does not use parameter least",
        ),
        (
            Parser,
            query("likes=gte.{{least}}"),
            "queries[0].parameters[0]",
            "does not use parameter least",
        ),
        (Parser, query("likes=gte.{least"), QUERY, "a single { at byte 10"),
        (Parser, query("likes=gte.{least}}"), QUERY, "a single } at byte 17"),
        (Parser, query("likes=gte.{}"), QUERY, "a single { at byte 10"),
        (Both, query(&"x".repeat(8_193)), QUERY, "8193 bytes: at most 8192"),
        (
            Both,
            without("/queries/0/query"),
            "queries[0]",
            "member \"query\" is missing",
        ),
        (
            Parser,
            with("/queries/0/parameters/-", json!({"name": "least", "type": "text"})),
            "queries[0].parameters[1]",
            "parameter least is declared twice",
        ),
        (
            Both,
            with("/queries/0/parameters/0/default", json!(10)),
            "queries[0].parameters[0].default",
            "expected a string, found 10",
        ),
    ]
}
