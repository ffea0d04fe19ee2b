//! Connections to one SQL Server database: some that write, some that read, and those that make, flip and drop. A session whose request
//! failed or was given up half-way is never used again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bb8::{ErrorSink, ManageConnection, Pool, PooledConnection, QueueStrategy, RunError};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use tiberius::error::Error;
use tiberius::{Client, Config, Row, SqlBulkCopyOptions, TokenRow};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

use super::dialect;
use super::error::SqlServerError;
use super::server::{Access, Server};

/// How many may write at a time, and how many may read.
const CONNECTIONS: u32 = 16;

/// How many may make, flip or drop at a time.
const ALTERATIONS: u32 = 4;

/// How long to wait for a connection: so many times so long. Where connecting failed meanwhile, the first time is the last; where nothing
/// came of it yet, the server is slow: on a loaded machine a login takes seconds.
const PATIENCE: Patience = Patience { turn: Duration::from_secs(3), turns: 6 };

/// A session that did its work so long ago at most is used again without being asked whether it is still there: asking costs as much as
/// a small statement, and who is busy would ask before each transaction.
const FRESH: Duration = Duration::from_millis(20);

/// How long a server may take to be reached.
const REACH: Duration = Duration::from_secs(10);

/// One database.
pub(super) struct Database {
    /// The target's name.
    pub(super) name: String,
    pub(super) server: Server,
    writers: Sessions,
    pub(super) readers: Sessions,
    alterers: Sessions,
}

/// Why a database cannot be had.
#[derive(Debug)]
pub(super) enum NotOpened {
    Database(SqlServerError),
    /// What is wrong with the URL.
    Address(String),
    /// Its version, which is too old.
    Unsupported(String),
    ReadOnly,
}

impl From<SqlServerError> for NotOpened {
    fn from(error: SqlServerError) -> NotOpened {
        NotOpened::Database(error)
    }
}

impl Database {
    /// Connects once, to learn what server it is: unlike the pools, this does not wait for one that is not there.
    pub(super) async fn open(name: &str, url: &str) -> Result<Database, NotOpened> {
        let config = super::address::read(url).map_err(NotOpened::Address)?;
        let server = Server::ask(&mut Session::connect(&config, dialect::WRITER).await?).await?;
        if !server.is_supported() {
            return Err(NotOpened::Unsupported(server.version));
        }
        if server.access == Access::ReadOnly {
            return Err(NotOpened::ReadOnly);
        }
        let reader = dialect::reader(server.snapshots);
        Ok(Database {
            name: name.to_owned(),
            server,
            writers: Sessions::new(&config, dialect::WRITER, CONNECTIONS, PATIENCE),
            readers: Sessions::new(&config, reader, CONNECTIONS, PATIENCE),
            alterers: Sessions::new(&config, dialect::SHORT_LOCKS, ALTERATIONS, PATIENCE),
        })
    }

    /// A connection that writes.
    pub(super) async fn writer(&self) -> Result<Held, SqlServerError> {
        self.writers.get().await
    }

    /// Begins to make, flip or drop.
    pub(super) async fn alter(&self) -> Result<Transaction, SqlServerError> {
        Transaction::begin(self.alterers.get().await?).await
    }
}

/// A session that goes back to its pool.
pub(super) type Held = PooledConnection<'static, Manager>;

/// See [`PATIENCE`].
#[derive(Debug, Clone, Copy)]
struct Patience {
    turn: Duration,
    turns: u32,
}

/// Sessions with the same settings.
pub(super) struct Sessions {
    pool: Pool<Manager>,
    failed: LastError,
    turns: u32,
}

impl Sessions {
    fn new(config: &Config, settings: &'static str, most: u32, patience: Patience) -> Sessions {
        let failed = LastError::default();
        let pool = Pool::builder()
            .max_size(most)
            .connection_timeout(patience.turn)
            // A wrong password is not tried again and again: servers lock a login for that.
            .retry_connection(false)
            // Those that were used last: few sessions do what is to be done, and they need not be asked whether they are there.
            .queue_strategy(QueueStrategy::Lifo)
            .error_sink(failed.boxed_clone())
            .build_unchecked(Manager { config: config.clone(), settings });
        Sessions { pool, failed, turns: patience.turns }
    }

    /// A session that nobody else uses.
    pub(super) async fn get(&self) -> Result<Held, SqlServerError> {
        let begun = Instant::now();
        for _ in 0..self.turns {
            match self.pool.get_owned().await {
                Ok(session) => return Ok(session),
                Err(RunError::User(error)) => return Err(error),
                Err(RunError::TimedOut) => {
                    if let Some(last) = self.failed.since(begun) {
                        return Err(SqlServerError::NoConnection { last: Some(last) });
                    }
                }
            }
        }
        Err(SqlServerError::NoConnection { last: None })
    }
}

/// What connecting failed with last, and when.
#[derive(Debug, Clone, Default)]
struct LastError(Arc<Mutex<Option<(Instant, String)>>>);

