//! Renders a [`Query`] as SQL: what is the same in all dialects. What differs comes from a [`Dialect`]. Values are arguments,
//! never text.

use std::fmt::Write as _;
use std::sync::Arc;

use reel_projector::{Column, ColumnType, Table, Value};
use sqlx::{AssertSqlSafe, SqlSafeStr, SqlStr};

use crate::query::{Case, Comparison, Direction, Filter, Nulls, OrderBy, Query};

/// How one database writes what databases write differently.
pub(crate) trait Dialect {
    /// A condition that every row fits, and one that none does.
    const TRUE: &'static str = "TRUE";
    /// See [`Dialect::TRUE`].
    const FALSE: &'static str = "FALSE";

    /// The number of rows, as 64 bits.
    const COUNT: &'static str = "count(*)";

    /// A name, quoted.
    fn quote(&self, name: &str) -> String;

    /// A column of the table that is queried.
    fn column(&self, name: &str) -> String {
        self.quote(name)
    }

    /// The argument with this number, from 1.
    fn argument(&self, number: usize) -> String;

    /// The same for an argument that is compared with a column of this type.
    fn value(&self, number: usize, _kind: ColumnType) -> String {
        self.argument(number)
    }

    /// How `column` compares with `value`, its argument already written.
    fn compared(&self, column: &str, comparison: Comparison, (value, _kind): (&str, ColumnType)) -> String {
        format!("{column} {} {value}", operator(comparison))
    }

    /// What decides the order of different values of a column that the database's order takes for the same, where it does.
    fn tie(&self, _name: &str, _column: &Column) -> Option<String> {
        None
    }

    /// A pattern's text where more characters than `%`, `_` and `\` mean something.
    fn pattern(&self, pattern: String) -> String {
        pattern
    }

    /// A pattern, its argument already written; patterns that do not count case come in lower case.
    fn like(&self, column: &str, pattern: &str, case: Case) -> String;

    /// Whether `column` is one of `values`, at least one; adds the arguments.
    fn is_one_of<'q>(&self, column: &str, values: Values<'q>, arguments: &mut Vec<Argument<'q>>) -> String;

    /// One term of an order; `nulls` only where there can be any.
    fn ordered(&self, column: &str, direction: Direction, nulls: Option<Nulls>) -> String {
        let direction = if direction == Direction::Descending { " DESC" } else { "" };
        let nulls = match nulls {
            None => "",
            Some(Nulls::First) => " NULLS FIRST",
            Some(Nulls::Last) => " NULLS LAST",
        };
        format!("{column}{direction}{nulls}")
    }

    /// So many rows from this one on, behind the order.
    fn page(&self, limit: &str, offset: &str) -> String {
        format!(" LIMIT {limit} OFFSET {offset}")
    }
}

/// Values of one column.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Values<'q> {
    pub(crate) kind: ColumnType,
    pub(crate) values: &'q [Value],
}

/// A bound value.
#[derive(Debug)]
pub(crate) enum Argument<'q> {
    Value(ColumnType, &'q Value),
    Values(Values<'q>),
    Text(String),
    Number(i64),
}

/// A statement and what is bound to it.
#[derive(Debug)]
pub(crate) struct Statement<'q> {
    pub(crate) sql: String,
    pub(crate) arguments: Vec<Argument<'q>>,
}

/// A statement that was put together, as sqlx takes it: names quoted, values as arguments.
#[derive(Debug, Clone)]
pub(crate) struct Sql(Arc<str>);

impl SqlSafeStr for Sql {
    fn into_sql_str(self) -> SqlStr {
        AssertSqlSafe(self.0).into_sql_str()
    }
}

impl From<String> for Sql {
    fn from(text: String) -> Sql {
        Sql(text.into())
    }
}

/// The rows that `query` asks for; `from` is the physical table, quoted.
pub(crate) fn rows<'q>(dialect: &impl Dialect, table: &Table, from: &str, query: &'q Query) -> Statement<'q> {
    let mut writer = Writer { dialect, table, sql: String::from("SELECT "), arguments: Vec::new() };
    let selected: Vec<String> = query.select.iter().map(|column| writer.column(*column)).collect();
    write!(writer.sql, "{} FROM {from}", selected.join(", ")).expect("a string takes everything");
    writer.filtered(query);
    writer.sql.push_str(" ORDER BY ");
    let order = writer.order(&query.order);
    writer.sql.push_str(&order);
    if query.limit.is_some() || query.offset > 0 {
        let limit = writer.bind(Argument::Number(clamp(query.limit.unwrap_or(u64::MAX))));
        let offset = writer.bind(Argument::Number(clamp(query.offset)));
        writer.sql.push_str(&dialect.page(&limit, &offset));
    }
    Statement { sql: writer.sql, arguments: writer.arguments }
}

