//! Why a topic cannot be used, by what is to be done, and what the client says of it: asked for something, it only tells that no broker
//! answered; why none did it says of its connections.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use rdkafka::{
    ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext},
    error::{KafkaError, RDKafkaErrorCode},
};

use super::{TopicUrl, note_error, note_log};

/// How long to wait for what the client has to say of its connections, and how much of it is heard.
const SAID: Duration = Duration::from_millis(10);
const MOST_SAID: usize = 100;
/// What the client guesses where a broker hangs up instead of answering in TLS. (The other way round it says nothing.)
const NO_TLS_THERE: &str = "connecting to a PLAINTEXT broker listener?";

/// Why the topic cannot be used, by what is to be done.
#[derive(Debug, thiserror::Error)]
pub enum TopicFault {
    /// Passing: back off and try again.
    #[error("the topic {url} cannot be reached")]
    Unavailable {
        /// Which topic.
        url: String,
        /// Why.
        #[source]
        source: KafkaError,
    },
    /// The URL's settings make no client: a file that they name is not there, or not what it must be.
    #[error("no client of Kafka can be made for {url}: mend the settings of the topic's URL")]
    NoClient {
        /// Which topic.
        url: String,
        /// What the client says.
        #[source]
        source: KafkaError,
    },
    /// It is not there, and may not be made: make it, or permit it.
    #[error(
        "the topic {url} is not there, and the broker refuses to make it: grant its user Create, or make it with {partitions} partitions"
    )]
    NotMade {
        /// Which topic.
        url: String,
        /// How many partitions it is to have.
        partitions: u32,
        /// What the broker says.
        #[source]
        source: KafkaError,
    },
    /// It is not there.
    #[error("the topic {url} is not there")]
    Missing {
        /// Which topic.
        url: String,
    },
    /// It is not the one that it was: look at it again.
    #[error("the topic {url} has another number of partitions now: {partitions}")]
    Changed {
        /// Which topic.
        url: String,
        /// How many it has.
        partitions: u32,
    },
    /// It holds messages that the client cannot decompress: damaged, or by a codec that it was built without.
    #[error("the topic {url} holds messages that cannot be decompressed here")]
    Compressed {
        /// Which topic.
        url: String,
        /// What the client says.
        #[source]
        source: KafkaError,
    },
    /// The two do not agree on TLS, mostly because one does not trust the other's certificate: a person must look.
    #[error(
        "no TLS with the broker of {url}: see that ssl.ca.location names the certificate of who signed the broker's, and that the \
         broker's is for the host in the URL"
    )]
    NoTls {
        /// Which topic.
        url: String,
        /// What the client says.
        #[source]
        source: Said,
    },
    /// The broker ends the connection instead of answering in TLS: mostly its listener speaks none.
    #[error("the broker of {url} hangs up at once, as one does that listens without TLS: kafka:// is for such a one")]
    HungUp {
        /// Which topic.
        url: String,
        /// What the client says.
        #[source]
        source: Said,
    },
    /// The broker does not take the login: a person must look.
    #[error(
        "the broker lets nobody in with the login of {url}: see that user and password are right, and that sasl.mechanisms is one of its own"
    )]
    NotLetIn {
        /// Which topic, and which user.
        url: String,
        /// What the client says.
        #[source]
        source: Said,
    },
    /// Reading or writing it is not permitted: a person must look.
    #[error(
        "the broker refuses the topic {url}: grant its user Describe and Read there, a command service's Write and DescribeConfigs too"
    )]
    Refused {
        /// Which topic.
        url: String,
        /// What the broker says.
        #[source]
        source: KafkaError,
    },
}

/// What the client says of a connection that could not be made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{0}")]
pub struct Said(String);

