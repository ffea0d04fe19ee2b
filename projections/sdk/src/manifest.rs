//! What a projection says of itself, as constants that derived code writes, checked at compile time where it can be, and the
//! JSON that the host reads.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::ColumnValue;

/// A whole manifest.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of `wit/v1/manifest.schema.json`, described there")]
pub struct ManifestDescription<'a> {
    pub name: &'a str,
    pub version: &'a str,
    pub description: &'a str,
    pub kinds: &'a [&'a str],
    pub order: Order,
    pub metadata: bool,
    /// JSON Schema as text; empty: none.
    pub settings: &'a str,
    pub tables: &'a [TableDescription],
    pub queries: &'a [QueryDescription],
}

/// In which order events come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Events of one stream in order; streams in parallel.
    ByStream,
    /// All events in the order of the log.
    Global,
}

/// A table.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of `wit/v1/manifest.schema.json`, described there")]
pub struct TableDescription {
    pub name: &'static str,
    pub columns: &'static [ColumnDescription],
    pub key: &'static [u16],
    pub ownership: Ownership,
    pub indexes: &'static [IndexDescription],
    pub references: &'static [ReferenceDescription],
}

/// Whose a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ownership {
    /// Nothing is said: for projections with `order = global`.
    Undeclared,
    /// The stream's whose key this column holds.
    StreamKey(u16),
    /// The stream's whose id this column holds.
    StreamId(u16),
    /// Any stream's: only `add`, `minimum` and `maximum`.
    Shared,
}

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnDescription {
    name: &'static str,
    kind: ColumnType,
    length: Option<u32>,
    nullable: bool,
    default: Option<Literal>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "described in `wit/v1/manifest.schema.json`")]
pub enum ColumnType {
    Boolean,
    Int16,
    Int32,
    Int64,
    Double,
    Decimal { precision: u8, scale: u8 },
    Text,
    Bytes,
    Json,
    Uuid,
    Date,
    Time,
    Timestamp,
}

/// A column's default.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Literal {
    Boolean(bool),
    Int(i64),
    Double(f64),
    Text(&'static str),
}

/// An index.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of `wit/v1/manifest.schema.json`, described there")]
pub struct IndexDescription {
    pub columns: &'static [u16],
    pub unique: bool,
}

/// A reference to another table's key.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of `wit/v1/manifest.schema.json`, described there")]
pub struct ReferenceDescription {
    pub columns: &'static [u16],
    pub table: &'static str,
}

/// A named query.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of `wit/v1/manifest.schema.json`, described there")]
pub struct QueryDescription {
    pub name: &'static str,
    pub table: &'static str,
    pub query: &'static str,
    pub parameters: &'static [ParameterDescription],
}

/// A parameter of a named query.
#[derive(Debug)]
#[expect(missing_docs, reason = "the members are those of `wit/v1/manifest.schema.json`, described there")]
pub struct ParameterDescription {
    pub name: &'static str,
    pub kind: ColumnType,
    pub default: Option<&'static str>,
}

impl ColumnDescription {
    /// A column of the type that `V` is stored as.
    #[must_use]
    pub const fn of<V: ColumnValue>(name: &'static str) -> ColumnDescription {
        ColumnDescription { name, kind: V::TYPE, length: None, nullable: V::NULLABLE, default: None }
    }

    /// With a greatest length.
    #[must_use]
    pub const fn length(self, length: u32) -> ColumnDescription {
        ColumnDescription { length: Some(length), ..self }
    }

    /// With a default.
    #[must_use]
    pub const fn default(self, default: Literal) -> ColumnDescription {
        ColumnDescription { default: Some(default), ..self }
    }

    const fn has_length(&self) -> bool {
        matches!(self.kind, ColumnType::Text | ColumnType::Bytes)
    }

    const fn check(&self) {
        assert!(
            self.length.is_none() || self.has_length(),
            "#[length(…)] is for columns that hold text (String) or bytes (Bytes)"
        );
        let Some(default) = self.default else { return };
        let fits = match self.kind {
            ColumnType::Boolean => matches!(default, Literal::Boolean(_)),
            ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => matches!(default, Literal::Int(_)),
            ColumnType::Double => matches!(default, Literal::Int(_) | Literal::Double(_)),
            _ => matches!(default, Literal::Text(_)),
        };
        assert!(
            fits,
            "#[default(…)] does not fit its column: whole numbers for integers, numbers for f64, true or false for bool, \
             a \"text\" for all other types"
        );
    }
}

impl TableDescription {
    /// Refuses, at compile time, what can be seen from the table alone.
    ///
    /// # Panics
    /// Which is the compiler's error then.
    pub const fn check(&self) {
        let mut index = 0;
        while index < self.columns.len() {
            self.columns[index].check();
            index += 1;
        }
        index = 0;
        while index < self.key.len() {
            let column = &self.columns[self.key[index] as usize];
            assert!(!column.nullable, "a key column cannot be an Option: a key is never NULL");
            assert!(
                column.length.is_some() || !column.has_length(),
                "a key column that holds text or bytes needs a length that every database can index: #[key(length = 36)]"
            );
            assert!(!matches!(column.kind, ColumnType::Json), "a key column cannot hold JSON");
            index += 1;
        }
    }

