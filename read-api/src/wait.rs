//! Read your own write: waiting until the shard of one stream has come to a position.

use std::{str::FromStr, time::Duration};

use reel_events::token::Token;
use reel_projector::Checkpoint;
use reel_read_model::{Generation, Target};
use tokio::{sync::watch, time::Instant};

use crate::error::ReadError;

/// How long a read waits unless it says so.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a read may wait.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(60);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// What a read waits for, and how long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wait {
    token: Token,
    timeout: Duration,
    deadline: Instant,
}

/// What a wait came to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Waited {
    /// The shard is there.
    Reached {
        /// The lowest position of all shards, at that moment.
        lowest: u64,
    },
    /// It is not yet.
    NotYet {
        /// Where the shard stands; nothing = the generation has no shards (any more).
        stands: Option<u64>,
        /// Which shard.
        shard: u32,
    },
}

impl Wait {
    /// Reads what a request says: the token, and how long to wait for it (`5s`, `500ms`).
    pub(crate) fn parse(token: &str, timeout: Option<&str>) -> Result<Wait, ReadError> {
        let token =
            Token::from_str(token.trim()).map_err(|error| ReadError::Request(format!("Reel-Wait-For: {error}")))?;
        let timeout = timeout.map_or(Ok(DEFAULT_TIMEOUT), parse_timeout)?;
        Ok(Wait { token, timeout, deadline: Instant::now() + timeout })
    }

    /// Whether the time is over.
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Waits for `generation`, at most for `slice` and never beyond the deadline; looks at least once.
    pub(crate) async fn run(
        &self,
        target: &dyn Target,
        generation: &Generation,
        slice: Duration,
        commits: Option<watch::Receiver<u64>>,
    ) -> Result<Waited, ReadError> {
        let until = self.deadline.min(Instant::now() + slice);
        let mut commits = commits;
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(commits) = &mut commits {
                // Marked before the look, so that no commit falls between the two.
                commits.mark_unchanged();
            }
            let waited = self.look(&target.checkpoints(generation.id).await?);
            if matches!(waited, Waited::Reached { .. } | Waited::NotYet { stands: None, .. }) || Instant::now() >= until
            {
                return Ok(waited);
            }
            let wake = until.min(Instant::now() + pause);
            commits = changed_or(commits, wake).await;
            // A look too late costs a fifth of the whole wait at most.
            pause = (pause * 5 / 4).min(LONGEST_PAUSE);
        }
    }

    fn look(&self, checkpoints: &[Checkpoint]) -> Waited {
        let shard = self.token.partition(checkpoints.len() as u32);
        let stands = checkpoints.get(shard as usize).map(|checkpoint| checkpoint.point.position);
        match stands {
            Some(position) if position >= self.token.position => {
                let lowest = checkpoints.iter().map(|checkpoint| checkpoint.point.position).min().unwrap_or(0);
                Waited::Reached { lowest }
            }
            _ => Waited::NotYet { stands, shard },
        }
    }

    /// What to say when the time is over.
    pub(crate) fn too_late(&self, label: &str, condition: &str, waited: Waited) -> ReadError {
        let stands = match waited {
            Waited::NotYet { stands: Some(position), shard } => format!("its shard {shard} stands at {position}"),
            Waited::NotYet { stands: None, .. } | Waited::Reached { .. } => "it has no checkpoint".to_owned(),
        };
        ReadError::WaitedTooLong(format!(
            "{label} did not come to position {} within {:?}: {stands}{condition}. Ask again, or wait longer (Reel-Wait-Timeout, at \
             most {}s)",
            self.token.position,
            self.timeout,
            MAX_TIMEOUT.as_secs()
        ))
    }
}

/// Sleeps until `wake`, or until somebody in this process committed; gives the receiver back while it has a sender.
async fn changed_or(commits: Option<watch::Receiver<u64>>, wake: Instant) -> Option<watch::Receiver<u64>> {
    let Some(mut commits) = commits else {
        tokio::time::sleep_until(wake).await;
        return None;
    };
    match tokio::time::timeout_at(wake, commits.changed()).await {
        Ok(Err(_closed)) => None,
        Ok(Ok(())) | Err(_) => Some(commits),
    }
}

fn parse_timeout(text: &str) -> Result<Duration, ReadError> {
    let refused = || {
        let most = MAX_TIMEOUT.as_secs();
        ReadError::Request(format!("Reel-Wait-Timeout: {text:?} is no time up to {most}s, such as 5s or 500ms"))
    };
    let text = text.trim();
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, Duration::from_millis(1)),
        None => (text.strip_suffix('s').ok_or_else(refused)?, Duration::from_secs(1)),
    };
    let number: u32 = number.parse().map_err(|_| refused())?;
    unit.checked_mul(number).filter(|timeout| *timeout <= MAX_TIMEOUT).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use reel_events::LogPoint;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn timeouts() {
        for (text, millis) in [("5s", 5000), ("500ms", 500), (" 0s ", 0), ("60s", 60_000), ("60000ms", 60_000)] {
            assert_eq!(parse_timeout(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for text in ["", "5", "5m", "61s", "60001ms", "-1s", "1.5s", "99999999999s", "s", "5 s"] {
            let error = parse_timeout(text).unwrap_err().to_string();
            assert!(error.contains("such as 5s or 500ms"), "{error}");
        }
    }

    #[test]
    fn a_token_that_is_none_is_refused() {
        let error = Wait::parse("abc", None).unwrap_err();
        assert!(matches!(&error, ReadError::Request(message) if message.starts_with("Reel-Wait-For: ")), "{error}");
    }

    #[test]
    fn only_the_streams_own_shard_counts() {
        let at = |position| Checkpoint {
            log: reel_events::LogId(Uuid::nil()),
            point: LogPoint { position, event: Uuid::nil() },
            layout: 1,
            epoch: 1,
        };
        // Hash 5 of two shards: the second.
        let wait = Wait::parse("v1.10.00000005", None).unwrap();
        assert!(matches!(wait.look(&[at(3), at(10)]), Waited::Reached { lowest: 3 }));
        assert!(matches!(wait.look(&[at(99), at(9)]), Waited::NotYet { stands: Some(9), shard: 1 }));
        assert!(matches!(wait.look(&[]), Waited::NotYet { stands: None, .. }));
    }
}
