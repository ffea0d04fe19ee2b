//! The grammar by examples, by every error, and by properties: it never panics, and what it writes it reads back.

use proptest::prelude::*;
use reel_read_model::{
    Comparison,
    query::{Case, Direction, Nulls},
};

use super::*;
use crate::query_error::QueryError;

fn parse(query: &str) -> Result<Request, QueryError> {
    Request::parse(&decode_query(query).unwrap(), Braces::Literal)
}

fn only_filter(query: &str) -> Condition {
    let mut request = parse(query).unwrap();
    assert_eq!(request.filter.len(), 1, "{query}");
    request.filter.remove(0)
}

fn column(column: &str, sense: Sense, test: Test) -> Condition {
    Condition::Column { column: column.to_owned(), sense, test }
}

fn equal(name: &str, text: &str) -> Condition {
    column(name, Sense::Plain, Test::Compare(Comparison::Equal, Operand::text(text)))
}

#[test]
fn operators() {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let five = |comparison| Test::Compare(comparison, Operand::text("5"));
    let cases = [
        ("eq.5", five(Equal)),
        ("neq.5", five(NotEqual)),
        ("gt.5", five(Greater)),
        ("gte.5", five(GreaterOrEqual)),
        ("lt.5", five(Less)),
        ("lte.5", five(LessOrEqual)),
        ("like.a*", Test::Like(Case::Sensitive, Operand::text("a*"))),
        ("ilike.a*", Test::Like(Case::Insensitive, Operand::text("a*"))),
        ("in.(1,2)", Test::In(vec![Operand::text("1"), Operand::text("2")])),
        ("in.()", Test::In(Vec::new())),
        ("is.null", Test::Is(Truth::Null)),
        ("is.NOT_NULL", Test::Is(Truth::NotNull)),
        ("is.true", Test::Is(Truth::True)),
        ("is.false", Test::Is(Truth::False)),
        ("is.unknown", Test::Is(Truth::Unknown)),
    ];
    for (text, test) in cases {
        assert_eq!(only_filter(&format!("a={text}")), column("a", Sense::Plain, test.clone()), "{text}");
        assert_eq!(only_filter(&format!("a=not.{text}")), column("a", Sense::Not, test.clone()), "{text}");
        let group = |sense| Condition::Group {
            sense: Sense::Plain,
            join: Join::Or,
            members: vec![column("a", sense, test.clone())],
        };
        assert_eq!(only_filter(&format!("or=(a.{text})")), group(Sense::Plain), "{text}");
        assert_eq!(only_filter(&format!("or=(a.not.{text})")), group(Sense::Not), "{text}");
    }
}

#[test]
fn values_are_taken_as_they_are_outside_lists() {
    for text in ["", "a,b", "(x)", "\"quoted\"", "a.b.c", "{who}", "eq.1", " space ", "back\\slash"] {
        assert_eq!(only_filter(&format!("a=eq.{text}")), equal("a", text));
    }
}

