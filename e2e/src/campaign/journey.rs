//! What an operator does to the projection while nothing fails: replays it through the one plugin and the other, goes back, and forward again.

use std::time::{Duration, Instant};

use super::chronicle::Chronicle;
use super::processes::Processes;
use super::readers::Readers;
use super::writers::Writers;
use crate::components::example;
use crate::deadline::PATIENCE;
use crate::dice::Dice;
use crate::reel::{finish, reel};

/// Between two verbs, at least and at most more, in milliseconds.
const PAUSE: (u64, u64) = (1_000, 6_000);

/// Goes on so long; how often another generation went live.
pub(super) async fn goes_on(
    processes: &Processes,
    (writers, readers): (&Writers, &Readers),
    most: Duration,
    (chronicle, dice): (&Chronicle, &mut Dice),
) -> Result<u32, String> {
    let components = ["posts", "posts-v2"].map(example);
    let (began, mut flips) = (Instant::now(), 0);
    while began.elapsed() < most {
        let component = components[dice.below(2) as usize].to_str().expect("such paths are UTF-8");
        for verb in [&["replay", "posts", "--wait", "--with", component][..], &["rollback", "posts"]] {
            tokio::time::sleep(Duration::from_millis(PAUSE.0 + dice.below(PAUSE.1))).await;
            flips += 1;
            chronicle.say(&format!("{flips}. {}", verb[..2].join(" ")));
            asks(processes, verb, dice).await?;
            processes.assert_running().await?;
            writers.still_write()?;
            readers.still_read()?;
        }
    }
    Ok(flips)
}

/// Asks one of the hosts; again, where it says that this would help.
async fn asks(processes: &Processes, verb: &[&str], dice: &mut Dice) -> Result<(), String> {
    let host = &processes.hosts[dice.below(2) as usize];
    let began = Instant::now();
    loop {
        let ran = finish(reel().args(verb).env("REEL_URL", &host.url), b"").await;
        if ran.code == 0 {
            return Ok(());
        }
        // A previous generation may be some events behind the live one on a machine that does much else.
        if !ran.stderr.contains("try again when it has caught up") || began.elapsed() > PATIENCE {
            return Err(format!("reel {}: {}", verb.join(" "), ran.stderr));
        }
        tokio::time::sleep(Duration::from_millis(dice.below(PAUSE.0))).await;
    }
}
