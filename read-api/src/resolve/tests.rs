//! Names and values against the fixture's table: what they become, and every error.

use proptest::prelude::*;
use reel_read_model::{Nulls, query::Direction};

use super::*;
use crate::{
    fixture::manifest,
    grammar::{Braces, decode_query},
};

fn ask(query: &str) -> Result<Resolved, QueryError> {
    let request = Request::parse(&decode_query(query).unwrap(), Braces::Literal)?;
    let layer = Layer { request: &request, bindings: &Bindings::new() };
    resolve(&[layer], 0, &manifest().tables[0])
}

fn filter(query: &str) -> Filter {
    ask(query).unwrap().query.filter.unwrap()
}

fn compare(column: u16, comparison: Comparison, value: Value) -> Filter {
    Filter::Compare { column, comparison, value }
}

fn like(pattern: &str) -> Filter {
    Filter::Like { column: 1, pattern: pattern.to_owned(), case: Case::Sensitive }
}

#[test]
fn nothing_asked_is_every_row_and_column() {
    let resolved = ask("").unwrap();
    let table = &manifest().tables[0];
    assert_eq!(resolved.query.select, (0..table.columns.len() as u16).collect::<Vec<_>>());
    assert_eq!(resolved.labels[..3], ["id", "author", "likes"]);
    let Query { filter, order, limit, offset, count, table: index, .. } = resolved.query;
    assert_eq!((filter, order, limit, offset, count, index), (None, Vec::new(), None, 0, Count::None, 0));
}

#[test]
fn filters() {
    let null = Filter::IsNull { column: 6 };
    let not_null = Filter::Not(Box::new(null.clone()));
    let is = |value| Filter::And(vec![not_null.clone(), compare(6, Comparison::Equal, Value::Boolean(value))]);
    let five = || compare(2, Comparison::Greater, Value::Int(5));
    let cases = [
        ("likes=gt.5", five()),
        ("likes=not.gt.5", Filter::Not(Box::new(five()))),
        ("likes=gt.5&likes=gt.5", Filter::And(vec![five(), five()])),
        ("or=(likes.gt.5,hidden.is.null)", Filter::Or(vec![five(), null.clone()])),
        ("not.or=(likes.gt.5)", Filter::Not(Box::new(five()))),
        ("likes=in.(1,2)", Filter::In { column: 2, values: vec![Value::Int(1), Value::Int(2)] }),
        ("likes=in.()", Filter::In { column: 2, values: Vec::new() }),
        ("hidden=is.null", null.clone()),
        ("hidden=is.unknown", null.clone()),
        ("hidden=is.not_null", not_null.clone()),
        ("hidden=is.true", is(true)),
        ("hidden=not.is.false", Filter::Not(Box::new(is(false)))),
        ("author=eq.null", compare(1, Comparison::Equal, Value::Text("null".into()))),
        ("\"order\"=lte.3", compare(13, Comparison::LessOrEqual, Value::Int(3))),
        ("raw=neq.\\x00ff", compare(7, Comparison::NotEqual, Value::Bytes([0, 255].into()))),
        ("extra=eq.{ \"a\": 1}", compare(8, Comparison::Equal, Value::Json("{\"a\":1}".into()))),
        ("posted_at=lt.1970-01-01T00:00:01Z", compare(12, Comparison::Less, Value::Timestamp(1_000_000))),
        ("author=like.a*", like("a%")),
        ("author=like.*a_%25*", like("%a_%%")),
        ("author=like.\\*\\%25\\\\*", like("\\*\\%\\\\%")),
    ];
    for (query, expected) in cases {
        assert_eq!(filter(query), expected, "{query}");
    }
}

#[test]
fn select_order_and_window() {
    let resolved = ask("select=likes,id,n:likes&order=\"order\".desc,id&limit=3&offset=4").unwrap();
    assert_eq!(resolved.query.select, [2, 0, 2]);
    assert_eq!(resolved.labels, ["likes", "id", "n"]);
    let order = [(13, Direction::Descending, Nulls::First), (0, Direction::Ascending, Nulls::Last)];
    let order = order.map(|(column, direction, nulls)| OrderBy { column, direction, nulls });
    assert_eq!(resolved.query.order, order);
    assert_eq!((resolved.query.limit, resolved.query.offset), (Some(3), 4));
}

#[test]
fn errors_name_column_type_and_example() {
    let cases = [
        ("autor=eq.bob", "autor", "did you mean author? Known: id, author, likes"),
        ("select=autor", "select", "did you mean author?"),
        ("order=autor", "order", "did you mean author?"),
        ("comments.likes=eq.1", "comments.likes", "Filters on other tables are not offered"),
        ("extra->a=eq.1", "extra->a", "JSON paths are not offered"),
        ("likes=eq.many", "likes", "column likes is int64: \"many\" is no int64, such as 42"),
        ("or=(likes.eq.1,likes.eq.many)", "likes", "column likes is int64"),
        ("likes=in.(1,x)", "likes", "\"x\" is no int64"),
        ("likes=eq.null", "likes", "is.null"),
        ("small=lt.40000", "small", "column small is int16: \"40000\" is no int16"),
        ("price=eq.1.234", "price", "column price is decimal(18,2): \"1.234\" is no decimal(18,2), such as 1.5"),
        ("posted_at=gt.yesterday", "posted_at", "such as 2026-11-21T09:30:00Z"),
        ("likes=like.5*", "likes", "column likes is int64: like and ilike take text columns only"),
        ("author=like.a\\", "author", "ends in a backslash"),
        ("author=like.%00", "author", "NUL"),
        ("author=eq.%00", "author", "NUL"),
        (
            "author=is.true",
            "author",
            "column author is text(64): is.true, is.false and is.unknown take boolean columns only",
        ),
        ("extra=gt.1", "extra", "json values have no order"),
        ("limit=-1", "limit", "\"-1\" is no number of rows, such as 25"),
        ("limit=", "limit", "no number of rows"),
        ("offset=9223372036854775808", "offset", "no number of rows"),
        ("select=id,id", "select", "two columns would be called \"id\": give one another label, such as other:id"),
        ("select=*,id", "select", "two columns"),
    ];
    for (query, place, problem) in cases {
        let error = ask(query).unwrap_err();
        assert_eq!(error.place, place, "{query}");
        assert!(error.problem.contains(problem), "{query}: {error}");
    }
    assert_eq!(ask("autor=eq.bob").unwrap_err().known.len(), 14);
}

proptest! {
    #[test]
    fn any_value_is_taken_or_refused(
        column in prop::sample::select(manifest().tables.remove(0).columns),
        test in "(not\\.)?(eq|neq|gt|like|ilike|in|is)\\.",
        value in any::<String>(),
    ) {
        let pairs = [(format!("\"{}\"", column.name), format!("{test}{value}"))];
        if let Ok(request) = Request::parse(&pairs, Braces::Literal) {
            let _ = resolve(&[Layer { request: &request, bindings: &Bindings::new() }], 0, &manifest().tables[0]);
        }
    }
}
