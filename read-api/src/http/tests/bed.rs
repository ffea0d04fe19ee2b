//! A projection in a database, with the API in front of it.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request},
};
use reel_events::{LogId, LogPoint};
use reel_projector::{
    Manifest, Row, TableWrites, Value, Writes,
    ports::{Commit, FailurePolicy},
};
use reel_read_model::{
    Component, FlipOutcome, Generation, GenerationState, NewGeneration, Target,
    target::{IfBehind, Promotion},
};
use rust_decimal::Decimal;
use tempfile::TempDir;
use tower::ServiceExt;
use uuid::Uuid;

use crate::{ReadConfig, Targets, router};

/// Shards of every generation.
pub(super) const SHARDS: u32 = 2;

/// One projection, under a name of its own.
pub(super) struct Bed {
    pub(super) target: Arc<dyn Target>,
    pub(super) projection: String,
    pub(super) router: Router,
    log: LogId,
    _directory: Option<TempDir>,
}

/// A bed on each database that is there, with the fixture live and its rows in it.
pub(super) async fn beds() -> Vec<Bed> {
    let mut beds = vec![sqlite(ReadConfig::default()).await];
    beds.extend(postgres(ReadConfig::default()).await);
    beds.extend(mysql(ReadConfig::default()).await);
    for bed in &beds {
        let generation = bed.deploy(&crate::fixture::document()).await;
        bed.commit(&generation, 0, 10, fixture_rows()).await;
        bed.promote(&generation).await;
    }
    beds
}

pub(super) async fn sqlite(config: ReadConfig) -> Bed {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("read.db").display());
    let target = reel_read_model::open("main", &url).await.unwrap();
    Bed::new(target, config, Some(directory))
}

pub(super) async fn postgres(config: ReadConfig) -> Option<Bed> {
    on_server("postgres", "REEL_TEST_POSTGRES", config).await
}

pub(super) async fn mysql(config: ReadConfig) -> Option<Bed> {
    on_server("mysql", "REEL_TEST_MYSQL", config).await
}

async fn on_server(name: &str, variable: &str, config: ReadConfig) -> Option<Bed> {
    let Ok(url) = std::env::var(variable) else {
        let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
        assert!(!required.contains(name), "REEL_TEST_REQUIRE asks for {name}, but {variable} is not set");
        return None;
    };
    let target = reel_read_model::open("main", &url).await.unwrap();
    Some(Bed::new(target, config, None))
}

/// What came back.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Got {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The `id`s of the rows, joined.
    pub(super) fn ids(&self) -> String {
        assert!(self.status == 200 || self.status == 206, "{} {}", self.status, self.text);
        let rows = self.json();
        let ids: Vec<&str> = rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect();
        ids.join(" ")
    }
}

impl Bed {
    fn new(target: Arc<dyn Target>, config: ReadConfig, directory: Option<TempDir>) -> Bed {
        let random = Uuid::new_v4().simple().to_string();
        Bed {
            router: router(Targets::new(target.clone(), []), config),
            target,
            projection: format!("t{}", &random[..16]),
            log: LogId(Uuid::new_v4()),
            _directory: directory,
        }
    }

    /// A new generation, in state `ready`.
    pub(super) async fn deploy(&self, manifest: &serde_json::Value) -> Generation {
        let json = manifest.to_string();
        let component = Component {
            digest: Uuid::new_v5(&self.log.0, json.as_bytes()).simple().to_string(),
            manifest: json.clone(),
            bytes: Vec::new(),
        };
        self.target.put_component(&component).await.unwrap();
        let new = NewGeneration {
            projection: self.projection.clone(),
            digest: component.digest,
            manifest: Arc::new(Manifest::parse(&json).unwrap()),
            settings: "{}".to_owned(),
            on_failure: FailurePolicy::Halt,
            promotion: Promotion::Manual,
            log: self.log,
            shards: SHARDS,
        };
        let generation = self.target.create_generation(new).await.unwrap();
        for (from, to) in
            [(GenerationState::Build, GenerationState::CatchUp), (GenerationState::CatchUp, GenerationState::Ready)]
        {
            self.target.set_state(generation.id, from, to).await.unwrap();
        }
        generation
    }

    pub(super) async fn promote(&self, generation: &Generation) {
        let outcome = self.target.flip(generation.id, IfBehind::Force).await.unwrap();
        assert_eq!(outcome, FlipOutcome::Flipped);
    }

    /// Writes rows of the first table and moves `shard` to `position`.
    pub(super) async fn commit(&self, generation: &Generation, shard: u32, position: u64, rows: Vec<Row>) {
        let read_model = self.target.read_model(generation);
        let mut tables = vec![TableWrites::default(); generation.manifest.tables.len()];
        tables[0].upserts = rows;
        let commit = Commit {
            shard,
            from: read_model.checkpoint(shard).await.unwrap().unwrap(),
            to: LogPoint { position, event: Uuid::from_u128(position.into()) },
            writes: &Writes { tables },
            dead_letters: &[],
            settled: &[],
        };
        read_model.commit(commit).await.unwrap();
    }

    /// `GET /read/v1/{projection}{path}`.
    pub(super) async fn get(&self, path: &str) -> Got {
        self.ask("GET", path, &[]).await
    }

    pub(super) async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
        self.send(method, &format!("/read/v1/{}{path}", self.projection), headers).await
    }

    pub(super) async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Got {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        Got { status: parts.status.as_u16(), headers: parts.headers, text: String::from_utf8(body.to_vec()).unwrap() }
    }
}

/// A row with nothing but its key, author and likes.
pub(super) fn row(id: &str, author: Option<&str>, likes: Option<i64>) -> Row {
    let mut row = vec![Value::Null; 14];
    row[0] = Value::Text(id.into());
    row[1] = author.map_or(Value::Null, |author| Value::Text(author.into()));
    row[2] = likes.map_or(Value::Null, Value::Int);
    row.into()
}

/// In key order: `a` with every column filled, `b` with none, `c`, `d`.
fn fixture_rows() -> Vec<Row> {
    let full: Row = [
        Value::Text("a".into()),
        Value::Text("Ann \"A\"".into()),
        Value::Int(i64::MAX),
        Value::Int(-5),
        Value::Double(0.1),
        Value::Decimal(Decimal::new(999_999_999_999_999_950, 2)),
        Value::Boolean(true),
        Value::Bytes([0, 255].into()),
        Value::Json("{\"b\":[1,2.0],\"a\":null}".into()),
        Value::Uuid(Uuid::from_u128(0x0193_2c07)),
        Value::Date(-719_162),
        Value::Time(86_399_999_999),
        Value::Timestamp(1_795_253_400_123_456),
        Value::Int(7),
    ]
    .into();
    let mut hidden = row("c", Some("bob"), Some(3));
    hidden[6] = Value::Boolean(false);
    vec![full, row("b", None, None), hidden, row("d", Some("Bob 50%"), Some(12))]
}
