//! Real events through all servers, held against what git itself says the tree is.

use reel_e2e::components::example;
use reel_e2e::fold::assert_rows;
use reel_e2e::history;

use crate::place::{Place, rows};

#[tokio::test(flavor = "multi_thread")]
async fn the_tree_is_gits_own_through_all_servers() {
    let Some(place) = Place::new().await else { return println!("passed over: servers are missing") };
    // One generation is there before the events, and consumes the topic; the other is built from history.
    place.hosts[0].deploy(&example("git-tree"), &["--name", "consumed"]).await;
    let file = history::file();
    let said = place.commands[0].ok(&["import", file.to_str().unwrap()]).await;
    println!("{said}");
    place.hosts[1].deploy(&example("git-tree"), &["--name", "built"]).await;
    for host in &place.hosts {
        place.until_current(host, &["consumed", "built"]).await;
    }
    for reads in &place.reads {
        for projection in ["consumed", "built"] {
            let table = (projection, "files?select=path,blob,mode");
            assert_rows(projection, &rows(reads, table, "path").await, &history::tree());
        }
    }
    let again = place.commands[1].ok(&["import", file.to_str().unwrap()]).await;
    assert!(again.contains("nothing to do") && again.contains("ends at position 31760"), "{again}");
    place.stop().await;
}
