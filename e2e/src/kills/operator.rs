//! What an operator does until the Reel is killed: brings it to the moment that is aimed at, and says when it is there.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::moments::{Hit, Moment};
use crate::deadline::until;
use crate::dice::Dice;
use crate::place::Place;
use crate::reel::{Answer, Reel, try_answer};

const AT: &str = "/admin/v1/projections";
/// How often a moment is aimed at that is over before it is seen.
const TRIES: u32 = 12;
/// How long a moment is taken to last that was not seen at all.
const SUPPOSED: Duration = Duration::from_millis(4);
/// What is appended while a generation is to have something to catch up with: so often, so many events at once.
const APPENDS: u64 = 100;
const APPENDED: u64 = 20;

/// What an operator brings along from kill to kill.
pub(super) struct Script {
    /// Decides what is not aimed at.
    pub(super) dice: Dice,
    /// The two plugins of the projection.
    pub(super) components: [Vec<u8>; 2],
    /// How long moments last, as far as is known.
    lengths: BTreeMap<Moment, Duration>,
}

impl Script {
    pub(super) fn new(dice: Dice, components: [Vec<u8>; 2]) -> Script {
        Script { dice, components, lengths: BTreeMap::new() }
    }

    /// A part of how long a moment lasts; all of it where that is to be found out first.
    fn within(&mut self, moment: Moment) -> Duration {
        let Some(length) = self.lengths.get(&moment) else { return Duration::MAX };
        Duration::from_micros(self.dice.below(length.as_micros().max(1) as u64))
    }

    fn component(&mut self) -> Vec<u8> {
        self.components[self.dice.below(2) as usize].clone()
    }
}

/// Somebody at work on one Reel. A refusal is fine: what counts is what is left.
pub(super) struct Operator<'a> {
    reel: &'a Reel,
    place: &'a Place,
    script: &'a mut Script,
    said: Vec<String>,
}

