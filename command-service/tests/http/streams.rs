//! Appending events that were decided on elsewhere.

use serde_json::json;

use crate::service::Service;

const ORDER: &str = "/streams/order-7";

#[tokio::test]
async fn events_are_appended_as_they_are() {
    let service = Service::new();
    let id = "0660cb1f-a14a-5491-b879-0a9eb721fbfa";
    let body = format!(
        r#"{{"expectedVersion":0,"events":[
            {{"id":"{id}","type":"order-placed","schema":2,"data":{{ "b" : 1e2, "a" : -0 }},"metadata":{{"actor":"Bob","x":1}}}},
            {{"type":"order-paid","data":null}}]}}"#
    );
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("reel-actor", "Ada"), ("reel-correlation", "c"), ("traceparent", trace)];
    let answer = service.ask("POST", ORDER, &body, &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["version"], 2);
    assert_eq!((&answer.json()["position"], &answer.json()["events"]), (&json!(2), &json!(2)));
    let events = service.events().await;
    assert_eq!((events[0].id.to_string().as_str(), events[0].schema, events[1].schema), (id, 2, 1));
    assert_eq!(service.told().await, [r#"order-placed {"b":100.0,"a":0}"#, "order-paid null"]);
    let own = format!(r#"{{"actor":"Bob","x":1,"correlation":"c","traceparent":"{trace}"}}"#);
    assert_eq!(events[0].metadata.as_str(), own);
    let from_headers = format!(r#"{{"actor":"Ada","correlation":"c","traceparent":"{trace}"}}"#);
    assert_eq!(events[1].metadata.as_str(), from_headers);
}

#[tokio::test]
async fn a_streams_name_may_hold_anything_a_path_can() {
    let service = Service::new();
    let body = r#"{"events":[{"type":"file-added","data":1}]}"#;
    for (path, stream) in
        [("/streams/file:src/main.rs", "file:src/main.rs"), ("/streams/file:a%20%C3%A9%2Fb", "file:a é/b")]
    {
        assert_eq!(service.post(path, body).await.text_of("stream"), stream);
    }
    assert_eq!(service.post("/streams/nokey", body).await.problem(), "400 bad-request");
}

#[tokio::test]
async fn the_expected_version_stands_in_body_or_header() {
    let service = Service::new();
    let event = r#""events":[{"type":"order-placed","data":1}]"#;
    assert_eq!(service.post(ORDER, &format!("{{{event}}}")).await.status, 200);
    for (body, header) in
        [(r#""expectedVersion":0,"#, None), ("", Some("\"0\"")), (r#""expectedVersion":0,"#, Some("\"0\""))]
    {
        let headers: Vec<_> = header.map(|value| ("if-match", value)).into_iter().collect();
        let answer = service.ask("POST", ORDER, &format!("{{{body}{event}}}"), &headers).await;
        assert_eq!(answer.problem(), "409 version-conflict");
        assert_eq!((&answer.json()["expectedVersion"], &answer.json()["actualVersion"]), (&json!(0), &json!(1)));
    }
    let torn =
        service.ask("POST", ORDER, &format!("{{\"expectedVersion\":1,{event}}}"), &[("if-match", "\"0\"")]).await;
    assert_eq!(torn.problem(), "422 invalid-fields");
}

#[tokio::test]
async fn repeats_and_reused_ids() {
    let service = Service::new();
    let key = [("idempotency-key", "k")];
    let body = |n: u8| format!(r#"{{"expectedVersion":0,"events":[{{"type":"order-placed","data":{n}}}]}}"#);
    let first = service.ask("POST", ORDER, &body(1), &key).await;
    let again = service.ask("POST", ORDER, &body(1), &key).await;
    assert_eq!((first.status, &first.text), (200, &again.text));
    assert_eq!(again.header("idempotent-replayed"), "true");
    assert_eq!(service.ask("POST", ORDER, &body(2), &key).await.problem(), "422 idempotency-key-reused");
    let named = r#"{"events":[{"id":"0660cb1f-a14a-5491-b879-0a9eb721fbfa","type":"t","data":1}]}"#;
    assert_eq!(service.post(ORDER, named).await.status, 200);
    let answer = service.post(ORDER, named).await;
    assert_eq!(answer.problem(), "409 event-exists");
    assert_eq!(answer.text_of("event"), "0660cb1f-a14a-5491-b879-0a9eb721fbfa");
}

#[tokio::test]
async fn every_broken_event_is_named() {
    let service = Service::new();
    let body = format!(
        r#"{{"events":[{{"type":"","data":1}},{{"type":"t","data":1}},{{"type":"t","data":{{"a":[1,{}]}}}},
            {{"type":"t","data":"\u0000"}},{{"type":"t","data":1,"metadata":7}},{{"type":"t","data":1,"schema":0}},
            {{"type":"t","data":{{"a":1,"a":2}}}}]}}"#,
        "1".repeat(30)
    );
    let answer = service.post(ORDER, &body).await;
    assert_eq!(answer.problem(), "422 invalid-fields");
    let errors = answer.json()["errors"].as_array().unwrap().clone();
    let fields: Vec<&str> = errors.iter().map(|error| error["field"].as_str().unwrap()).collect();
    let expected = [
        "events[0].type",
        "events[2].data.a[1]",
        "events[3].data",
        "events[4].metadata",
        "events[5].schema",
        "events[6].data",
    ];
    assert_eq!(fields, expected);
    assert!(answer.detail().contains("does not fit 64 signed bits; write it as a string"), "{}", answer.detail());
    assert_eq!(service.post(ORDER, r#"{"events":[]}"#).await.problem(), "422 invalid-fields");
    assert!(service.events().await.is_empty());
}
