//! The topic in Kafka: where it is (`kafka://…`, `kafkas://…`), and the client settings that producer, consumer and admin share.
//!
//! Not here: what is written into it and when (`relay`), how a message looks (`reel_events::cloud_events::kafka`).

mod access;
mod admin;
pub mod consumer;
mod fault;
mod producer;
pub(crate) mod read_ahead;

use std::{fmt, str::FromStr};

use rdkafka::{
    ClientContext,
    config::{ClientConfig, RDKafkaLogLevel},
    consumer::ConsumerContext,
    error::KafkaError,
};
use reel_events::foreign::Format;

use self::access::{Access, Transport};
pub use self::{
    admin::{FoundTopic, Last, find, find_or_make, last_messages},
    fault::{Said, TopicFault},
    producer::Publisher,
};
pub(crate) use admin::{is_passing, partitions_of};
pub(crate) use fault::{Hearing, ask, blocking};

/// A topic: `kafka://[USER:PASSWORD@]HOST:PORT[,HOST:PORT…]/TOPIC[?SETTING=VALUE&…]`, or `kafkas://…` over TLS. User and password
/// may be percent-encoded; they are a login by SASL PLAIN, or by what `sasl.mechanisms` says. The settings are librdkafka's own, but
/// for those that describe somebody else's topic: `foreign=cloudevents`, or `foreign=json` with `kind-field=NAME`; with either
/// `stream-field=NAME`. What is displayed never holds the password, nor any setting.
#[derive(Clone, PartialEq, Eq)]
pub struct TopicUrl {
    brokers: String,
    topic: String,
    access: Access,
    settings: Vec<(String, String)>,
    foreign: Option<Format>,
}

/// Why a text is no topic's URL. It never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the topic must be kafka://HOST:PORT[,HOST:PORT…]/TOPIC, or kafkas://… over TLS: {0}")]
pub struct TopicUrlError(String);

/// What the client of this build cannot do for a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientLacks {
    /// It was built without OpenSSL.
    #[error(
        "this build's client has no OpenSSL, which {what} needs: build Reel by `cargo build --release --features kafka-tls`"
    )]
    OpenSsl {
        /// What is asked of it.
        what: &'static str,
    },
    /// It does not take a setting.
    #[error("Kafka's client does not take what the URL sets: {why}")]
    Setting {
        /// Which, and why, in its own words.
        why: String,
    },
}

/// Settings that the protocol depends on, or that are given in another way.
const OURS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "request.required.acks",
    "sasl.password",
    "sasl.username",
    "transactional.id",
];
/// The one that the scheme says.
const PROTOCOL: &str = "security.protocol";

/// How another producer's topic is described: what its messages are, and where they say what happened and to what.
const FOREIGN: &str = "foreign";
const KIND_FIELD: &str = "kind-field";
const STREAM_FIELD: &str = "stream-field";

/// The longest name that Kafka takes.
const LONGEST_TOPIC: usize = 249;

impl TopicUrl {
    /// The topic's name.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The brokers to begin with, as `HOST:PORT,…`.
    #[must_use]
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// How its messages are read, where it is another producer's; nothing = it is Reel's own.
    #[must_use]
    pub fn foreign(&self) -> Option<&Format> {
        self.foreign.as_ref()
    }

    /// Settings of a client of this topic: those that all share, `settings` of this sort of client, and last what the URL says.
    #[must_use]
    pub fn configure(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers).set("client.id", "reel");
        // A broker that comes back, and a topic that was made anew, are noticed within a second.
        config.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
        config.set("topic.metadata.refresh.interval.ms", "5000").set("topic.metadata.propagation.max.ms", "2000");
        config.set("socket.keepalive.enable", "true");
        config.set_log_level(RDKafkaLogLevel::Warning);
        self.access.configure(&mut config);
        let given = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in settings.iter().copied().chain(given) {
            config.set(name, value);
        }
        config
    }

    /// Whether the client that is linked into this build can do what the URL asks for. Connects to nothing.
    ///
    /// # Errors
    /// Where TLS or SCRAM are asked of a client without OpenSSL, or it does not take a setting.
    pub fn check_client(&self) -> Result<(), ClientLacks> {
        let client = ClientConfig::new().create_native_config().and_then(|client| client.get("builtin.features"));
        let features = client.expect("a client says what is built in");
        if let Some(what) = self.access.lacking(&features) {
            return Err(ClientLacks::OpenSsl { what });
        }
        self.configure(&[]).create_native_config().map(drop).map_err(|error| {
            let why = match error {
                // Without the value, which may be a secret.
                KafkaError::ClientConfig(_, why, ..) => why,
                other => other.to_string(),
            };
            ClientLacks::Setting { why }
        })
    }
}

