//! Queries: every database answers as a plain evaluation in memory does.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use reel_projector::key::encode_value;
use reel_projector::{Row, Value};
use reel_read_model::{Case, Comparison, Count, Direction, Filter, Nulls, OrderBy, Pointer, Query};

use crate::place::Place;
use crate::samples::{all, ask, deploy, int, note, notes, text, upsert};

/// How many queries each adapter is asked.
const QUERIES: usize = 300;

fn words() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "A", "b", "ab", "aB", "a%b", "a_b", "a\\b", "ä", "Ä", "😀", "\\", "%", "ba"])
}

fn row() -> impl Strategy<Value = (Value, Value, Value)> {
    let maybe = |value: BoxedStrategy<Value>| prop_oneof![1 => Just(Value::Null), 3 => value];
    (
        maybe(words().prop_map(text).boxed()),
        maybe((-2..3_i64).prop_map(int).boxed()),
        maybe(words().prop_map(text).boxed()),
    )
}

fn comparison() -> impl Strategy<Value = Comparison> {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    prop::sample::select(vec![Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual])
}

fn pattern() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "B", "%", "_", "\\", "ä", "Ä", "😀", "b"]), 0..5)
        .prop_map(|parts| parts.concat())
}

fn filter() -> impl Strategy<Value = Filter> {
    let text_column = prop::sample::select(vec![1_u16, 3]);
    let case = prop::sample::select(vec![Case::Sensitive, Case::Insensitive]);
    let leaf = prop_oneof![
        (text_column.clone(), comparison(), words()).prop_map(|(column, comparison, word)| Filter::Compare {
            column,
            comparison,
            value: text(word)
        }),
        (prop::sample::select(vec![0_u16, 2]), comparison(), -3..12_i64)
            .prop_map(|(column, comparison, number)| { Filter::Compare { column, comparison, value: int(number) } }),
        (text_column.clone(), prop::collection::vec(words().prop_map(text), 0..4))
            .prop_map(|(column, values)| Filter::In { column, values }),
        prop::collection::vec((-3..4_i64).prop_map(int), 0..4).prop_map(|values| Filter::In { column: 2, values }),
        (text_column, pattern(), case).prop_map(|(column, pattern, case)| Filter::Like { column, pattern, case }),
        (0..4_u16).prop_map(|column| Filter::IsNull { column }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::Or),
            inner.prop_map(|inner| Filter::Not(Box::new(inner))),
        ]
    })
}

fn order() -> impl Strategy<Value = Vec<OrderBy>> {
    let direction = prop::sample::select(vec![Direction::Ascending, Direction::Descending]);
    let nulls = prop::sample::select(vec![Nulls::First, Nulls::Last]);
    let by = (0..4_u16, direction, nulls).prop_map(|(column, direction, nulls)| OrderBy { column, direction, nulls });
    prop::collection::vec(by, 0..3)
}

fn query() -> impl Strategy<Value = Query> {
    let select = prop::collection::vec(0..4_u16, 1..5);
    let count = prop::sample::select(vec![Count::None, Count::Exact]);
    let filter = prop::option::weighted(0.9, filter());
    let parts = (select, filter, order(), prop::option::of(0..12_u64), 0..4_u64, count);
    parts.prop_map(|(select, filter, order, limit, offset, count)| Query {
        table: 0,
        select,
        filter,
        order,
        limit,
        offset,
        count,
    })
}

fn compare(a: &Value, b: &Value) -> Ordering {
    let bytes = |value: &Value| {
        let mut bytes = Vec::new();
        encode_value(value, &mut bytes);
        bytes
    };
    bytes(a).cmp(&bytes(b))
}

/// Three-valued: nothing = unknown.
fn holds(filter: &Filter, row: &Row) -> Option<bool> {
    let value = |column: u16| Some(&row[usize::from(column)]).filter(|value| **value != Value::Null);
    match filter {
        Filter::And(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, row)).collect();
            if parts.contains(&Some(false)) { Some(false) } else { (!parts.contains(&None)).then_some(true) }
        }
        Filter::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, row)).collect();
            if parts.contains(&Some(true)) { Some(true) } else { (!parts.contains(&None)).then_some(false) }
        }
        Filter::Not(inner) => holds(inner, row).map(|holds| !holds),
        Filter::Compare { column, comparison, value: with } => {
            let order = compare(value(*column)?, with);
            Some(match comparison {
                Comparison::Equal => order == Ordering::Equal,
                Comparison::NotEqual => order != Ordering::Equal,
                Comparison::Less => order == Ordering::Less,
                Comparison::LessOrEqual => order != Ordering::Greater,
                Comparison::Greater => order == Ordering::Greater,
                Comparison::GreaterOrEqual => order != Ordering::Less,
            })
        }
        Filter::In { values, .. } if values.is_empty() => Some(false),
        Filter::In { column, values } => value(*column).map(|value| values.contains(value)),
        Filter::Like { column, pattern, case } => {
            let Some(Value::Text(words)) = value(*column) else {
                return None;
            };
            let fold = |text: &str| {
                if *case == Case::Insensitive { text.to_ascii_lowercase() } else { text.to_owned() }
            };
            let (words, pattern): (Vec<char>, Vec<char>) =
                (fold(words).chars().collect(), fold(pattern).chars().collect());
            Some(fits(&words, &pattern))
        }
        Filter::IsNull { column } => Some(value(*column).is_none()),
    }
}

