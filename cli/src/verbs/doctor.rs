//! `reel doctor`: everything that the configuration names, and the Reel that runs, each with its version, whether it answers, what is
//! wrong and what to do. It changes nothing, but that a MongoDB store is opened as a process opens it: with the indexes that were missing.

use std::path::Path;

use reel_event_log::archive::Archive;
use reel_event_log::topic::foreign::ForeignTopic;
use reel_event_log::topic::kafka::{TopicFault, TopicUrl, find};
use reel_event_log::{EventStore, Limits, MongoStore, SqliteStore, StoreError};
use reel_events::LogId;
use reel_projector::chain;
use reel_read_model::Finding;
use reqwest::Method;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::args::Doctor;
use crate::client::{Client, Output};
use crate::config::{self, ArchiveConfig, Config, Topic};
use crate::error::CliError;
use crate::print;
use crate::processes::Process;

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Check {
    name: String,
    location: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// What else is to be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    problems: Vec<Problem>,
}

#[derive(Debug, Serialize)]
struct Problem {
    what: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    remedy: String,
}

/// The parts of a running Reel: name, path that tells which address is asked.
const PARTS: [(&str, &str); 3] = [("command service", "/commands/v1"), ("host", "/admin/v1"), ("read API", "/read/v1")];

pub(crate) async fn run(client: &Client, doctor: &Doctor) -> Result<(), CliError> {
    let checks = if doctor.ready {
        vec![running(client, "reel", "", Missing::Wrong).await]
    } else {
        let config = config::load(&doctor.flags, Process::Up)?;
        let mut checks = configured(&config).await;
        checks.extend(all_running(client).await);
        checks
    };
    let wrong = checks.iter().filter(|check| !check.ok).count();
    match client.output {
        Output::Json => print::json(&serde_json::json!({ "ok": wrong == 0, "checks": checks }))?,
        Output::Text => show(&checks)?,
    }
    match wrong {
        0 => Ok(()),
        1 => Err(CliError::Failed("one of these is not as it must be".into())),
        _ => Err(CliError::Failed(format!("{wrong} of these are not as they must be"))),
    }
}

async fn configured(config: &Config) -> Vec<Check> {
    let mut checks = match &config.topic {
        Topic::Local => vec![store(config).await],
        Topic::Kafka(url) => vec![store(config).await, topic(url, config).await],
        Topic::Foreign(url) => vec![foreign_topic(url).await],
    };
    if let (Some(ArchiveConfig { url, .. }), false) = (&config.archive, matches!(config.topic, Topic::Foreign(_))) {
        checks.push(archive(url).await);
    }
    for (name, url) in &config.targets {
        let examined = reel_read_model::examine(name, url.whole()).await;
        let problems = examined.findings.into_iter().map(Problem::from).collect();
        checks.push(Check { version: examined.version, ..Check::of(format!("target {name}"), url, problems) });
    }
    checks
}

impl Check {
    fn of(name: impl Into<String>, location: impl ToString, problems: Vec<Problem>) -> Check {
        let ok = problems.is_empty();
        Check { name: name.into(), location: location.to_string(), ok, version: None, note: None, problems }
    }

    fn fine(name: impl Into<String>, location: impl ToString, note: impl Into<String>) -> Check {
        Check { note: Some(note.into()), ..Check::of(name, location, Vec::new()) }
    }
}

impl From<Finding> for Problem {
    fn from(Finding { what, remedy }: Finding) -> Problem {
        Problem { what, remedy }
    }
}

async fn store(config: &Config) -> Check {
    let url = &config.store;
    let opened = match url.whole().strip_prefix("sqlite:") {
        Some(path) if !Path::new(path).exists() => {
            return Check::fine("store", url, "not there yet: made at the first start");
        }
        Some(path) => SqliteStore::open(path, Limits::default()).map(|_| "nobody uses it now".to_owned()),
        None => MongoStore::open(url.whole(), Limits::default()).await.map(|store| format!("log {}", store.log_id())),
    };
    match opened {
        Ok(note) => Check::fine("store", url, note),
        Err(StoreError::InUse { .. }) => Check::fine("store", url, "in use by a Reel that runs"),
        Err(error) => Check::of("store", url, vec![Problem { what: chain(&error), remedy: String::new() }]),
    }
}

async fn topic(url: &TopicUrl, config: &Config) -> Check {
    let found = match find(url).await {
        Ok(found) => found,
        Err(error) => {
            let otherwise = "see that the address is right, the broker runs and, where it listens with TLS, the URL begins with kafkas://; a command \
                 service makes a topic that is missing";
            return not_found(url, &error, otherwise);
        }
    };
    let mut problems = Vec::new();
    if found.partitions < config.topic_partitions {
        problems.push(Problem {
            what: format!("it has {} partitions, {} are configured", found.partitions, config.topic_partitions),
            remedy: "add partitions to the topic, or lower topic-partitions".into(),
        });
    }
    if let Some(most) = found.largest_event().filter(|most| *most < config.limits.event_bytes) {
        problems.push(Problem {
            what: format!("it takes events of {most} bytes, the event store of {}", config.limits.event_bytes),
            remedy: format!("raise the topic's max.message.bytes, or lower limits.event-bytes to {most}"),
        });
    }
    let note = Some(format!("{} partitions", found.partitions));
    Check { note, ..Check::of("topic", url, problems) }
}

