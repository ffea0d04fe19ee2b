//! Drawn tables, drawn values from every corner of the domain, drawn changes and drawn queries: every database that is given answers
//! through the read API with the bytes that a model in memory gives.
//!
//! `PROPTEST_CASES` is how many cases are drawn (24 unless it says otherwise); a failure prints the smallest case that shows it.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected ends")]
#![expect(clippy::print_stdout, reason = "a database that is passed over is said")]

mod drawn;
mod model;
mod projected;
mod queries;
mod values;

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::http::Request;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use reel_e2e::database::{MySql, Postgres, SqlServer};
use reel_projector::Manifest;
use reel_read_api::{ReadConfig, Targets, router};
use reel_read_model::{Target, open};
use tower::ServiceExt as _;

use crate::drawn::Case;

const CASES: u32 = 24;

/// The databases of this run; dropped with it.
struct Databases {
    targets: Vec<Arc<dyn Target>>,
    _folder: tempfile::TempDir,
    _postgres: Option<Postgres>,
    _mysql: Option<MySql>,
    _sql_server: Option<SqlServer>,
}

impl Databases {
    async fn given() -> Databases {
        let folder = tempfile::tempdir().unwrap();
        let mut urls = vec![("sqlite", Some(format!("sqlite:{}", folder.path().join("rows.db").display())))];
        let (postgres, mysql) = (Postgres::new().await, MySql::new().await);
        urls.push(("postgres", postgres.as_ref().map(Postgres::url)));
        urls.push(("mysql", mysql.as_ref().map(MySql::url)));
        let sql_server = SqlServer::new().await;
        urls.push(("sqlserver", sql_server.as_ref().map(SqlServer::url)));
        let mut targets = Vec::new();
        for (name, url) in urls {
            match url {
                Some(url) => targets.push(open(name, &url).await.unwrap()),
                None => println!("{name}: not given, passed over"),
            }
        }
        Databases { targets, _folder: folder, _postgres: postgres, _mysql: mysql, _sql_server: sql_server }
    }
}

#[test]
fn every_database_answers_as_a_model_in_memory() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let databases = runtime.block_on(Databases::given());
    let cases = std::env::var("PROPTEST_CASES").ok().map_or(CASES, |cases| cases.parse().unwrap());
    let mut runner =
        TestRunner::new(Config { cases, max_shrink_iters: 300, failure_persistence: None, ..Config::default() });
    let ran = runner.run(&drawn::case(), |case| runtime.block_on(holds(&databases, &case)));
    runtime.block_on(async move { drop(databases) });
    match ran {
        Ok(()) => {}
        Err(TestError::Fail(reason, Case { manifest, events, batches, cache_bytes, .. })) => {
            panic!("{reason}\n{manifest}\nevents {events:?}\nbatches {batches:?}, cache {cache_bytes}")
        }
        Err(error) => panic!("{error}"),
    }
}

/// Projects the case's events into each database and the model, and compares the answers to its queries.
async fn holds(databases: &Databases, case: &Case) -> Result<(), TestCaseError> {
    let manifest = Arc::new(Manifest::parse(&case.manifest).unwrap());
    let (rows, letters) = projected::in_memory(&manifest, case).await;
    for target in &databases.targets {
        let (generation, found) = projected::into(target, &manifest, case).await;
        let name = target.name();
        let told = |what: &str| format!("{name}: {what}");
        if found != letters {
            return Err(TestCaseError::fail(told(&format!("dead letters {found:?}, in memory {letters:?}"))));
        }
        for asked in &case.queries {
            let expected = model::answer(&manifest.tables[0], &rows, asked);
            let answer = read(target, generation, &asked.url(&manifest.tables[0])).await;
            if answer != expected {
                let failed = format!("{}\n answers {answer}\ninstead of {expected}", asked.text(&manifest.tables[0]));
                return Err(TestCaseError::fail(told(&failed)));
            }
        }
    }
    Ok(())
}

/// The body of the read API's answer.
async fn read(target: &Arc<dyn Target>, generation: u32, query: &str) -> String {
    let uri = format!("/read/v1/drawn@{generation}/things?{query}");
    let router = router(Targets::new(Arc::clone(target), []), ReadConfig::default());
    let answer = router.oneshot(Request::get(&uri).body(Body::empty()).unwrap()).await.unwrap();
    String::from_utf8(to_bytes(answer.into_body(), usize::MAX).await.unwrap().into()).unwrap()
}
