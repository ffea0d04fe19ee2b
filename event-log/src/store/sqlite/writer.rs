//! The one thread that writes. It takes all that is waiting into one transaction, flushes once, and answers everybody.

use std::sync::{Arc, PoisonError, RwLock, mpsc};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    Shared,
    commit::{MOST, Prepared, Round, StreamHeads},
    fault::Fault,
    ids::{self, Entered, Merge, Recent},
    reader::{self, End},
};
use crate::store::{AppendError, Appended, clock::now, portion::Ready};

type Answers = Vec<Result<Appended, AppendError>>;

/// Commits of one caller, and where their answers go.
pub(super) struct Request {
    pub(super) commits: Vec<Prepared>,
    pub(super) answer: oneshot::Sender<Answers>,
}

impl Request {
    fn size(&self) -> usize {
        self.commits.iter().map(Ready::size).sum()
    }
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    connection: Connection,
    heads: StreamHeads,
    /// Where the log ends; nothing after an error, when only the file knows.
    end: Option<End>,
    merge: Option<Merge>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, connection: Connection, end: End) -> Writer {
        Writer { shared, connection, heads: StreamHeads::default(), end: Some(end), merge: None }
    }

    /// Works until the store is dropped.
    pub(super) fn run(mut self, queue: &mpsc::Receiver<Request>) {
        while let Ok(first) = queue.recv() {
            let group = gather(first, queue);
            let answers = self.append(&group);
            for (request, answers) in group.into_iter().zip(answers) {
                // A caller that went away does not want to know.
                let _ = request.answer.send(answers);
            }
        }
    }

    fn append(&mut self, group: &[Request]) -> Vec<Answers> {
        match self.transact(group) {
            Ok((answers, end)) => {
                self.end = Some(end);
                self.shared.head.send_if_modified(|head| std::mem::replace(head, end.position) != end.position);
                answers
            }
            Err(fault) => {
                // Whether the transaction got through is for the file to say.
                self.end = None;
                self.merge = None;
                self.heads.forget();
                let error = Arc::new(fault.into_error(&self.shared.location));
                tracing::warn!(store = %self.shared.location, error = ?error, "commits were not written");
                let failed =
                    |request: &Request| vec![Err(AppendError::Store(Arc::clone(&error))); request.commits.len()];
                group.iter().map(failed).collect()
            }
        }
    }

    fn transact(&mut self, group: &[Request]) -> Result<(Vec<Answers>, End), Fault> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let known = self.end.map_or_else(|| recall(&transaction, &self.shared.recent), Ok)?;
        let start = End { recorded_at: known.recorded_at.max(now().micros()), ..known };
        let recent = self.shared.recent.read().unwrap_or_else(PoisonError::into_inner);
        let mut round = Round::new(&transaction, &mut self.heads, &recent, start)?;
        let mut answers = Vec::with_capacity(group.len());
        for request in group {
            let appended: rusqlite::Result<Answers> =
                request.commits.iter().map(|commit| round.append(commit)).collect();
            answers.push(appended?);
        }
        let (end, added) = round.finish();
        drop(recent);
        let entered = self.merge.as_ref().map_or(Ok(Entered::default()), |merge| merge.step(&transaction, &added))?;
        transaction.commit()?;
        let mut recent = self.shared.recent.write().unwrap_or_else(PoisonError::into_inner);
        recent.settle(added, end.position, &mut self.merge, entered);
        Ok((answers, end))
    }
}

/// Where the log ends and which ids are not in the tables, as the file has it.
fn recall(connection: &Connection, recent: &RwLock<Recent>) -> Result<End, Fault> {
    let ids = ids::not_entered(connection)?;
    recent.write().unwrap_or_else(PoisonError::into_inner).replace(ids);
    reader::end(connection)
}

/// All that is waiting, as far as it fits one transaction.
fn gather(first: Request, queue: &mpsc::Receiver<Request>) -> Vec<Request> {
    let (mut commits, mut bytes) = (first.commits.len(), first.size());
    let mut group = vec![first];
    while commits < MOST.commits
        && bytes < MOST.bytes
        && let Ok(next) = queue.try_recv()
    {
        commits += next.commits.len();
        bytes += next.size();
        group.push(next);
    }
    group
}
