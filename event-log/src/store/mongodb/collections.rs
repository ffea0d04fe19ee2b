//! What the store keeps in a database: its collections, their indexes, the log's identity; and whether the server may hold it.
//!
//! | collection | holds |
//! |---|---|
//! | `commits` | one document a commit, see `document` |
//! | `log` | one document: the log's id, and the version of the format |
//! | `probe` | two documents that show whether unique indexes look into arrays |

use std::time::{Duration, Instant};

use bson::{Bson, Document, RawDocument, RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{Client, Collection, Database, IndexModel, error::Error, options::IndexOptions};
use reel_events::LogId;
use uuid::Uuid;

use super::{
    document::{StoredCommit, binary, whole},
    fault::{Fault, code, number, within},
    location::{Location, Standalone},
    look::PATIENCE,
    protocol::EventIds,
};

pub(super) const COMMITS: &str = "commits";
const LOG: &str = "log";
const PROBE: &str = "probe";
/// The format of the documents. A newer one is refused, so that nothing is written that its version would not understand.
const FORMAT: i64 = 1;
/// The one document in `log`.
const LOG_DOCUMENT: &str = "log";
/// How long another process may take to write the log's identity.
const FOUNDING: Duration = Duration::from_secs(10);

pub(super) type Commits = Collection<RawDocumentBuf>;

/// The store's database, ready for writing.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) commits: Commits,
    pub(super) log: LogId,
    pub(super) event_ids: EventIds,
}

/// Connects, and makes what is missing.
pub(super) async fn open(location: Location) -> Result<Opened, Fault> {
    let Location { options, database, standalone, .. } = location;
    let database = Client::with_options(options)?.database(&database);
    check_server(&database, standalone).await?;
    let commits = database.collection(COMMITS);
    let known = log_id(&database).await?;
    check_shape(&commits, known).await?;
    make_indexes(&commits).await?;
    let log = match known {
        Some(log) => log,
        None => found_log(&database).await?,
    };
    let event_ids = probe(&database).await;
    Ok(Opened { database, commits, log, event_ids })
}

async fn check_server(database: &Database, standalone: Standalone) -> Result<(), Fault> {
    let hello = within(PATIENCE, async { database.run_command(doc! { "hello": 1 }).await }).await?;
    let replicated = hello.contains_key("setName") || hello.get_str("msg").is_ok_and(|msg| msg == "isdbgrid");
    if replicated || standalone == Standalone::Accepted {
        return Ok(());
    }
    Err(Fault::Refused(
        "the server is no member of a replica set, so it shows writes before they are on disk: make it a replica set (one \
         member is enough), or accept that with reel-standalone=true in the URL"
            .to_owned(),
    ))
}

/// The log's identity, where it was written before.
async fn log_id(database: &Database) -> Result<Option<LogId>, Fault> {
    let log: Collection<RawDocumentBuf> = database.collection(LOG);
    let found = within(PATIENCE, async { log.find_one(doc! { "_id": LOG_DOCUMENT }).await }).await?;
    found.map(|document| read_log(&document)).transpose()
}

fn read_log(document: &RawDocument) -> Result<LogId, Fault> {
    let format = whole(document, "format").unwrap_or(0);
    if format != FORMAT {
        let remedy = if format > FORMAT { "; use the newer version of Reel that wrote it" } else { "" };
        return Err(Fault::Unreadable(format!("it has format {format}, this version reads format {FORMAT}{remedy}")));
    }
    let id = document.get_binary("id").ok().and_then(|id| Uuid::from_slice(id.bytes).ok());
    id.map(LogId).ok_or_else(|| Fault::Unreadable(format!("the log's identity is missing in the collection \"{LOG}\"")))
}

/// Refuses a collection of somebody else: what has no position comes first.
async fn check_shape(commits: &Commits, log: Option<LogId>) -> Result<(), Fault> {
    let first = within(PATIENCE, async { commits.find_one(doc! {}).sort(doc! { "position": 1 }).await }).await?;
    let Some(first) = first else { return Ok(()) };
    StoredCommit::of(&first)?.header()?;
    if log.is_some() {
        return Ok(());
    }
    Err(Fault::Unreadable(format!(
        "the collection \"{COMMITS}\" holds commits, but the collection \"{LOG}\" does not say of which log: restore both"
    )))
}

/// The unique indexes: name and keys.
const INDEXES: [(&str, &[&str]); 3] =
    [("position", &["position"]), ("stream_version", &["stream", "version"]), ("event_id", &["events.id"])];
/// Processes that start at once make the same indexes, which not every server takes well.
const ATTEMPTS: u32 = 5;

