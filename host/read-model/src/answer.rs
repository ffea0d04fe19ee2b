//! How every adapter hands over the rows of an answer.

use std::time::Duration;

use reel_projector::{ReadModelError, Row};

/// Rows in a piece.
pub(crate) const CHUNK_ROWS: usize = 500;

/// Pieces that may wait for the reader. An answer that fits holds its transaction only as long as the database takes.
pub(crate) const PIECES: usize = 4;

/// How long a query waits for its reader to take a piece, with a transaction open that keeps old rows from being cleared away.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Some rows, or why there are no more.
pub(crate) type Piece = Result<Vec<Row>, ReadModelError>;

/// The reader took too long, and the query was given up.
pub(crate) fn too_slow(target: &str) -> ReadModelError {
    let source = format!("the reader took no rows for {} seconds, so the query was ended", PATIENCE.as_secs()).into();
    ReadModelError::Unavailable { target: target.to_owned(), source }
}
