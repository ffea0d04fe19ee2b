//! What is refused, and what the refusal says.

use std::time::Duration;

use axum::{body::Body, http::Request};
use reel_command_service::Config;
use reel_event_log::Limits;

use crate::service::Service;

const POST: &str = "11111111-1111-4111-8111-111111111111";
const GONE: &str = "33333333-3333-4333-8333-333333333333";
const COMMENT: &str = "22222222-2222-4222-8222-222222222222";
const NOBODY: &str = "44444444-4444-4444-8444-444444444444";

/// A path with the ids in it.
fn placed(path: &str) -> String {
    [("{POST}", POST), ("{GONE}", GONE), ("{COMMENT}", COMMENT), ("{NOBODY}", NOBODY)]
        .into_iter()
        .fold(path.to_owned(), |path, (name, id)| path.replace(name, id))
}

/// Ada's post with Bob's comment, and one that she removed.
async fn service() -> Service {
    let service = Service::new();
    for id in [POST, GONE] {
        let body = format!(r#"{{"id":"{id}","actor":"Ada","message":"Hello"}}"#);
        assert_eq!(service.post("/posts", &body).await.status, 201);
        let body = format!(r#"{{"id":"{COMMENT}","actor":"Bob","text":"Nice"}}"#);
        assert_eq!(service.post(&format!("/posts/{id}/comments"), &body).await.status, 201);
    }
    assert_eq!(service.ask("DELETE", &format!("/posts/{GONE}?actor=Ada"), "", &[]).await.status, 200);
    service
}

/// Method, path, body; the problem, and its detail (or a part of it).
const RULES: &[[&str; 5]] = &[
    ["PATCH", "/posts/{POST}", r#"{"actor":"Bob","message":"x"}"#, "403 forbidden", "only its author may edit a post"],
    ["DELETE", "/posts/{POST}", r#"{"actor":"Bob"}"#, "403 forbidden", "only its author may remove a post"],
    [
        "PATCH",
        "/posts/{POST}/comments/{COMMENT}",
        r#"{"actor":"Ada","text":"x"}"#,
        "403 forbidden",
        "only the commenter may edit a comment",
    ],
    [
        "DELETE",
        "/posts/{POST}/comments/{COMMENT}",
        r#"{"actor":"Ada"}"#,
        "403 forbidden",
        "only the commenter may remove a comment",
    ],
    ["PATCH", "/posts/{NOBODY}", r#"{"actor":"Ada","message":"x"}"#, "404 not-found", "there is no such post"],
    ["POST", "/posts/{NOBODY}/likes", "", "404 not-found", "there is no such post"],
    ["DELETE", "/posts/{POST}/comments/{NOBODY}", r#"{"actor":"Ada"}"#, "404 not-found", "there is no such comment"],
    ["POST", "/todos/{NOBODY}/complete", "", "404 not-found", "there is no such todo"],
    ["PATCH", "/posts/{GONE}", r#"{"actor":"Ada","message":"x"}"#, "410 removed", "the post was removed"],
    ["POST", "/posts/{GONE}/likes", "", "410 removed", "the post was removed"],
    ["POST", "/posts/{GONE}/comments", r#"{"actor":"Bob","text":"x"}"#, "410 removed", "the post was removed"],
    [
        "PATCH",
        "/posts/{GONE}/comments/{COMMENT}",
        r#"{"actor":"Bob","text":"x"}"#,
        "410 removed",
        "the post was removed",
    ],
    ["DELETE", "/posts/{GONE}/comments/{COMMENT}", r#"{"actor":"Bob"}"#, "410 removed", "the post was removed"],
    ["DELETE", "/posts/{GONE}", r#"{"actor":"Ada"}"#, "410 removed", "the post was removed"],
];

#[tokio::test]
async fn rules() {
    let service = service().await;
    let before = service.events().await.len();
    for [method, path, body, problem, detail] in RULES {
        let path = placed(path);
        let answer = service.ask(method, &path, body, &[]).await;
        assert_eq!(
            (answer.problem(), answer.detail()),
            ((*problem).to_owned(), (*detail).to_owned()),
            "{method} {path} {body}"
        );
    }
    for id in [POST, GONE] {
        let again = service.post("/posts", &format!(r#"{{"id":"{id}","actor":"Ada","message":"x"}}"#)).await;
        assert_eq!(again.problem(), if id == POST { "409 exists" } else { "410 removed" });
    }
    assert_eq!(service.events().await.len(), before);
}

#[tokio::test]
async fn fields_are_named() {
    let service = service().await;
    let long = "x".repeat(10_001);
    let table = [
        ("/posts", r#"{"message":" ","actor":""}"#.to_owned(), "actor must not be empty; message must not be empty"),
        (
            "/posts",
            format!(r#"{{"message":"{long}","actor":"Ada"}}"#),
            "message must have at most 10000 characters; it has 10001",
        ),
        (
            "/posts",
            r#"{"message":"a\u0000b","actor":"Ada"}"#.to_owned(),
            "message must not hold NUL (\\u0000), which not every database can store",
        ),
        (
            "/posts",
            r#"{"message":"Hello"}"#.to_owned(),
            "actor is missing: say who acts in the body's member actor, the header Reel-Actor or the parameter actor",
        ),
        (
            "/posts?actor=Bob",
            r#"{"message":"Hello","actor":"Ada"}"#.to_owned(),
            "actor is given twice, and not the same: in body, header and query it must agree",
        ),
        (
            "/todos",
            r#"{"title":"a\nb","actor":"Ada"}"#.to_owned(),
            "title must be one line, without control characters",
        ),
    ];
    for (path, body, detail) in table {
        let answer = service.post(path, &body).await;
        assert_eq!(
            (answer.problem(), answer.detail()),
            ("422 invalid-fields".into(), detail.into()),
            "{path} {body:.60}"
        );
        assert_eq!(answer.json()["errors"][0]["field"], detail.split(' ').next().unwrap());
    }
}

/// Method, path, body; the problem, and its detail (or a part of it).
const NO_REQUESTS: &[[&str; 5]] = &[
    ["POST", "/posts", r#"{"message":"#, "400 malformed-json", "line 1 column 11"],
    ["POST", "/posts", r#"{"message":"\ud800"}"#, "400 malformed-json", "line 1 column"],
    ["POST", "/posts", r#"{"message":5}"#, "422 invalid-body", "message: invalid type: integer `5`, expected a string"],
    ["POST", "/posts", r#"{"mesage":"x"}"#, "422 invalid-body", "unknown field `mesage`"],
    ["POST", "/posts", r#"{"id":"7","message":"x"}"#, "422 invalid-body", "id: UUID parsing failed"],
    ["POST", "/posts/7/likes", "", "400 bad-request", "Cannot parse"],
    ["POST", "/posts/{POST}/likes?by=Ada", "", "400 bad-request", "unknown field `by`, expected `actor`"],
    ["GET", "/posts", "", "405 method-not-allowed", "does not take GET"],
    ["PUT", "/posts/{POST}", "", "405 method-not-allowed", "does not take PUT"],
    ["GET", "/nothing/here", "", "404 no-such-path", "/nothing/here is no path"],
    ["GET", "", "", "404 no-such-path", "is no path"],
    ["GET", "/", "", "404 no-such-path", "is no path"],
];

#[tokio::test]
async fn requests_that_are_none() {
    let service = service().await;
    for [method, path, body, problem, detail] in NO_REQUESTS {
        let path = placed(path);
        let answer = service.ask(method, &path, body, &[]).await;
        assert_eq!(answer.problem(), *problem, "{method} {path} {body}: {answer:?}");
        assert!(answer.detail().contains(detail), "{method} {path} {body}: {}", answer.detail());
    }
    assert!(service.ask("GET", &format!("/posts/{POST}"), "", &[]).await.header("allow").contains("PATCH"));
    let plain =
        Request::post("/commands/v1/posts").header("content-type", "text/plain").body(Body::from("{}")).unwrap();
    assert_eq!(service.send(plain).await.problem(), "415 unsupported-media-type");
}

#[tokio::test]
async fn a_wrong_expected_version_is_told_the_actual_one() {
    let service = service().await;
    for (given, expected) in [("\"1\"", 1), ("\"9\"", 9)] {
        let headers = [("if-match", given)];
        let answer = service.ask("POST", &format!("/posts/{POST}/likes"), "", &headers).await;
        assert_eq!(answer.problem(), "409 version-conflict");
        assert_eq!(answer.json()["expectedVersion"], expected);
        assert_eq!(answer.json()["actualVersion"], 2);
        assert!(answer.detail().contains(&format!("stream post-{POST} stands at version 2, not {expected}")));
    }
    let liked = service.ask("POST", &format!("/posts/{POST}/likes"), "", &[("if-match", "\"2\"")]).await;
    assert_eq!((liked.status, liked.text_of("version")), (200, "3".to_owned()));
    let wrong = service.ask("POST", &format!("/posts/{POST}/likes"), "", &[("if-match", "*")]).await;
    assert_eq!(wrong.problem(), "400 bad-request");
}

#[tokio::test]
async fn limits() {
    let service = Service::with(
        Config { body_bytes: 100_000, ..Config::default() },
        Limits { event_bytes: 50, commit_bytes: 200 },
    );
    let body = |length: usize| format!(r#"{{"actor":"Ada","message":"{}"}}"#, "x".repeat(length));
    assert_eq!(service.post("/posts", &body(200_000)).await.problem(), "413 too-large");
    let answer = service.post("/posts", &body(60)).await;
    assert_eq!((answer.problem().as_str(), answer.text_of("limit").as_str()), ("413 too-large", "50"), "{answer:?}");
    assert!(service.events().await.is_empty());
}

#[tokio::test]
async fn a_body_that_does_not_end_is_given_up() {
    let config = Config { time_limit: Duration::from_millis(20), ..Config::default() };
    let service = Service::with(config, Limits::default());
    let endless = Body::from_stream(futures::stream::pending::<Result<String, std::io::Error>>());
    let request = Request::post("/commands/v1/posts").header("content-type", "application/json").body(endless).unwrap();
    assert_eq!(service.send(request).await.problem(), "503 timeout");
}

#[tokio::test]
async fn a_stream_that_cannot_be_folded_is_named() {
    let service = service().await;
    let broken = r#"{"events":[{"type":"post-edited","data":{"message":7}}]}"#;
    assert_eq!(service.post(&format!("/streams/post-{POST}"), broken).await.status, 200);
    let answer = service.post(&format!("/posts/{POST}/likes"), "").await;
    assert_eq!(answer.problem(), "500 internal");
    assert!(answer.detail().starts_with(&format!("event 3 of stream post-{POST}, a post-edited, has a payload")));
}