impl LastError {
    fn since(&self, begun: Instant) -> Option<String> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| *at >= begun).map(|(_, error)| error.clone())
    }
}

impl ErrorSink<SqlServerError> for LastError {
    fn sink(&self, error: SqlServerError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), error.to_string()));
    }

    fn boxed_clone(&self) -> Box<dyn ErrorSink<SqlServerError>> {
        Box::new(self.clone())
    }
}

/// Makes sessions for a pool.
pub(super) struct Manager {
    config: Config,
    settings: &'static str,
}

impl ManageConnection for Manager {
    type Connection = Session;
    type Error = SqlServerError;

    async fn connect(&self) -> Result<Session, SqlServerError> {
        Session::connect(&self.config, self.settings).await
    }

    async fn is_valid(&self, session: &mut Session) -> Result<(), SqlServerError> {
        if session.rests_since.elapsed() < FRESH { Ok(()) } else { session.batch(dialect::PING).await }
    }

    /// It goes back to the pool.
    fn has_broken(&self, session: &mut Session) -> bool {
        session.rests_since = Instant::now();
        session.state != State::Idle
    }
}

/// One conversation with the server.
pub(crate) struct Session {
    client: Client<Compat<TcpStream>>,
    state: State,
    /// Temporary tables that this session has.
    pub(super) stages: HashSet<String>,
    /// How many of them it had before its transaction.
    stages_before: usize,
    /// When it was used last.
    rests_since: Instant,
}

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    InTransaction,
    /// A request is under way; where nobody waits for it any more, it failed or was given up.
    Asked,
}

impl Session {
    pub(super) async fn connect(config: &Config, settings: &'static str) -> Result<Session, SqlServerError> {
        let client = match Session::reach(config).await {
            // Azure names the machine that really has the database.
            Err(Error::Routing { host, port }) => {
                let mut there = config.clone();
                there.host(host);
                there.port(port);
                Session::reach(&there).await?
            }
            reached => reached?,
        };
        let (stages, rests_since) = (HashSet::new(), Instant::now());
        let mut session = Session { client, state: State::Idle, stages, stages_before: 0, rests_since };
        session.batch(dialect::CONNECTION).await?;
        session.batch(settings).await?;
        Ok(session)
    }

    async fn reach(config: &Config) -> Result<Client<Compat<TcpStream>>, Error> {
        let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "the server does not answer");
        let stream = timeout(REACH, TcpStream::connect(config.get_addr())).await.map_err(late)??;
        stream.set_nodelay(true)?;
        Client::connect(config.clone(), stream.compat_write()).await
    }

    /// Says statements without arguments.
    pub(super) async fn batch(&mut self, sql: &str) -> Result<(), SqlServerError> {
        let before = std::mem::replace(&mut self.state, State::Asked);
        self.client.simple_query(sql).await?.into_results().await?;
        self.state = before;
        Ok(())
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        self.state == State::InTransaction
    }

    pub(super) async fn begin(&mut self) -> Result<(), SqlServerError> {
        self.batch("BEGIN TRANSACTION").await?;
        self.state = State::InTransaction;
        self.stages_before = self.stages.len();
        Ok(())
    }

    pub(super) async fn end(&mut self, sql: &str) -> Result<(), SqlServerError> {
        self.batch(sql).await?;
        self.state = State::Idle;
        Ok(())
    }

    /// Loads rows into a table, whole, in the order of its columns.
    pub(super) async fn load<'r>(
        &mut self,
        table: &str,
        options: SqlBulkCopyOptions,
        rows: impl Iterator<Item = TokenRow<'r>>,
    ) -> Result<(), SqlServerError> {
        let before = std::mem::replace(&mut self.state, State::Asked);
        let mut load = self.client.bulk_insert_with_options(table, &["*"], options, &[]).await?;
        for row in rows {
            load.send(row).await?;
        }
        load.finalize().await?;
        self.state = before;
        Ok(())
    }
}

/// A statement with its arguments.
pub(super) struct Query<'q>(tiberius::Query<'q>);

/// A statement whose arguments are `@P1`, `@P2` and so on.
pub(super) fn query<'q>(sql: impl Into<std::borrow::Cow<'q, str>>) -> Query<'q> {
    Query(tiberius::Query::new(sql))
}

