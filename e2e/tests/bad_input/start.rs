//! What `reel up` refuses to start with, and whom it does not answer.

use reel_e2e::reel::{Up, answer};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_reel_on_the_same_data_is_refused_and_the_first_goes_on() {
    let data = tempfile::tempdir().unwrap();
    let first = Up::on(data.path()).start().await;
    let second = Up::on(data.path()).ends().await;
    assert_eq!(second.code, 4, "{}", second.stderr);
    assert!(second.stderr.contains("is in use") && second.stderr.contains("--data"), "{}", second.stderr);
    first.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    first.kill().await;
    // What a killed process leaves behind keeps nobody out.
    let third = Up::on(data.path()).start().await;
    assert_eq!(third.get("/commands/v1/head").await.body["position"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_said() {
    let (data, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Up::on(data.path()).start().await;
    let address = first.url.strip_prefix("http://").unwrap().to_owned();
    let second = Up::on(other.path()).with(&["--listen", &address]).ends().await;
    // Given twice, `--listen` is wrong usage; so it goes by its variable.
    assert_eq!(second.code, 2, "{}", second.stderr);
    let mut third = reel_e2e::reel::reel();
    third.arg("up").arg("--data").arg(other.path()).env("REEL_LISTEN", &address);
    let third = reel_e2e::reel::finish(&mut third, b"").await;
    assert_eq!(third.code, 4, "{}", third.stderr);
    assert!(third.stderr.contains(&address) && third.stderr.contains("taken"), "{}", third.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_that_is_misspelt_is_named() {
    let data = tempfile::tempdir().unwrap();
    let ran = Up::on(data.path()).variable("REEL_BATCH", "7").ends().await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(ran.stderr.contains("REEL_BATCH") && ran.stderr.contains("REEL_HOST_BATCH"), "{}", ran.stderr);
    let ran = Up::on(data.path()).with(&["--store", "redis://user:secret@host/db"]).ends().await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    let ran = Up::on(data.path()).target(Some("oracle://user:secret@host/db")).ends().await;
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("postgres") && !ran.stderr.contains("secret"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_loopback_a_token_is_needed_and_demanded() {
    let data = tempfile::tempdir().unwrap();
    let mut open = reel_e2e::reel::reel();
    open.arg("up").arg("--data").arg(data.path()).args(["--listen", "0.0.0.0:0"]);
    let refused = reel_e2e::reel::finish(&mut open, b"").await;
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("REEL_TOKEN"), "{}", refused.stderr);

    let mut reel = Up::on(data.path()).variable("REEL_TOKEN", "open sesame").start().await;
    for path in ["/commands/v1/head", "/read/v1", "/admin/v1/projections", "/"] {
        let refused = reel.get(path).await;
        assert_eq!(refused.status, 401, "{path}: {refused:?}");
        assert!(!refused.body.to_string().contains("sesame"));
    }
    assert_eq!(reel.run(&["list"]).await.code, 1);
    assert_eq!(reel.get("/health/live").await.status, 200);
    let wrong = answer(reel.request(Method::GET, "/read/v1").bearer_auth("open sesam")).await;
    assert_eq!(wrong.status, 401);
    reel.token = Some("open sesame".into());
    assert_eq!(reel.get("/read/v1").await.status, 200);
    reel.ok(&["list"]).await;
    assert!(!reel.log().contains("sesame"), "{}", reel.log());
}
