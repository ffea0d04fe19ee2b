//! The log's head, and its export.

use serde_json::Value;

use crate::service::Service;

#[tokio::test]
async fn the_head_is_the_last_event() {
    let service = Service::new();
    let empty = service.ask("GET", "/head", "", &[]).await;
    assert_eq!((empty.text_of("position"), empty.text_of("log")), ("0".into(), service.store.log_id().to_string()));
    service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await;
    let head = service.ask("GET", "/head", "", &[]).await;
    assert_eq!(head.text_of("event"), service.events().await[0].id.to_string());
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    let service = Service::new();
    let post = service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await.text_of("id");
    let likes = vec![r#"{"type":"post-liked","data":{}}"#; 4_500].join(",");
    service.post(&format!("/streams/post-{post}"), &format!(r#"{{"events":[{likes}]}}"#)).await;
    let exported = service.ask("GET", "/export", "", &[]).await;
    assert_eq!(exported.header("content-type"), "application/x-ndjson");

    let other = Service::new();
    let imported = other.import("", exported.text.clone()).await;
    assert_eq!(imported.text_of("imported"), "4501", "{imported:?}");
    assert_eq!(other.events().await, service.events().await);
    let back = service.import("", exported.text).await;
    assert_eq!((back.text_of("imported"), back.text_of("already")), ("0".into(), "4501".into()), "{back:?}");
    assert_eq!(back.text_of("lastPosition"), "4501");
}

#[tokio::test]
async fn a_part_of_the_log() {
    let service = Service::new();
    for nth in 1..=6 {
        service.post("/streams/a-b", &format!(r#"{{"events":[{{"type":"t","data":{nth}}}]}}"#)).await;
    }
    for (query, expected) in [
        ("?after=2&until=4", vec![3, 4]),
        ("?after=4", vec![5, 6]),
        ("?until=2", vec![1, 2]),
        ("?after=5&until=100", vec![6]),
        ("?after=6", vec![]),
        ("?after=4&until=2", vec![]),
    ] {
        let exported = service.ask("GET", &format!("/export{query}"), "", &[]).await;
        let data: Vec<i64> = exported
            .text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["data"].as_i64().unwrap())
            .collect();
        assert_eq!(data, expected, "{query}");
    }
    assert_eq!(service.ask("GET", "/export?from=3", "", &[]).await.problem(), "400 bad-request");
}