impl FromStr for TopicUrl {
    type Err = TopicUrlError;

    fn from_str(text: &str) -> Result<TopicUrl, TopicUrlError> {
        let (transport, rest) =
            Transport::split(text).ok_or_else(|| refused("it does not begin with kafka:// or kafkas://"))?;
        let (place, query) = rest.split_once('?').map_or((rest, ""), |(place, query)| (place, query));
        let (authority, topic) = place.split_once('/').ok_or_else(|| refused("it names no topic"))?;
        let (login, brokers) = match authority.rsplit_once('@') {
            Some((login, brokers)) => (Some(login), brokers),
            None => (None, authority),
        };
        let checked = brokers.split(',').try_for_each(check_broker).and_then(|()| check_topic(topic));
        checked.map_err(|error| match login {
            // What is no broker may be a piece of a password.
            None if rest.contains('@') => refused("percent-encode what is no letter or digit in user and password"),
            _ => error,
        })?;
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let mut settings = pairs.map(setting).collect::<Result<Vec<_>, _>>()?;
        let access = Access::take(transport, login, &mut settings)?;
        let foreign = format(&mut settings)?;
        Ok(TopicUrl { brokers: brokers.to_owned(), topic: topic.to_owned(), access, settings, foreign })
    }
}

fn check_broker(broker: &str) -> Result<(), TopicUrlError> {
    let port = broker.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(_)) => Ok(()),
        _ => Err(refused(format!("{broker:?} is no HOST:PORT"))),
    }
}

fn check_topic(topic: &str) -> Result<(), TopicUrlError> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
    let good =
        (1..=LONGEST_TOPIC).contains(&topic.len()) && topic.bytes().all(allowed) && topic != "." && topic != "..";
    if good {
        return Ok(());
    }
    Err(refused(format!("{topic:?} is no topic: 1 to {LONGEST_TOPIC} ASCII letters, digits, `.`, `_` or `-`")))
}

fn setting(pair: &str) -> Result<(String, String), TopicUrlError> {
    let (name, value) = pair.split_once('=').ok_or_else(|| refused(format!("setting {pair:?} has no value")))?;
    if name == PROTOCOL {
        return Err(refused(format!("{PROTOCOL} is the scheme's: kafkas:// is TLS, kafka:// is not")));
    }
    if OURS.contains(&name) {
        return Err(refused(format!("the setting {name} is Reel's own")));
    }
    Ok((name.to_owned(), decoded(value)?))
}

/// Takes what describes another producer's topic out of the settings.
fn format(settings: &mut Vec<(String, String)>) -> Result<Option<Format>, TopicUrlError> {
    let mut take = |wanted: &str| {
        let found = settings.iter().position(|(name, _)| name == wanted)?;
        Some(settings.remove(found).1)
    };
    let (foreign, kind, stream) = (take(FOREIGN), take(KIND_FIELD), take(STREAM_FIELD));
    let fields = [(KIND_FIELD, &kind), (STREAM_FIELD, &stream)];
    if let Some((name, _)) = fields.iter().find(|(_, value)| value.as_ref().is_some_and(String::is_empty)) {
        return Err(refused(format!("{name} names no field")));
    }
    match (foreign.as_deref(), kind) {
        (None, None) if stream.is_none() => Ok(None),
        (None, kind) => {
            let name = if kind.is_some() { KIND_FIELD } else { STREAM_FIELD };
            Err(refused(format!("{name} goes with foreign=cloudevents or foreign=json")))
        }
        (Some("cloudevents"), None) => Ok(Some(Format::CloudEvents { stream })),
        (Some("cloudevents"), Some(_)) => Err(refused("kind-field goes with foreign=json: a CloudEvent has a type")),
        (Some("json"), Some(kind)) => Ok(Some(Format::Json { kind, stream })),
        (Some("json"), None) => Err(refused("foreign=json needs kind-field=NAME, the field that says what happened")),
        (Some(other), _) => Err(refused(format!("foreign must be cloudevents or json, not {other:?}"))),
    }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String, TopicUrlError> {
    let wrong = || refused("a % is not followed by two hexadecimal digits of UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok()).ok_or_else(wrong)?;
        bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong())?);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

fn refused(why: impl Into<String>) -> TopicUrlError {
    TopicUrlError(why.into())
}

impl fmt::Display for TopicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}/{}", self.access.shown(), self.brokers, self.topic)
    }
}

