//! Named queries: what is refused at deploy, and what becomes of a caller's values.

use proptest::prelude::*;
use reel_projector::{ColumnType, Value};
use reel_read_model::{Comparison, Filter, query::Case};

use super::*;
use crate::{
    fixture::{TEXT, manifest, parameter, query},
    resolve::Resolved,
};

fn check_one(text: &str, parameters: Vec<Parameter>) -> Result<(), String> {
    let mut manifest = manifest();
    manifest.queries.push(query("mine", text, parameters));
    check_named_queries(&manifest)
}

fn call(name: &str, pairs: &[(&str, &str)]) -> Result<Resolved, QueryError> {
    let manifest = manifest();
    let query = manifest.queries.iter().find(|query| query.name == name).unwrap();
    let mut pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let bindings = bind(query, &mut pairs)?;
    let (template, own) = (template(query).unwrap(), Request::parse(&pairs, Braces::Literal)?);
    let layers =
        [Layer { request: &template, bindings: &bindings }, Layer { request: &own, bindings: &Bindings::new() }];
    resolve(&layers, query.table, &manifest.tables[0])
}

fn author(name: &str) -> Filter {
    Filter::Compare { column: 1, comparison: Comparison::Equal, value: Value::Text(name.into()) }
}

fn likes_from(least: i64) -> Filter {
    Filter::Compare { column: 2, comparison: Comparison::GreaterOrEqual, value: Value::Int(least) }
}

#[test]
fn good_queries_pass() {
    assert_eq!(check_named_queries(&manifest()), Ok(()));
    assert_eq!(check_one("", Vec::new()), Ok(()));
    assert_eq!(check_one("author=eq.{{literal}}", Vec::new()), Ok(()));
}

#[test]
fn bad_queries_are_refused_with_place_and_reason() {
    let int = |name: &str| parameter(name, ColumnType::Int64, None);
    let cases = [
        ("autor=eq.bob", vec![], "autor: unknown column \"autor\"; did you mean author?"),
        ("author=eqq.bob", vec![], "did you mean eq?"),
        ("author=eq.{who}", vec![], "author: unknown parameter \"who\""),
        ("author=eq.{who", vec![], "a brace itself is written twice"),
        ("author=eq.%zz", vec![], "two hex digits"),
        ("author=eq.bob", vec![int("who")], "parameter who: the query does not use it: remove it, or write {who}"),
        ("{who}=eq.bob", vec![int("who")], "the query does not use it"),
        ("likes=eq.{n}", vec![parameter("n", TEXT, None)], "likes: column likes is int64: \"some text\" is no int64"),
        ("likes=eq.{n}", vec![parameter("n", ColumnType::Int64, Some("x"))], "parameter n: default: \"x\" is no int64"),
        ("likes=eq.{limit}", vec![int("limit")], "parameter limit: the name is the query grammar's own"),
        ("likes=eq.{n}", vec![int("n"), int("n")], "parameter n: is declared twice"),
        ("limit={n}", vec![parameter("n", TEXT, None)], "limit: \"some text\" is no number of rows"),
        ("select=id,id", vec![], "two columns would be called"),
    ];
    for (text, parameters, reason) in cases {
        let error = check_one(text, parameters).unwrap_err();
        assert!(error.starts_with("queries[2] (mine): ") && error.contains(reason), "{text}: {error}");
    }
}

#[test]
fn parameters_are_bound_with_defaults() {
    let resolved = call("by_author", &[("author", "bob")]).unwrap();
    assert_eq!(resolved.query.filter, Some(Filter::And(vec![author("bob"), likes_from(0)])));
    assert_eq!(resolved.query.limit, Some(10));
    let resolved = call("by_author", &[("author", "bob"), ("least", "7"), ("n", "3")]).unwrap();
    assert_eq!(resolved.query.filter, Some(Filter::And(vec![author("bob"), likes_from(7)])));
    assert_eq!(resolved.query.limit, Some(3));
}

#[test]
fn a_value_is_never_grammar() {
    for hostile in ["eq.x", "x&limit=0", "a),id.neq.(x", "\"", "\\", "{least}", "null", "*%_"] {
        let resolved = call("by_author", &[("author", hostile)]).unwrap();
        assert_eq!(resolved.query.filter, Some(Filter::And(vec![author(hostile), likes_from(0)])));
    }
    let resolved = call("search", &[("word", "5%_\\*),(")]).unwrap();
    let like = Filter::Like { column: 1, pattern: "%5\\%\\_\\\\*),(%".to_owned(), case: Case::Insensitive };
    let list = Filter::In { column: 0, values: vec![Value::Text("5%_\\*),(".into()), Value::Text("x".into())] };
    assert_eq!(resolved.query.filter, Some(Filter::Or(vec![like, list])));
}

#[test]
fn a_caller_may_narrow_but_not_widen() {
    let own =
        [("author", "bob"), ("likes", "lt.9"), ("limit", "99"), ("select", "id"), ("order", "id"), ("offset", "5")];
    let query = call("by_author", &own).unwrap().query;
    let Some(Filter::And(filters)) = query.filter else { panic!("three filters") };
    assert_eq!(filters.len(), 3);
    assert_eq!((query.limit, query.offset, query.select, query.order[0].column), (Some(10), 5, vec![0], 0));
    assert_eq!(call("by_author", &[("author", "bob"), ("limit", "2")]).unwrap().query.limit, Some(2));
    let quoted = call("by_author", &[("author", "bob"), ("\"author\"", "eq.eve")]).unwrap().query;
    assert_eq!(quoted.filter, Some(Filter::And(vec![author("bob"), likes_from(0), author("eve")])));
}

#[test]
fn what_does_not_fit_is_refused() {
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "query by_author needs parameter author (text), such as author=some text"),
        (&[("author", "a"), ("author", "b")], "the parameter is given twice"),
        (&[("author", "a"), ("least", "x")], "parameter least is int64: \"x\" is no int64, such as 42"),
        (&[("author", "a"), ("n", "-1")], "\"-1\" is no number of rows"),
    ];
    for (pairs, problem) in cases {
        let error = call("by_author", pairs).unwrap_err();
        assert!(error.problem.contains(problem), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_one_value(text in "[^\0]*") {
        let resolved = call("by_author", &[("author", &text)]).unwrap();
        prop_assert_eq!(resolved.query.filter, Some(Filter::And(vec![author(&text), likes_from(0)])));
    }
}