    /// Refuses, at compile time, an ownership that does not fit the projection's order.
    ///
    /// # Panics
    /// Which is the compiler's error then.
    pub const fn check_order(&self, order: Order) {
        let undeclared = matches!(self.ownership, Ownership::Undeclared);
        match order {
            Order::ByStream => assert!(
                !undeclared,
                "whose are this table's rows? Name the column that holds the stream's key, #[table(owner = column)], or mark \
                 the table #[table(shared)] (then it takes only add, minimum and maximum), or give the projection \
                 order = global"
            ),
            Order::Global => assert!(
                undeclared,
                "with order = global one worker changes all rows: remove owner, owner_stream_id or shared from #[table(…)]"
            ),
        }
    }

    fn names(&self, columns: &[u16]) -> Vec<&'static str> {
        columns.iter().map(|index| self.columns[usize::from(*index)].name).collect()
    }
}

impl ColumnType {
    fn name(self) -> &'static str {
        match self {
            ColumnType::Boolean => "boolean",
            ColumnType::Int16 => "int16",
            ColumnType::Int32 => "int32",
            ColumnType::Int64 => "int64",
            ColumnType::Double => "double",
            ColumnType::Decimal { .. } => "decimal",
            ColumnType::Text => "text",
            ColumnType::Bytes => "bytes",
            ColumnType::Json => "json",
            ColumnType::Uuid => "uuid",
            ColumnType::Date => "date",
            ColumnType::Time => "time",
            ColumnType::Timestamp => "timestamp",
        }
    }

    /// The members that say it.
    fn write<M: SerializeMap>(self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("type", self.name())?;
        if let ColumnType::Decimal { precision, scale } = self {
            map.serialize_entry("precision", &precision)?;
            map.serialize_entry("scale", &scale)?;
        }
        Ok(())
    }
}

impl ManifestDescription<'_> {
    /// The manifest as the host reads it.
    ///
    /// # Panics
    /// Where the settings' schema is not JSON: the first call of `describe` shows it.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("the schema of the settings is JSON; all else always is")
    }
}

impl Serialize for ManifestDescription<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("manifest", &1)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("version", self.version)?;
        if !self.description.is_empty() {
            map.serialize_entry("description", self.description)?;
        }
        map.serialize_entry("kinds", self.kinds)?;
        map.serialize_entry("order", &self.order)?;
        map.serialize_entry("metadata", &self.metadata)?;
        map.serialize_entry("safe-integers", &false)?;
        if !self.settings.is_empty() {
            let schema: serde_json::Value = serde_json::from_str(self.settings).map_err(serde::ser::Error::custom)?;
            map.serialize_entry("settings", &schema)?;
        }
        map.serialize_entry("tables", self.tables)?;
        map.serialize_entry("queries", self.queries)?;
        map.end()
    }
}

impl Serialize for TableDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Owner {
            column: &'static str,
            holds: &'static str,
        }
        let owner = |column: u16, holds| Owner { column: self.columns[usize::from(column)].name, holds };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("columns", self.columns)?;
        map.serialize_entry("key", &self.names(self.key))?;
        match self.ownership {
            Ownership::Undeclared => {}
            Ownership::StreamKey(column) => map.serialize_entry("owner", &owner(column, "stream-key"))?,
            Ownership::StreamId(column) => map.serialize_entry("owner", &owner(column, "stream-id"))?,
            Ownership::Shared => map.serialize_entry("shared", &true)?,
        }
        let indexes: Vec<_> = self.indexes.iter().map(|index| IndexText { table: self, index }).collect();
        map.serialize_entry("indexes", &indexes)?;
        let references: Vec<_> =
            self.references.iter().map(|reference| ReferenceText { table: self, reference }).collect();
        map.serialize_entry("references", &references)?;
        map.end()
    }
}

struct IndexText<'a> {
    table: &'a TableDescription,
    index: &'a IndexDescription,
}

impl Serialize for IndexText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("columns", &self.table.names(self.index.columns))?;
        map.serialize_entry("unique", &self.index.unique)?;
        map.end()
    }
}

struct ReferenceText<'a> {
    table: &'a TableDescription,
    reference: &'a ReferenceDescription,
}

impl Serialize for ReferenceText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("columns", &self.table.names(self.reference.columns))?;
        map.serialize_entry("table", self.reference.table)?;
        map.end()
    }
}

impl Serialize for ColumnDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        self.kind.write(&mut map)?;
        if let Some(length) = self.length {
            map.serialize_entry("length", &length)?;
        }
        if self.nullable {
            map.serialize_entry("nullable", &true)?;
        }
        if let Some(default) = self.default {
            map.serialize_entry("default", &default)?;
        }
        map.end()
    }
}

impl Serialize for QueryDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        map.serialize_entry("table", self.table)?;
        map.serialize_entry("query", self.query)?;
        map.serialize_entry("parameters", self.parameters)?;
        map.end()
    }
}

impl Serialize for ParameterDescription {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", self.name)?;
        self.kind.write(&mut map)?;
        if let Some(default) = self.default {
            map.serialize_entry("default", default)?;
        }
        map.end()
    }
}
