//! A read-only standby as the target: it is refused by name, with what to do; and used once it is the primary.

use reel_e2e::components::example;
use reel_e2e::deadline::until;
use reel_e2e::reel::Up;
use reel_e2e::standby::Standby;
use reqwest::Method;
use serde_json::json;

/// What somebody reads who gave a standby's address.
const SAYS: &str = "it is a replica, or set to be read only; give the URL of the primary, or make it writable";

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_refused_by_name_and_used_once_it_is_promoted() {
    let Some(servers) = Standby::new().await else { return println!("passed over: PostgreSQL is not installed") };
    let (data, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // There is no catalog yet, and none can be made.
    let reel = Up::on(elsewhere.path()).target(Some(&servers.standby())).start_to_listen().await;
    until("the log says what is wrong", async || reel.log().contains(SAYS).then_some(())).await;
    assert_eq!(reel.get("/health/ready").await.status, 503);
    reel.kill().await;

    let reel = Up::on(data.path()).target(Some(&servers.primary())).start().await;
    reel.command(Method::POST, "/posts", &json!({ "author": "ann", "message": "m" })).await;
    reel.deploy(&example("posts"), &[]).await;
    reel.stop().await;
    servers.caught_up().await;
    // Now there is one, with a generation that is live: it can be read, and nothing more.
    let reel = Up::on(data.path()).target(Some(&servers.standby())).start().await;
    until("the log says what is wrong", async || reel.log().contains(SAYS).then_some(())).await;
    let refused = reel.deploy_only(&example("todos"), &[]).await;
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains(SAYS), "{}", refused.stderr);
    assert_eq!(reel.query("posts", "posts", "").await.len(), 1);
    servers.promote().await;
    let replayed = reel.json(&["replay", "posts", "--wait"]).await.remove(0);
    assert_eq!(replayed["state"], "live", "{replayed}");
}
