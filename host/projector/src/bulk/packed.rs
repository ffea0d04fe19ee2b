//! A row of a build in one piece of memory, with its key: what millions of rows take is what their values take, and changing a row is one way
//! to memory. Not here: which rows there are (`table.rs`).
//!
//! ```text
//! length of the key (4) │ key, encoded │ a bit for each column: NULL │ values of a fixed size │ ends of the others (4 each) │ the others
//! ```
//!
//! Columns of the key stand in the key alone. Of a row that is gone only the key is left. Equal rows have equal bytes.

use std::borrow::Cow;

use rust_decimal::Decimal;
use uuid::Uuid;

use crate::cells::{Cells, Place};
use crate::change::Row;
use crate::key::decode_taken;
use crate::manifest::{ColumnType, Table};
use crate::value::{Taken, Value};

/// A row, or that there is none, under its key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Packed(Box<[u8]>);

/// Bytes of a length or an end.
const LENGTH: usize = 4;

/// Where the columns of a table stand in its rows, behind the key.
#[derive(Debug)]
pub(super) struct Layout {
    columns: Box<[(ColumnType, Stands)]>,
    /// The columns of the key, in key order.
    key: Box<[ColumnType]>,
    /// Where the ends begin, and where what they are the ends of does.
    ends: usize,
    tail: usize,
}

/// Where a column stands.
#[derive(Debug, Clone, Copy)]
enum Stands {
    /// In the key, at this place.
    Key(usize),
    /// So many bytes behind the key.
    Fixed(usize),
    /// Among those whose size differs, at this place.
    Tail(usize),
}

/// A row that stands.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    layout: &'a Layout,
    row: &'a Packed,
}

/// Where a row stands, or does not.
pub(super) struct PackedPlace<'a> {
    pub(super) layout: &'a Layout,
    pub(super) row: &'a mut Packed,
}

impl Packed {
    /// No row under `key`.
    pub(super) fn vacant(key: &[u8]) -> Packed {
        let mut bytes = Vec::with_capacity(LENGTH + key.len());
        put_key(key, &mut bytes);
        Packed(bytes.into())
    }

    /// The encoding of its key.
    pub(super) fn key(&self) -> &[u8] {
        &self.0[LENGTH..self.body_at()]
    }

    /// Whether there is a row.
    pub(super) fn stands(&self) -> bool {
        self.0.len() > self.body_at()
    }

    /// About how many bytes it takes outside itself: allocators round up.
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.len() + self.0.len() / 8 + 8
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn body_at(&self) -> usize {
        LENGTH + read_length(&self.0, 0)
    }

    fn body(&self) -> &[u8] {
        &self.0[self.body_at()..]
    }
}

fn put_key(key: &[u8], bytes: &mut Vec<u8>) {
    bytes.extend_from_slice(&length(key.len()));
    bytes.extend_from_slice(key);
}

fn length(length: usize) -> [u8; LENGTH] {
    u32::try_from(length).expect("a row is far below 4 GiB").to_le_bytes()
}

fn read_length(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(array(bytes, at)) as usize
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("the range has N bytes")
}

impl Layout {
    pub(super) fn of(table: &Table) -> Layout {
        // One bit more than columns, so that a row is never without a byte of its own.
        let (mut fixed, mut tails) = (table.columns.len() / 8 + 1, 0);
        let columns = (0..).zip(&table.columns).map(|(number, column)| {
            let stands = match (table.key.iter().position(|key| *key == number), width(column.kind)) {
                (Some(place), _) => Stands::Key(place),
                (None, Some(width)) => {
                    fixed += width;
                    Stands::Fixed(fixed - width)
                }
                (None, None) => {
                    tails += 1;
                    Stands::Tail(tails - 1)
                }
            };
            (column.kind, stands)
        });
        let (columns, key) = (columns.collect(), table.key_columns().map(|column| column.kind).collect());
        Layout { columns, key, ends: fixed, tail: fixed + tails * LENGTH }
    }