/// Makes the unique indexes that are missing. A user who may not make them can use them where they are.
async fn make_indexes(commits: &Commits) -> Result<(), Fault> {
    let mut attempt = 1;
    loop {
        let missing = missing_indexes(commits).await?;
        let made = match missing.is_empty() {
            true => return Ok(()),
            false => within(PATIENCE, async { commits.create_indexes(missing.iter().map(model)).await }).await,
        };
        match made {
            Ok(_) => return Ok(()),
            Err(Fault::Driver(error)) if number(&error) == Some(code::UNAUTHORIZED) => {
                return Err(not_permitted(&missing));
            }
            Err(Fault::Driver(error)) if is_conflict(&error) => {
                let reason = format!("the unique indexes of {} cannot be made: {error}", commits.namespace());
                return Err(Fault::Unreadable(reason));
            }
            Err(fault) if attempt == ATTEMPTS => return Err(fault),
            Err(fault) => tracing::debug!(?fault, "the indexes are tried again"),
        }
        tokio::time::sleep(Duration::from_millis(50) * attempt).await;
        attempt += 1;
    }
}

async fn missing_indexes(commits: &Commits) -> Result<Vec<(&'static str, Document)>, Fault> {
    let listed = within(PATIENCE, async { commits.list_indexes().await?.try_collect::<Vec<_>>().await }).await;
    let there = match listed {
        Ok(there) => there,
        Err(Fault::Driver(error)) if number(&error) == Some(code::NO_COLLECTION) => Vec::new(),
        Err(fault) => return Err(fault),
    };
    let is_there = |keys: &[&str]| {
        let same = |index: &IndexModel| index.keys.keys().eq(keys);
        let unique = |index: &IndexModel| index.options.as_ref().is_some_and(|options| options.unique == Some(true));
        there.iter().any(|index| same(index) && unique(index))
    };
    let missing = INDEXES.into_iter().filter(|(_, keys)| !is_there(keys));
    Ok(missing.map(|(name, keys)| (name, keys.iter().map(|key| (key.to_string(), Bson::Int32(1))).collect())).collect())
}

fn model((name, keys): &(&str, Document)) -> IndexModel {
    unique(name, keys.clone())
}

fn not_permitted(missing: &[(&str, Document)]) -> Fault {
    let command = |(name, keys): &(&str, Document)| {
        format!("db.{COMMITS}.createIndex({keys}, {{ name: \"{name}\", unique: true }})")
    };
    let commands: Vec<String> = missing.iter().map(command).collect();
    Fault::Refused(format!(
        "its user may not make the indexes that are missing: grant the role readWrite on the database, or let somebody run {}",
        commands.join("; ")
    ))
}

fn is_conflict(error: &Error) -> bool {
    matches!(number(error), Some(code::DUPLICATE_KEY | code::INDEX_OPTIONS_CONFLICT | code::INDEX_KEY_CONFLICT))
}

fn unique(name: &str, keys: Document) -> IndexModel {
    IndexModel::builder().keys(keys).options(IndexOptions::builder().name(name.to_owned()).unique(true).build()).build()
}

/// Writes the log's identity, or takes what another process wrote at the same time.
async fn found_log(database: &Database) -> Result<LogId, Fault> {
    let log: Collection<Document> = database.collection(LOG);
    let document = doc! { "_id": LOG_DOCUMENT, "format": FORMAT, "id": binary(Uuid::now_v7()) };
    let began = Instant::now();
    let written = within(PATIENCE, async { log.insert_one(document).await }).await;
    match written {
        Ok(_) => {}
        Err(Fault::Driver(error)) if number(&error) == Some(code::DUPLICATE_KEY) => {}
        Err(fault) => return Err(fault),
    }
    loop {
        if let Some(log) = log_id(database).await? {
            return Ok(log);
        }
        if began.elapsed() > FOUNDING {
            return Err(Fault::Slow(FOUNDING));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether a unique index keeps out a document of which one element of an array is in another document. Where that cannot be
/// found out, it does not.
async fn probe(database: &Database) -> EventIds {
    let probe: Collection<Document> = database.collection(PROBE);
    let holds = |ids: [i32; 2]| doc! { "_id": ids[0], "elements": ids.map(|id| doc! { "id": id }).to_vec() };
    let asked = async {
        probe.create_index(unique("element", doc! { "elements.id": 1 })).await?;
        // Both may be there from another start: what counts is which of them are there now.
        for document in [holds([1, 2]), holds([2, 3])] {
            match probe.insert_one(document).await {
                Err(error) if number(&error) != Some(code::DUPLICATE_KEY) => return Err(error),
                _ => {}
            }
        }
        let first = probe.find_one(doc! { "_id": 1 }).await?;
        let second = probe.find_one(doc! { "_id": 2 }).await?;
        Ok(first.is_some() && second.is_none())
    };
    match within(PATIENCE, asked).await {
        Ok(true) => EventIds::Indexed,
        Ok(false) => EventIds::LookedUp,
        Err(fault) => {
            tracing::debug!(?fault, "not known whether unique indexes look into arrays: ids of events are looked up");
            EventIds::LookedUp
        }
    }
}
