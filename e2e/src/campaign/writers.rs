//! Who gives commands while all goes wrong: eight writers, who send again under the same idempotency key what was not answered, and now and
//! then what was. What was answered is kept, for the judge.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Stop;
use super::processes::Processes;
use crate::dice::Dice;
use crate::reel::{Answer, try_answer};

const WRITERS: usize = 8;
/// Between two commands of one writer, at most, in milliseconds.
const PAUSE: u64 = 150;
/// How long a command may take until somebody answers it, whatever goes wrong meanwhile.
const PATIENCE: Duration = Duration::from_secs(180);
/// Of so many commands that were answered, one is sent again.
const REPEATED: u64 = 5;

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Acknowledged: its event stands there.
    At(u64),
    /// Refused at the first attempt: it left nothing.
    Refused,
    /// Refused, after an attempt that nobody answered: it may have left its event.
    Unclear,
}

/// What was answered, by the command's correlation.
#[derive(Debug, Default)]
pub(super) struct Ledger(pub(super) Vec<(Uuid, Fate)>);

impl Ledger {
    /// How many commands were acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.0.iter().filter(|(_, fate)| matches!(fate, Fate::At(_))).count()
    }
}

/// All writers.
pub(super) struct Writers {
    stop: watch::Sender<bool>,
    writers: Vec<JoinHandle<Result<Ledger, String>>>,
    /// Why the first one gave up.
    failed: Arc<OnceLock<String>>,
}

/// Posts that anybody may like and comment on.
type Posts = Arc<Mutex<Vec<Uuid>>>;

impl Writers {
    /// Starts them.
    pub(super) fn start(processes: &Arc<Processes>, dice: &mut Dice) -> Writers {
        let (stop, stopped) = watch::channel(false);
        let posts = Posts::default();
        let writer = |nth| Writer {
            name: format!("writer {nth}"),
            processes: Arc::clone(processes),
            dice: Dice::of(dice.below(u64::MAX)),
            posts: Arc::clone(&posts),
            own: Vec::new(),
            comments: Vec::new(),
            ledger: Ledger::default(),
        };
        let failed = Arc::new(OnceLock::new());
        let writes = |writer: Writer| {
            let (stopped, failed) = (stopped.clone(), Arc::clone(&failed));
            tokio::spawn(async move {
                let ended = writer.writes_until(stopped).await;
                // The first says why; what the others saw comes of it, most likely.
                ended.inspect_err(|why| drop(failed.set(why.clone())))
            })
        };
        let writers = (0..WRITERS).map(writer).map(writes).collect();
        Writers { stop, writers, failed }
    }

    /// An error where one has given up.
    pub(super) fn still_write(&self) -> Result<(), String> {
        match self.failed.get() {
            Some(why) => Err(format!("a writer has given up: {why}")),
            None if self.writers.iter().any(JoinHandle::is_finished) => Err("a writer has panicked".into()),
            None => Ok(()),
        }
    }

    /// Stops them, each behind the command it is at; what all were answered.
    pub(super) async fn stop(self) -> Result<Ledger, String> {
        self.stop.send_replace(true);
        let mut all = Ledger::default();
        for writer in self.writers {
            all.0.extend(writer.await.map_err(|panicked| panicked.to_string())??.0);
        }
        Ok(all)
    }
}

struct Writer {
    name: String,
    processes: Arc<Processes>,
    dice: Dice,
    posts: Posts,
    own: Vec<Uuid>,
    /// Post and comment.
    comments: Vec<(Uuid, Uuid)>,
    ledger: Ledger,
}

/// A command, as it is sent each time.
struct Command {
    key: Uuid,
    method: Method,
    path: String,
    body: Value,
}

impl Writer {
    async fn writes_until(mut self, stopped: Stop) -> Result<Ledger, String> {
        while !*stopped.borrow() {
            self.writes().await?;
            tokio::time::sleep(Duration::from_millis(self.dice.below(PAUSE))).await;
        }
        Ok(self.ledger)
    }

