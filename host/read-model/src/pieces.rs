//! How writes are cut into statements: filters that read alike, rows and keys that fit.

use reel_projector::Value;
use reel_projector::change::{KeyValues, RowFilter};

/// Filters in a row that one statement can take: they name the same columns with a value, and the same as NULL.
pub(crate) fn alike(filters: &[RowFilter]) -> impl Iterator<Item = Alike<'_>> {
    filters.chunk_by(|a, b| shape(a) == shape(b)).map(|filters| {
        let (equal, null) = shape(&filters[0]);
        Alike { equal, null, filters }
    })
}

/// Filters of one shape.
pub(crate) struct Alike<'f> {
    /// Which columns they compare with a value.
    pub(crate) equal: Vec<u16>,
    /// Which columns they compare with NULL.
    pub(crate) null: Vec<u16>,
    filters: &'f [RowFilter],
}

impl Alike<'_> {
    /// The values that each filter compares with, in the order of [`Alike::equal`].
    pub(crate) fn values(&self) -> Vec<KeyValues> {
        let of = |filter: &RowFilter| {
            filter.equal.iter().map(|(_, value)| value).filter(|value| **value != Value::Null).cloned().collect()
        };
        self.filters.iter().map(of).collect()
    }
}

fn shape(filter: &RowFilter) -> (Vec<u16>, Vec<u16>) {
    let (null, equal): (Vec<_>, Vec<_>) = filter.equal.iter().partition(|(_, value)| *value == Value::Null);
    (equal.iter().map(|(column, _)| *column).collect(), null.iter().map(|(column, _)| *column).collect())
}

/// What one statement takes.
pub(crate) struct Limits<F> {
    /// How many of so many rows, from 1 on.
    pub(crate) fit: F,
    /// About how many bytes.
    pub(crate) bytes: usize,
    /// About how many bytes a value takes on its way.
    pub(crate) size: fn(&Value) -> usize,
}

/// Pieces of rows or keys that fit into one statement each; a row that is too big alone gets a statement of its own.
pub(crate) fn pieces<T: AsRef<[Value]>>(
    rows: &[T],
    limits: Limits<impl Fn(usize) -> usize>,
) -> impl Iterator<Item = &[T]> {
    let mut rest = rows;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut bytes = 0;
        let fit = rest.iter().take((limits.fit)(rest.len())).take_while(|row| {
            bytes += row.as_ref().iter().map(limits.size).sum::<usize>();
            bytes <= limits.bytes
        });
        let (piece, behind) = rest.split_at((limits.fit)(fit.count()));
        rest = behind;
        Some(piece)
    })
}
