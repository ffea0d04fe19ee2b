//! Several command services on one store: what one remembers of a stream, another has changed since.

use crate::service::Service;

const POST: &str = "11111111-1111-4111-8111-111111111111";
const COMMENT: &str = "22222222-2222-4222-8222-222222222222";

/// A post that both services have acted on.
async fn post_known_to_both() -> (Service, Service) {
    let one = Service::new();
    let other = one.beside();
    one.post("/posts", &format!(r#"{{"id":"{POST}","actor":"Ann","message":"Hello"}}"#)).await;
    for service in [&other, &one, &other] {
        assert_eq!(service.post(&format!("/posts/{POST}/likes"), "").await.status, 200);
    }
    (one, other)
}

#[tokio::test]
async fn what_another_service_wrote_counts_for_what_is_appended() {
    let (one, other) = post_known_to_both().await;
    let liked = one.post(&format!("/posts/{POST}/likes"), "").await;
    assert_eq!(liked.text_of("version"), "5");
    assert_eq!(other.ask("DELETE", &format!("/posts/{POST}?actor=ann"), "", &[]).await.status, 200);
    assert_eq!(one.post(&format!("/posts/{POST}/likes"), "").await.problem(), "410 removed");
    assert_eq!(one.post(&format!("/posts/{POST}/likes"), "").await.problem(), "410 removed");
}

#[tokio::test]
async fn what_another_service_wrote_counts_for_what_is_refused() {
    let (one, other) = post_known_to_both().await;
    let comment = format!(r#"{{"id":"{COMMENT}","actor":"Bob","text":"Nice"}}"#);
    assert_eq!(other.post(&format!("/posts/{POST}/comments"), &comment).await.status, 201);
    // To the first service there is no such comment yet.
    let path = format!("/posts/{POST}/comments/{COMMENT}");
    assert_eq!(one.ask("PATCH", &path, r#"{"actor":"Bob","text":"Very nice"}"#, &[]).await.status, 200);
    // To the second it still says what it said at first: this changes something, and the same again does not.
    let back = r#"{"actor":"Bob","text":"Nice"}"#;
    for events in ["1", "0"] {
        assert_eq!(other.ask("PATCH", &path, back, &[]).await.text_of("events"), events);
    }
}

#[tokio::test]
async fn a_version_that_another_service_wrote_can_be_expected() {
    let (one, other) = post_known_to_both().await;
    let likes = format!("/posts/{POST}/likes");
    // The log stands at 4, to the first service at 3.
    assert_eq!(one.ask("POST", &likes, "", &[("if-match", "\"4\"")]).await.text_of("version"), "5");
    let refused = other.ask("POST", &likes, "", &[("if-match", "\"4\"")]).await;
    assert_eq!(
        (refused.problem(), refused.text_of("actualVersion")),
        ("409 version-conflict".to_owned(), "5".to_owned())
    );
    let known = ("idempotency-key", "once");
    let sent = other.ask("POST", &likes, "", &[("if-match", "\"5\""), known]).await;
    let again = one.ask("POST", &likes, "", &[("if-match", "\"5\""), known]).await;
    assert_eq!((sent.status, sent.text), (again.status, again.text));
    assert_eq!(again.headers["idempotent-replayed"], "true");
}
