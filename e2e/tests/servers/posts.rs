//! The tour's steps: posts written through both command services become rows, and other rows through another plugin, while more are
//! written; then a host dies.

use std::sync::Arc;

use reel_e2e::author::Author;
use reel_e2e::components::example;
use reel_e2e::fold::{Fold, assert_rows};
use reel_e2e::reel::Reel;
use tokio::sync::watch;

use crate::place::{Place, rows};

/// Holds both shapes of posts against the log, as `reads` gives them.
async fn assert_all(place: &Place, reads: &Reel) {
    let fold = Fold::of(&place.commands[0].ok(&["export"]).await);
    let tables = [
        (("posts@1", "posts"), "id", fold.posts()),
        (("posts@1", "comments"), "post,id", fold.comments()),
        (("posts@2", "posts"), "id", fold.scored_posts()),
        (("posts@2", "comments"), "post,id", fold.all_comments()),
        (("posts@2", "authors"), "name", fold.authors()),
    ];
    for (table, key, expected) in tables {
        assert_rows(&format!("{} of {}", table.1, table.0), &rows(reads, table, key).await, &expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_become_rows_and_other_rows_while_more_are_written() {
    let Some(mut place) = Place::new().await else { return println!("passed over: servers are missing") };
    place.hosts[0].deploy(&example("posts"), &[]).await;
    let (stop, stopped) = watch::channel(false);
    let mut authors = Vec::new();
    for (name, commands) in ["ann", "ben"].into_iter().zip(&place.commands) {
        let mut author = Author::new(Arc::clone(commands), name);
        for _ in 0..30 {
            author.adds_something().await;
        }
        // What one wrote, one sees at once, at either read API.
        for reads in &place.reads {
            let path = format!("/read/v1/posts/posts?wait-timeout=60s&wait-for={}&author=eq.{name}", author.token);
            assert!(!reads.get(&path).await.rows().is_empty(), "{path}");
        }
        authors.push(tokio::spawn(author.goes_on_until(stopped.clone())));
    }
    let component = example("posts-v2");
    let status = place.hosts[1].json(&["replay", "posts", "--wait", "--with", component.to_str().unwrap()]).await;
    assert_eq!((&status[0]["generation"], &status[0]["state"]), (&"posts@2".into(), &"live".into()));
    let back = place.hosts[0].json(&["rollback", "posts"]).await;
    assert_eq!((&back[0]["generation"], &back[0]["state"]), (&"posts@1".into(), &"live".into()));
    stop.send_replace(true);
    for author in authors {
        author.await.unwrap();
    }
    for host in &place.hosts {
        place.until_current(host, &["posts@1", "posts@2"]).await;
    }
    for reads in &place.reads {
        assert_all(&place, reads).await;
    }

    let fresh = place.apart.start("host", "host-3").await;
    std::mem::replace(&mut place.hosts[0], fresh).kill().await;
    let mut author = Author::new(Arc::clone(&place.commands[1]), "cleo");
    for _ in 0..30 {
        author.adds_something().await;
        author.removes_something().await;
    }
    drop(author);
    place.until_current(&place.hosts[0], &["posts@1", "posts@2"]).await;
    assert_all(&place, &place.reads[1]).await;
    place.stop().await;
}