/// Whether the archive's place answers. What it holds, `reel archive` says.
async fn archive(url: &str) -> Check {
    if !url.contains("://") && !Path::new(url).exists() {
        return Check::fine("archive", url, "not there yet: made at the first start");
    }
    let looked = async { Archive::open(url)?.list(LogId(Uuid::nil())).await };
    match looked.await {
        Ok(_) => Check::fine("archive", url, "can be read"),
        Err(error) => {
            let remedy =
                "see that archive.url is right and may be read; archive.url = \"none\" does without an archive";
            Check::of("archive", url, vec![Problem { what: chain(&error), remedy: remedy.into() }])
        }
    }
}

/// Another producer's topic.
async fn foreign_topic(url: &TopicUrl) -> Check {
    let topic = ForeignTopic::new(url).expect("the configuration has looked how it is read");
    match topic.ends().await {
        Ok(ends) => {
            let messages: u64 = ends.iter().map(|ends| ends.end - ends.start).sum();
            let note = format!("another producer's, {} partitions, about {messages} messages", ends.len());
            Check::fine("topic", url, note)
        }
        Err(error) => {
            let otherwise = "see that the address is right, the broker runs and, where it listens with TLS, the URL begins with kafkas://; and \
                             that whoever fills the topic has made it";
            not_found(url, &error, otherwise)
        }
    }
}

/// A topic that cannot be used; `otherwise` is what to do where the fault does not tell.
fn not_found(url: &TopicUrl, fault: &TopicFault, otherwise: &str) -> Check {
    let remedy = match fault {
        TopicFault::NotLetIn { .. } => "mend user and password in the topic's URL, or make that user on the broker",
        TopicFault::NoTls { .. } => {
            "add ?ssl.ca.location=FILE to the topic's URL, the certificate (PEM) of who signed the broker's; name the broker by a host \
             that its certificate names; where it asks for a certificate, give ssl.certificate.location and ssl.key.location"
        }
        TopicFault::HungUp { .. } => "write kafka:// for a listener without TLS, or name the one that has it",
        TopicFault::NoClient { .. } => "see that the files that the topic's URL names are there, and what they must be",
        _ => otherwise,
    };
    Check::of("topic", url, vec![Problem { what: chain(fault), remedy: remedy.into() }])
}

/// What it means when nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Nothing: it need not run.
    Fine,
    /// It was to be there.
    Wrong,
}

/// The Reel that runs; each of its processes once.
async fn all_running(client: &Client) -> Vec<Check> {
    let mut checks: Vec<Check> = Vec::new();
    for (name, path) in PARTS {
        let address = client.address(path).to_owned();
        match checks.iter_mut().find(|check| check.location == address) {
            Some(check) => check.name = format!("{}, {name}", check.name),
            None => checks.push(running(client, name, path, Missing::Fine).await),
        }
    }
    checks
}

async fn running(client: &Client, name: &str, path: &str, missing: Missing) -> Check {
    let address = client.address(path);
    let answered = client.request_at(Method::GET, address, "/health/ready").send().await;
    let answer = match answered {
        Ok(answer) => answer.json::<Value>().await.unwrap_or_default(),
        Err(error) if missing == Missing::Fine && error.is_connect() => {
            return Check::fine(name, address, "not running");
        }
        Err(error) => {
            let what = client.unreachable(&error).to_string();
            return Check::of(name, address, vec![Problem { what, remedy: String::new() }]);
        }
    };
    let mut problems: Vec<Problem> = unanswered(&answer).collect();
    if answer["ready"] != true && problems.is_empty() {
        let what = if answer["ready"] == false {
            "it is starting"
        } else {
            "whoever listens there is no Reel of this version"
        };
        problems.push(Problem { what: what.into(), remedy: String::new() });
    }
    Check { note: Some("running".into()), ..Check::of(name, address, problems) }
}

/// What a running Reel says that it misses.
fn unanswered(answer: &Value) -> impl Iterator<Item = Problem> {
    let checks = answer["checks"].as_array().map(Vec::as_slice).unwrap_or_default();
    checks.iter().filter(|check| check["ok"] == false).map(|check| {
        let text = |member: &str| check[member].as_str().unwrap_or_default();
        Problem { what: format!("{} ({}): {}", text("name"), text("location"), text("problem")), remedy: String::new() }
    })
}

fn show(checks: &[Check]) -> Result<(), CliError> {
    for check in checks {
        let mark = if check.ok { "ok   " } else { "WRONG" };
        let known: Vec<&str> = [&check.version, &check.note].into_iter().flatten().map(String::as_str).collect();
        let known = if known.is_empty() { String::new() } else { format!(": {}", known.join(", ")) };
        print::line(&format!("{mark} {} at {}{known}", check.name, check.location))?;
        for Problem { what, remedy } in &check.problems {
            print::line(&format!("        {what}"))?;
            if !remedy.is_empty() {
                print::line(&format!("        → {remedy}"))?;
            }
        }
    }
    Ok(())
}
