//! The processes of `reel serve` on servers: one log in MongoDB, one topic in Kafka, one read database in PostgreSQL, all of one's own, and
//! as many processes on them as a test wants.

use tempfile::TempDir;
use uuid::Uuid;

use crate::database::{self, Postgres};
use crate::deadline::until;
use crate::reel::{Reel, Up};

/// Where the processes keep what they keep.
pub struct Apart {
    /// The event store, as `--store` takes it.
    pub store: String,
    /// The topic, as `--topic` takes it.
    pub topic: String,
    /// The read database, as `--target` takes it.
    pub target: String,
    partitions: u32,
    data: TempDir,
    _database: Option<Postgres>,
}

impl Apart {
    /// New places on the servers that the environment gives, with a topic of so many partitions, which the relay makes; nothing where a
    /// server is not given, and tests are not required to have it.
    ///
    /// # Panics
    /// Where `REEL_TEST_REQUIRE` names a server that is not given, or PostgreSQL does not answer.
    pub async fn on_given_servers(partitions: u32) -> Option<Apart> {
        let mongodb = database::server("mongodb", "REEL_TEST_MONGODB");
        let kafka = database::server("kafka", "REEL_TEST_KAFKA");
        let database = Postgres::new().await;
        let (mongodb, kafka, database) = (mongodb?, kafka?, database?);
        let target = database.url();
        Some(Apart { _database: Some(database), ..Apart::on((&mongodb, &kafka, &target), partitions) })
    }

    /// New places on these servers: MongoDB's URL, Kafka's brokers, the URL of an empty read database.
    ///
    /// # Panics
    /// Where there is no room for files.
    #[must_use]
    pub fn on((mongodb, kafka, target): (&str, &str, &str), partitions: u32) -> Apart {
        let name = format!("apart-{}", Uuid::new_v4().simple());
        Apart {
            // The servers that tests can have are no replica sets.
            store: format!("{}/{name}?reel-standalone=true", mongodb.trim_end_matches('/')),
            topic: format!("kafka://{kafka}/{name}"),
            target: target.to_owned(),
            partitions,
            data: tempfile::tempdir().expect("a folder can be made"),
            _database: None,
        }
    }

    /// A process (`host`) to be started, with a data directory of this name.
    #[must_use]
    pub fn process(&self, process: &str, name: &str) -> Up {
        let up = Up::serve(process, &self.data.path().join(name));
        let up = up.with(&["--store", &self.store, "--topic", &self.topic, "--target", &self.target]);
        up.variable("REEL_TOPIC_PARTITIONS", &self.partitions.to_string())
    }

    /// Starts a process, and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends instead, or is not ready in time.
    pub async fn start(&self, process: &str, name: &str) -> Reel {
        let reel = self.process(process, name).start().await;
        until("a process that is ready", async || (reel.get("/health/ready").await.status == 200).then_some(())).await;
        reel
    }
}
