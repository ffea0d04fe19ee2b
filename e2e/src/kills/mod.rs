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

/// How much memory builds have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Enough for all rows.
    Enough,
    /// So little that rows are folded part by part.
    Parts,
}

/// Events a second of a build, so that it has some length.
const THROTTLE: &str = "40000";
/// More generations than these, beside what is live, are cleaned away between two kills.
const MOST: usize = 3;

impl Memory {
    /// Events that are there before the first deployment.
    fn events(self) -> u64 {
        match self {
            Memory::Enough => 8_000,
            Memory::Parts => 24_000,
        }
    }

    /// At which moments a Reel is killed whose builds have so much.
    #[must_use]
    pub fn moments(self) -> &'static [Moment] {
        match self {
            Memory::Enough => &Moment::ALL,
            Memory::Parts => &Moment::IN_PARTS,
        }
    }

    fn arguments(self) -> &'static [&'static str] {
        match self {
            Memory::Enough => &["--throttle", THROTTLE],
            Memory::Parts => &["--throttle", THROTTLE, "--memory", "1"],
        }
    }
}

/// Kills a Reel at `place` so many times, in turn at each of the [`Moment`]s, and looks after each; how many fell into which.
///
/// # Panics
/// Where something is not as it must be afterwards: the message says what was done before.
#[expect(clippy::print_stdout, reason = "whoever looks at a failed run needs what came before")]
pub async fn kills(place: &Place, memory: Memory, (seed, times): (u64, u32)) -> Tally {
    let components = ["posts", "posts-v2"].map(|name| std::fs::read(example(name)).expect("it was built"));
    let mut script = Script::new(Dice::of(seed), components);
    let mut reel = start(place, memory).await;
    place.settle_stranger().await;
    let imported = reel.run_with(&["import", "-"], history(memory.events()).as_bytes()).await;
    assert_eq!(imported.code, 0, "{}", imported.stderr);
    reel.deploy(&example("posts"), &[]).await;
    let mut tally = Tally::default();
    for number in 0..times {
        let moments = memory.moments();
        let mut operator = Operator::new(&reel, place, &mut script);
        let hit = operator.works_until(moments[number as usize % moments.len()]).await;
        let said = operator.said();
        reel.kill().await;
        let hit = hit.settled(&place.entries().await);
        println!("kill {number}: {hit}; before it: {}", said.join(", "));
        tally.count(&hit);
        reel = start(place, memory).await;
        judge::assert_sound(&reel, place, &said).await;
        let log = reel.log();
        assert!(!hit.left_parts() || log.contains("went on from part"), "{hit}: it began again\n{log}");
        clear(&reel).await;
    }
    tally
}

async fn start(place: &Place, memory: Memory) -> Reel {
    place.up().with(memory.arguments()).start().await
}

/// Drops what has gathered, so that each round has some generations and not many.
async fn clear(reel: &Reel) {
    for status in reel.json(&["list"]).await.iter().filter(|status| status["state"] != "live").skip(MOST) {
        reel.ok(&["drop", status["generation"].as_str().expect("it has a name")]).await;
    }
}

/// Posts with likes and comments, as `reel import` takes them.
fn history(events: u64) -> String {
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
    (0..events).map(|number| event(number).to_string() + "\n").collect()
}
