//! Queries in the read API's grammar: drawn, written as a URL, and as text for people.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use reel_projector::json::write_plain;
use reel_projector::{Table, Value};

use crate::drawn::Column;

/// Operators that compare.
const COMPARISONS: [&str; 6] = ["eq", "neq", "gt", "gte", "lt", "lte"];

/// What must hold for a row.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// An operator of [`COMPARISONS`], and a value.
    Compare(u16, &'static str, Value),
    In(u16, Vec<Value>),
    /// A pattern with `*`, and whether case counts.
    Like(u16, String, &'static str),
    IsNull(u16),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// A query.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) select: Vec<u16>,
    pub(crate) filter: Vec<Condition>,
    /// Columns with `asc` or `desc`, and where NULLs go.
    pub(crate) order: Vec<(u16, &'static str, &'static str)>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: usize,
}

/// Queries of a table with these columns.
pub(crate) fn asked(columns: Vec<Column>) -> impl Strategy<Value = Asked> {
    let number = 0..columns.len() as u16;
    let order = (number.clone(), select(vec!["asc", "desc"]), select(vec!["nullsfirst", "nullslast"]));
    let compared: Vec<bool> = columns.iter().map(|column| column.kind.is_compared()).collect();
    let parts =
        (vec(number, 1..4), vec(condition(columns), 0..3), vec(order, 0..3), option::of(0..20_usize), 0..4_usize);
    parts.prop_map(move |(select, filter, mut order, limit, offset)| {
        order.retain(|(column, ..)| compared[usize::from(*column)]);
        Asked { select, filter, order, limit, offset }
    })
}

fn condition(columns: Vec<Column>) -> BoxedStrategy<Condition> {
    let leaves = columns.iter().enumerate().flat_map(|(at, column)| leaves(at as u16, column));
    let leaf = proptest::strategy::Union::new(leaves.collect::<Vec<_>>());
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(Condition::And),
            vec(inner.clone(), 1..3).prop_map(Condition::Or),
            inner.prop_map(|inner| Condition::Not(Box::new(inner))),
        ]
    })
    .boxed()
}

fn leaves(at: u16, column: &Column) -> Vec<BoxedStrategy<Condition>> {
    let mut leaves = vec![Just(Condition::IsNull(at)).boxed()];
    if column.kind.is_compared() {
        let value = column.kind.value();
        let operators = select(&COMPARISONS[..]);
        leaves.push(
            (operators, value.clone())
                .prop_map(move |(operator, value)| Condition::Compare(at, operator, value))
                .boxed(),
        );
        leaves.push(vec(value, 1..4).prop_map(move |values| Condition::In(at, values)).boxed());
    }
    if column.kind.is_text() {
        let parts = vec(select(vec!["a", "B", "*", "_", "ä", "Ä", "\u{1f600}", "\\*", "\\\\", "b"]), 0..5);
        let like = (parts, select(vec!["like", "ilike"]));
        leaves.push(like.prop_map(move |(parts, how)| Condition::Like(at, parts.concat(), how)).boxed());
    }
    leaves
}

impl Asked {
    /// The query part of a URL.
    pub(crate) fn url(&self, table: &Table) -> String {
        let encoded = |text: &str| {
            let byte = |byte: u8| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            text.bytes().map(byte).collect::<String>()
        };
        let pairs = self.pairs(table).into_iter();
        pairs.map(|(name, value)| format!("{}={}", encoded(&name), encoded(&value))).collect::<Vec<_>>().join("&")
    }

    /// The same, not encoded.
    pub(crate) fn text(&self, table: &Table) -> String {
        let pairs = self.pairs(table).into_iter();
        pairs.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" & ")
    }

    fn pairs(&self, table: &Table) -> Vec<(String, String)> {
        let name = |column: &u16| format!("\"{}\"", table.columns[usize::from(*column)].name);
        let labelled = |(at, column): (usize, &u16)| format!("c{at}:{}", name(column));
        let select: Vec<String> = self.select.iter().enumerate().map(labelled).collect();
        let mut pairs = vec![("select".to_owned(), select.join(","))];
        pairs.extend(self.filter.iter().map(|condition| ("and".to_owned(), format!("({})", condition.text(table)))));
        if !self.order.is_empty() {
            let order = self.order.iter().map(|(column, way, nulls)| format!("{}.{way}.{nulls}", name(column)));
            pairs.push(("order".to_owned(), order.collect::<Vec<_>>().join(",")));
        }
        pairs.extend(self.limit.map(|limit| ("limit".to_owned(), limit.to_string())));
        pairs.push(("offset".to_owned(), self.offset.to_string()));
        pairs
    }
}

impl Condition {
    /// As it stands in a logic tree.
    fn text(&self, table: &Table) -> String {
        let name = |column: &u16| format!("\"{}\"", table.columns[usize::from(*column)].name);
        let list =
            |members: &[Condition]| members.iter().map(|member| member.text(table)).collect::<Vec<_>>().join(",");
        match self {
            Condition::Compare(column, operator, value) => format!("{}.{operator}.{}", name(column), plain(value)),
            Condition::In(column, values) => {
                format!("{}.in.({})", name(column), values.iter().map(plain).collect::<Vec<_>>().join(","))
            }
            Condition::Like(column, pattern, how) => format!("{}.{how}.{}", name(column), quoted(pattern)),
            Condition::IsNull(column) => format!("{}.is.null", name(column)),
            Condition::Not(inner) => match &**inner {
                Condition::And(members) => format!("not.and({})", list(members)),
                inner => format!("not.or({})", inner.text(table)),
            },
            Condition::And(members) => format!("and({})", list(members)),
            Condition::Or(members) => format!("or({})", list(members)),
        }
    }
}

fn plain(value: &Value) -> String {
    let mut text = Vec::new();
    write_plain(value, &mut text);
    quoted(std::str::from_utf8(&text).unwrap())
}

/// In double quotes, as lists and trees need it.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
