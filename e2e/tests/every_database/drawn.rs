//! What is drawn: one table, events that change its rows, queries of it, and how the events are cut into batches.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use reel_projector::{Operation, Value};
use serde_json::json;

use crate::queries::{Asked, asked};
use crate::values::{KINDS, Kind, OF_KEYS};

/// Columns that do not belong to the key, named so that every database must quote some.
const NAMES: [&str; 8] = ["order", "group", "user", "rank", "select", "mixed_case", "value", "n1"];

/// One change of a row: columns by number, with a value for each.
#[derive(Debug, Clone)]
pub(crate) struct DrawnChange {
    pub(crate) operation: Operation,
    pub(crate) cells: Vec<(u16, Value)>,
}

/// Everything that one run needs.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) manifest: String,
    /// What each event changes.
    pub(crate) events: Vec<Vec<DrawnChange>>,
    pub(crate) queries: Vec<Asked>,
    /// Sizes of batches, in turn.
    pub(crate) batches: Vec<usize>,
    /// Whether rows may be kept at hand between batches, or are read again.
    pub(crate) cache_bytes: usize,
}

/// A column as it was drawn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column {
    pub(crate) kind: Kind,
    pub(crate) name: &'static str,
    /// Key columns never are.
    pub(crate) nullable: bool,
}

pub(crate) fn case() -> impl Strategy<Value = Case> {
    let key = subsequence(&OF_KEYS, 1..=2);
    let others =
        (vec((select(&KINDS[..]), any::<bool>()), 1..=6), subsequence(&NAMES, 6)).prop_map(|(kinds, names)| {
            let column = |((kind, nullable), name)| Column { kind, name, nullable };
            kinds.into_iter().zip(names).map(column).collect::<Vec<_>>()
        });
    (key, others, any::<prop::sample::Index>(), any::<bool>()).prop_flat_map(|(key, others, indexed, has_index)| {
        let keys = key.len();
        let names = ["key", "part"];
        let key = key.into_iter().zip(names).map(|(kind, name)| Column { kind, name, nullable: false });
        let columns: Vec<Column> = key.chain(others).collect();
        let fit: Vec<usize> = (keys..columns.len()).filter(|at| OF_KEYS.contains(&columns[*at].kind)).collect();
        let indexed = (has_index && !fit.is_empty()).then(|| fit[indexed.index(fit.len())]);
        let manifest = manifest(&columns, keys, indexed);
        let events = vec(vec(change(columns.clone(), keys, indexed), 1..4), 1..60);
        let queries = vec(asked(columns), 1..12);
        (events, queries, vec(1..20_usize, 1..5), select(vec![0, 1 << 20])).prop_map(
            move |(events, queries, batches, cache_bytes)| {
                let manifest = manifest.clone();
                Case { manifest, events, queries, batches, cache_bytes }
            },
        )
    })
}

fn manifest(columns: &[Column], keys: usize, indexed: Option<usize>) -> String {
    let declared = columns.iter().map(|column| {
        let mut declared = column.kind.declared(column.name);
        if column.nullable {
            declared["nullable"] = json!(true);
        }
        declared
    });
    let indexes = indexed.map(|at| json!({"columns": [columns[at].name]}));
    json!({
        "manifest": 1, "name": "drawn", "version": "1.0.0", "kinds": ["*"], "order": "global",
        "tables": [{
            "name": "things",
            "columns": declared.collect::<Vec<_>>(),
            "key": columns[..keys].iter().map(|column| column.name).collect::<Vec<_>>(),
            "indexes": indexes.into_iter().collect::<Vec<_>>(),
        }]
    })
    .to_string()
}

/// A change that makes sense in most cases; those that do not are dead letters everywhere.
fn change(columns: Vec<Column>, keys: usize, indexed: Option<usize>) -> BoxedStrategy<DrawnChange> {
    use Operation::{Add, Delete, DeleteWhere, InsertIfAbsent, Maximum, Minimum, Patch, PatchIfPresent, Upsert};
    let whole = cells(&columns, keys, |_| true);
    let summed = cells(&columns, keys, |column| column.kind.is_summed());
    let compared = cells(&columns, keys, |column| column.kind.is_compared() && column.kind != Kind::Boolean);
    let key = cells(&columns, keys, |_| false);
    let of = |operations: &'static [Operation], cells: BoxedStrategy<Vec<(u16, Value)>>| {
        (select(operations), cells).prop_map(|(operation, cells)| DrawnChange { operation, cells }).boxed()
    };
    let mut changes = vec![
        (8, of(&[Upsert, Upsert, InsertIfAbsent], whole.clone())),
        (4, of(&[PatchIfPresent, PatchIfPresent, Patch], whole)),
        (2, of(&[Add], summed)),
        (2, of(&[Minimum, Maximum], compared)),
        (1, of(&[Delete], key)),
    ];
    if let Some(at) = indexed {
        let value = columns[at].kind.value().prop_map(move |value| vec![(at as u16, value)]);
        changes.push((1, of(&[DeleteWhere], value.boxed())));
    }
    proptest::strategy::Union::new_weighted(changes).boxed()
}

/// A whole key, and values for most of the other columns that are `wanted`.
fn cells(columns: &[Column], keys: usize, wanted: impl Fn(&Column) -> bool) -> BoxedStrategy<Vec<(u16, Value)>> {
    let cell = |(at, column): (usize, &Column)| {
        let present = match (at < keys, wanted(column)) {
            (true, _) => column.kind.value().prop_map(Some).boxed(),
            (false, true) => option::weighted(if column.nullable { 0.7 } else { 0.95 }, value(column)).boxed(),
            (false, false) => Just(None).boxed(),
        };
        present.prop_map(move |value| value.map(|value| (at as u16, value)))
    };
    let cells: Vec<_> = columns.iter().enumerate().map(cell).collect();
    cells.prop_map(|cells| cells.into_iter().flatten().collect()).boxed()
}

fn value(column: &Column) -> BoxedStrategy<Value> {
    if column.nullable {
        prop_oneof![1 => Just(Value::Null), 4 => column.kind.value()].boxed()
    } else {
        column.kind.value()
    }
}