    /// A row of these values, one for each column in declared order, under their key.
    pub(super) fn pack(&self, key: &[u8], values: &[Taken<'_>]) -> Packed {
        let tail: usize = values
            .iter()
            .zip(&self.columns)
            .filter_map(|(value, column)| column.1.varying(value))
            .map(<[u8]>::len)
            .sum();
        let mut bytes = Vec::with_capacity(LENGTH + key.len() + self.tail + tail);
        put_key(key, &mut bytes);
        let body = bytes.len();
        bytes.resize(body + self.tail, 0);
        for (column, (value, (_, stands))) in values.iter().zip(&self.columns).enumerate() {
            match stands {
                Stands::Key(_) => continue,
                Stands::Fixed(at) => put_fixed(value, &mut bytes[body + at..]),
                Stands::Tail(place) => {
                    bytes.extend_from_slice(stands.varying(value).unwrap_or_default());
                    let end = length(bytes.len() - body - self.tail);
                    bytes[body + self.ends + place * LENGTH..][..LENGTH].copy_from_slice(&end);
                }
            }
            if *value == Taken::Null {
                bytes[body + column / 8] |= 1 << (column % 8);
            }
        }
        Packed(bytes.into())
    }

    /// The row, where it stands.
    pub(super) fn view<'a>(&'a self, row: &'a Packed) -> Option<View<'a>> {
        row.stands().then_some(View { layout: self, row })
    }

    /// Changes a cell of a row that stands; none of its key.
    pub(super) fn set(&self, row: &mut Packed, column: u16, value: &Value) {
        let (column, value) = (usize::from(column), Taken::from(value));
        let body = row.body_at();
        match self.columns[column] {
            (_, Stands::Key(_)) => unreachable!("a row keeps its key"),
            (kind, Stands::Fixed(at)) => {
                let cell = &mut row.0[body + at..][..width(kind).unwrap_or_default()];
                cell.fill(0);
                put_fixed(&value, cell);
            }
            (_, stands @ Stands::Tail(place)) => self.replace(row, place, stands.varying(&value).unwrap_or_default()),
        }
        let (nulls, bit) = (&mut row.0[body + column / 8], 1 << (column % 8));
        *nulls = if value == Taken::Null { *nulls | bit } else { *nulls & !bit };
    }

    /// Whether these are bytes of a row of this layout, one that stands; for bytes that were stored.
    pub(super) fn restore(&self, bytes: &[u8]) -> Option<Packed> {
        let row = Packed(bytes.into());
        let body = bytes.get(LENGTH.checked_add(read_length(bytes.get(..LENGTH)?, 0))?..)?;
        let tail = body.get(self.tail..)?.len();
        let mut key = row.key();
        for kind in &self.key {
            decode_taken(*kind, &mut key)?;
        }
        let ends: Vec<usize> = (self.ends..self.tail).step_by(LENGTH).map(|at| read_length(body, at)).collect();
        let whole = key.is_empty() && ends.is_sorted() && ends.last().copied().unwrap_or(0) == tail;
        let values =
            (0..self.columns.len()).all(|column| whole && View { layout: self, row: &row }.read(column).is_some());
        values.then_some(row)
    }

    /// Gives the `place`th value whose size differs another content.
    fn replace(&self, row: &mut Packed, place: usize, content: &[u8]) {
        let body = row.body_at();
        let old = self.range(row.body(), place);
        if old.len() == content.len() {
            row.0[body + old.start..body + old.end].copy_from_slice(content);
            return;
        }
        let mut bytes = Vec::with_capacity(row.0.len() - old.len() + content.len());
        bytes.extend_from_slice(&row.0[..body + old.start]);
        bytes.extend_from_slice(content);
        bytes.extend_from_slice(&row.0[body + old.end..]);
        for at in (body + self.ends..body + self.tail).step_by(LENGTH).skip(place) {
            let end = length(read_length(&bytes, at) - old.len() + content.len());
            bytes[at..at + LENGTH].copy_from_slice(&end);
        }
        row.0 = bytes.into();
    }

    /// Where the `place`th value whose size differs stands behind the key.
    fn range(&self, body: &[u8], place: usize) -> std::ops::Range<usize> {
        let end = |place: usize| self.tail + read_length(body, self.ends + place * LENGTH);
        let start = if place == 0 { self.tail } else { end(place - 1) };
        start..end(place)
    }
}

impl Stands {
    /// The bytes of a value whose size differs, where the column is of these.
    fn varying<'v>(self, value: &'v Taken<'_>) -> Option<&'v [u8]> {
        match (self, value) {
            (Stands::Tail(_), Taken::Text(text) | Taken::Json(text)) => Some(text.as_bytes()),
            (Stands::Tail(_), Taken::Bytes(bytes)) => Some(bytes),
            _ => None,
        }
    }
}

/// How many bytes each value of a type takes, where they all take as many.
fn width(kind: ColumnType) -> Option<usize> {
    match kind {
        ColumnType::Boolean => Some(1),
        ColumnType::Date => Some(4),
        ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 | ColumnType::Double => Some(8),
        ColumnType::Decimal { .. } | ColumnType::Time | ColumnType::Timestamp => Some(8),
        ColumnType::Uuid => Some(16),
        ColumnType::Text { .. } | ColumnType::Bytes { .. } | ColumnType::Json => None,
    }
}

/// Writes a value of a fixed size; NULL leaves zeros.
fn put_fixed(value: &Taken<'_>, into: &mut [u8]) {
    let mut put = |bytes: &[u8]| into[..bytes.len()].copy_from_slice(bytes);
    match value {
        Taken::Null => {}
        Taken::Boolean(value) => put(&[u8::from(*value)]),
        Taken::Int(value) | Taken::Time(value) | Taken::Timestamp(value) => put(&value.to_le_bytes()),
        Taken::Double(value) => put(&value.to_le_bytes()),
        Taken::Decimal(value) => {
            put(&i64::try_from(value.mantissa()).expect("decimals have at most 18 digits").to_le_bytes());
        }
        Taken::Uuid(value) => put(value.as_bytes()),
        Taken::Date(value) => put(&value.to_le_bytes()),
        Taken::Text(_) | Taken::Bytes(_) | Taken::Json(_) => unreachable!("their size differs"),
    }
}

fn read_fixed(kind: ColumnType, bytes: &[u8], at: usize) -> Taken<'static> {
    let int = || i64::from_le_bytes(array(bytes, at));
    match kind {
        ColumnType::Boolean => Taken::Boolean(bytes[at] != 0),
        ColumnType::Double => Taken::Double(f64::from_le_bytes(array(bytes, at))),
        ColumnType::Decimal { scale, .. } => Taken::Decimal(Decimal::new(int(), scale.into())),
        ColumnType::Uuid => Taken::Uuid(Uuid::from_bytes(array(bytes, at))),
        ColumnType::Date => Taken::Date(i32::from_le_bytes(array(bytes, at))),
        ColumnType::Time => Taken::Time(int()),
        ColumnType::Timestamp => Taken::Timestamp(int()),
        _ => Taken::Int(int()),
    }
}