impl<'a> Operator<'a> {
    pub(super) fn new(reel: &'a Reel, place: &'a Place, script: &'a mut Script) -> Operator<'a> {
        Operator { reel, place, script, said: Vec::new() }
    }

    /// What it did, and what it was answered.
    pub(super) fn said(self) -> Vec<String> {
        self.said
    }

    /// Works until the Reel is at this moment: it is to be killed at once then.
    pub(super) async fn works_until(&mut self, aimed: Moment) -> Hit {
        if self.in_state(&["live"]).await.is_none() {
            let component = self.script.component();
            let deployed = self.asks(Method::POST, &format!("{AT}?name=posts"), component).await;
            self.until_state(number(&deployed), &["live"]).await;
        }
        for _ in 0..TRIES {
            let hit = match aimed {
                Moment::Anywhere => break,
                Moment::Reading
                | Moment::LaterPart
                | Moment::Loading
                | Moment::Indexing
                | Moment::CatchingUp
                | Moment::GoingLive => self.builds_until(aimed).await,
                Moment::Promote | Moment::Rollback | Moment::Drop | Moment::Cancel => self.asks_for(aimed).await,
            };
            if let Some(hit) = hit {
                return hit;
            }
        }
        let moment = Duration::from_millis(20 + self.script.dice.below(900));
        // Whatever it is at then.
        let _ = timeout(moment, async { while self.does_something().await {} }).await;
        Hit::new(Moment::Anywhere, 0)
    }

    /// Builds a generation until it is there; nothing where that was over too soon.
    async fn builds_until(&mut self, aimed: Moment) -> Option<Hit> {
        let promoted = aimed == Moment::GoingLive || self.script.dice.below(2) == 0;
        let number = self.replays(promoted).await;
        let (reel, wait) = (self.reel, self.script.within(aimed));
        let appends = async {
            if aimed == Moment::CatchingUp {
                append(reel, number).await;
            }
            std::future::pending::<()>().await;
        };
        let mut since: Option<Instant> = None;
        let looks = async {
            loop {
                let status = status(reel, number).await;
                if is_at(&status, aimed) {
                    if since.get_or_insert_with(Instant::now).elapsed() >= wait {
                        return true;
                    }
                } else if since.is_some() || is_over(&status) {
                    return false;
                }
            }
        };
        let there = tokio::select! {
            there = looks => there,
            () = appends => false,
        };
        if there {
            return Some(Hit::new(aimed, number));
        }
        self.script.lengths.insert(aimed, since.map_or(SUPPOSED, |since| since.elapsed()));
        self.until_state(number, if promoted { &["live"] } else { &["ready"] }).await;
        None
    }

    /// Asks for something, and says so before it is answered; nothing where the answer was faster.
    async fn asks_for(&mut self, aimed: Moment) -> Option<Hit> {
        let (method, path, number) = self.prepares(aimed).await;
        let (request, wait) = (self.reel.request(method.clone(), &path), self.script.within(aimed));
        let began = Instant::now();
        let asked = tokio::spawn(async move { (try_answer(request).await, began.elapsed()) });
        // Timers are too coarse for what takes some milliseconds.
        while began.elapsed() < wait && !asked.is_finished() {
            tokio::task::yield_now().await;
        }
        if !asked.is_finished() {
            self.said.push(format!("{method} {path} for {wait:?}"));
            return Some(Hit::new(aimed, number));
        }
        let (answer, length) = asked.await.expect("it does not panic");
        let answer = answer.expect("reel answers");
        self.said.push(format!("{method} {path}: {}", answer.status.as_u16()));
        if answer.status.is_success() {
            self.script.lengths.insert(aimed, length);
        }
        None
    }

    /// Brings about what is needed to ask for it; the request, and the number of the generation that it is about.
    async fn prepares(&mut self, aimed: Moment) -> (Method, String, i64) {
        match aimed {
            Moment::Rollback => {
                if self.in_state(&["previous"]).await.is_none() {
                    let number = self.replays(true).await;
                    self.until_state(number, &["live"]).await;
                }
                let live = self.in_state(&["live"]).await.expect("something is live");
                (Method::POST, format!("{AT}/posts/rollback"), live)
            }
            Moment::Cancel => {
                let number = self.replays(false).await;
                sleep(Duration::from_millis(self.script.dice.below(150))).await;
                (Method::POST, format!("{AT}/posts@{number}/cancel"), number)
            }
            _ => {
                let states: &[&str] = if aimed == Moment::Promote { &["ready"] } else { &["ready", "previous"] };
                let number = match self.in_state(states).await {
                    Some(number) => number,
                    None => self.replays(false).await,
                };
                self.until_state(number, states).await;
                match aimed {
                    Moment::Promote => (Method::POST, format!("{AT}/posts@{number}/promote"), number),
                    _ => (Method::DELETE, format!("{AT}/posts@{number}"), number),
                }
            }
        }
    }

    /// Does whatever the dice say; false once nobody answers any more.
    async fn does_something(&mut self) -> bool {
        let component = self.script.component();
        let newest = self.place.entries().await.last().map_or(1, |entry| entry.number);
        let number = newest.saturating_sub(self.script.dice.below(4) as i64);
        let (method, path, body) = match self.script.dice.below(14) {
            0..4 => (Method::POST, format!("{AT}/posts/replay"), component),
            4 => (Method::POST, format!("{AT}/posts/replay?promote=false"), component),
            5 => (Method::POST, format!("{AT}?name=posts"), component),
            6 => (Method::POST, format!("{AT}/posts/promote"), Vec::new()),
            7..9 => (Method::POST, format!("{AT}/posts/rollback"), Vec::new()),
            9 => (Method::POST, format!("{AT}/posts/cancel"), Vec::new()),
            10..12 => (Method::DELETE, format!("{AT}/posts@{number}"), Vec::new()),
            12 if self.script.dice.below(4) == 0 => (Method::DELETE, format!("{AT}/posts"), Vec::new()),
            _ => {
                let post = json!({ "author": "ann", "message": "while it is killed" });
                (Method::POST, "/commands/v1/posts".to_owned(), post.to_string().into())
            }
        };
        if self.tries(method, &path, body).await.is_none() {
            return false;
        }
        sleep(Duration::from_millis(self.script.dice.below(30))).await;
        true
    }

    /// Replays through one of the plugins; the new generation's number.
    async fn replays(&mut self, promoted: bool) -> i64 {
        let component = self.script.component();
        let path = format!("{AT}/posts/replay?promote={promoted}");
        number(&self.asks(Method::POST, &path, component).await)
    }

    async fn asks(&mut self, method: Method, path: &str, body: Vec<u8>) -> Answer {
        let answer = self.tries(method, path, body).await.expect("reel answers");
        assert!(answer.status.is_success(), "{path}: {answer:?} after {:?}\n{}", self.said, self.reel.log());
        answer
    }

    async fn tries(&mut self, method: Method, path: &str, body: Vec<u8>) -> Option<Answer> {
        let request = self.reel.request(method.clone(), path).header("content-type", "application/json").body(body);
        let answer = try_answer(request).await.ok()?;
        self.said.push(format!("{method} {path}: {}", answer.status.as_u16()));
        assert!(answer.status.as_u16() < 500, "{method} {path}: {answer:?}\n{}", self.reel.log());
        Some(answer)
    }

    /// The newest generation that is in one of these states.
    async fn in_state(&self, states: &[&str]) -> Option<i64> {
        let entries = self.place.entries().await;
        entries.iter().rev().find(|entry| states.contains(&entry.state.as_str())).map(|entry| entry.number)
    }

    async fn until_state(&self, number: i64, states: &[&str]) {
        let what = format!("posts@{number} in state {} after {:?}", states.join(" or "), self.said);
        until(&what, async || {
            let state = status(self.reel, number).await["state"].clone();
            states.contains(&state.as_str()?).then_some(())
        })
        .await;
    }
}

fn number(answer: &Answer) -> i64 {
    answer.body["number"].as_i64().expect("a generation has a number")
}

async fn status(reel: &Reel, number: i64) -> Value {
    reel.get(&format!("{AT}/posts@{number}")).await.body[0].take()
}

fn is_at(status: &Value, moment: Moment) -> bool {
    let (state, phase) = (status["state"].as_str(), status["phase"].as_str());
    match moment {
        Moment::Reading => phase == Some("folding"),
        Moment::LaterPart => phase == Some("folding") && status["pass"].as_u64() > Some(1),
        Moment::Loading => phase == Some("loading"),
        Moment::Indexing => phase == Some("indexing"),
        Moment::CatchingUp => state == Some("catch-up"),
        _ => state == Some("ready"),
    }
}

/// Whether a generation is built, or gone.
fn is_over(status: &Value) -> bool {
    !matches!(status["state"].as_str(), Some("build" | "catch-up"))
}

/// Appends events that a build does not read any more, until that is enough.
async fn append(reel: &Reel, number: i64) {
    for append in 0..APPENDS {
        let liked = (1..APPENDED).map(|_| json!({ "type": "post-liked", "data": {} }));
        let created = json!({ "type": "post-created", "data": { "author": "late", "message": "m" } });
        let events: Vec<Value> = std::iter::once(created).chain(liked).collect();
        let path = format!("/commands/v1/streams/post-late-{number}-{append}");
        // Where it is refused there is less to catch up with.
        let _ = try_answer(reel.request(Method::POST, &path).json(&json!({ "events": events }))).await;
    }
}