impl TopicFault {
    /// What an error of the client means for this topic.
    pub(crate) fn of(url: &TopicUrl, source: KafkaError) -> TopicFault {
        use RDKafkaErrorCode as Code;
        let shown = url.to_string();
        if let KafkaError::ClientCreation(_) | KafkaError::ClientConfig(..) = source {
            return TopicFault::NoClient { url: shown, source };
        }
        match source.rdkafka_error_code() {
            Some(Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::UnknownPartition) => {
                TopicFault::Missing { url: shown }
            }
            Some(Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed) => {
                TopicFault::Refused { url: shown, source }
            }
            Some(Code::NotImplemented | Code::BadCompression) => TopicFault::Compressed { url: shown, source },
            code => {
                let told = code.and_then(|code| TopicFault::of_connection(url, code, Said(source.to_string())));
                told.unwrap_or(TopicFault::Unavailable { url: shown, source })
            }
        }
    }

    /// What it means that the client could not connect; nothing where there may have been no broker at all.
    fn of_connection(url: &TopicUrl, code: RDKafkaErrorCode, source: Said) -> Option<TopicFault> {
        use RDKafkaErrorCode as Code;
        let url = url.to_string();
        match code {
            Code::Authentication | Code::SaslAuthenticationFailed => Some(TopicFault::NotLetIn { url, source }),
            Code::SSL => Some(TopicFault::NoTls { url, source }),
            _ if source.0.contains(NO_TLS_THERE) => Some(TopicFault::HungUp { url, source }),
            _ => None,
        }
    }
}

/// Asks a client of its own something, on a thread for that. Where no broker answers, what the client says of its connections tells why.
pub(crate) async fn ask<T: Send + 'static>(
    url: &TopicUrl,
    settings: &'static [(&'static str, &'static str)],
    question: impl FnOnce(&BaseConsumer<Hearing>) -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, TopicFault> {
    let asked = url.clone();
    let done = tokio::task::spawn_blocking(move || {
        let client: BaseConsumer<Hearing> = asked
            .configure(settings)
            .create_with_context(Hearing::default())
            .map_err(|error| TopicFault::of(&asked, error))?;
        question(&client).map_err(|error| match TopicFault::of(&asked, error) {
            unavailable @ TopicFault::Unavailable { .. } => heard(&client, &asked).unwrap_or(unavailable),
            fault => fault,
        })
    });
    done.await.unwrap_or_else(|_| Err(TopicFault::of(url, KafkaError::Canceled)))
}

/// Calls of the client that block, on a thread for that.
pub(crate) async fn blocking<T: Send + 'static>(
    url: &TopicUrl,
    work: impl FnOnce() -> Result<T, KafkaError> + Send + 'static,
) -> Result<T, TopicFault> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(KafkaError::Canceled)).map_err(|error| TopicFault::of(url, error))
}

/// Why the client has no connection, where it says so.
fn heard(client: &BaseConsumer<Hearing>, url: &TopicUrl) -> Option<TopicFault> {
    let told = std::iter::from_fn(|| client.poll(SAID));
    told.take(MOST_SAID).for_each(drop);
    client.client().context().fault(url)
}

/// What a client says of its connections, kept.
#[derive(Debug, Default)]
pub(crate) struct Hearing(Mutex<Vec<(RDKafkaErrorCode, Said)>>);

impl Hearing {
    /// What it means for this topic, the same for the same words in whatever order; a refusal rather than a guess.
    fn fault(&self, url: &TopicUrl) -> Option<TopicFault> {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        said.sort_by(|(_, one), (_, other)| one.cmp(other));
        let meant = said.iter().filter_map(|(code, words)| TopicFault::of_connection(url, *code, words.clone()));
        meant.min_by_key(|fault| matches!(fault, TopicFault::HungUp { .. }))
    }
}

impl ClientContext for Hearing {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        note_log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        note_error(&error, reason);
        let Some(code) = error.rdkafka_error_code() else { return };
        // When it was said makes it no other thing.
        let words = reason.split(" (after ").next().unwrap_or(reason);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((code, Said(words.to_owned())));
    }
}

impl ConsumerContext for Hearing {}
