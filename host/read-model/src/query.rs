//! A query over one table, already checked: columns are indices, values have the columns' types. No SQL, no HTTP.

use reel_projector::{ReadModelError, Row, Value};
use tokio::sync::mpsc;

/// What a reader asks of one table of one generation.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Index of the table in the generation's manifest.
    pub table: u16,
    /// Indices of the columns to return, in order, at least one; a column may come twice.
    pub select: Vec<u16>,
    /// Which rows; nothing = all.
    pub filter: Option<Filter>,
    /// In which order; the primary key is added behind it, so that pages never overlap.
    pub order: Vec<OrderBy>,
    /// How many rows at most; nothing = all.
    pub limit: Option<u64>,
    /// How many rows to leave out first.
    pub offset: u64,
    /// Whether the number of all rows that fit the filter is wanted too.
    pub count: Count,
}

/// Whether the number of all rows is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// No.
    None,
    /// Exactly.
    Exact,
}

/// Which rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Filter {
    /// All of these; none = every row.
    And(Vec<Filter>),
    /// Any of these; none = no row.
    Or(Vec<Filter>),
    /// Not this. As in SQL, a comparison with NULL is neither true nor false, and so is its negation.
    Not(Box<Filter>),
    /// The column against a value of its own type, never NULL.
    Compare {
        /// Index of the column.
        column: u16,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Value,
    },
    /// The column is one of these values of its own type, none of them NULL.
    In {
        /// Index of the column.
        column: u16,
        /// The values; none = no row.
        values: Vec<Value>,
    },
    /// The text column fits a pattern: `%` any text, `_` one character, `\` takes the next one literally. The whole text must fit.
    Like {
        /// Index of the column.
        column: u16,
        /// The pattern.
        pattern: String,
        /// Whether case counts.
        case: Case,
    },
    /// The column is NULL.
    IsNull {
        /// Index of the column.
        column: u16,
    },
}

/// How a column compares with a value. Text compares bytewise, case counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// =
    Equal,
    /// ≠
    NotEqual,
    /// <
    Less,
    /// ≤
    LessOrEqual,
    /// >
    Greater,
    /// ≥
    GreaterOrEqual,
}

/// Whether case counts in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// `like`
    Sensitive,
    /// `ilike`: for ASCII letters at least, on every database.
    Insensitive,
}

/// One column to sort by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderBy {
    /// Index of the column.
    pub column: u16,
    /// Up or down.
    pub direction: Direction,
    /// Where NULLs go.
    pub nulls: Nulls,
}

/// Up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Greatest first.
    Descending,
}

/// Where NULLs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nulls {
    /// Before all values.
    First,
    /// Behind all values.
    Last,
}

/// The rows of one generation, as of one moment.
#[derive(Debug)]
pub struct Answer {
    /// The number of all rows that fit the filter, if it was asked for.
    pub total: Option<u64>,
    /// The rows in pieces, each with the selected columns in order; the channel closes behind the last. A database that fails
    /// half-way says so as the last item.
    pub rows: mpsc::Receiver<Result<Vec<Row>, ReadModelError>>,
}
