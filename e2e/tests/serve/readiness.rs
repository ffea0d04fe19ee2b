//! What a process says where something that it needs does not answer: it stays, names it, and goes on trying.

use std::time::Duration;

use reel_e2e::components::example;
use reel_e2e::database::Postgres;
use reel_e2e::deadline::until;
use reel_e2e::gate::Gate;
use reel_e2e::reel::{Reel, Up};

async fn until_ready(reel: &Reel) {
    until("ready", async || (reel.get("/health/ready").await.status == 200).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_away_is_named_and_waited_for() {
    let Some(database) = Postgres::new().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    let mut gate = Gate::to(database.address()).await;
    let target = database.url_through(&gate.address.to_string());
    for process in ["up", "host", "read-api"] {
        gate.shut().await;
        let data = tempfile::tempdir().unwrap();
        let up = if process == "up" { Up::on(data.path()) } else { Up::serve(process, data.path()) };
        let reel = up.target(Some(&target)).start_to_listen().await;
        let not_ready = until("it says why", async || {
            let answer = reel.get("/health/ready").await;
            answer.body.to_string().contains("cannot be opened").then_some(answer)
        })
        .await;
        assert_eq!(not_ready.status, 503, "{not_ready:?}");
        let checks = not_ready.body["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "target default").unwrap();
        assert_eq!((&check["ok"], &check["needed"]), (&false.into(), &true.into()), "{check}");
        let refused = reel.get("/read/v1").await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert!(refused.body["detail"].as_str().unwrap().contains("target default"), "{refused:?}");
        assert_eq!(reel.get("/health/live").await.status, 200);
        gate.open().await;
        until_ready(&reel).await;
        if process != "read-api" {
            reel.deploy(&example("todos"), &[]).await;
        }
        // Later too: it says so while the database is away, and is ready again when it is back.
        gate.shut().await;
        until("it is not ready", async || (reel.get("/health/ready").await.status == 503).then_some(())).await;
        assert_eq!(reel.get("/health/live").await.status, 200);
        gate.open().await;
        until_ready(&reel).await;
        assert!(reel.stop().await.success());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_address_is_named_without_its_password_and_the_process_ends_when_told() {
    let data = tempfile::tempdir().unwrap();
    let wrong = Some("postgres://reel:open-sesame@127.0.0.1:1/x");
    let reel = Up::serve("host", data.path()).target(wrong).start_to_listen().await;
    let tried = until("it tries again and again", async || {
        let log = reel.log();
        (log.matches("trying again").count() >= 3).then_some(log)
    })
    .await;
    assert!(tried.contains("postgres://reel:…@127.0.0.1:1/x"), "{tried}");
    let answer = reel.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    assert!(!tried.contains("sesame") && !answer.body.to_string().contains("sesame"));
    let ended = tokio::time::timeout(Duration::from_secs(20), reel.stop()).await.expect("it does not wait to be ready");
    assert!(ended.success(), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_trying_again_cannot_mend_ends_the_process() {
    let data = tempfile::tempdir().unwrap();
    let nothing = data.path().join("no such folder/read.sqlite").display().to_string();
    let ran = Up::serve("read-api", data.path()).target(Some(&format!("sqlite:{nothing}"))).ends().await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("no such folder"), "{}", ran.stderr);
    let secret = data.path().join("no token").display().to_string();
    let ran = Up::serve("host", data.path()).variable("REEL_TOKEN_FILE", &secret).ends().await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("no token"), "{}", ran.stderr);
}
