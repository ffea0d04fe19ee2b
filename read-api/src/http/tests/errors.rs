//! What is refused, with which status, and in which words.

use serde_json::json;

use super::bed::{beds, sqlite};
use crate::ReadConfig;

#[tokio::test]
async fn every_refusal_is_a_problem_that_says_what_to_do() {
    // path → status, kind, part of the detail
    let cases = [
        (
            "/post",
            404,
            "not-found",
            "unknown table or query \"post\"; did you mean posts? Known: posts, authors, by_author, search",
        ),
        ("/posts?autor=eq.x", 400, "invalid-query", "autor: unknown column \"autor\"; did you mean author?"),
        ("/posts?author=eqq.x", 400, "invalid-query", "did you mean eq?"),
        ("/posts?likes=eq.x", 400, "invalid-query", "column likes is int64: \"x\" is no int64, such as 42"),
        ("/posts?limit=x", 400, "invalid-query", "no number of rows"),
        ("/posts?author=%zz", 400, "invalid-query", "%25"),
        ("/posts?target=other", 404, "not-found", "unknown target \"other\". Known: main"),
        ("/posts?wait-for=abc", 400, "bad-request", "is not a token"),
        ("/posts?wait-for=v1.1.0&wait-timeout=5m", 400, "bad-request", "such as 5s or 500ms"),
        ("@9/posts", 404, "not-found", "unknown generation"),
        ("@x/posts", 400, "invalid-query", "such as posts@2"),
        ("@9", 404, "not-found", "unknown generation"),
    ];
    for bed in beds().await {
        for (path, status, kind, detail) in cases {
            let got = bed.get(path).await;
            assert_eq!((got.status, got.header("content-type")), (status, "application/problem+json"), "{path}");
            let problem = got.json();
            assert_eq!(problem["type"], format!("urn:reel:problem:{kind}"), "{path}");
            assert!(problem["detail"].as_str().unwrap().contains(detail), "{path}: {problem}");
        }
        let known = bed.get("/posts?autor=eq.x").await.json();
        assert_eq!((&known["parameter"], &known["known"][1]), (&json!("autor"), &json!("author")));
        let post = bed.ask("POST", "/posts", &[]).await;
        assert_eq!((post.status, post.header("allow")), (405, "GET,HEAD"));
    }
}

#[tokio::test]
async fn a_projection_that_is_not_there_or_not_live() {
    let bed = sqlite(ReadConfig::default()).await;
    let got = bed.get("/posts").await;
    assert_eq!(got.status, 404);
    assert!(got.text.contains("unknown projection"), "{}", got.text);
    bed.deploy(&crate::fixture::document()).await;
    let got = bed.get("/posts").await;
    assert_eq!(got.status, 404);
    let expected = format!("There is: {}@1 (ready)", bed.projection);
    assert!(got.text.contains(&expected), "{}", got.text);
    assert_eq!(bed.get("@1/posts").await.text, "[]");
}