impl fmt::Debug for TopicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicUrl({self})")
    }
}

/// What librdkafka says goes to `tracing`. It reconnects by itself and repeats itself much, so that its words are details; who
/// uses the client says what they mean.
#[derive(Debug, Clone, Default)]
pub struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&error, reason);
    }
}

impl ConsumerContext for Quiet {}

/// The same for contexts that do more than that.
pub(crate) fn note_log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    tracing::debug!(?level, facility, "kafka: {message}");
}

/// The same for errors of a client as a whole.
pub(crate) fn note_error(error: &KafkaError, reason: &str) {
    tracing::debug!(%error, "kafka: {reason}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TopicUrl, String> {
        text.parse().map_err(|error: TopicUrlError| error.to_string())
    }

    #[test]
    fn a_url_names_brokers_topic_login_and_settings() {
        let url = parse("kafka://bob:p%40ss%3a@a:9092,b:9093/reel.events?linger.ms=7&socket.timeout.ms=1000").unwrap();
        assert_eq!((url.topic(), url.brokers()), ("reel.events", "a:9092,b:9093"));
        let config = url.configure(&[("linger.ms", "2"), ("acks", "all")]);
        let get = |name| config.get(name).unwrap();
        assert_eq!((get("sasl.username"), get("sasl.password")), ("bob", "p@ss:"));
        assert_eq!((get("linger.ms"), get("acks"), get("socket.timeout.ms")), ("7", "all", "1000"));
        assert_eq!(url.to_string(), "kafka://bob@a:9092,b:9093/reel.events");
        assert_eq!(format!("{url:?}"), "TopicUrl(kafka://bob@a:9092,b:9093/reel.events)");
    }

    #[test]
    fn a_url_may_describe_another_producers_topic() {
        let url = parse("kafka://a:1/t?foreign=json&linger.ms=7&kind-field=ev%20type&stream-field=id").unwrap();
        let json = Format::Json { kind: "ev type".into(), stream: Some("id".into()) };
        assert_eq!((url.foreign(), url.configure(&[]).get("linger.ms")), (Some(&json), Some("7")));
        assert_eq!(url.configure(&[]).get("foreign"), None);
        let url = parse("kafka://a:1/t?foreign=cloudevents").unwrap();
        assert_eq!(url.foreign(), Some(&Format::CloudEvents { stream: None }));
        assert_eq!(parse("kafka://a:1/t").unwrap().foreign(), None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("http://a:1/t", "it does not begin with kafka://"),
            ("kafka://a:1", "it names no topic"),
            ("kafka://a/t", "\"a\" is no HOST:PORT"),
            ("kafka://a:1,:2/t", "\":2\" is no HOST:PORT"),
            ("kafka://a:1/", "\"\" is no topic"),
            ("kafka://a:1/a/b", "\"a/b\" is no topic"),
            ("kafka://bob@a:1/t", "a user needs a password"),
            ("kafka://bob:%4@a:1/t", "two hexadecimal digits"),
            ("kafka://bob:hu/sh@a:1/t", "percent-encode what is no letter or digit"),
            ("kafka://bob:1/hush@a:1/t", "percent-encode what is no letter or digit"),
            ("kafka://a:1/t?linger.ms", "setting \"linger.ms\" has no value"),
            ("kafka://a:1/t?acks=1", "the setting acks is Reel's own"),
            ("kafka://a:1/t?foreign=avro", "foreign must be cloudevents or json, not \"avro\""),
            ("kafka://a:1/t?foreign=json", "foreign=json needs kind-field=NAME"),
            ("kafka://a:1/t?foreign=json&kind-field=", "kind-field names no field"),
            ("kafka://a:1/t?foreign=cloudevents&kind-field=type", "kind-field goes with foreign=json"),
            ("kafka://a:1/t?kind-field=type", "kind-field goes with foreign=cloudevents or foreign=json"),
            ("kafka://a:1/t?stream-field=x", "stream-field goes with foreign=cloudevents or foreign=json"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(expected) && !error.contains("hu"), "{text}: {error}");
        }
    }
}
