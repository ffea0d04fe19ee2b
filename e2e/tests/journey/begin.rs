//! Where an author begins: a crate by `reel plugin new`, its component, rows of it.

use reel_e2e::components::build_elsewhere;
use reel_e2e::reel::{Up, finish, reel};
use reqwest::Method;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_new_crate_makes_rows() {
    let folder = tempfile::tempdir().unwrap();
    let rooms = folder.path().join("rooms");
    let made = finish(reel().args(["plugin", "new"]).arg(&rooms), b"").await;
    assert_eq!(made.code, 0, "{}", made.stderr);
    let again = finish(reel().args(["plugin", "new"]).arg(&rooms), b"").await;
    assert_eq!(again.code, 4, "what an author wrote is never overwritten: {}", again.stderr);

    let component = build_elsewhere(&rooms);
    let data = tempfile::tempdir().unwrap();
    let up = Up::on(data.path()).start().await;
    up.deploy(&component, &[]).await;
    let events = json!({"events": [
        {"type": "item-added", "data": {"title": "Kitchen"}},
        {"type": "item-renamed", "data": {"title": "Large kitchen"}},
    ]});
    let answer = up.command(Method::POST, "/streams/item-1", &events).await;
    let token = answer["token"].as_str().unwrap();
    let rows = up.get(&format!("/read/v1/rooms/items?select=id,title,renamed&wait-for={token}")).await;
    assert_eq!(rows.rows(), [json!({"id": "1", "title": "Large kitchen", "renamed": 1})]);
}
