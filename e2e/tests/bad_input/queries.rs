//! Reads that make no sense: each is answered with what would.

use reel_e2e::components::example;
use reel_e2e::reel::Up;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unknown_is_answered_with_what_is_known() {
    let data = tempfile::tempdir().unwrap();
    let reel = Up::on(data.path()).start().await;
    reel.deploy(&example("posts"), &[]).await;
    let cases = [
        ("posts/posts?likes=more.5", 400, "gte"),
        ("posts/posts?title=eq.x", 400, "message"),
        ("posts/posts?select=title", 400, "message"),
        ("posts/posts?order=title", 400, "message"),
        ("posts/comment", 404, "comments"),
        ("post/posts", 404, "posts"),
    ];
    for (path, status, known) in cases {
        let refused = reel.get(&format!("/read/v1/{path}")).await;
        assert_eq!(refused.status, status, "{path}: {refused:?}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
        let all = refused.body["known"].as_array().unwrap_or_else(|| panic!("{path}: {refused:?}"));
        assert!(all.iter().any(|each| each == known), "{path}: {refused:?}");
    }
    for path in [
        "posts/posts?likes=eq.many",
        "posts/posts?limit=-1",
        "posts/posts?likes=5",
        "posts/posts?and=(likes.eq.1",
        "posts@9/posts",
    ] {
        let refused = reel.get(&format!("/read/v1/{path}")).await;
        assert!(refused.status.is_client_error(), "{path}: {refused:?}");
        assert!(refused.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{path}: {refused:?}");
    }
    // A value is a value, whatever it looks like.
    let answer = reel.get("/read/v1/posts/posts?author=eq.x%27%3B%20DROP%20TABLE%20posts%3B--").await;
    assert_eq!((answer.status.as_u16(), answer.rows().len()), (200, 0));
    let ran = reel.run(&["query", "posts", "posts", "title=eq.x"]).await;
    assert_eq!(ran.code, 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("title") && ran.stderr.contains("message"), "{}", ran.stderr);
}
