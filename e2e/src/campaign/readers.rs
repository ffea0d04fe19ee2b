//! Who reads while generations come and go: sixteen readers of the live generation, who are answered always, and see one shape in one answer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Stop;
use super::processes::Processes;
use crate::dice::Dice;
use crate::reel::try_answer;

const READERS: usize = 16;
/// Between two reads of one reader, at most, in milliseconds.
const PAUSE: u64 = 200;

/// The shape of each table in each generation, as the first reader saw it.
type Shapes = Arc<Mutex<HashMap<String, &'static str>>>;

/// All readers.
pub(super) struct Readers {
    stop: watch::Sender<bool>,
    readers: Vec<JoinHandle<Result<u64, String>>>,
}

impl Readers {
    /// Starts them.
    pub(super) fn start(processes: &Arc<Processes>, dice: &mut Dice) -> Readers {
        let (stop, stopped) = watch::channel(false);
        let shapes = Shapes::default();
        let mut reader = || Reader {
            processes: Arc::clone(processes),
            dice: Dice::of(dice.below(u64::MAX)),
            shapes: Arc::clone(&shapes),
        };
        let readers = (0..READERS).map(|_| tokio::spawn(reader().reads_until(stopped.clone()))).collect();
        Readers { stop, readers }
    }

    /// An error where one has given up.
    pub(super) fn still_read(&self) -> Result<(), String> {
        match self.readers.iter().any(JoinHandle::is_finished) {
            true => Err("a reader has given up".into()),
            false => Ok(()),
        }
    }

    /// Stops them; how often they were answered, or what one of them should not have seen.
    pub(super) async fn stop(self) -> Result<u64, String> {
        self.stop.send_replace(true);
        let mut reads = 0;
        for reader in self.readers {
            reads += reader.await.map_err(|panicked| panicked.to_string())??;
        }
        Ok(reads)
    }
}

struct Reader {
    processes: Arc<Processes>,
    dice: Dice,
    shapes: Shapes,
}

impl Reader {
    async fn reads_until(mut self, stopped: Stop) -> Result<u64, String> {
        let mut reads = 0;
        while !*stopped.borrow() {
            self.reads().await?;
            reads += 1;
            tokio::time::sleep(Duration::from_millis(self.dice.below(PAUSE))).await;
        }
        Ok(reads)
    }

    async fn reads(&mut self) -> Result<(), String> {
        let (table, order) = [("posts", "posted_at.desc,id"), ("comments", "post,id")][self.dice.below(2) as usize];
        let reads = &self.processes.reads[self.dice.below(2) as usize];
        let author = self.dice.below(8);
        let url = format!("{}/read/v1/posts/{table}?author=eq.writer%20{author}&order={order}&limit=50", reads.url);
        let request = self.processes.http.get(&url).timeout(Duration::from_secs(20));
        let answer = try_answer(request).await.map_err(|error| format!("{url}: {error}"))?;
        if answer.status != 200 {
            return Err(format!("{url}: {answer:?}"));
        }
        let name = format!("{table} of {}", answer.header("reel-generation"));
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        for row in answer.rows() {
            let shape = shape(row).ok_or_else(|| format!("{name}: of neither shape: {row}"))?;
            let known = shapes.entry(name.clone()).or_insert(shape);
            if *known != shape {
                return Err(format!("{name} had {known}, and has {shape}: {row}"));
            }
        }
        Ok(())
    }
}

/// The member by which the two plugins' rows differ.
fn shape(row: &Value) -> Option<&'static str> {
    ["likes", "score", "edited_at", "previous"].into_iter().find(|member| row.get(member).is_some())
}
