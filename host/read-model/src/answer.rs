//! Answers queries: pointer and rows in one read transaction, rows in pieces, whatever the reader does with them. What a database does
//! its own way is in its [`QuerySession`].

use std::sync::Arc;
use std::time::Duration;

use reel_projector::{ColumnType, ReadModelError, Row, Table};
use tokio::sync::{mpsc, oneshot};

use crate::adapter::{Adapter, AdapterError, AdapterOutcome};
use crate::catalog;
use crate::fault::{DriverError, Fault};
use crate::query::{Answer, Count, Query};
use crate::query_session::QuerySession;
use crate::target::{CatalogError, Generation, Pointer};

/// Rows in a piece.
const CHUNK_ROWS: usize = 500;

/// Pieces that may wait for the reader. An answer that fits holds its transaction only as long as the database takes.
const PIECES: usize = 4;

/// How long a query waits for its reader to take a piece, with a transaction open that keeps old rows from being cleared away.
const PATIENCE: Duration = Duration::from_secs(30);

/// Some rows, or why there are no more.
type Piece = Result<Vec<Row>, ReadModelError>;

/// How many rows there are, where that was asked: what an answer begins with.
type Head<A> = AdapterOutcome<Option<u64>, A>;

/// Starts a query; the rows follow in the answer's channel.
pub(crate) async fn answer<A: Adapter>(
    database: &Arc<A>,
    generation: &Generation,
    pointer: Pointer,
    query: &Query,
) -> AdapterOutcome<Answer, A> {
    let reader = database.reader().await?;
    let job = Job { database: Arc::clone(database), generation: generation.clone(), pointer, query: query.clone() };
    let (head_to, head) = oneshot::channel();
    let (rows_to, rows) = mpsc::channel(PIECES);
    A::spawn(job.run(reader, head_to, rows_to));
    let total = head.await.unwrap_or_else(|_| Err(Fault::Own(interrupted(database.name()))))?;
    Ok(Answer { total, rows })
}

fn interrupted(target: &str) -> CatalogError {
    let source = "the query's task ended before it answered".into();
    ReadModelError::Refused { target: target.to_owned(), action: "answering a query".to_owned(), source }.into()
}

/// The reader took too long, and the query was given up.
fn too_slow(target: &str) -> ReadModelError {
    let source = format!("the reader took no rows for {} seconds, so the query was ended", PATIENCE.as_secs()).into();
    ReadModelError::Unavailable { target: target.to_owned(), source }
}

/// What a query needs in its own task.
struct Job<A> {
    database: Arc<A>,
    generation: Generation,
    pointer: Pointer,
    query: Query,
}

impl<A: Adapter> Job<A> {
    async fn run(self, mut reader: A::Reader, head: oneshot::Sender<Head<A>>, rows: mpsc::Sender<Piece>) {
        let end = self.work(&mut reader, head, &rows).await;
        let error = match end {
            Ok(()) => return,
            Err(End::Failed(error)) => {
                drop(reader);
                Fault::<_, ReadModelError>::Database(error).told(self.database.name(), "reading rows for a query")
            }
            Err(End::Stopped(stopped)) => {
                A::discard(reader).await;
                match stopped {
                    Stopped::Unwanted => return,
                    Stopped::TooSlow => too_slow(self.database.name()),
                }
            }
        };
        // The channel may be full, and nothing is held any more while this waits; nobody listening is no error.
        tokio::spawn(async move { rows.send(Err(error)).await });
    }

    async fn work(
        &self,
        reader: &mut A::Reader,
        head: oneshot::Sender<Head<A>>,
        rows: &mpsc::Sender<Piece>,
    ) -> Result<(), End<AdapterError<A>>> {
        let mut reading = match A::begin(reader).await {
            Ok(reading) => reading,
            Err(error) => {
                drop(head.send(Err(error.into())));
                return Ok(());
            }
        };
        let begun = self.begin(&mut reading).await;
        let failed = begun.is_err();
        if head.send(begun).is_err() || failed {
            return Ok(A::end(reading).await?);
        }
        self.stream(&mut reading, rows).await?;
        Ok(A::end(reading).await?)
    }

