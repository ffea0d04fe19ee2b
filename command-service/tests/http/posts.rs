//! What commands do, and what their answers say.

use std::sync::Arc;

use reel_events::{StreamId, token::Token};
use serde_json::json;

use crate::service::Service;

const POST: &str = "11111111-1111-4111-8111-111111111111";
const COMMENT: &str = "22222222-2222-4222-8222-222222222222";

#[tokio::test]
async fn the_life_of_a_post() {
    let service = Service::new();
    let steps = [
        ("POST", "/posts".to_owned(), format!(r#"{{"id":"{POST}","actor":" Ada ","message":"Hello"}}"#), 201),
        ("PATCH", format!("/posts/{POST}"), r#"{"actor":"ada","message":"Hello, world"}"#.to_owned(), 200),
        ("POST", format!("/posts/{POST}/likes"), String::new(), 200),
        ("POST", format!("/posts/{POST}/likes"), r#"{"actor":"Bob"}"#.to_owned(), 200),
        (
            "POST",
            format!("/posts/{POST}/comments"),
            format!(r#"{{"id":"{COMMENT}","author":"Bob","text":"Nice"}}"#),
            201,
        ),
        ("PATCH", format!("/posts/{POST}/comments/{COMMENT}"), r#"{"actor":"BOB","text":"Very nice"}"#.to_owned(), 200),
        ("DELETE", format!("/posts/{POST}/comments/{COMMENT}?actor=bob"), String::new(), 200),
        ("DELETE", format!("/posts/{POST}"), r#"{"actor":"Ada"}"#.to_owned(), 200),
    ];
    for (version, (method, path, body, status)) in (1..).zip(steps) {
        let answer = service.ask(method, &path, &body, &[]).await;
        assert_eq!((answer.status, answer.text_of("version")), (status, format!("{version}")), "{answer:?}");
    }
    let expected = [
        r#"post-created {"author":"Ada","message":"Hello"}"#.to_owned(),
        r#"post-edited {"message":"Hello, world"}"#.to_owned(),
        "post-liked {}".to_owned(),
        r#"post-liked {"by":"Bob"}"#.to_owned(),
        format!(r#"comment-added {{"comment":"{COMMENT}","author":"Bob","text":"Nice"}}"#),
        format!(r#"comment-edited {{"comment":"{COMMENT}","text":"Very nice"}}"#),
        format!(r#"comment-removed {{"comment":"{COMMENT}"}}"#),
        "post-removed {}".to_owned(),
    ];
    assert_eq!(service.told().await, expected);
    let metadata = |event: &reel_events::Event| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_str(event.metadata.as_str()).unwrap()
    };
    let said: Vec<Vec<String>> =
        service.events().await.iter().map(|event| metadata(event).keys().cloned().collect()).collect();
    assert_eq!(
        (&said[0], &said[2]),
        (&vec!["actor".to_owned(), "traceparent".into()], &vec!["traceparent".to_owned()])
    );
    assert_eq!(metadata(&service.events().await[0])["actor"], "Ada");
}

#[tokio::test]
async fn the_life_of_a_todo() {
    let service = Service::new();
    let added = service.post("/todos", r#"{"owner":"Ada","title":"Milk"}"#).await;
    assert_eq!(added.status, 201);
    let todo = added.header("location").strip_prefix("/commands/v1").unwrap().to_owned();
    let steps = [
        ("PATCH", String::new(), r#"{"title":"Bread"}"#, 1),
        ("PATCH", String::new(), r#"{"title":"Bread"}"#, 0),
        ("POST", "/complete".to_owned(), "", 1),
        ("POST", "/complete".to_owned(), "", 0),
        ("POST", "/reopen".to_owned(), r#"{"actor":"Bob"}"#, 1),
        ("DELETE", String::new(), "", 1),
    ];
    for (method, path, body, events) in steps {
        let answer = service.ask(method, &format!("{todo}{path}"), body, &[]).await;
        assert_eq!((answer.status, &answer.json()["events"]), (200, &json!(events)), "{answer:?}");
    }
    let told = [
        r#"todo-added {"title":"Milk","owner":"Ada"}"#,
        r#"todo-renamed {"title":"Bread"}"#,
        "todo-completed {}",
        "todo-reopened {}",
        "todo-removed {}",
    ];
    assert_eq!(service.told().await, told);
}

#[tokio::test]
async fn an_answer_says_where_it_went() {
    let service = Service::new();
    service.post("/posts", r#"{"actor":"Ada","message":"first"}"#).await;
    let answer = service.post("/posts", r#"{"actor":"Ada","message":"second"}"#).await;
    let id = answer.text_of("id");
    let stream = StreamId::new(&format!("post-{id}")).unwrap();
    let token = Token::new(2, &stream).to_string();
    let expected = json!({
        "id": id, "stream": stream.as_str(), "version": 1, "position": 2, "events": 1, "token": token,
    });
    assert_eq!(answer.json(), expected);
    assert_eq!(answer.header("location"), format!("/commands/v1/posts/{id}"));
    assert_eq!((answer.header("reel-token"), answer.header("etag")), (token.as_str(), "\"1\""));
    // Nothing changes, so it stands where it stood.
    let same = service.ask("PATCH", &format!("/posts/{id}"), r#"{"actor":"ADA","message":"second"}"#, &[]).await;
    assert_eq!((&same.json()["events"], same.header("reel-token")), (&json!(0), token.as_str()));
}

#[tokio::test]
async fn where_a_command_came_from_is_kept() {
    let service = Service::new();
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers = [("traceparent", trace), ("reel-correlation", "c-1"), ("reel-actor", "Éva")];
    let answer = service.ask("POST", "/posts", r#"{"message":"Hello"}"#, &headers).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let event = &service.events().await[0];
    assert_eq!(event.metadata.as_str(), format!(r#"{{"actor":"Éva","correlation":"c-1","traceparent":"{trace}"}}"#));
    assert_eq!(event.id.get_version_num(), 7);
    assert_eq!(answer.header("traceparent"), trace);
    // Where no trace comes with a command, it begins one, and its answer names it.
    let second = service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await;
    let made = second.header("traceparent");
    assert_ne!(made, trace);
    let event = &service.events().await[1];
    assert_eq!(event.metadata.as_str(), format!(r#"{{"actor":"Ada","traceparent":"{made}"}}"#));
    let refused = service.post("/posts", r#"{"actor":"Ada"}"#).await;
    assert_eq!(refused.header("traceparent").len(), trace.len(), "{refused:?}");
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_was() {
    let service = Service::new();
    let create = r#"{"actor":"Ada","message":"Hello"}"#;
    let key = |value| [("idempotency-key", value)];
    let first = service.ask("POST", "/posts", create, &key("order 1")).await;
    let path = format!("/posts/{}", first.text_of("id"));
    let liked = service.ask("POST", &format!("{path}/likes"), "", &key("like 1")).await;
    let removed = service.ask("DELETE", &path, "", &[("idempotency-key", "remove 1"), ("reel-actor", "Ada")]).await;
    assert_eq!((first.status, liked.status, removed.status), (201, 200, 200));
    // By now everything else would be refused.
    for (method, path, body, value, before) in [
        ("POST", "/posts", create, "order 1", &first),
        ("POST", &format!("{path}/likes"), "", "like 1", &liked),
        ("DELETE", &path, r#"{"actor":"Ada"}"#, "remove 1", &removed),
    ] {
        let again = service.ask(method, path, body, &key(value)).await;
        assert_eq!((again.status, &again.text), (before.status, &before.text));
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert!(!before.headers.contains_key("idempotent-replayed"));
    }
    let other = service.ask("POST", "/posts", r#"{"actor":"Ada","message":"Other"}"#, &key("order 1")).await;
    assert_eq!(other.problem(), "422 idempotency-key-reused");
    assert_eq!(service.events().await.len(), 3);
}

#[tokio::test]
async fn a_key_whose_command_did_nothing_is_decided_anew() {
    let service = Service::new();
    let todo = service.post("/todos", r#"{"actor":"Ada","title":"Milk"}"#).await.text_of("id");
    let reopen = async || {
        let key = [("idempotency-key", "reopen")];
        service.ask("POST", &format!("/todos/{todo}/reopen"), "", &key).await.text_of("events")
    };
    assert_eq!(reopen().await, "0");
    service.post(&format!("/todos/{todo}/complete"), "").await;
    assert_eq!(reopen().await, "1");
    service.post(&format!("/todos/{todo}/complete"), "").await;
    // It did something by now, and that is its answer.
    assert_eq!(reopen().await, "1");
    assert_eq!(service.events().await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn likes_that_come_at_once_all_count_and_repeats_do_not() {
    let service = Arc::new(Service::new());
    let post = service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await.text_of("id");
    let like = |nth: usize| {
        let (service, path, key) = (Arc::clone(&service), format!("/posts/{post}/likes"), format!("like {}", nth / 2));
        tokio::spawn(async move { service.ask("POST", &path, "", &[("idempotency-key", &key)]).await })
    };
    let mut versions = Vec::new();
    for answer in (0..80).map(like).collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        versions.push(answer.json()["version"].as_u64().unwrap());
    }
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions, (2..=41).collect::<Vec<_>>());
    assert_eq!(service.events().await.len(), 41);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_those_who_expect_one_version_one_wins() {
    let service = Arc::new(Service::new());
    let post = service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await.text_of("id");
    let edit = |nth: usize| {
        let (service, path) = (Arc::clone(&service), format!("/posts/{post}"));
        let body = format!(r#"{{"actor":"Ada","message":"edit {nth}"}}"#);
        tokio::spawn(async move { service.ask("PATCH", &path, &body, &[("if-match", "\"1\"")]).await })
    };
    let mut won = 0;
    for answer in (0..20).map(edit).collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        if answer.status == 200 {
            won += 1;
            continue;
        }
        assert_eq!(answer.problem(), "409 version-conflict");
        assert_eq!((answer.text_of("expectedVersion"), answer.text_of("actualVersion")), ("1".into(), "2".into()));
    }
    assert_eq!(won, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_store_do_not_lose_anything() {
    let service = Service::new();
    let post = service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await.text_of("id");
    // Each has its own queues, so only the expected version keeps them apart.
    let routers: Vec<_> = (0..4)
        .map(|_| reel_command_service::router(Arc::clone(&service.store), reel_command_service::Config::default()))
        .collect();
    let likes = (0..40).map(|nth| {
        let request = axum::http::Request::post(format!("/commands/v1/posts/{post}/likes"));
        let call =
            tower::ServiceExt::oneshot(routers[nth % 4].clone(), request.body(axum::body::Body::empty()).unwrap());
        tokio::spawn(async move { call.await.unwrap().status().as_u16() })
    });
    for status in likes.collect::<Vec<_>>() {
        assert_eq!(status.await.unwrap(), 200);
    }
    assert_eq!(service.events().await.len(), 41);
}

#[tokio::test]
async fn a_long_stream_is_folded_page_by_page() {
    let service = Service::new();
    let post = service.post("/posts", r#"{"actor":"Ada","message":"Hello"}"#).await.text_of("id");
    let likes = vec![r#"{"type":"post-liked","data":{}}"#; 2_500].join(",");
    let removed = format!(r#"{{"events":[{likes},{{"type":"post-removed","data":{{}}}}]}}"#);
    let appended = service.post(&format!("/streams/post-{post}"), &removed).await;
    assert_eq!(appended.text_of("version"), "2502", "{appended:?}");
    assert_eq!(service.post(&format!("/posts/{post}/likes"), "").await.problem(), "410 removed");
}
