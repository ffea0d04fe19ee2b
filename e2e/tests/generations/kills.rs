//! SIGKILL at random moments of builds, flips, rollbacks and drops: afterwards every generation goes on by itself, its rows are what they must
//! be, and the database holds nothing that the catalog does not know.

use std::collections::BTreeSet;
use std::time::Duration;

use reel_e2e::components::example;
use reel_e2e::dice::Dice;
use reel_e2e::fold::{Fold, assert_rows};
use reel_e2e::reel::{Reel, try_answer};
use reqwest::Method;
use serde_json::{Value, json};

use crate::place::{Contents, Entry, Place};

/// How often it is killed on each database, unless `REEL_TEST_KILLS` says how often.
const KILLS: u32 = 8;
/// Events that are there before the first deployment.
const EVENTS: u64 = 2_000;
/// More generations than these are cleaned away between two kills.
const MOST: usize = 4;

fn kills() -> u32 {
    std::env::var("REEL_TEST_KILLS").ok().map_or(KILLS, |number| number.parse().expect("REEL_TEST_KILLS is a number"))
}

/// Posts with likes and comments, as `reel import` takes them.
fn history() -> String {
    let event = |number: u64| {
        let (post, kind, data) = match number % 4 {
            0 => (number, "post-created", json!({ "author": format!("author {}", number % 7), "message": "m" })),
            1 => (number - 1, "post-liked", json!({})),
            2 => {
                (number - 2, "comment-added", json!({ "comment": format!("c{number}"), "author": "bob", "text": "t" }))
            }
            _ => (number - 3, "post-edited", json!({ "message": format!("edited at {number}") })),
        };
        json!({
            "specversion": "1.0", "id": uuid::Uuid::from_u128(u128::from(number) + 1), "source": "kills", "type": kind,
            "subject": format!("post-{post}"), "time": "2026-01-01T00:00:00Z", "data": data,
        })
    };
    (0..EVENTS).map(|number| event(number).to_string() + "\n").collect()
}

/// Does whatever the dice say, until nobody answers any more. A refusal is fine: what counts is what is left.
struct Operator<'a> {
    reel: &'a Reel,
    components: &'a [Vec<u8>; 2],
    dice: &'a mut Dice,
    /// Number of the newest generation, as far as it is known.
    newest: u64,
    said: Vec<String>,
}

impl Operator<'_> {
    async fn works(&mut self) {
        while self.does_something().await.is_some() {}
    }

    async fn does_something(&mut self) -> Option<()> {
        let component = self.components[self.dice.below(2) as usize].clone();
        let number = self.newest.saturating_sub(self.dice.below(4));
        let at = "/admin/v1/projections";
        let (method, path, body) = match self.dice.below(14) {
            0..4 => (Method::POST, format!("{at}/posts/replay"), component),
            4 => (Method::POST, format!("{at}/posts/replay?promote=false"), component),
            5 => (Method::POST, format!("{at}?name=posts"), component),
            6 => (Method::POST, format!("{at}/posts/promote"), Vec::new()),
            7..9 => (Method::POST, format!("{at}/posts/rollback"), Vec::new()),
            9 => (Method::POST, format!("{at}/posts/cancel"), Vec::new()),
            10..12 => (Method::DELETE, format!("{at}/posts@{number}"), Vec::new()),
            12 if self.dice.below(4) == 0 => (Method::DELETE, format!("{at}/posts"), Vec::new()),
            _ => (
                Method::POST,
                "/commands/v1/posts".to_owned(),
                json!({ "author": "ann", "message": "while it is killed" }).to_string().into(),
            ),
        };
        let request = self.reel.request(method.clone(), &path).header("content-type", "application/json").body(body);
        let answer = try_answer(request).await.ok()?;
        self.newest = answer.body["number"].as_u64().unwrap_or_default().max(self.newest);
        self.said.push(format!("{method} {path}: {}", answer.status.as_u16()));
        assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}\n{}", self.reel.log());
        tokio::time::sleep(Duration::from_millis(self.dice.below(30))).await;
        Some(())
    }
}

