//! Reel as it runs in production, for a measurement: command service, host and read API, a process each, over MongoDB, Kafka and
//! PostgreSQL. What is made on the servers is deleted in the end.

use std::path::Path;

use clap::Args;
use reel_event_log::topic::kafka::TopicUrl;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::error::BenchError;
use crate::mongodb::Server;
use crate::reel::{Reel, Which};
use crate::relayed::{delete, own_topic};

/// Where the servers are.
#[derive(Debug, Clone, Args)]
pub(crate) struct Servers {
    /// A MongoDB server
    #[arg(long, env = "REEL_TEST_MONGODB", value_name = "URL", hide_env_values = true)]
    pub(crate) mongodb: Option<String>,
    /// Brokers as HOST:PORT
    #[arg(long, env = "REEL_TEST_KAFKA", value_name = "BROKERS")]
    pub(crate) kafka: Option<String>,
    /// A PostgreSQL database whose user may make others
    #[arg(long, env = "REEL_TEST_POSTGRES", value_name = "URL", hide_env_values = true)]
    pub(crate) postgres: Option<String>,
}

/// The three processes, and what was made for them.
pub(crate) struct Apart {
    pub(crate) commands: Reel,
    pub(crate) host: Reel,
    pub(crate) reads: Reel,
    pub(crate) mongodb: Server,
    topic: TopicUrl,
    postgres: Database,
}

/// A PostgreSQL database of its own.
pub(crate) struct Database {
    /// Where it was made from.
    beside: String,
    name: String,
}

impl Apart {
    /// Starts the three, on a log of their own.
    pub(crate) async fn start(servers: &Servers, which: &Which, data: &Path) -> Result<Apart, BenchError> {
        let mongodb = Server::at(given(servers.mongodb.as_deref(), "mongodb")?).await?;
        let topic = own_topic(given(servers.kafka.as_deref(), "kafka")?)?;
        let postgres = Database::make(given(servers.postgres.as_deref(), "postgres")?).await?;
        let places = [mongodb.store(), format!("kafka://{}/{}", topic.brokers(), topic.topic()), postgres.url()?];
        let start = async |process: &str| {
            let files = data.join(process);
            std::fs::create_dir(&files).map_err(BenchError::doing("making a directory"))?;
            let [store, topic, target] = places.each_ref().map(String::as_str);
            let arguments = ["serve", process, "--store", store, "--topic", topic, "--target", target];
            Reel::start(which, &arguments, &files).await
        };
        let commands = start("command-service").await?;
        let host = start("host").await?;
        let reads = start("read-api").await?;
        Ok(Apart { commands, host, reads, mongodb, topic, postgres })
    }

    /// Ends the processes, and deletes what was made.
    pub(crate) async fn stop(self) -> Result<(), BenchError> {
        for process in [self.reads, self.host, self.commands] {
            process.stop().await?;
        }
        self.postgres.delete().await?;
        self.mongodb.clean().await?;
        delete(&[&self.topic]).await
    }
}

/// What must be given.
pub(crate) fn given<'u>(url: Option<&'u str>, name: &str) -> Result<&'u str, BenchError> {
    let missing = || format!("--{name} is missing, or REEL_TEST_{}", name.to_uppercase());
    url.ok_or_else(|| BenchError::Failed(missing()))
}

impl Database {
    /// A new one, on the server of the database that `beside` names.
    pub(crate) async fn make(beside: &str) -> Result<Database, BenchError> {
        let database = Database { beside: beside.to_owned(), name: format!("reel_bench_{}", Uuid::now_v7().simple()) };
        database.run(format!("CREATE DATABASE {}", database.name)).await?;
        Ok(database)
    }

    /// Where it is.
    pub(crate) fn url(&self) -> Result<String, BenchError> {
        let (address, query) = self.beside.split_once('?').map_or((self.beside.as_str(), None), |(a, q)| (a, Some(q)));
        let no_name = || BenchError::Failed("--postgres names no database: postgres://USER@HOST:PORT/DATABASE".into());
        let (server, _) = address.rsplit_once('/').ok_or_else(no_name)?;
        let query = query.map(|query| format!("?{query}")).unwrap_or_default();
        Ok(format!("{server}/{}{query}", self.name))
    }

    /// Deletes it.
    pub(crate) async fn delete(self) -> Result<(), BenchError> {
        // A process that was killed may still have connections there.
        self.run(format!("DROP DATABASE {} WITH (FORCE)", self.name)).await
    }

    async fn run(&self, statement: String) -> Result<(), BenchError> {
        let doing = "making or dropping a PostgreSQL database";
        let mut connection = PgConnection::connect(&self.beside).await.map_err(BenchError::doing(doing))?;
        let run = sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await;
        run.map(drop).map_err(BenchError::doing(doing))
    }
}
