//! Sending whole lines to the command service, part by part. An import is idempotent: where the store does not answer, or the
//! connection breaks, what was not kept yet is sent again, until nothing more has been kept for a while.
//!
//! Not here: reading the lines.

use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use crate::client::{self, Client};
use crate::error::CliError;
use crate::print;

/// How long it goes on while nothing more is kept.
const PERSISTENCE: Duration = Duration::from_secs(120);
/// How long it waits before it sends again, at first and at most.
const WAITS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(5));

/// What an import came to, so far.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    pub(super) imported: u64,
    pub(super) already: u64,
    /// Lines kept, from the first; a problem calls them `kept`.
    #[serde(alias = "kept")]
    pub(super) lines: u64,
    pub(super) last_position: u64,
}

impl Summary {
    pub(super) fn add(&mut self, more: Summary) {
        self.imported += more.imported;
        self.already += more.already;
        self.lines += more.lines;
        self.last_position = self.last_position.max(more.last_position);
    }
}

/// Sends one file.
pub(super) struct Sender<'a> {
    client: &'a Client,
    /// The file's name.
    name: &'a str,
    /// What was kept.
    pub(super) summary: Summary,
    /// Somebody who takes imports was there once: what is not is away, not missing.
    answered: bool,
}

/// An attempt that came to an early end, and is worth another.
struct Broken {
    /// Lines kept, from the first.
    kept: u64,
    why: CliError,
}

impl<'a> Sender<'a> {
    pub(super) fn new(client: &'a Client, name: &'a str) -> Sender<'a> {
        Sender { client, name, summary: Summary::default(), answered: false }
    }

    /// Sends whole lines until all of them are kept.
    pub(super) async fn send(&mut self, part: Vec<u8>) -> Result<(), CliError> {
        let mut rest = Bytes::from(part);
        let (mut wait, mut since) = (WAITS.0, Instant::now());
        loop {
            let Some(Broken { kept, why }) = self.attempt(rest.clone()).await? else { return Ok(()) };
            if kept > 0 {
                rest = rest.slice(end_of_line(&rest, kept)..);
                (wait, since) = (WAITS.0, Instant::now());
            } else if since.elapsed() > PERSISTENCE {
                return Err(why);
            }
            let kept = self.summary.lines;
            print::note(&format!("{}: {why}; {kept} lines are kept, the rest is sent again", self.name));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS.1);
        }
    }

    /// Sends lines once; what can be sent again is no error.
    async fn attempt(&mut self, rest: Bytes) -> Result<Option<Broken>, CliError> {
        let first = (self.summary.lines + 1).to_string();
        let request = self.client.request(Method::POST, "/commands/v1/import", &[("line", Some(&first))]);
        let request = request.header("content-type", "application/x-ndjson").body(rest);
        let (status, body) = match self.client.exchange(request).await {
            Ok(answer) => answer,
            Err(why) if self.answered => return Ok(Some(Broken { kept: 0, why })),
            Err(why) => return Err(why),
        };
        self.answered = true;
        if status.is_success() {
            self.summary.add(client::document(&body)?);
            return Ok(None);
        }
        // Only the problems of an import count lines.
        let kept: Summary = serde_json::from_slice(&body).unwrap_or_default();
        self.summary.add(kept);
        match client::problem(status, &body) {
            why @ CliError::NotReachable(_) => Ok(Some(Broken { kept: kept.lines, why })),
            CliError::Failed(why) => Err(CliError::Failed(format!("{}: {why}", self.name))),
            CliError::Conflict(why) => Err(CliError::Conflict(format!("{}: {why}", self.name))),
            other => Err(other),
        }
    }
}

/// Where the first `lines` lines end.
fn end_of_line(text: &[u8], lines: u64) -> usize {
    let mut ends = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    usize::try_from(lines).ok().and_then(|lines| ends.nth(lines - 1)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_cut_off() {
        for (lines, rest) in [(1, &b"\nbb\nc"[..]), (2, b"bb\nc"), (3, b"c"), (4, b"")] {
            let text = b"a\n\nbb\nc";
            assert_eq!(&text[end_of_line(text, lines)..], rest, "{lines}");
        }
    }
}