#[test]
fn values_in_lists_may_be_quoted() {
    let cases: [(&str, &[&str]); 8] = [
        (r#"("a,b","c)d")"#, &["a,b", "c)d"]),
        (r#"("say \"hi\"","back\\slash")"#, &["say \"hi\"", "back\\slash"]),
        ("(a b,c.d,e(f)", &["a b", "c.d", "e(f"]),
        ("(a,)", &["a", ""]),
        (r#"("")"#, &[""]),
        ("( a, b)", &["a", " b"]),
        ("({x})", &["{x}"]),
        (r#"(a"b)"#, &["a\"b"]),
    ];
    for (text, values) in cases {
        let test = Test::In(values.iter().map(|value| Operand::text(value)).collect());
        assert_eq!(only_filter(&format!("a=in.{text}")), column("a", Sense::Plain, test), "{text}");
    }
}

#[test]
fn logic_trees() {
    let tree = only_filter("and=(a.eq.1, not.or(b.is.null,b.in.(1,\"2,3\")) ,and.eq.x,\"or\".eq.\"y)\")");
    let inner = Condition::Group {
        sense: Sense::Not,
        join: Join::Or,
        members: vec![
            column("b", Sense::Plain, Test::Is(Truth::Null)),
            column("b", Sense::Plain, Test::In(vec![Operand::text("1"), Operand::text("2,3")])),
        ],
    };
    let members = vec![equal("a", "1"), inner, equal("and", "x"), equal("or", "y)")];
    assert_eq!(tree, Condition::Group { sense: Sense::Plain, join: Join::And, members });
    let members = vec![equal("not", "1")];
    assert_eq!(only_filter("not.and=(not.eq.1)"), Condition::Group { sense: Sense::Not, join: Join::And, members });
}

#[test]
fn a_quoted_name_is_always_a_column() {
    for name in RESERVED {
        assert_eq!(only_filter(&format!("\"{name}\"=eq.1")), equal(name, "1"));
    }
    assert_eq!(only_filter("\"a\\\"b\"=eq.1"), equal("a\"b", "1"));
}

#[test]
fn a_column_twice_means_both() {
    assert_eq!(parse("a=eq.1&a=eq.2").unwrap().filter, [equal("a", "1"), equal("a", "2")]);
}

#[test]
fn select_order_limit_offset() {
    let request = parse(
        "select=*,a, b ,n:c,\"the label\":\"order\"&order=a,b.desc,c.asc.nullsfirst,d.nullslast&limit=5&offset=7",
    )
    .unwrap();
    let named = |column: &str, label: Option<&str>| Selection::Column {
        column: column.to_owned(),
        label: label.map(str::to_owned),
    };
    let select = vec![
        Selection::All,
        named("a", None),
        named("b", None),
        named("c", Some("n")),
        named("order", Some("the label")),
    ];
    assert_eq!(request.select, Some(select));
    let term = |column: &str, direction, nulls| OrderTerm { column: column.to_owned(), direction, nulls };
    let order = vec![
        term("a", Direction::Ascending, Nulls::Last),
        term("b", Direction::Descending, Nulls::First),
        term("c", Direction::Ascending, Nulls::First),
        term("d", Direction::Ascending, Nulls::Last),
    ];
    assert_eq!(request.order, Some(order));
    assert_eq!((request.limit, request.offset), (Some(Operand::text("5")), Some(Operand::text("7"))));
    assert_eq!(parse("").unwrap(), Request::default());
}

#[test]
fn templates_have_parameters() {
    let parse = |query: &str| Request::parse(&decode_query(query).unwrap(), Braces::Parameters);
    let request = parse("a=like.*{word}*&b=in.({x},\"{y}\")&c=eq.{{x}}&limit={n}").unwrap();
    let mut like = Operand::text("*");
    like.push_parameter("word");
    like.push('*');
    let parameter = |name: &str| {
        let mut operand = Operand::default();
        operand.push_parameter(name);
        operand
    };
    let filter = [
        column("a", Sense::Plain, Test::Like(Case::Sensitive, like)),
        column("b", Sense::Plain, Test::In(vec![parameter("x"), parameter("y")])),
        equal("c", "{x}"),
    ];
    assert_eq!(request.filter, filter);
    assert_eq!(request.limit, Some(parameter("n")));
    for bad in ["a=eq.{", "a=eq.{x", "a=eq.{}", "a=eq.{X}", "a=eq.{x y}", "a=eq.}", "a=eq.x}"] {
        let error = parse(bad).unwrap_err();
        assert!(error.problem.contains("written twice"), "{error}");
    }
}

fn refused(cases: &[(&str, &str, &str)]) {
    for (query, place, problem) in cases {
        let error = parse(query).unwrap_err();
        assert_eq!(error.place, *place, "{query}");
        assert!(error.problem.contains(problem), "{query}: {error}");
    }
}

#[test]
fn errors_in_filters_say_where_and_what_to_write() {
    refused(&[
        ("a=5", "a", "unknown operator \"5\". Known: eq, neq"),
        ("a=equals.5", "a", "such as a=eq.5"),
        ("a=gte5", "a", "did you mean gte?"),
        ("a=eq", "a", "expected a point and a value behind eq at the end of \"eq\""),
        ("a=not.not.eq.1", "a", "unknown operator \"not\""),
        ("a=eq(any).{1,2}", "a", "use in.(…) or or=(…)"),
        ("a=in.1,2", "a", "a list in parentheses, such as in.(1,2,3) at character 4, found \"1,2\""),
        ("a=in.(1,2", "a", "expected a comma or a closing parenthesis at the end"),
        ("a=in.(1,2)x", "a", "expected the end at character 9, found \"x\""),
        ("a=in.(\"a\"b)", "a", "expected a comma or a closing parenthesis at character 8"),
        ("a=in.(\"a)", "a", "a closing quote"),
        ("a=in.(\"a\\", "a", "a character behind the backslash"),
        ("a=is.nul", "a", "unknown word behind is. \"nul\"; did you mean null?"),
        ("a=is.nullx", "a", "did you mean null?"),
        ("or=a.eq.1", "or", "conditions in parentheses"),
        ("or=()", "or", "a column's name"),
        ("or=(a.eq.1", "or", "a comma or a closing parenthesis"),
        ("or=(a.eq.1))", "or", "the end"),
        ("or=(a)", "or", "an operator behind \"a\", such as a.eq.5"),
        ("or=(a.eq)", "or", "a point and a value behind eq"),
        ("or=(a.eqq.1)", "or", "did you mean eq?"),
        ("\"a=eq.1", "\"a", "a closing quote"),
        ("\"a\"b=eq.1", "\"a\"b", "the end of the column's name"),
        ("=eq.1", "?", "a parameter without a name"),
    ]);
    assert_eq!(parse("a=5").unwrap_err().known.len(), 10);
}

#[test]
fn errors_elsewhere_say_where_and_what_to_write() {
    refused(&[
        ("select=", "select", "a column's name at the end of \"\""),
        ("select=a,,b", "select", "a column's name"),
        ("select=a::text", "select", "casts"),
        ("select=x:a::text", "select", "casts are not offered"),
        ("select=comments(*)", "select", "neither embedding of other tables nor functions"),
        ("select=count()", "select", "nor functions"),
        ("select=\"a\"b", "select", "a comma"),
        ("select=a&select=b", "select", "given twice"),
        ("order=a.down", "order", "unknown word \"down\". Known: asc, desc, nullsfirst, nullslast"),
        ("order=a.dessc", "order", "did you mean desc?"),
        ("order=a.nullslast.desc", "order", "then asc or desc, then nullsfirst or nullslast"),
        ("order=a.asc.desc", "order", "then asc or desc"),
        ("order=", "order", "a column's name"),
        ("order=a&order=b", "order", "given twice"),
        ("limit=1&limit=2", "limit", "given twice"),
        ("offset=1&offset=2", "offset", "given twice"),
    ]);
}

#[test]
fn limits() {
    let nested = |depth: usize| format!("or={}a.eq.1{}", "(or".repeat(depth - 1) + "(", ")".repeat(depth));
    assert!(parse(&nested(MAX_DEPTH)).is_ok());
    assert!(parse(&nested(MAX_DEPTH + 1)).unwrap_err().problem.contains("deeper than 16"));
    assert!(parse(&nested(100_000)).unwrap_err().problem.contains("deeper than 16"));
    let many = |count: usize| vec!["a=eq.1"; count].join("&");
    assert!(parse(&many(MAX_CONDITIONS)).is_ok());
    assert!(parse(&many(MAX_CONDITIONS + 1)).unwrap_err().problem.contains("more than 500 conditions"));
    let tree = format!("or=({})", vec!["a.eq.1"; MAX_CONDITIONS + 1].join(","));
    assert!(parse(&tree).unwrap_err().problem.contains("more than 500 conditions"));
    let list = |count: usize| format!("a=in.({})", vec!["1"; count].join(","));
    assert!(parse(&list(MAX_LIST_VALUES)).is_ok());
    assert!(parse(&list(MAX_LIST_VALUES + 1)).unwrap_err().problem.contains("more than 10000 values"));
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9_]{0,8}",
        prop::sample::select(RESERVED.to_vec()).prop_map(str::to_owned),
        any::<String>().prop_filter("a name", |name| !name.is_empty()),
    ]
}

fn any_operand(braces: Braces) -> BoxedStrategy<Operand> {
    let text = prop_oneof![any::<String>(), "[a(){},.\"\\\\ *:]{0,8}", "[0-9]{1,3}"];
    let texts = text.prop_map(|text| Operand::text(&text));
    match braces {
        Braces::Literal => texts.boxed(),
        Braces::Parameters => {
            let around = (any::<String>(), "[a-z][a-z0-9_]{0,5}", any::<String>());
            let mixed = around.prop_map(|(front, name, behind)| {
                let mut operand = Operand::text(&front);
                operand.push_parameter(&name);
                behind.chars().for_each(|c| operand.push(c));
                operand
            });
            prop_oneof![texts, mixed].boxed()
        }
    }
}

fn any_test(braces: Braces) -> impl Strategy<Value = Test> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let comparison = prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual]);
    let truth = prop::sample::select(vec![Truth::Null, Truth::NotNull, Truth::True, Truth::False, Truth::Unknown]);
    let case = prop::sample::select(vec![Case::Sensitive, Case::Insensitive]);
    prop_oneof![
        (comparison, any_operand(braces)).prop_map(|(comparison, operand)| Test::Compare(comparison, operand)),
        (case, any_operand(braces)).prop_map(|(case, operand)| Test::Like(case, operand)),
        prop::collection::vec(any_operand(braces), 0..4).prop_map(Test::In),
        truth.prop_map(Test::Is),
    ]
}

