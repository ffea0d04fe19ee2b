//! Commits on their way to a writer: held against the limits, made ready, and cut into portions that one transaction takes.
//! What "ready" means is each store's own.

use std::{iter::Peekable, sync::Arc};

use reel_events::NewEvent;

use super::{AppendError, Appended, Limits, NewCommit};

/// A commit made ready for its store.
pub(super) trait Ready: Sized {
    /// Makes a commit ready that keeps the limits.
    fn new(commit: NewCommit) -> Result<Self, AppendError>;

    /// What it adds to a transaction, in bytes.
    fn size(&self) -> usize;
}

/// What one portion holds at most, but for a single commit that is larger.
#[derive(Debug, Clone, Copy)]
pub(super) struct Most {
    pub(super) commits: usize,
    pub(super) bytes: usize,
}

/// Appends commits in the order given, one transaction after the other: where one fails, nothing behind it is taken before it.
/// `write` carries out one transaction.
pub(super) async fn append<R: Ready, W: Future<Output = Vec<Result<Appended, AppendError>>>>(
    commits: Vec<NewCommit>,
    limits: Limits,
    most: Most,
    write: impl Fn(Vec<R>) -> W,
) -> Vec<Result<Appended, AppendError>> {
    let mut answers = Vec::with_capacity(commits.len());
    let mut commits = commits.into_iter().peekable();
    while commits.peek().is_some() {
        let Portion { fitting, refusals } = portion(&mut commits, limits, most);
        let mut written = write(fitting).await.into_iter();
        let failed = written.as_slice().iter().find_map(|answer| match answer {
            Err(AppendError::Store(error)) => Some(Arc::clone(error)),
            _ => None,
        });
        answers.extend(refusals.into_iter().map(|refusal| match refusal {
            Some(refusal) => Err(refusal),
            None => written.next().expect("an answer to each commit"),
        }));
        if let Some(error) = failed {
            answers.extend(commits.by_ref().map(|_| Err(AppendError::Store(Arc::clone(&error)))));
        }
    }
    answers
}

/// Commits for one transaction, and those among them that are refused before.
struct Portion<R> {
    fitting: Vec<R>,
    /// One entry a commit: why it is refused, or nothing where it is in `fitting`.
    refusals: Vec<Option<AppendError>>,
}

/// Takes as many commits as fit one transaction, at least one where there is one.
fn portion<R: Ready>(commits: &mut Peekable<std::vec::IntoIter<NewCommit>>, limits: Limits, most: Most) -> Portion<R> {
    let mut portion = Portion { fitting: Vec::new(), refusals: Vec::new() };
    let mut bytes = 0;
    while portion.refusals.len() < most.commits
        && bytes < most.bytes
        && let Some(commit) = commits.next()
    {
        let ready = check(&commit.events, limits).and_then(|()| R::new(commit));
        portion.refusals.push(match ready {
            Ok(ready) => {
                bytes += ready.size();
                portion.fitting.push(ready);
                None
            }
            Err(refusal) => Some(refusal),
        });
    }
    portion
}

fn check(events: &[NewEvent], limits: Limits) -> Result<(), AppendError> {
    if events.is_empty() {
        return Err(AppendError::Empty);
    }
    let size = |event: &NewEvent| event.payload.as_str().len() + event.metadata.as_str().len();
    for (nth, event) in events.iter().enumerate() {
        if size(event) > limits.event_bytes {
            let what = format!("event {} of the commit", nth + 1);
            return Err(AppendError::TooLarge { what, bytes: size(event), limit: limits.event_bytes });
        }
    }
    let bytes = events.iter().map(size).sum();
    if bytes > limits.commit_bytes {
        return Err(AppendError::TooLarge { what: "the commit".to_owned(), bytes, limit: limits.commit_bytes });
    }
    Ok(())
}