impl<'q> Query<'q> {
    /// The next argument.
    pub(super) fn bind(mut self, value: impl tiberius::IntoSql<'q> + 'q) -> Query<'q> {
        self.0.bind(value);
        self
    }

    /// How many rows it changed.
    pub(super) async fn execute(self, session: &mut Session) -> Result<u64, SqlServerError> {
        let before = std::mem::replace(&mut session.state, State::Asked);
        let done = self.0.execute(&mut session.client).await?;
        session.state = before;
        Ok(done.total())
    }

    /// The rows of its answer.
    pub(super) async fn rows(self, session: &mut Session) -> Result<Vec<Row>, SqlServerError> {
        let before = std::mem::replace(&mut session.state, State::Asked);
        let rows = self.0.query(&mut session.client).await?.into_first_result().await?;
        session.state = before;
        Ok(rows)
    }

    /// The first row of its answer.
    pub(super) async fn row(self, session: &mut Session) -> Result<Option<Row>, SqlServerError> {
        Ok(self.rows(session).await?.into_iter().next())
    }

    /// The one row that it always answers with.
    pub(super) async fn one(self, session: &mut Session) -> Result<Row, SqlServerError> {
        let none = || Error::Protocol("an answer without a row".into());
        Ok(self.row(session).await?.ok_or_else(none)?)
    }

    /// The rows of its answer as they come.
    pub(super) async fn stream(self, session: &mut Session) -> Result<Rows<'_>, SqlServerError> {
        let before = std::mem::replace(&mut session.state, State::Asked);
        let rows = self.0.query(&mut session.client).await?.into_row_stream();
        Ok(Rows { rows, state: &mut session.state, before })
    }
}

/// An answer that is being read. Dropped before its end it takes the session with it.
pub(super) struct Rows<'s> {
    rows: BoxStream<'s, tiberius::Result<Row>>,
    state: &'s mut State,
    before: State,
}

impl Rows<'_> {
    pub(super) async fn next(&mut self) -> Result<Option<Row>, SqlServerError> {
        let row = self.rows.try_next().await?;
        if row.is_none() {
            *self.state = self.before;
        }
        Ok(row)
    }
}

/// A transaction. Dropped before its end it is rolled back.
pub(super) struct Transaction(Option<Held>);

impl Transaction {
    pub(super) async fn begin(mut session: Held) -> Result<Transaction, SqlServerError> {
        session.begin().await?;
        Ok(Transaction(Some(session)))
    }

    pub(super) async fn commit(mut self) -> Result<(), SqlServerError> {
        self.end("COMMIT TRANSACTION").await
    }
}

impl std::ops::Deref for Transaction {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.0.as_deref().expect("there until the transaction is dropped")
    }
}

impl std::ops::DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut Session {
        self.0.as_deref_mut().expect("there until the transaction is dropped")
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        let Some(mut session) = self.0.take() else { return };
        if !session.is_in_transaction() {
            // It was committed. Or it was given up half-way, and cannot be rolled back by asking: closing the connection does it.
        } else if session.stages.len() != session.stages_before {
            // A rollback takes the stages with it that the transaction made: the session has to begin anew.
            session.state = State::Asked;
        } else {
            tokio::spawn(async move { drop(session.end("ROLLBACK TRANSACTION").await) });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::wire::Listener;
    use super::*;

    const SHORT: Patience = Patience { turn: Duration::from_millis(50), turns: 1_000 };

    fn sessions(url: &str) -> Sessions {
        Sessions::new(&super::super::address::read(url).unwrap(), dialect::WRITER, 1, SHORT)
    }

    /// Nobody takes the connection for longer than a turn; then somebody does.
    #[tokio::test]
    async fn a_slow_login_is_waited_for() {
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("sqlserver://any:one@{}/views?encrypt=false", bound.local_addr().unwrap());
        let sessions = sessions(&url);
        let mut waiting = std::pin::pin!(sessions.get());
        assert!(timeout(4 * SHORT.turn, &mut waiting).await.is_err(), "it goes on waiting");
        let _listener = Listener::at(bound);
        assert!(waiting.await.is_ok());
    }

    /// A transaction in the one conversation that the listener has, with a stage that it made.
    async fn staged() -> (Sessions, Transaction) {
        let bound = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sessions = sessions(&format!("sqlserver://any:one@{}/views?encrypt=false", bound.local_addr().unwrap()));
        let _listener = Listener::at(bound);
        let mut transaction = Transaction::begin(sessions.get().await.unwrap()).await.unwrap();
        transaction.stages.insert("#made".to_owned());
        (sessions, transaction)
    }

    #[tokio::test]
    async fn a_session_goes_on_with_the_stages_that_were_committed() {
        let (sessions, transaction) = staged().await;
        transaction.commit().await.unwrap();
        let next = timeout(20 * SHORT.turn, sessions.get()).await.expect("nobody has to connect again").unwrap();
        assert!(next.stages.contains("#made"));
    }

    #[tokio::test]
    async fn a_session_ends_with_the_stages_that_were_rolled_back() {
        let (sessions, transaction) = staged().await;
        drop(transaction);
        let next = timeout(4 * SHORT.turn, sessions.get()).await;
        assert!(!matches!(next, Ok(Ok(_))), "another conversation is wanted, which nobody takes");
    }

    #[tokio::test]
    async fn a_login_that_fails_is_told_soon() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let failed = sessions(&format!("sqlserver://any:one@{gone}/views?encrypt=false")).get().await;
        assert!(matches!(failed, Err(SqlServerError::NoConnection { last: Some(_) })));
    }
}
