//! What must hold after a kill, without anybody's doing: all generations settle, their rows are the fold of the log, the catalog and the
//! schema say the same, and what is somebody else's is as it was.

use serde_json::Value;

use crate::deadline::until;
use crate::fold::{Fold, assert_rows};
use crate::place::{Contents, Place};
use crate::reel::Reel;

/// Waits until nothing moves any more, and holds everything against the log. `said` is what was done before the kill.
///
/// # Panics
/// Where something is not as it must be.
pub(super) async fn assert_sound(reel: &Reel, place: &Place, said: &[String]) {
    let head = reel.get("/commands/v1/head").await.body["position"].clone();
    let arrived = |status: &Value| {
        matches!(status["state"].as_str(), Some("ready" | "live" | "previous")) && status["position"] == head
    };
    let mut before = Vec::new();
    let statuses = until("generations that settle", async || {
        let all = statuses(reel).await;
        let stuck = all.iter().find(|status| status["condition"] != "running" || status["state"] == "failed");
        assert!(stuck.is_none(), "{stuck:?} after {said:?}\n{}", reel.log());
        // A generation that goes live by itself may send an older one away a moment later: what counts is what is there twice.
        let goes_on =
            place.entries().await.iter().any(|entry| entry.state == "ready" && entry.promotion == "automatic");
        let settled = !goes_on && all.iter().all(arrived) && names(&all) == before;
        before = names(&all);
        if !settled {
            return None;
        }
        rows_are_right(reel, &all).await.then_some(all)
    })
    .await;
    assert_no_orphans(place, &statuses).await;
    let what = format!("nothing is put aside any more after {said:?}");
    until(&what, async || place.put_aside().is_empty().then_some(())).await;
}

async fn statuses(reel: &Reel) -> Vec<Value> {
    reel.get("/admin/v1/projections").await.rows().to_vec()
}

fn names(statuses: &[Value]) -> Vec<String> {
    statuses.iter().map(|status| format!("{} {}", status["generation"], status["state"])).collect()
}

/// Holds the rows of all generations against the log; false where one was dropped meanwhile.
async fn rows_are_right(reel: &Reel, statuses: &[Value]) -> bool {
    let fold = Fold::of(&reel.ok(&["export"]).await);
    for status in statuses {
        let generation = status["generation"].as_str().expect("it has a name");
        let expected = if tables(status).len() == 2 {
            vec![("posts", "id", fold.posts()), ("comments", "post,id", fold.comments())]
        } else {
            vec![
                ("posts", "id", fold.scored_posts()),
                ("comments", "post,id", fold.all_comments()),
                ("authors", "name", fold.authors()),
            ]
        };
        for (table, order, expected) in expected {
            let read = reel.get(&format!("/read/v1/{generation}/{table}?order={order}")).await;
            if read.status == 404 {
                return false;
            }
            assert_rows(&format!("{table} of {generation}"), read.rows(), &expected);
        }
    }
    true
}

fn tables(status: &Value) -> Vec<&str> {
    let tables = status["tables"].as_array().expect("it has tables");
    tables.iter().map(|table| table.as_str().expect("with a name")).collect()
}

async fn assert_no_orphans(place: &Place, statuses: &[Value]) {
    let entries = place.entries().await;
    let mut expected = Contents::default();
    for entry in entries.iter().filter(|entry| entry.state != "dropped") {
        let name = format!("{}@{}", entry.projection, entry.number);
        let status = statuses.iter().find(|status| status["generation"] == name).expect("the catalog's is shown");
        place.expect(entry, &tables(status), &mut expected);
    }
    assert!(entries.iter().filter(|entry| entry.state == "live").count() <= 1, "{entries:?}");
    assert_eq!(place.contents().await, expected, "{entries:?}");
    place.assert_stranger_untouched().await;
}