fn fits(words: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => words.is_empty(),
        ['%', rest @ ..] => (0..=words.len()).any(|from| fits(&words[from..], rest)),
        ['_', rest @ ..] => !words.is_empty() && fits(&words[1..], rest),
        ['\\', literal, rest @ ..] | [literal, rest @ ..] => words.first() == Some(literal) && fits(&words[1..], rest),
    }
}

fn evaluate(rows: &[Row], query: &Query) -> (u64, Vec<Row>) {
    let fit = |row: &&Row| query.filter.as_ref().is_none_or(|filter| holds(filter, row) == Some(true));
    let mut fitting: Vec<&Row> = rows.iter().filter(fit).collect();
    fitting.sort_by(|a, b| {
        let by = |by: &OrderBy| {
            let (a, b) = (&a[usize::from(by.column)], &b[usize::from(by.column)]);
            match (*a == Value::Null, *b == Value::Null) {
                (true, true) => Ordering::Equal,
                (true, false) if by.nulls == Nulls::First => Ordering::Less,
                (false, true) if by.nulls == Nulls::Last => Ordering::Less,
                (true, false) | (false, true) => Ordering::Greater,
                _ if by.direction == Direction::Descending => compare(b, a),
                _ => compare(a, b),
            }
        };
        let wanted = query.order.iter().map(by).find(|order| *order != Ordering::Equal);
        wanted.unwrap_or_else(|| compare(&a[0], &b[0]))
    });
    let total = fitting.len() as u64;
    let limit = query.limit.unwrap_or(u64::MAX) as usize;
    let page = fitting.into_iter().skip(query.offset as usize).take(limit);
    let select = |row: &Row| query.select.iter().map(|column| row[usize::from(*column)].clone()).collect();
    (total, page.map(select).collect())
}

pub(crate) async fn filters_orders_and_limits_are_as_in_memory(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let mut runner = TestRunner::deterministic();
    let rows: Vec<Row> = (0..40)
        .map(|id| {
            let (a, b, c) = row().new_tree(&mut runner).unwrap().current();
            [int(id), a, b, c].into()
        })
        .collect();
    upsert(target, &generation, 0, rows.clone()).await;
    for _ in 0..QUERIES {
        let query = query().new_tree(&mut runner).unwrap().current();
        let (total, expected) = evaluate(&rows, &query);
        let mut answer = target.query(&generation, Pointer::Fixed, &query).await.unwrap();
        assert_eq!(answer.total, (query.count == Count::Exact).then_some(total), "{query:?}");
        let mut got = Vec::new();
        while let Some(piece) = answer.rows.recv().await {
            got.extend(piece.unwrap());
        }
        assert_eq!(got, expected, "{query:?}");
    }
}

pub(crate) async fn like_is_the_same_everywhere(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, vec![note(1, "Straße 100%\\"), note(2, "STRASSE"), note(3, "😀b")]).await;
    let cases = [
        ("Str%", Case::Sensitive, vec![1]),
        ("str%", Case::Sensitive, vec![]),
        ("str%", Case::Insensitive, vec![1, 2]),
        ("_B", Case::Insensitive, vec![3]),
        ("%100\\%%", Case::Sensitive, vec![1]),
        ("%\\\\", Case::Sensitive, vec![1]),
        ("%\\", Case::Sensitive, vec![1]),
        ("%", Case::Sensitive, vec![1, 2, 3]),
    ];
    for (pattern, case, expected) in cases {
        let mut query = all(&generation, 0);
        query.filter = Some(Filter::Like { column: 1, pattern: pattern.to_owned(), case });
        query.select = vec![0];
        let found: Vec<Value> = ask(target, &generation, &query).await.into_iter().map(|row| row[0].clone()).collect();
        assert_eq!(found, expected.into_iter().map(int).collect::<Vec<_>>(), "{pattern}");
    }
}

pub(crate) async fn a_long_answer_comes_in_pieces(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    let rows: Vec<Row> = (0..10_000).map(|id| note(id, "long")).collect();
    upsert(target, &generation, 0, rows.clone()).await;
    let mut answer = target.query(&generation, Pointer::Fixed, &all(&generation, 0)).await.unwrap();
    // What is written meanwhile is not in the answer: it is of one moment.
    upsert(target, &generation, 0, vec![note(5, "changed"), note(9_999, "changed")]).await;
    let mut got = Vec::new();
    while let Some(piece) = answer.rows.recv().await {
        let piece = piece.unwrap();
        assert!(piece.len() <= 500);
        got.extend(piece);
    }
    assert!(got == rows);
}

pub(crate) async fn an_answer_nobody_reads(place: Arc<Place>) {
    let target = place.target.as_ref();
    let generation = deploy(target, &notes()).await;
    upsert(target, &generation, 0, (0..10_000).map(|id| note(id, "long")).collect()).await;
    // Far more than there are connections: each must come back.
    let query = all(&generation, 0);
    for _ in 0..50 {
        let answer = target.query(&generation, Pointer::Fixed, &query);
        drop(tokio::time::timeout(Duration::from_secs(20), answer).await.unwrap().unwrap());
    }
    assert_eq!(ask(target, &generation, &all(&generation, 0)).await.len(), 10_000);
}
