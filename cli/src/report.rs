//! Reports of a host that come as JSON lines while it works.

use futures::StreamExt;
use futures::stream::BoxStream;
use reqwest::{RequestBuilder, Result as HttpResult, StatusCode};
use serde::Deserialize;

use crate::client::{Client, failed};
use crate::error::CliError;

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
