//! The HTTP client of the verbs that talk to a running Reel.

use std::error::Error;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::args::Common;
use crate::config;
use crate::error::CliError;

/// A Reel that runs somewhere.
pub(crate) struct Client {
    http: reqwest::Client,
    urls: Urls,
    token: Option<String>,
    pub(crate) output: Output,
}

/// Where the parts of a running Reel are: one address where one process is all of it.
struct Urls {
    commands: String,
    host: String,
    reads: String,
}

impl Urls {
    /// `--url` counts for everything; else each part's variable, else `REEL_URL`.
    fn told(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Urls {
        let of = |name: &str| {
            let told = flag.map(str::to_owned).or_else(|| variable(name)).or_else(|| variable("REEL_URL"));
            let url = told.filter(|url| !url.is_empty()).unwrap_or_else(|| "http://127.0.0.1:7070".to_owned());
            url.trim_end_matches('/').to_owned()
        };
        Urls { commands: of("REEL_COMMAND_URL"), host: of("REEL_HOST_URL"), reads: of("REEL_READ_URL") }
    }

    /// Whoever answers `path`.
    fn of(&self, path: &str) -> &str {
        match path {
            path if path.starts_with("/commands/") => &self.commands,
            path if path.starts_with("/read/") => &self.reads,
            _ => &self.host,
        }
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    Text,
    Json,
}

impl Client {
    pub(crate) fn new(common: &Common) -> Result<Client, CliError> {
        let output = if common.json { Output::Json } else { Output::Text };
        let token = match std::env::var_os("REEL_TOKEN_FILE") {
            Some(file) if common.token.is_none() && !file.is_empty() => {
                Some(config::from_file(file.as_ref(), "REEL_TOKEN_FILE")?)
            }
            _ => common.token.clone(),
        };
        let urls = Urls::told(common.url.as_deref(), |name| std::env::var(name).ok());
        Ok(Client { output, urls, ..Client::at("", token) })
    }

    /// A client of the Reel at `url`.
    pub(crate) fn at(url: &str, token: Option<String>) -> Client {
        // No proxy: the address is what the user said, and most often this machine.
        let http =
            reqwest::Client::builder().no_proxy().build().expect("a client without TLS needs nothing from outside");
        Client { http, urls: Urls::told(Some(url), |_| None), token, output: Output::Text }
    }

    /// A request for `path`, with the parameters that have a value.
    pub(crate) fn request(&self, method: Method, path: &str, parameters: &[(&str, Option<&str>)]) -> RequestBuilder {
        let given: Vec<_> = parameters.iter().filter_map(|(name, value)| value.map(|value| (*name, value))).collect();
        let mut request = self.http.request(method, self.at_path(path, &given));
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
    }

    /// Where whoever answers `path` is.
    pub(crate) fn address(&self, path: &str) -> &str {
        self.urls.of(path)
    }

    /// A request without a token, for what needs none.
    pub(crate) fn request_at(&self, method: Method, address: &str, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{address}{path}"))
    }

    fn at_path(&self, path: &str, parameters: &[(&str, &str)]) -> String {
        let mut url = format!("{}{path}", self.urls.of(path));
        for (number, (name, value)) in parameters.iter().enumerate() {
            url.push(if number == 0 && !path.contains('?') { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&escape(value));
        }
        url
    }

    /// Sends a request; an answer that is a problem is an error.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, CliError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let body = response.bytes().await.unwrap_or_default();
        Err(problem(status, &body))
    }

    /// Sends a request; whatever it is answered, problems too.
    pub(crate) async fn exchange(&self, request: RequestBuilder) -> Result<(StatusCode, Bytes), CliError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.unreachable(&error))?;
        Ok((status, body))
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, CliError> {
        let (status, body) = self.exchange(request).await?;
        if status.is_success() { document(&body) } else { Err(problem(status, &body)) }
    }

    /// What a connection that failed means.
    pub(crate) fn unreachable(&self, error: &reqwest::Error) -> CliError {
        let mut cause: &dyn Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let advice = if error.is_connect() { "; is it running? `reel up` starts one, --url names another" } else { "" };
        let asked = error.url().map_or_else(String::new, |url| format!(" from {}", url.origin().ascii_serialization()));
        CliError::NotReachable(format!("no answer{asked}: {cause}{advice}"))
    }
}

/// What an answer says.
pub(crate) fn document<T: DeserializeOwned>(body: &[u8]) -> Result<T, CliError> {
    serde_json::from_slice(body)
        .map_err(|error| CliError::caused("the answer is not what this version of reel expects", error))
}

/// The error that a problem+json answer means.
pub(crate) fn problem(status: StatusCode, body: &[u8]) -> CliError {
    let problem: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |member: &str| problem[member].as_str().unwrap_or_default();
    let message = match (text("title"), text("detail")) {
        ("", "") => format!("{status}: {}", String::from_utf8_lossy(&body[..body.len().min(300)])),
        (title, "") => title.to_owned(),
        (_, detail) => detail.to_owned(),
    };
    failed(status, message)
}

/// The error that an answer with this status means.
pub(crate) fn failed(status: StatusCode, message: String) -> CliError {
    match status {
        StatusCode::NOT_FOUND => CliError::NotFound(message),
        StatusCode::CONFLICT => CliError::Conflict(message),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::BAD_GATEWAY => CliError::NotReachable(message),
        _ => CliError::Failed(message),
    }
}

/// A value as it may stand in a URL.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte as char);
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_asked_where_it_is() {
        let variables = |name: &str| match name {
            "REEL_URL" => Some("http://all/".to_owned()),
            "REEL_READ_URL" => Some("http://reads".to_owned()),
            _ => None,
        };
        let split = Urls::told(None, variables);
        assert_eq!(split.of("/commands/v1/head"), "http://all");
        assert_eq!(split.of("/admin/v1/projections"), "http://all");
        assert_eq!(split.of("/read/v1/posts/posts"), "http://reads");
        assert_eq!(Urls::told(Some("http://one"), variables).of("/read/v1"), "http://one");
        assert_eq!(Urls::told(None, |_| None).of("/read/v1"), "http://127.0.0.1:7070");
    }
}