/// Waits until nothing moves any more, and holds everything against the log.
async fn assert_sound(reel: &Reel, place: &Place, said: &[String]) {
    let head = reel.get("/commands/v1/head").await.body["position"].as_u64().unwrap();
    let arrived = |status: &Value| {
        matches!(status["state"].as_str(), Some("ready" | "live" | "previous")) && status["position"] == head
    };
    let mut before = Vec::new();
    let statuses = reel_e2e::deadline::until("generations that settle", async || {
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
        assert_rows_of(reel, &all).await.then_some(all)
    })
    .await;
    assert_no_orphans(place, &statuses).await;
}

async fn statuses(reel: &Reel) -> Vec<Value> {
    reel.get("/admin/v1/projections").await.body.as_array().unwrap().clone()
}

fn names(statuses: &[Value]) -> Vec<String> {
    statuses.iter().map(|status| format!("{} {}", status["generation"], status["state"])).collect()
}

/// Holds the rows of all generations against the log; false where one was dropped meanwhile.
async fn assert_rows_of(reel: &Reel, statuses: &[Value]) -> bool {
    let fold = Fold::of(&reel.ok(&["export"]).await);
    for status in statuses {
        let generation = status["generation"].as_str().unwrap();
        let is_first = status["tables"].as_array().unwrap().len() == 2;
        let (posts, comments) =
            if is_first { (fold.posts(), fold.comments()) } else { (fold.scored_posts(), fold.all_comments()) };
        for (table, order, expected) in [("posts", "id", posts), ("comments", "post,id", comments)] {
            let read = reel.get(&format!("/read/v1/{generation}/{table}?order={order}")).await;
            if read.status == 404 {
                return false;
            }
            assert_rows(&format!("{table} of {generation}"), read.rows(), &expected);
        }
    }
    true
}

async fn assert_no_orphans(place: &Place, statuses: &[Value]) {
    let entries = place.entries().await;
    let mut expected = Contents { tables: BTreeSet::new(), views: BTreeSet::new() };
    let mut live = 0;
    for Entry { id, projection, number, state, .. } in entries.iter().filter(|entry| entry.state != "dropped") {
        let name = format!("{projection}@{number}");
        let status = statuses.iter().find(|status| status["generation"] == name).expect("the catalog's is shown");
        for table in status["tables"].as_array().unwrap() {
            let table = table.as_str().unwrap();
            expected.tables.insert(format!("g{id}_{table}"));
            if state == "live" {
                expected.views.insert(format!("{projection}.{table}"));
            }
        }
        live += u32::from(state == "live");
    }
    assert!(live <= 1, "{entries:?}");
    assert_eq!(place.contents().await, expected, "{entries:?}");
    place.assert_stranger_untouched().await;
}

/// Drops what has gathered, so that each round has some generations and not many.
async fn clear(reel: &Reel) {
    for status in reel.json(&["list"]).await.iter().filter(|status| status["state"] != "live").skip(MOST) {
        reel.ok(&["drop", status["generation"].as_str().unwrap()]).await;
    }
}

async fn killed_anywhere(place: Place) {
    let mut dice = Dice::new();
    println!("REEL_TEST_SEED={}", dice.seed);
    let components = ["posts", "posts-v2"].map(|name| std::fs::read(example(name)).unwrap());
    let throttled = async || place.up().with(&["--throttle", "10000"]).start().await;
    let mut reel = throttled().await;
    place.settle_stranger().await;
    let imported = reel.run_with(&["import", "-"], history().as_bytes()).await;
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    reel.deploy(&example("posts"), &[]).await;
    for kill in 0..kills() {
        let moment = Duration::from_millis(20 + dice.below(900));
        let newest = place.entries().await.last().map_or(1, |entry| entry.number as u64);
        let mut operator = Operator { reel: &reel, components: &components, dice: &mut dice, newest, said: Vec::new() };
        // Whatever it is at then.
        let _ = tokio::time::timeout(moment, operator.works()).await;
        let said = operator.said;
        reel.kill().await;
        reel = throttled().await;
        println!("kill {kill} after {moment:?}: {said:?}");
        assert_sound(&reel, &place, &said).await;
        clear(&reel).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_sqlite() {
    killed_anywhere(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_postgres() {
    let Some(place) = Place::postgres().await else { return };
    killed_anywhere(place).await;
}
