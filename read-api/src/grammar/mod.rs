//! The query grammar: PostgREST's, as far as one table goes. Text → [`Request`], with names and texts as they were written;
//! nothing is known here of tables and types (`resolve`) or of HTTP.
//!
//! ```text
//! select=a,b,label:c                 columns, in this order, with other labels; `*` = all
//! a=eq.5    a=not.in.(1,2)           OPERATOR.VALUE, `not.` turns it round; one column twice means both
//! and=(a.gt.1,or(b.is.null,b.lt.3))  also `or`, `not.and`, `not.or`
//! order=a.desc.nullslast,b           `asc` puts NULLs last, `desc` first, unless it says otherwise
//! limit=10    offset=20
//! ```
//!
//! Operators: `eq neq gt gte lt lte like ilike in is`. In `like` and `ilike`, `*` stands for any text, as `%` does, `_` for one
//! character; `\` takes the next character literally (`\*` too). Within a list or a logic tree a value that holds `,` or `)`
//! stands in double quotes, with `\"` and `\\` for these two; elsewhere a value is taken as it is, quotes and all.
//!
//! Where it differs from PostgREST: a name in double quotes is always a column, so that a column named like a parameter
//! (`order`, `limit`…) can be filtered: `"order"=eq.1` (in a URL a quote is written `%22`). A closing quote must end its value.
//! No embedding, casts, aggregates, full text or JSON paths.
//!
//! In a template (a named query) `{name}` in a value stands for a parameter, `{{` and `}}` for the braces themselves.

mod operand;
mod parse;
mod print;
mod scan;
#[cfg(test)]
mod tests;
mod url;

use reel_read_model::{
    Comparison,
    query::{Case, Direction, Nulls},
};

pub use operand::{Operand, Piece};
pub use url::decode_query;

/// How deep logic trees may be.
pub const MAX_DEPTH: usize = 16;
/// How many conditions a query may have, in all its parameters and trees.
pub const MAX_CONDITIONS: usize = 500;
/// How many values the lists of a query may hold together.
pub const MAX_LIST_VALUES: usize = 10_000;
/// Names that are no columns unless they are quoted.
pub const RESERVED: [&str; 10] =
    ["select", "order", "limit", "offset", "and", "or", "not", "target", "wait-for", "wait-timeout"];

/// A query as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// What to return; nothing = all columns in declared order.
    pub select: Option<Vec<Selection>>,
    /// All of these must hold.
    pub filter: Vec<Condition>,
    /// In which order, if it says so.
    pub order: Option<Vec<OrderTerm>>,
    /// How many rows at most.
    pub limit: Option<Operand>,
    /// How many rows to leave out.
    pub offset: Option<Operand>,
}

/// One entry of `select`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selection {
    /// `*`
    All,
    /// `label:column`, or `column`.
    Column {
        /// The column.
        column: String,
        /// What it is called in the answer, where that is not its own name.
        label: Option<String>,
    },
}

/// What must hold for a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// `and(…)`, `not.or(…)`: never empty.
    Group {
        /// Whether the whole is turned round.
        sense: Sense,
        /// How the members are joined.
        join: Join,
        /// The members.
        members: Vec<Condition>,
    },
    /// `column.not.eq.5`
    Column {
        /// The column.
        column: String,
        /// Whether the test is turned round.
        sense: Sense,
        /// The test.
        test: Test,
    },
}

/// Whether a condition is turned round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// As it stands.
    Plain,
    /// `not.`
    Not,
}

/// How the members of a group are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// All must hold.
    And,
    /// One must hold.
    Or,
}

/// An operator and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// `eq neq gt gte lt lte`
    Compare(Comparison, Operand),
    /// `like ilike`: the pattern as it was written.
    Like(Case, Operand),
    /// `in`
    In(Vec<Operand>),
    /// `is`
    Is(Truth),
}

/// What `is` asks for; the answer is never NULL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Truth {
    /// `is.null`
    Null,
    /// `is.not_null`
    NotNull,
    /// `is.true`
    True,
    /// `is.false`
    False,
    /// `is.unknown`: NULL, of a boolean column.
    Unknown,
}

/// One entry of `order`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTerm {
    /// The column.
    pub column: String,
    /// Up or down.
    pub direction: Direction,
    /// Where NULLs go.
    pub nulls: Nulls,
}

/// What braces in values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Braces {
    /// Nothing: they are text.
    Literal,
    /// `{name}` is a parameter: the text is a named query's.
    Parameters,
}