    /// Checks the pointer, sees to it that the table stays, and counts.
    async fn begin(&self, session: &mut A::Session) -> Head<A> {
        match self.count(session).await {
            // It was dropped after our moment began: tables go at once, rows of the catalog do not.
            Err(Fault::Database(error)) if error.is_undefined_table() => Err(Fault::Own(self.gone())),
            counted => counted,
        }
    }

    async fn count(&self, session: &mut A::Session) -> Head<A> {
        session.lock_for_query(self.generation.id).await?;
        catalog::check_pointer(session, &self.generation, self.pointer).await?;
        session.hold_for_query(self.generation.id, self.table()).await?;
        if self.query.count == Count::None {
            return Ok(None);
        }
        let statement = crate::sql::count(&self.database.dialect(), self.table(), &self.from(), &self.query);
        Ok(Some(session.count(statement).await?.unsigned_abs()))
    }

    fn gone(&self) -> CatalogError {
        match self.pointer {
            Pointer::Live => CatalogError::Moved,
            Pointer::Fixed => catalog::no_generation(self.generation.id),
        }
    }

    async fn stream(&self, session: &mut A::Session, to: &mpsc::Sender<Piece>) -> Result<(), End<AdapterError<A>>> {
        if self.query.limit == Some(0) {
            // Not every server takes a page of no rows.
            return Ok(());
        }
        let table = self.table();
        let kinds: Vec<ColumnType> =
            self.query.select.iter().map(|column| table.columns[usize::from(*column)].kind).collect();
        let statement = crate::sql::rows(&self.database.dialect(), table, &self.from(), &self.query);
        let mut pieces = Pieces { rows: Vec::new(), to: to.clone() };
        session.stream(statement, &kinds, &mut pieces).await?;
        match std::mem::take(&mut pieces.rows) {
            rest if rest.is_empty() => Ok(()),
            rest => Ok(pieces.taken(rest).await?),
        }
    }

    fn table(&self) -> &Table {
        &self.generation.manifest.tables[usize::from(self.query.table)]
    }

    /// What the rows are read from, as SQL.
    fn from(&self) -> String {
        A::Session::queried(self.generation.id, self.table())
    }
}

/// Why the rows end before the last.
#[derive(Debug)]
pub(crate) enum End<E> {
    /// The reader.
    Stopped(Stopped),
    /// The database failed.
    Failed(E),
}

/// A reader does not take the rows.
#[derive(Debug)]
pub(crate) enum Stopped {
    /// Nobody listens any more.
    Unwanted,
    /// It takes too long.
    TooSlow,
}

impl<E: DriverError> From<E> for End<E> {
    fn from(error: E) -> End<E> {
        End::Failed(error)
    }
}

impl<E> From<Stopped> for End<E> {
    fn from(stopped: Stopped) -> End<E> {
        End::Stopped(stopped)
    }
}

/// The rows of an answer on their way to its reader.
pub(crate) struct Pieces {
    rows: Vec<Row>,
    to: mpsc::Sender<Piece>,
}

impl Pieces {
    /// Adds a row, and waits for the reader where a piece is full.
    pub(crate) async fn push(&mut self, row: Row) -> Result<(), Stopped> {
        match self.add(row) {
            Some(piece) => self.taken(piece).await,
            None => Ok(()),
        }
    }

    /// Adds a row; the piece that is full with it.
    pub(crate) fn add(&mut self, row: Row) -> Option<Vec<Row>> {
        self.rows.push(row);
        (self.rows.len() == CHUNK_ROWS).then(|| std::mem::take(&mut self.rows))
    }

    /// Waits until the reader has taken enough for this piece to wait for it.
    pub(crate) fn taken(&self, piece: Vec<Row>) -> impl Future<Output = Result<(), Stopped>> + Send + use<> {
        let to = self.to.clone();
        async move {
            match tokio::time::timeout(PATIENCE, to.send(Ok(piece))).await {
                Ok(Ok(())) => Ok(()),
                Ok(Err(_)) => Err(Stopped::Unwanted),
                Err(_) => Err(Stopped::TooSlow),
            }
        }
    }
}
