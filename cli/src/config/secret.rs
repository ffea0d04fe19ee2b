//! What is never shown: tokens whole, addresses without their passwords. Either may stand in a file of its own.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;

use crate::error::CliError;

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// A URL that may hold a password; it is shown without.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Address(String);

impl Address {
    /// The whole of it, for who connects.
    pub(crate) fn whole(&self) -> &str {
        &self.0
    }

    /// What stands in front of the first `:`.
    pub(crate) fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }
}

impl From<String> for Address {
    fn from(url: String) -> Address {
        Address(url)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_password(&self.0))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text of the configuration that may be a secret: itself, or the file that holds it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a text, or { file = \"PATH\" }")]
pub(crate) enum Given {
    Text(String),
    File(InFile),
}

/// `{ file = "PATH" }`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InFile {
    file: PathBuf,
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Given::Text(_) => f.write_str("(given)"),
            Given::File(InFile { file }) => write!(f, "(in {})", file.display()),
        }
    }
}

impl Given {
    /// The text; `key` is what it was given for. White space around what a file holds does not count: editors end files with a line.
    pub(crate) fn text(self, key: &str) -> Result<String, CliError> {
        match self {
            Given::Text(text) => Ok(text),
            Given::File(InFile { file }) => from_file(&file, key),
        }
    }
}

/// The secret that a file holds.
pub(crate) fn from_file(file: &std::path::Path, key: &str) -> Result<String, CliError> {
    let shown = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| CliError::Usage(format!("{key}: the secret's file {shown} cannot be read: {error}")))?;
    let text = text.trim();
    if text.is_empty() {
        return Err(CliError::Usage(format!("{key}: the secret's file {shown} is empty")));
    }
    Ok(text.to_owned())
}

/// A URL for messages. What may be part of a password is left out, even where the URL is not well formed.
fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (user, place) = match rest.rsplit_once('@') {
        Some((credentials, place)) => {
            let user = credentials.split(':').next().unwrap_or_default();
            let password = if user.len() < credentials.len() { ":…" } else { "" };
            (format!("{user}{password}@"), place)
        }
        None => (String::new(), rest),
    };
    let (place, parameters) = place.split_once('?').unwrap_or((place, ""));
    let shown: Vec<String> = parameters.split('&').filter(|each| !each.is_empty()).map(shown_parameter).collect();
    let mark = if shown.is_empty() { "" } else { "?" };
    format!("{scheme}://{user}{place}{mark}{}", shown.join("&"))
}

fn shown_parameter(parameter: &str) -> String {
    let (name, _) = parameter.split_once('=').unwrap_or((parameter, ""));
    let secret = ["password", "secret", "token", "key.pem"].iter().any(|word| name.to_ascii_lowercase().contains(word));
    if secret { format!("{name}=…") } else { parameter.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_without_their_passwords() {
        let shown = [
            ("mongodb://a:secret@h1,h2/d?replicaSet=rs", "mongodb://a:…@h1,h2/d?replicaSet=rs"),
            ("postgres://u:s@cret@h/d", "postgres://u:…@h/d"),
            ("postgres://u@h/d?password=secret&sslmode=require", "postgres://u@h/d?password=…&sslmode=require"),
            ("postgres://u:a?secret@h/d", "postgres://u:…@h/d"),
            ("kafka://h:9092/t", "kafka://h:9092/t"),
            ("kafkas://h:1/t?ssl.key.location=a.pem", "kafkas://h:1/t?ssl.key.location=a.pem"),
            (
                "kafkas://u:secret@h:1/t?ssl.key.password=secret&ssl.key.pem=secret&ssl.keystore.password=secret",
                "kafkas://u:…@h:1/t?ssl.key.password=…&ssl.key.pem=…&ssl.keystore.password=…",
            ),
            ("sqlite:/a/b", "sqlite:/a/b"),
        ];
        for (url, expected) in shown {
            let address = Address::from(url.to_owned());
            assert_eq!(address.to_string(), expected);
            assert_eq!(address.whole(), url);
            assert_eq!(format!("{address:?}"), address.to_string());
        }
    }
}