fn any_sense() -> impl Strategy<Value = Sense> {
    prop::sample::select(vec![Sense::Plain, Sense::Not])
}

fn any_condition(braces: Braces) -> impl Strategy<Value = Condition> {
    let leaf = (any_name(), any_sense(), any_test(braces));
    let leaf = leaf.prop_map(|(column, sense, test)| Condition::Column { column, sense, test });
    leaf.prop_recursive(4, 12, 4, |inner| {
        let join = prop::sample::select(vec![Join::And, Join::Or]);
        let members = prop::collection::vec(inner, 1..4);
        (any_sense(), join, members).prop_map(|(sense, join, members)| Condition::Group { sense, join, members })
    })
}

fn any_request(braces: Braces) -> impl Strategy<Value = Request> {
    let named =
        (any_name(), prop::option::of(any_name())).prop_map(|(column, label)| Selection::Column { column, label });
    let select = prop::collection::vec(prop_oneof![Just(Selection::All), named], 1..4);
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let nulls = prop::sample::select(vec![Nulls::First, Nulls::Last]);
    let term =
        (any_name(), direction, nulls).prop_map(|(column, direction, nulls)| OrderTerm { column, direction, nulls });
    (
        prop::option::of(select),
        prop::collection::vec(any_condition(braces), 0..4),
        prop::option::of(prop::collection::vec(term, 1..3)),
        prop::option::of(any_operand(braces)),
        prop::option::of(any_operand(braces)),
    )
        .prop_map(|(select, filter, order, limit, offset)| Request { select, filter, order, limit, offset })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(request in any_request(Braces::Literal)) {
        let pairs = request.to_pairs(Braces::Literal);
        prop_assert_eq!(Request::parse(&pairs, Braces::Literal), Ok(request), "{:?}", pairs);
    }

    #[test]
    fn what_is_written_as_a_template_is_read_back(request in any_request(Braces::Parameters)) {
        let pairs = request.to_pairs(Braces::Parameters);
        prop_assert_eq!(Request::parse(&pairs, Braces::Parameters), Ok(request), "{:?}", pairs);
    }

    #[test]
    fn any_text_is_read_or_refused(key in any::<String>(), value in any::<String>()) {
        let _ = Request::parse(&[(key, value)], Braces::Literal);
    }

    #[test]
    fn any_text_near_the_grammar_is_read_or_refused(
        key in prop::sample::select(vec!["select", "order", "limit", "and", "not.or", "a", "\"a\""]),
        value in "(not|and|or|eq|in|is|like|a|b|asc|null|[.,()\"\\\\{}*: 1é]){0,24}",
    ) {
        for braces in [Braces::Literal, Braces::Parameters] {
            let _ = Request::parse(&[(key, value.as_str())], braces);
        }
    }
}
