//! `reel doctor`: what it finds well, what it finds wrong, and that it changes nothing.

use reel_e2e::database::Postgres;
use reel_e2e::reel::{Ran, Up, finish, reel};
use serde_json::Value;

async fn doctor(arguments: &[&str], url: &str) -> (Ran, Value) {
    let mut command = reel();
    command.args(["doctor", "--json", "--url", url]).args(arguments);
    let ran = finish(&mut command, b"").await;
    let document = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran, document)
}

fn check<'a>(document: &'a Value, name: &str) -> &'a Value {
    let checks = document["checks"].as_array().expect("it says what it looked at");
    checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {document}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_start_nothing_is_wrong_and_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join(".reel");
    std::fs::create_dir(&data).unwrap();
    let (ran, document) = doctor(&["--data", data.to_str().unwrap()], "http://127.0.0.1:1").await;
    assert_eq!((ran.code, &document["ok"]), (0, &true.into()), "{ran:?}");
    assert!(check(&document, "target default")["version"].as_str().unwrap().starts_with("SQLite 3."));
    assert_eq!(check(&document, "command service, host, read API")["note"], "not running");
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reel_that_runs_is_looked_at_and_its_store_is_in_use() {
    let data = tempfile::tempdir().unwrap();
    let running = Up::on(data.path()).start().await;
    let (ran, document) = doctor(&["--data", data.path().to_str().unwrap()], &running.url).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(check(&document, "archive")["note"], "can be read");
    assert_eq!(check(&document, "store")["note"], "in use by a Reel that runs");
    assert_eq!(check(&document, "command service, host, read API")["note"], "running");
    let (ran, _) = doctor(&["--ready"], &running.url).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let (ran, document) = doctor(&["--ready"], "http://127.0.0.1:1").await;
    assert_eq!((ran.code, &document["ok"]), (1, &false.into()), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_answer_is_named_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let data = data.path().to_str().unwrap();
    let arguments =
        ["--data", data, "--topic", "kafka://127.0.0.1:1/t", "--target", "postgres://u:open-sesame@127.0.0.1:1/x"];
    let (ran, document) = doctor(&arguments, "http://127.0.0.1:1").await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!ran.stdout.contains("sesame") && !ran.stderr.contains("sesame"), "{ran:?}");
    assert!(ran.stderr.contains("2 of these"), "{ran:?}");
    for name in ["topic", "target default"] {
        let wrong = check(&document, name);
        assert_eq!(wrong["ok"], false, "{wrong}");
        assert!(!wrong["problems"][0]["what"].as_str().unwrap().is_empty(), "{wrong}");
    }
    assert_eq!(check(&document, "target default")["location"], "postgres://u:…@127.0.0.1:1/x");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_is_examined_and_left_as_it_is() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let data = tempfile::tempdir().unwrap();
    let target = database.url_through(database.address());
    let arguments = ["--data", data.path().to_str().unwrap(), "--target", &target];
    let (ran, document) = doctor(&arguments, "http://127.0.0.1:1").await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let version = &check(&document, "target default")["version"];
    assert!(version.as_str().unwrap().starts_with("PostgreSQL 1"), "{version}");
    // Had it made the catalog, Reel would not find a database without one: a start from nothing works.
    let running = Up::on(data.path()).target(Some(&target)).start().await;
    assert_eq!(running.get("/health/ready").await.status, 200);
}
