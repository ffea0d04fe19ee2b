//! SQL Server's SQL: names, types, conditions. Statements of the catalog are in `catalog`, those of generations' tables and of the views
//! over them in `tables`. SQL text exists nowhere else for this database.

pub(super) mod catalog;
mod lists;
#[cfg(test)]
mod snapshots;
pub(super) mod tables;

use reel_projector::{Column, ColumnType, Value};

use super::server::Snapshots;
use crate::query::{Case, Comparison, Direction, Nulls};
use crate::sql::{Argument, Dialect, Values, operator};

/// The collation that compares text by its code units.
pub(super) const COLLATION: &str = "Latin1_General_100_BIN2";

/// The most arguments of one statement, with some to spare for what the driver adds.
pub(super) const ARGUMENTS: usize = 2_000;

/// A list of values that would bring a query beyond so many arguments comes as one.
const LISTED: usize = 1_000;

/// Settings of every connection: an error undoes its whole transaction; names, texts and NULLs mean what they mean in the standard.
pub(super) const CONNECTION: &str = "SET XACT_ABORT, QUOTED_IDENTIFIER, ANSI_NULLS, ANSI_PADDING, ANSI_WARNINGS, ARITHABORT, \
     CONCAT_NULL_YIELDS_NULL ON; SET NUMERIC_ROUNDABORT, NOCOUNT OFF";

/// Settings of the connections that write: nobody waits for a lock without end.
pub(super) const WRITER: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT 10000";

/// Settings of the connections that make, flip and drop: who reads or writes is not kept waiting for long while we wait for a lock.
pub(super) const SHORT_LOCKS: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; SET LOCK_TIMEOUT 500";

/// From here on in this session, which holds the writers up already, a view that somebody reads is not waited for: the flip is tried
/// again.
pub(super) const SHORTER_LOCKS: &str = "SET LOCK_TIMEOUT 100";

/// Does nothing.
pub(super) const PING: &str = "SELECT 1";

/// Settings of the connections that read: one moment of the data, where the database keeps it.
pub(super) fn reader(snapshots: Snapshots) -> &'static str {
    match snapshots {
        Snapshots::Allowed => "SET TRANSACTION ISOLATION LEVEL SNAPSHOT; SET LOCK_TIMEOUT 10000",
        Snapshots::Refused => WRITER,
    }
}

/// A name, quoted.
pub(super) fn quote(name: &str) -> String {
    format!("[{}]", name.replace(']', "]]"))
}

/// An argument as a value of its column: the driver says `datetime2(7)` for every moment and the collation of the database for every text,
/// and what differs in type or collation from a column is found without its index, or not compared at all.
pub(super) fn typed(argument: &str, kind: ColumnType) -> String {
    match kind {
        ColumnType::Decimal { .. } | ColumnType::Time | ColumnType::Timestamp => {
            format!("CAST({argument} AS {})", type_name(kind))
        }
        ColumnType::Text { .. } | ColumnType::Json => format!("{argument} COLLATE {COLLATION}"),
        _ => argument.to_owned(),
    }
}

/// The type that values of a column are kept in, without its collation.
pub(super) fn type_name(kind: ColumnType) -> String {
    match kind {
        ColumnType::Boolean => "bit".to_owned(),
        ColumnType::Int16 => "smallint".to_owned(),
        ColumnType::Int32 => "int".to_owned(),
        ColumnType::Int64 => "bigint".to_owned(),
        ColumnType::Double => "float(53)".to_owned(),
        ColumnType::Decimal { precision, scale } => format!("decimal({precision}, {scale})"),
        // A character beyond U+FFFF counts twice. Beyond 4,000 bytes the driver's bulk load declares `nvarchar(max)` whatever the column is,
        // and what is declared in another way than it comes is refused (4816).
        ColumnType::Text { length: Some(length) } if length <= 1_000 => format!("nvarchar({})", 2 * length),
        ColumnType::Text { .. } | ColumnType::Json => "nvarchar(max)".to_owned(),
        ColumnType::Bytes { length: Some(length) } if length <= 8_000 => format!("varbinary({length})"),
        ColumnType::Bytes { .. } => "varbinary(max)".to_owned(),
        ColumnType::Uuid => "uniqueidentifier".to_owned(),
        ColumnType::Date => "date".to_owned(),
        // The driver's bulk load declares it without its digits, which means seven, and other digits in the rows are refused (4823).
        ColumnType::Time => "time(7)".to_owned(),
        ColumnType::Timestamp => "datetime2(6)".to_owned(),
    }
}

/// SQL Server's way to say what databases say differently.
pub(super) struct SqlServer;

impl Dialect for SqlServer {
    const TRUE: &'static str = "1 = 1";
    const FALSE: &'static str = "1 = 0";
    const COUNT: &'static str = "count_big(*)";

    fn quote(&self, name: &str) -> String {
        quote(name)
    }

    /// With the table's name before it: a column may come twice in a list, and is not to be taken for its own copy.
    fn column(&self, name: &str) -> String {
        format!("t.{}", quote(name))
    }

    fn argument(&self, number: usize) -> String {
        format!("@P{number}")
    }

    fn value(&self, number: usize, kind: ColumnType) -> String {
        typed(&self.argument(number), kind)
    }

