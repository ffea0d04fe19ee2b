//! What a host finds out about generations: what such answers have in common, and reports that come as JSON lines while it works.

use std::collections::BTreeMap;
use std::fmt;

use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::{Method, RequestBuilder, Result as HttpResult, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::Named;
use crate::client::{Client, escape, failed};
use crate::error::CliError;

/// A request for what `inspection` finds out about a generation.
pub(crate) fn request(client: &Client, named: &Named, inspection: &str) -> RequestBuilder {
    let path = format!("/admin/v1/projections/{}/{inspection}", escape(&named.projection));
    client.request(Method::GET, &path, &[("target", named.target.target.as_deref())])
}

/// The generation that was looked at, and where its shards stood then.
#[derive(Deserialize)]
pub(crate) struct Subject {
    generation: String,
    target: String,
    shards: Vec<Shard>,
}

#[derive(Deserialize)]
struct Shard {
    position: u64,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.generation, self.target)
    }
}

impl Subject {
    /// With its positions.
    pub(crate) fn of_its_moment(&self) -> String {
        let positions: Vec<String> = self.shards.iter().map(|shard| shard.position.to_string()).collect();
        format!("{self} at position {}", positions.join(", "))
    }
}

/// A row: its columns, each value as the host wrote it.
pub(crate) type Values<'a> = BTreeMap<String, &'a RawValue>;

/// A value of a row that may not be there.
pub(crate) fn value<'a>(row: Option<&Values<'a>>, column: &str) -> &'a str {
    row.and_then(|row| row.get(column)).map_or("", |value| value.get())
}

/// The lines of a report.
pub(crate) struct Lines {
    body: BoxStream<'static, HttpResult<bytes::Bytes>>,
    /// What has come of lines that are not taken yet.
    rest: Vec<u8>,
    /// How much of `rest` is known to hold no end of a line.
    searched: usize,
}

/// What every line says of itself.
#[derive(Deserialize)]
struct Head {
    line: String,
    message: Option<String>,
    status: Option<u16>,
}

impl Lines {
    /// Asks for a report.
    pub(crate) async fn ask(client: &Client, request: RequestBuilder) -> Result<Lines, CliError> {
        let body = client.send(request).await?.bytes_stream().boxed();
        Ok(Lines { body, rest: Vec::new(), searched: 0 })
    }

    /// The next line and what kind it is; nothing behind the last. A line that says that the host could not go on is an error.
    pub(crate) async fn next(&mut self) -> Result<Option<(String, String)>, CliError> {
        let Some(text) = self.line().await? else { return Ok(None) };
        let head: Head = parse(&text)?;
        if head.line == "error" {
            let status = head.status.and_then(|status| StatusCode::from_u16(status).ok());
            return Err(failed(status.unwrap_or_default(), head.message.unwrap_or_default()));
        }
        Ok(Some((head.line, text)))
    }

    async fn line(&mut self) -> Result<Option<String>, CliError> {
        loop {
            if let Some(end) = self.rest[self.searched..].iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.rest.drain(..=self.searched + end).collect();
                self.searched = 0;
                line.pop();
                let text = String::from_utf8(line);
                return text.map(Some).map_err(|error| CliError::caused("the report is not text", error));
            }
            self.searched = self.rest.len();
            match self.body.next().await {
                Some(bytes) => {
                    self.rest.extend(bytes.map_err(|error| CliError::caused("the report broke off", error))?);
                }
                None if self.rest.is_empty() => return Ok(None),
                None => return Err(CliError::Failed("the report broke off in the middle of a line".to_owned())),
            }
        }
    }
}

/// Reads a line.
pub(crate) fn parse<'de, T: Deserialize<'de>>(line: &'de str) -> Result<T, CliError> {
    serde_json::from_str(line)
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))
}