impl<'a> View<'a> {
    /// The row's values, owned.
    pub(super) fn unpack(self) -> Row {
        (0..self.layout.columns.len()).map(|column| Value::from(self.cell_at(column))).collect()
    }

    fn cell_at(self, column: usize) -> Taken<'a> {
        self.read(column).expect("it was packed of values, or looked at when it was read")
    }

    /// A cell; nothing where the bytes are none that were packed.
    fn read(self, column: usize) -> Option<Taken<'a>> {
        let (kind, stands) = self.layout.columns[column];
        let body = self.row.body();
        if body[column / 8] >> (column % 8) & 1 == 1 {
            return Some(Taken::Null);
        }
        match stands {
            Stands::Key(place) => {
                let mut key = self.row.key();
                for earlier in &self.layout.key[..place] {
                    decode_taken(*earlier, &mut key)?;
                }
                decode_taken(kind, &mut key)
            }
            Stands::Fixed(at) => Some(read_fixed(kind, body, at)),
            Stands::Tail(place) => {
                let bytes = &body[self.layout.range(body, place)];
                Some(match kind {
                    ColumnType::Bytes { .. } => Taken::Bytes(Cow::Borrowed(bytes)),
                    ColumnType::Json => Taken::Json(Cow::Borrowed(text(bytes)?)),
                    _ => Taken::Text(Cow::Borrowed(text(bytes)?)),
                })
            }
        }
    }
}

fn text(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

impl Cells for View<'_> {
    fn cell(&self, column: u16) -> Taken<'_> {
        self.cell_at(usize::from(column))
    }
}

impl Place for PackedPlace<'_> {
    fn stands(&self) -> bool {
        self.row.stands()
    }

    fn cell(&self, column: u16) -> Taken<'_> {
        View { layout: self.layout, row: self.row }.cell_at(usize::from(column))
    }

    fn set(&mut self, column: u16, value: &Value) {
        self.layout.set(self.row, column, value);
    }

    fn put(&mut self, row: Option<Row>) {
        let key = self.row.key();
        *self.row = match row {
            Some(row) => self.layout.pack(key, &row.iter().map(Taken::from).collect::<Vec<_>>()),
            None => Packed::vacant(key),
        };
    }
}

#[cfg(test)]
mod tests;
