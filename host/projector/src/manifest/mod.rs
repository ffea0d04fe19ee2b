//! What a projection says of itself: the manifest's model, as every part of the host uses it.
//!
//! How it is read from JSON is in `parse` (with `names`, `reader`, `literal`, `tables`, `queries`, `width`), how it is written
//! again in `write`; what a column takes is in `column`.

mod column;
mod decimal;
mod literal;
mod names;
mod parse;
mod queries;
mod reader;
mod tables;
mod width;
mod write;

use std::fmt;

use crate::value::Value;

pub use parse::{MANIFEST_VERSION, MAX_MANIFEST_BYTES, ManifestError};

/// A checked manifest: every name is valid and unique, every index in it points at something.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// Name of the projection: `[a-z][a-z0-9-]{0,23}`.
    pub name: String,
    /// Version of the projection, for people.
    pub version: String,
    /// What it shows, for people; may be empty.
    pub description: String,
    /// Which events are delivered, in order: an event's `kind` index is the first that matches.
    pub kinds: Vec<KindPattern>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Queries that the read API offers beside the tables.
    pub queries: Vec<NamedQuery>,
    /// In which order events come.
    pub order: Order,
    /// Whether events carry their metadata.
    pub metadata: bool,
    /// JSON Schema (2020-12) of the settings; nothing = the projection takes no settings.
    pub settings: Option<serde_json::Value>,
    /// Whether integers beyond ±(2⁵³−1) are the event's fault, crossing either way.
    pub safe_integers: bool,
}

/// Which kinds of event an entry stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindPattern {
    /// `post-created`
    Exactly(String),
    /// `post-*`: what the kind begins with.
    Prefix(String),
    /// `*`
    All,
}

/// In which order events are delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Events of one stream in order; streams in parallel.
    ByStream,
    /// All events in order of position, one worker.
    Global,
}

/// A table of the projection.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// `[a-z][a-z0-9_]{0,31}`
    pub name: String,
    /// Its columns, at least one. A column's index is its place here.
    pub columns: Vec<Column>,
    /// The primary key: indices of columns, in key order; at least one.
    pub key: Vec<u16>,
    /// Secondary indexes.
    pub indexes: Vec<Index>,
    /// References to other tables: for embedding and documentation, never enforced.
    pub references: Vec<Reference>,
    /// Who may change which row.
    pub ownership: Ownership,
}

/// Who may change which row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Every row belongs to one stream: `column` holds its key, or its whole id.
    Owned {
        /// Index of the column.
        column: u16,
        /// What the column holds.
        holds: StreamPart,
    },
    /// Any stream may touch any row, but only by what commutes: add, minimum, maximum.
    Shared,
    /// `order: global`: one worker changes all rows.
    Global,
}

/// Which part of a stream's id a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamPart {
    /// `4711` of `post-4711`.
    Key,
    /// `post-4711`.
    Id,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// `[a-z][a-z0-9_]{0,47}`
    pub name: String,
    /// What it holds.
    pub kind: ColumnType,
    /// Whether it may be NULL.
    pub nullable: bool,
    /// What it holds in a row that was created without naming it, never NULL. A nullable column without one defaults to NULL.
    pub default: Option<Value>,
    /// Whether it is in the primary key or an index: then text in it does not end in a space (SQL Server pads before it
    /// compares), and bytes in it have exactly the declared length (there, zeros behind do not count). Found by
    /// [`Manifest::parse`].
    pub indexed: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 16 bits, signed.
    Int16,
    /// 32 bits, signed.
    Int32,
    /// 64 bits, signed.
    Int64,
    /// A finite double.
    Double,
    /// Exact, base 10.
    Decimal {
        /// Digits in all, 1 to 18.
        precision: u8,
        /// Digits behind the point, 0 to `precision`.
        scale: u8,
    },
    /// UTF-8 without NUL; bytewise order.
    Text {
        /// Most Unicode scalar values; nothing = no limit.
        length: Option<u32>,
    },
    /// Bytes.
    Bytes {
        /// Most bytes; nothing = no limit.
        length: Option<u32>,
    },
    /// Canonical JSON, stored as text.
    Json,
    /// UUID.
    Uuid,
    /// A day, of the years 1–9999.
    Date,
    /// A time of day below 24:00, in microseconds.
    Time,
    /// A moment in UTC, of the years 1–9999, in microseconds.
    Timestamp,
}

/// A secondary index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Indices of columns, in order.
    pub columns: Vec<u16>,
    /// Declared for documentation and `reel verify`; never enforced in the database.
    pub unique: bool,
}

/// A reference from some columns to another table's primary key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Indices of this table's columns, as many as the other's key has.
    pub columns: Vec<u16>,
    /// Index of the other table.
    pub table: u16,
}

/// A query with a name, offered by the read API beside the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct NamedQuery {
    /// `[a-z][a-z0-9_]{0,31}`, different from every table's.
    pub name: String,
    /// Index of the table it reads.
    pub table: u16,
    /// In the read API's grammar, with `{parameter}` where a value goes: `author=eq.{who}&order=likes.desc&limit=10`.
    pub query: String,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
}

/// A parameter of a named query.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// `[a-z][a-z0-9_]{0,47}`
    pub name: String,
    /// What it takes.
    pub kind: ColumnType,
    /// What it is when the caller leaves it out; nothing = the caller must give it. As text, as the caller would write it.
    pub default: Option<String>,
}

impl Table {
    /// The index of the column `name`.
    #[must_use]
    pub fn column_index(&self, name: &str) -> Option<u16> {
        self.columns.iter().position(|column| column.name == name).map(|index| index as u16)
    }

    /// The columns of the primary key, in key order.
    pub fn key_columns(&self) -> impl ExactSizeIterator<Item = &Column> {
        self.key.iter().map(|index| &self.columns[usize::from(*index)])
    }

    /// Whether `column` belongs to the primary key.
    #[must_use]
    pub fn is_key(&self, column: u16) -> bool {
        self.key.contains(&column)
    }
}

impl KindPattern {
    /// Whether it stands for `kind`.
    #[must_use]
    pub fn matches(&self, kind: &str) -> bool {
        match self {
            KindPattern::Exactly(own) => own == kind,
            KindPattern::Prefix(prefix) => kind.starts_with(prefix.as_str()),
            KindPattern::All => true,
        }
    }
}

impl fmt::Display for KindPattern {
    /// As a manifest writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            KindPattern::Exactly(kind) => f.write_str(kind),
            KindPattern::Prefix(prefix) => write!(f, "{prefix}*"),
            KindPattern::All => f.write_str("*"),
        }
    }
}

impl Manifest {
    /// The index of the first entry that stands for `kind`; nothing = the event is not delivered.
    #[must_use]
    pub fn kind_index(&self, kind: &str) -> Option<u16> {
        self.kinds.iter().position(|pattern| pattern.matches(kind)).map(|index| index as u16)
    }

    /// The index of the table `name`.
    #[must_use]
    pub fn table_index(&self, name: &str) -> Option<u16> {
        self.tables.iter().position(|table| table.name == name).map(|index| index as u16)
    }

    /// The name of the schema (or prefix) under which readers of SQL see the tables: `git_tree` of `git-tree`.
    #[must_use]
    pub fn schema_name(&self) -> String {
        self.name.replace('-', "_")
    }
}
