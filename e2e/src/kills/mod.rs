//! SIGKILL at chosen and at any moments of builds, flips, rollbacks and drops: afterwards every generation goes on by itself, its rows are
//! what they must be, and the database holds nothing that the catalog does not know, and all that is somebody else's.
//!
//! A seed decides everything but how fast the machine is. Here: the course of it; what an operator does until the kill is `operator`, what must
//! hold afterwards `judge`.

mod judge;
mod moments;
mod operator;

use serde_json::json;

use crate::components::example;
use crate::dice::Dice;
use crate::place::Place;
use crate::reel::Reel;

pub use moments::{Moment, Tally};
use operator::{Operator, Script};

/// Events that are there before the first deployment.
const EVENTS: u64 = 8_000;
/// Events a second of a build, so that it has some length.
const THROTTLE: &str = "40000";
/// More generations than these, beside what is live, are cleaned away between two kills.
const MOST: usize = 3;

/// Kills a Reel at `place` so many times, in turn at each of the [`Moment`]s, and looks after each; how many fell into which.
///
/// # Panics
/// Where something is not as it must be afterwards: the message says what was done before.
#[expect(clippy::print_stdout, reason = "whoever looks at a failed run needs what came before")]
pub async fn kills(place: &Place, seed: u64, times: u32) -> Tally {
    let components = ["posts", "posts-v2"].map(|name| std::fs::read(example(name)).expect("it was built"));
    let mut script = Script::new(Dice::of(seed), components);
    let mut reel = start(place).await;
    place.settle_stranger().await;
    let imported = reel.run_with(&["import", "-"], history().as_bytes()).await;
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    reel.deploy(&example("posts"), &[]).await;
    let mut tally = Tally::default();
    for number in 0..times {
        let aimed = Moment::ALL[number as usize % Moment::ALL.len()];
        let mut operator = Operator::new(&reel, place, &mut script);
        let hit = operator.works_until(aimed).await;
        let said = operator.said();
        reel.kill().await;
        let hit = hit.settled(&place.entries().await);
        println!("kill {number}: {hit}; before it: {}", said.join(", "));
        tally.count(&hit);
        reel = start(place).await;
        judge::assert_sound(&reel, place, &said).await;
        clear(&reel).await;
    }
    tally
}

async fn start(place: &Place) -> Reel {
    place.up().with(&["--throttle", THROTTLE]).start().await
}

/// Drops what has gathered, so that each round has some generations and not many.
async fn clear(reel: &Reel) {
    for status in reel.json(&["list"]).await.iter().filter(|status| status["state"] != "live").skip(MOST) {
        reel.ok(&["drop", status["generation"].as_str().expect("it has a name")]).await;
    }
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
