//! The processes of a campaign: two command services, two hosts and one that comes and goes, two read APIs; each at an address that stays.

use std::fmt;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex as Guarded, PoisonError};
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::chronicle::Chronicle;
use super::servers::{Server, Servers};
use super::topic::Topic;
use crate::apart::Apart;
use crate::components::example;
use crate::deadline::until;
use crate::dice::Dice;
use crate::reel::{Reel, try_answer};

/// Partitions of the topic, as the relay makes it.
const PARTITIONS: u32 = 4;

/// One process's place: it may run or not.
pub(super) struct Slot {
    process: &'static str,
    name: String,
    /// Where it listens when it runs.
    pub(super) url: String,
    reel: Arc<Mutex<Option<Reel>>>,
    /// What those said that ran here before.
    logs: Guarded<String>,
}

/// A slot that somebody does something to.
pub(super) type Held = OwnedMutexGuard<Option<Reel>>;

/// All processes.
pub(super) struct Processes {
    pub(super) commands: [Slot; 2],
    pub(super) hosts: [Slot; 2],
    /// A third host: down unless it has joined.
    pub(super) guest: Slot,
    pub(super) reads: [Slot; 2],
    pub(super) topic: Topic,
    apart: Apart,
    /// For questions to processes that may not answer.
    pub(super) http: reqwest::Client,
}

impl Slot {
    fn new(process: &'static str, nth: usize, dice: &mut Dice) -> Slot {
        let url = format!("http://127.0.0.1:{}", free_port(dice));
        Slot { process, name: format!("{process}-{nth}"), url, reel: Arc::default(), logs: Guarded::default() }
    }

    /// Holds it, so that nobody else does something to it; nothing where somebody does.
    pub(super) fn hold(&self) -> Option<Held> {
        Arc::clone(&self.reel).try_lock_owned().ok()
    }

    /// Holds it, as soon as nobody else does.
    pub(super) async fn held(&self) -> Held {
        Arc::clone(&self.reel).lock_owned().await
    }

    /// SIGKILL.
    pub(super) async fn kill(&self, held: &mut Held) {
        if let Some(reel) = held.take() {
            self.keep(&reel);
            reel.kill().await;
        }
    }

    /// SIGTERM, and waits for its end.
    pub(super) async fn stop(&self, held: &mut Held) -> Result<(), String> {
        let Some(mut reel) = held.take() else { return Ok(()) };
        let status = reel.ends_in_order().await;
        self.keep(&reel);
        if status.success() { Ok(()) } else { Err(format!("{} ended with {status} when it was asked to", self.name)) }
    }

    /// All that was said here, as far as nobody holds it just now.
    pub(super) fn log(&self) -> String {
        let mut text = self.logs.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(held) = self.hold()
            && let Some(reel) = held.as_ref()
        {
            text.push_str(&reel.log());
        }
        text
    }

    fn keep(&self, reel: &Reel) {
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        logs.push_str(&reel.log());
        logs.push_str("--- another process from here on\n");
    }
}

impl Processes {
    /// Starts all of them, and deploys posts, in both shapes, and todos.
    pub(super) async fn start(servers: &Servers, chronicle: &Chronicle, dice: &mut Dice) -> Processes {
        let mongodb = format!("mongodb://{}", servers.address(Server::MongoDb));
        let apart = Apart::on((&mongodb, &servers.address(Server::Broker), &servers.target()), PARTITIONS);
        let mut two = |process| [Slot::new(process, 1, dice), Slot::new(process, 2, dice)];
        let (commands, hosts, reads) = (two("command-service"), two("host"), two("read-api"));
        let topic = Topic::at(&apart.topic);
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(3)).build();
        let http = http.expect("a client without TLS needs nothing from outside");
        let guest = Slot::new("host", 3, dice);
        let processes = Processes { commands, hosts, guest, reads, topic, apart, http };
        for slot in processes.commands.iter().chain(&processes.hosts).chain(&processes.reads) {
            processes.run(slot, &mut slot.held().await).await;
            processes.until_ready(slot).await;
        }
        chronicle.say("all servers and processes are up");
        let host = processes.hosts[0].held().await;
        let host = host.as_ref().expect("it was just started");
        host.deploy(&example("posts"), &[]).await;
        let v2 = example("posts-v2");
        host.ok(&["replay", "posts", "--wait", "--no-promote", "--with", v2.to_str().expect("such paths are UTF-8")])
            .await;
        chronicle.say("posts@1 is live, posts@2 is ready");
        processes
    }

    /// Starts the process of a slot, and waits until it listens.
    pub(super) async fn run(&self, slot: &Slot, held: &mut Held) {
        let up = self.apart.process(slot.process, &slot.name).listen(slot.url.trim_start_matches("http://"));
        **held = Some(up.start_to_listen().await);
    }

    /// Waits until a process can do its work.
    pub(super) async fn until_ready(&self, slot: &Slot) {
        until(&format!("{} that is ready", slot.name), async || {
            let answer = try_answer(self.http.get(format!("{}/health/ready", slot.url))).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }

    /// The command service whose relay leads, as both say.
    pub(super) async fn leader(&self) -> Option<&Slot> {
        for slot in &self.commands {
            let asked = self.http.get(format!("{}/metrics", slot.url)).send().await;
            if let Ok(metrics) = asked
                && let Ok(text) = metrics.text().await
                && text.lines().any(|line| line == "reel_relay_leading 1")
            {
                return Some(slot);
            }
        }
        None
    }

    /// What has ended by itself.
    pub(super) async fn assert_running(&self) -> Result<(), String> {
        for slot in self.all() {
            if let Some(reel) = slot.held().await.as_mut()
                && let Some(status) = reel.has_ended()
            {
                return Err(format!("{} has ended by itself, with {status}:\n{}", slot.name, reel.log()));
            }
        }
        Ok(())
    }

    /// Writes all logs into a folder that stays.
    pub(super) fn keep_logs(&self) -> PathBuf {
        let folder = tempfile::Builder::new().prefix("reel-campaign-logs-").tempdir().expect("a folder can be made");
        let folder = folder.keep();
        for slot in self.all() {
            std::fs::write(folder.join(&slot.name).with_extension("log"), slot.log()).expect("there is room for logs");
        }
        folder
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Slot> {
        self.commands.iter().chain(&self.hosts).chain([&self.guest]).chain(&self.reads)
    }
}

impl fmt::Display for Processes {
    /// Where everything is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.apart.store, self.apart.topic, self.apart.target)?;
        self.all().try_for_each(|slot| writeln!(f, "{} {}", slot.name, slot.url))
    }
}

/// A port that nobody listens at, below those that are given to outgoing connections.
pub(super) fn free_port(dice: &mut Dice) -> u16 {
    for _ in 0..1_000 {
        let port = 20_000 + u16::try_from(dice.below(10_000)).expect("a small number");
        // The broker takes the next one too.
        let free = [port, port + 1].iter().all(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok());
        if free {
            return port;
        }
    }
    panic!("no port is free");
}

/// Sends a signal (`STOP`) to processes.
pub(super) async fn signal(name: &str, processes: &[String]) {
    let mut kill = Command::new("kill");
    kill.arg(format!("-{name}")).args(processes).stderr(Stdio::null());
    // One that has ended meanwhile hears nothing.
    kill.status().await.expect("kill can be started");
}
