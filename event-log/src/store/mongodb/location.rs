//! The URL: what of it is ours, what is the driver's, and what Reel sets whatever it says. No connection is made here.

use std::time::Duration;

use mongodb::options::{Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern};

use crate::store::StoreError;

/// The parameter that accepts a server that is no member of a replica set. Ours: the driver never sees it.
const STANDALONE: &str = "reel-standalone";
/// Where the URL names no database.
const DATABASE: &str = "reel";
/// How long to look for a primary, where the URL does not say (`serverSelectionTimeoutMS`).
const SELECTION: Duration = Duration::from_secs(5);
/// How long the server may wait for a majority.
const MAJORITY: Duration = Duration::from_secs(20);

/// What to do with a server that stands alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standalone {
    /// It shows writes before they are on disk.
    Refused,
    /// Whoever set it up knows that.
    Accepted,
}

/// A URL, taken apart.
#[derive(Debug)]
pub(super) struct Location {
    pub(super) options: ClientOptions,
    pub(super) database: String,
    pub(super) standalone: Standalone,
    /// Servers and database, for messages: without user, password and parameters.
    pub(super) shown: String,
}

impl Location {
    /// Takes `url` apart; a `mongodb+srv://` one is looked up.
    pub(super) async fn parse(url: &str) -> Result<Location, StoreError> {
        let refused = |reason: String| StoreError::Refused { location: without_credentials(url), reason };
        let (rest, standalone) = without_ours(url).map_err(&refused)?;
        let mut options = ClientOptions::parse(&rest).await.map_err(|error| refused(error.to_string()))?;
        let database = options.default_database.clone().unwrap_or_else(|| DATABASE.to_owned());
        let hosts: Vec<String> = options.hosts.iter().map(ToString::to_string).collect();
        let shown = format!("mongodb://{}/{database}", hosts.join(","));
        if options.retry_writes == Some(true) {
            tracing::warn!(store = %shown, "retryWrites=true is ignored: Reel looks up what became of a write instead of sending it twice");
        }
        settle(&mut options);
        Ok(Location { options, database, standalone, shown })
    }
}

/// What the protocol relies on, whatever the URL says.
fn settle(options: &mut ClientOptions) {
    options.retry_writes = Some(false);
    let majority = WriteConcern::builder().w(Acknowledgment::Majority).journal(true).w_timeout(MAJORITY).build();
    options.write_concern = Some(majority);
    options.read_concern = Some(ReadConcern::majority());
    options.selection_criteria = Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
    options.server_selection_timeout.get_or_insert(SELECTION);
    options.app_name.get_or_insert_with(|| "reel".to_owned());
}

/// The URL without our own parameter, and what that says.
fn without_ours(url: &str) -> Result<(String, Standalone), String> {
    let Some((front, query)) = url.split_once('?') else { return Ok((url.to_owned(), Standalone::Refused)) };
    let mut standalone = Standalone::Refused;
    let mut theirs = Vec::new();
    for parameter in query.split('&') {
        match parameter.split_once('=') {
            Some((STANDALONE, "true")) => standalone = Standalone::Accepted,
            Some((STANDALONE, "false")) => standalone = Standalone::Refused,
            Some((STANDALONE, other)) => return Err(format!("{STANDALONE} is true or false, not {other:?}")),
            _ => theirs.push(parameter),
        }
    }
    let separator = if theirs.is_empty() { "" } else { "?" };
    Ok((format!("{front}{separator}{}", theirs.join("&")), standalone))
}

/// The URL up to its parameters, with neither user nor password.
fn without_credentials(url: &str) -> String {
    let front = url.split('?').next().unwrap_or_default();
    match front.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{}", rest.rsplit('@').next().unwrap_or_default()),
        None => front.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_the_protocol_needs_is_set_whatever_the_url_says() {
        let url = "mongodb://a:secret@h1:1,h2/d?retryWrites=true&w=1&journal=false&readConcernLevel=local&reel-standalone=true&readPreference=secondary&authSource=admin";
        let location = Location::parse(url).await.unwrap();
        assert_eq!(location.shown, "mongodb://h1:1,h2:27017/d");
        assert_eq!((location.database.as_str(), location.standalone), ("d", Standalone::Accepted));
        let options = location.options;
        assert_eq!(options.retry_writes, Some(false));
        assert_eq!(options.read_concern, Some(ReadConcern::majority()));
        assert_eq!(options.selection_criteria, Some(SelectionCriteria::ReadPreference(ReadPreference::Primary)));
        let concern = options.write_concern.unwrap();
        assert_eq!((concern.w, concern.journal), (Some(Acknowledgment::Majority), Some(true)));
        let plain = Location::parse("mongodb://h").await.unwrap();
        assert_eq!((plain.database.as_str(), plain.standalone), ("reel", Standalone::Refused));
    }

    #[tokio::test]
    async fn a_wrong_url_is_refused_without_its_password() {
        for url in [
            "mongodb://a:secret@h/d?reel-standalone=yes",
            "mongodb://a:secret@h:port/d",
            "mongodb://a:secret@h/d?w=x&tls=7",
        ] {
            let error = Location::parse(url).await.unwrap_err();
            assert!(matches!(error, StoreError::Refused { .. }), "{error:?}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("secret") && shown.contains("mongodb://h"), "{shown}");
        }
    }
}
