//! All processes, two of each, on a topic with eight partitions.

use std::sync::Arc;

use reel_e2e::apart::Apart;
use reel_e2e::deadline::until;
use reel_e2e::reel::Reel;
use serde_json::Value;

/// As many as the topic has.
const PARTITIONS: u32 = 8;

pub(crate) struct Place {
    pub(crate) commands: [Arc<Reel>; 2],
    pub(crate) hosts: [Reel; 2],
    pub(crate) reads: [Reel; 2],
    pub(crate) apart: Apart,
}

impl Place {
    /// Nothing where the servers are not given.
    pub(crate) async fn new() -> Option<Place> {
        let apart = Apart::on_given_servers(PARTITIONS).await?;
        // The first founds the log; it is the relay's leader.
        let first = apart.start("command-service", "commands-1").await;
        let (second, host, other_host, reads, other_reads) = tokio::join!(
            apart.start("command-service", "commands-2"),
            apart.start("host", "host-1"),
            apart.start("host", "host-2"),
            apart.start("read-api", "reads-1"),
            apart.start("read-api", "reads-2"),
        );
        let commands = [Arc::new(first), Arc::new(second)];
        Some(Place { commands, hosts: [host, other_host], reads: [reads, other_reads], apart })
    }

    /// Waits until these generations have applied all that is in the log, as `host` says.
    pub(crate) async fn until_current(&self, host: &Reel, generations: &[&str]) {
        for generation in generations {
            let head = self.commands[1].get("/commands/v1/head").await.body["position"].as_u64().unwrap();
            let status = host.until_status(generation, |status| status["position"].as_u64() >= Some(head)).await;
            assert_eq!(status["condition"], "running", "{status}\n{}", host.log());
        }
    }

    /// Stops everything in good order.
    pub(crate) async fn stop(self) {
        let Place { commands, hosts, reads, .. } = self;
        let commands = commands.map(|commands| Arc::into_inner(commands).expect("nobody writes any more"));
        for process in commands.into_iter().chain(hosts).chain(reads) {
            assert!(process.stop().await.success());
        }
    }
}

/// Rows of a table, in the order of its key.
pub(crate) async fn rows(reads: &Reel, (projection, table): (&str, &str), key: &str) -> Vec<Value> {
    let joint = if table.contains('?') { '&' } else { '?' };
    let path = format!("/read/v1/{projection}/{table}{joint}order={key}");
    until("a read API that knows the generation", async || {
        let answer = reads.get(&path).await;
        (answer.status == 200).then(|| answer.rows().to_vec())
    })
    .await
}