    async fn writes(&mut self) -> Result<(), String> {
        // Never the same twice: an edit that changes nothing is acknowledged without an event.
        let (name, text) = (self.name.clone(), format!("Häuser №{} \"quoted\"\n", self.dice.below(u64::MAX)));
        let drawn = self.dice.below(20);
        if let Some(post) = self.any_post().filter(|_| drawn >= 2) {
            let (own, comment) = (self.pick(self.own.len()), self.pick(self.comments.len()));
            let (method, path, body) = match (drawn, own, comment) {
                (2..7, ..) => {
                    return self.comments_on(post, json!({ "author": name, "text": text })).await;
                }
                (7..9, _, Some(nth)) => {
                    let (post, comment) = self.comments[nth];
                    (Method::PATCH, format!("/posts/{post}/comments/{comment}"), json!({ "actor": name, "text": text }))
                }
                (9, _, Some(nth)) => {
                    let (post, comment) = self.comments.swap_remove(nth);
                    (Method::DELETE, format!("/posts/{post}/comments/{comment}"), json!({ "actor": name }))
                }
                (10..12, Some(nth), _) => {
                    (Method::PATCH, format!("/posts/{}", self.own[nth]), json!({ "actor": name, "message": text }))
                }
                (12, Some(nth), _) if self.own.len() > 5 => {
                    let post = self.own.swap_remove(nth);
                    self.shared().retain(|other| *other != post);
                    (Method::DELETE, format!("/posts/{post}"), json!({ "actor": name }))
                }
                _ => (Method::POST, format!("/posts/{post}/likes"), json!({})),
            };
            return self.gives(method, path, body).await.map(drop);
        }
        let made = self.gives(Method::POST, "/posts".into(), json!({ "author": name, "message": text })).await?;
        if let Some(id) = id_of(made.as_ref()) {
            self.own.push(id);
            self.shared().push(id);
        }
        Ok(())
    }

    async fn comments_on(&mut self, post: Uuid, body: Value) -> Result<(), String> {
        let made = self.gives(Method::POST, format!("/posts/{post}/comments"), body).await?;
        if let Some(id) = id_of(made.as_ref()) {
            self.comments.push((post, id));
        }
        Ok(())
    }

    /// Sends a command until somebody answers it, and notes what it came to.
    async fn gives(&mut self, method: Method, path: String, body: Value) -> Result<Option<Answer>, String> {
        // Of the dice, so that a seed gives the same commands.
        let key = Uuid::from_u64_pair(self.dice.below(u64::MAX), self.dice.below(u64::MAX));
        let command = Command { key, method, path, body };
        let (began, mut unanswered) = (Instant::now(), 0_u32);
        loop {
            match self.sends(&command).await {
                Some(answer) if answer.status.is_success() => {
                    return self.acknowledged(&command, answer).await.map(Some);
                }
                Some(answer) if is_refusal(answer.status) => {
                    let fate = if unanswered == 0 { Fate::Refused } else { Fate::Unclear };
                    self.ledger.0.push((key, fate));
                    return Ok(None);
                }
                last if began.elapsed() > PATIENCE => {
                    let Command { method, path, .. } = command;
                    return Err(format!(
                        "{method} {path} ({key}) came to nothing in {} s: {last:?}",
                        PATIENCE.as_secs()
                    ));
                }
                _ => unanswered += 1,
            }
            tokio::time::sleep(Duration::from_millis(100 + self.dice.below(400))).await;
        }
    }

    /// Notes where a command's event stands; now and then asks for it again, and must hear the same.
    async fn acknowledged(&mut self, command: &Command, answer: Answer) -> Result<Answer, String> {
        let position = position_of(&answer)?;
        self.ledger.0.push((command.key, Fate::At(position)));
        if self.dice.below(REPEATED) == 0
            && let Some(again) = self.sends(command).await
            && again.status != StatusCode::SERVICE_UNAVAILABLE
            && again.status != StatusCode::GATEWAY_TIMEOUT
        {
            let repeated = if again.status.is_success() { position_of(&again)? } else { 0 };
            if repeated != position {
                return Err(format!("{} was acknowledged at {position}, and again with {again:?}", command.key));
            }
        }
        Ok(answer)
    }

    async fn sends(&mut self, command: &Command) -> Option<Answer> {
        let service = &self.processes.commands[self.dice.below(2) as usize];
        let url = format!("{}/commands/v1{}", service.url, command.path);
        let key = command.key.to_string();
        let request = self.processes.http.request(command.method.clone(), url).json(&command.body);
        let request = request.header("idempotency-key", &key).header("reel-correlation", &key);
        try_answer(request.timeout(Duration::from_secs(20))).await.ok()
    }

    fn any_post(&mut self) -> Option<Uuid> {
        let count = self.shared().len();
        let nth = self.pick(count)?;
        self.shared().get(nth).copied()
    }

    fn pick(&mut self, count: usize) -> Option<usize> {
        (count > 0).then(|| self.dice.below(count as u64) as usize)
    }

    fn shared(&self) -> std::sync::MutexGuard<'_, Vec<Uuid>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether it says that the command is refused, whenever it is sent.
fn is_refusal(status: StatusCode) -> bool {
    status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT && status != StatusCode::TOO_MANY_REQUESTS
}

fn position_of(answer: &Answer) -> Result<u64, String> {
    answer.body["position"].as_u64().ok_or_else(|| format!("an acknowledgement without a position: {answer:?}"))
}

fn id_of(answer: Option<&Answer>) -> Option<Uuid> {
    answer?.body["id"].as_str()?.parse().ok()
}
