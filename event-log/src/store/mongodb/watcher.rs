//! How a process learns that others appended: from a change stream where the server has them, else by asking, the more seldom
//! the less happens.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bson::{RawDocumentBuf, doc};
use futures::TryStreamExt;
use mongodb::{
    change_stream::{ChangeStream, event::ChangeStreamEvent},
    error::{Error, ErrorKind},
};

use super::{
    Shared,
    document::StoredCommit,
    fault::{Fault, code},
    reader,
};

/// Between two questions while others append.
const BUSY: Duration = Duration::from_millis(2);
/// The same while nothing happens.
const IDLE: Duration = Duration::from_millis(200);
/// A question may take no more of the server's time than this part of the whole.
const SHARE: u32 = 4;

type Changes = ChangeStream<ChangeStreamEvent<RawDocumentBuf>>;

/// Watches until the store is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        match changes(&shared).await {
            Ok(changes) => {
                let ended = follow(&shared, changes).await;
                tracing::debug!(store = %shared.location, ?ended, "the change stream ended; it is opened again");
            }
            Err(error) if has_no_change_streams(&error) => {
                tracing::debug!(store = %shared.location, %error, "the server has no change streams: it is asked instead");
                return poll(&shared).await;
            }
            Err(error) => tracing::debug!(store = %shared.location, %error, "no change stream"),
        }
        tokio::time::sleep(IDLE).await;
    }
}

async fn changes(shared: &Shared) -> Result<Changes, Error> {
    let kept = doc! { "operationType": 1, "ns": 1, "fullDocument._id": 1, "fullDocument.position": 1, "fullDocument.count": 1 };
    let pipeline = [doc! { "$match": { "operationType": "insert" } }, doc! { "$project": kept }];
    shared.commits.watch().pipeline(pipeline).await
}

/// Follows a change stream to its end. What was appended before it began is asked for once.
async fn follow(shared: &Shared, mut changes: Changes) -> Result<(), Fault> {
    shared.reached(reader::head_position(&shared.commits, shared.known()).await?);
    while let Some(change) = changes.try_next().await? {
        if let Some(document) = change.full_document {
            shared.reached(StoredCommit::of(&document)?.last_position());
        }
    }
    Ok(())
}

fn has_no_change_streams(error: &Error) -> bool {
    use code::{
        COMMAND_NOT_FOUND, COMMAND_NOT_SUPPORTED, NO_REPLICA_SET, NOT_IMPLEMENTED, UNAUTHORIZED, UNKNOWN_STAGE,
    };
    let refusals =
        [COMMAND_NOT_FOUND, COMMAND_NOT_SUPPORTED, NO_REPLICA_SET, NOT_IMPLEMENTED, UNAUTHORIZED, UNKNOWN_STAGE];
    matches!(&*error.kind, ErrorKind::Command(command) if refusals.contains(&command.code))
}

async fn poll(shared: &Shared) {
    let mut pause = BUSY;
    loop {
        tokio::time::sleep(pause).await;
        if shared.head.receiver_count() == 0 {
            pause = IDLE;
            continue;
        }
        let asked = Instant::now();
        let moved = match reader::head_position(&shared.commits, shared.known()).await {
            Ok(position) => shared.reached(position),
            Err(fault) => {
                tracing::debug!(store = %shared.location, ?fault, "the log's end could not be read");
                false
            }
        };
        let next = if moved { BUSY } else { pause * 2 };
        pause = next.max(asked.elapsed() * SHARE).min(IDLE);
    }
}