    fn compared(&self, column: &str, comparison: Comparison, (value, kind): (&str, ColumnType)) -> String {
        if !is_padded(kind) {
            return format!("{column} {} {value}", operator(comparison));
        }
        let by_length = |how: &str| format!("DATALENGTH({column}) {how} DATALENGTH({value})");
        let ranged = |or_same: &str, strictly: &str, how: &str| {
            format!("({column} {or_same} {value} AND ({column} {strictly} {value} OR {}))", by_length(how))
        };
        match comparison {
            Comparison::Equal => format!("({column} = {value} AND {})", by_length("=")),
            Comparison::NotEqual => format!("NOT ({column} = {value} AND {})", by_length("=")),
            Comparison::Less => ranged("<=", "<", "<"),
            Comparison::LessOrEqual => ranged("<=", "<", "<="),
            Comparison::Greater => ranged(">=", ">", ">"),
            Comparison::GreaterOrEqual => ranged(">=", ">", ">="),
        }
    }

    fn tie(&self, name: &str, column: &Column) -> Option<String> {
        // Where there may be an index for the order, it is used: text in one ends in no space.
        (is_padded(column.kind) && !column.indexed).then(|| format!("DATALENGTH({name})"))
    }

    fn pattern(&self, pattern: String) -> String {
        pattern_text(&pattern)
    }

    fn like(&self, column: &str, pattern: &str, case: Case) -> String {
        let pattern = format!("{pattern} COLLATE {COLLATION}");
        match case {
            Case::Sensitive => format!("{column} LIKE {pattern}"),
            // `lower` knows all letters of Unicode; on every other database it is the ASCII ones.
            Case::Insensitive => format!(
                "TRANSLATE({column}, N'ABCDEFGHIJKLMNOPQRSTUVWXYZ', N'abcdefghijklmnopqrstuvwxyz') COLLATE {COLLATION} LIKE {pattern}"
            ),
        }
    }

    fn is_one_of<'q>(&self, column: &str, values: Values<'q>, arguments: &mut Vec<Argument<'q>>) -> String {
        if arguments.len() + values.values.len() > LISTED
            && let Some(list) = lists::joined(values.values)
        {
            return self.is_listed(column, (list, values.kind), arguments);
        }
        format!("({})", self.equals(column, (values.kind, values.values), arguments).join(" OR "))
    }

    fn ordered(&self, column: &str, direction: Direction, nulls: Option<Nulls>) -> String {
        // NULL is less than every value here.
        let place = match (nulls, direction) {
            (Some(Nulls::Last), Direction::Ascending) => format!("CASE WHEN {column} IS NULL THEN 1 ELSE 0 END, "),
            (Some(Nulls::First), Direction::Descending) => format!("CASE WHEN {column} IS NULL THEN 0 ELSE 1 END, "),
            _ => String::new(),
        };
        let direction = if direction == Direction::Descending { " DESC" } else { "" };
        format!("{place}{column}{direction}")
    }

    fn page(&self, limit: &str, offset: &str) -> String {
        format!(" OFFSET {offset} ROWS FETCH NEXT {limit} ROWS ONLY")
    }
}

impl SqlServer {
    /// A condition for each of the values.
    fn equals<'q>(
        &self,
        column: &str,
        (kind, values): (ColumnType, impl IntoIterator<Item = &'q Value>),
        arguments: &mut Vec<Argument<'q>>,
    ) -> Vec<String> {
        let equal = |value| {
            arguments.push(Argument::Value(kind, value));
            let value = self.value(arguments.len(), kind);
            self.compared(column, Comparison::Equal, (&value, kind))
        };
        values.into_iter().map(equal).collect()
    }

    /// The same as [`Dialect::is_one_of`] for lists of any length.
    fn is_listed(
        &self,
        column: &str,
        ((list, separator), kind): ((String, u16), ColumnType),
        arguments: &mut Vec<Argument<'_>>,
    ) -> String {
        arguments.push(Argument::Text(list));
        let list = format!("STRING_SPLIT({} COLLATE {COLLATION}, NCHAR({separator}))", self.argument(arguments.len()));
        let equal = self.compared(column, Comparison::Equal, (&lists::element(kind), kind));
        // NULL is neither in the list nor not in it.
        let listed = format!("EXISTS (SELECT 1 FROM {list} AS {} WHERE {equal})", lists::LIST);
        format!("CASE WHEN {column} IS NULL THEN NULL WHEN {listed} THEN 1 ELSE 0 END = 1")
    }
}

/// Whether the server takes values of different lengths for the same: 'a' and 'a ', 0x01 and 0x0100.
fn is_padded(kind: ColumnType) -> bool {
    matches!(kind, ColumnType::Text { .. } | ColumnType::Json | ColumnType::Bytes { .. })
}

/// A pattern as this server takes it: what is taken literally stands in brackets, and so does `[`, which begins a set of characters.
fn pattern_text(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        let (letter, literal) = match letter {
            '\\' => (letters.next().unwrap_or('\\'), true),
            letter => (letter, letter == '['),
        };
        if literal && matches!(letter, '%' | '_' | '[') {
            text.extend(['[', letter, ']']);
        } else {
            text.push(letter);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_in_brackets() {
        for (pattern, expected) in
            [("a%_", "a%_"), ("100\\%%", "100[%]%"), ("\\_\\[[", "[_][[][[]"), ("%\\\\", "%\\"), ("\\a]^-", "a]^-")]
        {
            assert_eq!(pattern_text(pattern), expected);
        }
    }
}