/// How many rows fit the filter of `query`.
pub(crate) fn count<'q, D: Dialect>(dialect: &D, table: &Table, from: &str, query: &'q Query) -> Statement<'q> {
    let sql = format!("SELECT {} FROM {from}", D::COUNT);
    let mut writer = Writer { dialect, table, sql, arguments: Vec::new() };
    writer.filtered(query);
    Statement { sql: writer.sql, arguments: writer.arguments }
}

struct Writer<'a, 'q, D> {
    dialect: &'a D,
    table: &'a Table,
    sql: String,
    arguments: Vec<Argument<'q>>,
}

impl<'q, D: Dialect> Writer<'_, 'q, D> {
    fn column(&self, column: u16) -> String {
        self.dialect.column(&self.table.columns[usize::from(column)].name)
    }

    fn bind(&mut self, argument: Argument<'q>) -> String {
        self.arguments.push(argument);
        self.dialect.argument(self.arguments.len())
    }

    fn filtered(&mut self, query: &'q Query) {
        if let Some(filter) = &query.filter {
            let condition = self.condition(filter);
            self.sql.push_str(" WHERE ");
            self.sql.push_str(&condition);
        }
    }

    fn condition(&mut self, filter: &'q Filter) -> String {
        match filter {
            Filter::And(parts) => self.joined(parts, " AND ", D::TRUE),
            Filter::Or(parts) => self.joined(parts, " OR ", D::FALSE),
            Filter::Not(inner) => format!("NOT ({})", self.condition(inner)),
            Filter::Compare { column, comparison, value } => {
                let kind = self.table.columns[usize::from(*column)].kind;
                self.arguments.push(Argument::Value(kind, value));
                let argument = self.dialect.value(self.arguments.len(), kind);
                self.dialect.compared(&self.column(*column), *comparison, (&argument, kind))
            }
            Filter::In { values, .. } if values.is_empty() => D::FALSE.to_owned(),
            Filter::In { column, values } => {
                let kind = self.table.columns[usize::from(*column)].kind;
                let name = self.column(*column);
                self.dialect.is_one_of(&name, Values { kind, values }, &mut self.arguments)
            }
            Filter::Like { column, pattern, case } => {
                let pattern = self.dialect.pattern(pattern_text(pattern, *case));
                let argument = self.bind(Argument::Text(pattern));
                self.dialect.like(&self.column(*column), &argument, *case)
            }
            Filter::IsNull { column } => format!("{} IS NULL", self.column(*column)),
        }
    }

    fn joined(&mut self, parts: &'q [Filter], with: &str, none: &str) -> String {
        if parts.is_empty() {
            return none.to_owned();
        }
        let parts: Vec<String> = parts.iter().map(|part| format!("({})", self.condition(part))).collect();
        parts.join(with)
    }

    /// The wanted order, then the key. The place of NULLs is written only where there can be any: databases use an index for an
    /// order that says nothing more than it must.
    fn order(&self, wanted: &[OrderBy]) -> String {
        let mut terms = Vec::with_capacity(wanted.len() + self.table.key.len());
        for (place, by) in wanted.iter().enumerate() {
            if wanted[..place].iter().any(|before| before.column == by.column) {
                continue;
            }
            let (name, column) = (self.column(by.column), &self.table.columns[usize::from(by.column)]);
            let nulls = column.nullable.then_some(by.nulls);
            terms.push(self.dialect.ordered(&name, by.direction, nulls));
            terms.extend(self.dialect.tie(&name, column).map(|tie| self.dialect.ordered(&tie, by.direction, None)));
        }
        let rest = self.table.key.iter().filter(|key| wanted.iter().all(|by| by.column != **key));
        terms.extend(rest.map(|key| self.column(*key)));
        terms.join(", ")
    }
}

/// As every database writes it.
pub(crate) fn operator(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "<>",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

/// The pattern as databases take it: a `\` at the end, which has nothing to take literally, stands for itself.
fn pattern_text(pattern: &str, case: Case) -> String {
    let trailing = pattern.len() - pattern.trim_end_matches('\\').len();
    let mut text = match case {
        Case::Sensitive => pattern.to_owned(),
        Case::Insensitive => pattern.to_ascii_lowercase(),
    };
    if trailing % 2 == 1 {
        text.push('\\');
    }
    text
}

fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
