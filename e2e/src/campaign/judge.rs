//! What must hold once all is quiet.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use serde_json::Value;
use uuid::Uuid;

use super::processes::{Processes, Slot};
use super::writers::{Fate, Ledger};
use crate::fold::{Fold, Rows, assert_rows};
use crate::reel::{finish, reel, try_answer};

/// How long it may take until all is current again.
const PATIENCE: Duration = Duration::from_secs(180);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(200);
/// How long an answer may take: all rows of a table are read.
const ANSWER: Duration = Duration::from_secs(60);
/// States in which a generation follows the log.
const FOLLOWING: [&str; 3] = ["ready", "live", "previous"];

/// Waits until every generation has applied the whole log, as each host says; the log's last position.
pub(super) async fn until_quiet(processes: &Processes) -> Result<u64, String> {
    let began = Instant::now();
    loop {
        let why = match look(processes).await {
            Ok(head) => return Ok(head),
            Err(why) => why,
        };
        if began.elapsed() > PATIENCE {
            return Err(format!("not quiet after {} s: {why}", PATIENCE.as_secs()));
        }
        processes.assert_running().await?;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn look(processes: &Processes) -> Result<u64, String> {
    let head = get(processes, &processes.commands[0], "/commands/v1/head").await?["position"].as_u64();
    let head = head.ok_or("no head")?;
    for host in &processes.hosts {
        let statuses = statuses(processes, host).await?;
        if statuses.len() < 2 {
            return Err(format!("{} knows of too few generations: {statuses:?}", host.url));
        }
        for status in statuses {
            if status["position"].as_u64() != Some(head) || status["condition"] != "running" {
                return Err(format!("the log ends at {head}, {} says {status}", host.url));
            }
        }
    }
    Ok(head)
}

/// Of each generation that follows the log, as a host says.
async fn statuses(processes: &Processes, host: &Slot) -> Result<Vec<Value>, String> {
    let all = get(processes, host, "/admin/v1/projections/posts").await?;
    let all = all.as_array().ok_or_else(|| format!("no statuses: {all}"))?;
    let follows = |status: &&Value| FOLLOWING.iter().any(|state| status["state"] == **state);
    Ok(all.iter().filter(follows).cloned().collect())
}

async fn get(processes: &Processes, slot: &Slot, path: &str) -> Result<Value, String> {
    let answer = try_answer(processes.http.get(format!("{}{path}", slot.url)).timeout(ANSWER))
        .await
        .map_err(|error| error.to_string())?;
    if answer.status == 200 { Ok(answer.body) } else { Err(format!("{}{path}: {answer:?}", slot.url)) }
}

/// Holds the log against what was answered, and the rows against the log.
pub(super) async fn judge(processes: &Processes, ledger: &Ledger, head: u64) -> Result<(), String> {
    let log = export(&processes.commands[1]).await?;
    judge_log(&log, ledger, head)?;
    let generations = statuses(processes, &processes.hosts[0]).await?;
    for host in &processes.hosts {
        for generation in generations.iter().map(name) {
            let letters = get(processes, host, &format!("/admin/v1/projections/{generation}/dead-letters")).await?;
            if letters.as_array().is_none_or(|letters| !letters.is_empty()) {
                return Err(format!("dead letters of {generation}: {letters}"));
            }
        }
    }
    let fold = Fold::of(&log);
    for reads in &processes.reads {
        for generation in &generations {
            judge_rows(processes, reads, (generation, &fold)).await?;
        }
    }
    Ok(())
}

/// No process may have had to say that the read database chose it as the victim of a deadlock.
pub(super) fn judge_logs(processes: &Processes) -> Result<(), String> {
    for slot in processes.all() {
        let log = slot.log();
        let told = log.lines().find(|line| line.to_lowercase().contains("deadlock"));
        if let Some(line) = told {
            return Err(format!("{} says {line}", slot.url));
        }
    }
    Ok(())
}

/// A generation's, of its status.
fn name(status: &Value) -> &str {
    status["generation"].as_str().unwrap_or_default()
}

async fn export(commands: &Slot) -> Result<String, String> {
    let ran = finish(reel().arg("export").env("REEL_URL", &commands.url), b"").await;
    if ran.code == 0 { Ok(ran.stdout) } else { Err(format!("reel export: {}", ran.stderr)) }
}

/// Positions without a gap; each command's event as often as it must be, where it was said to be.
fn judge_log(log: &str, ledger: &Ledger, head: u64) -> Result<(), String> {
    let mut stands: HashMap<Uuid, Vec<u64>> = HashMap::new();
    let mut last = 0;
    for line in log.lines() {
        let event: Value = serde_json::from_str(line).map_err(|error| format!("{error}: {line}"))?;
        let text = |name: &str| event[name].as_str().ok_or_else(|| format!("an event without {name}: {event}"));
        let position: u64 = text("position")?.parse().map_err(|_| format!("no position: {event}"))?;
        if position != last + 1 {
            return Err(format!("behind position {last} comes {position}"));
        }
        last = position;
        let command = text("correlation")?.parse().map_err(|_| format!("no correlation: {event}"))?;
        stands.entry(command).or_default().push(position);
    }
    if last != head {
        return Err(format!("the export ends at {last}, the log at {head}"));
    }
    for (command, fate) in &ledger.0 {
        let stands = stands.remove(command).unwrap_or_default();
        let holds = match fate {
            Fate::At(position) => stands == [*position],
            Fate::Refused => stands.is_empty(),
            Fate::Unclear => stands.len() <= 1,
        };
        if !holds {
            return Err(format!("command {command} was answered with {fate:?}, and has events at {stands:?}"));
        }
    }
    match stands.into_iter().next() {
        Some((command, positions)) => {
            Err(format!("nobody gave the command {command}, which has events at {positions:?}"))
        }
        None => Ok(()),
    }
}

async fn judge_rows(processes: &Processes, reads: &Slot, (generation, fold): (&Value, &Fold)) -> Result<(), String> {
    let is_second = generation["tables"].as_array().is_some_and(|tables| tables.iter().any(|name| name == "authors"));
    let tables: Vec<(&str, &str, Rows)> = if is_second {
        vec![
            ("posts", "id", fold.scored_posts()),
            ("comments", "post,id", fold.all_comments()),
            ("authors", "name", fold.authors()),
        ]
    } else {
        vec![("posts", "id", fold.posts()), ("comments", "post,id", fold.comments())]
    };
    for (table, key, expected) in tables {
        let table = format!("{}/{table}", name(generation));
        let rows = get(processes, reads, &format!("/read/v1/{table}?order={key}")).await?;
        let rows = rows.as_array().ok_or_else(|| format!("{table}: no rows: {rows}"))?;
        assert_rows(&table, rows, &expected);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn log(commands: &[(u64, u128)]) -> String {
        let line = |(position, command): &(u64, u128)| {
            json!({ "position": position.to_string(), "correlation": Uuid::from_u128(*command) }).to_string() + "\n"
        };
        commands.iter().map(line).collect()
    }

    fn ledger(fates: &[(u128, Fate)]) -> Ledger {
        Ledger(fates.iter().map(|(command, fate)| (Uuid::from_u128(*command), *fate)).collect())
    }

    #[test]
    fn what_was_answered_is_held_against_the_log() {
        use Fate::{At, Refused, Unclear};
        let fates = [(1, At(1)), (2, Refused), (3, Unclear), (4, At(2))];
        judge_log(&log(&[(1, 1), (2, 4)]), &ledger(&fates), 2).unwrap();
        judge_log(&log(&[(1, 1), (2, 4), (3, 3)]), &ledger(&fates), 3).unwrap();
        let wrong = |events: &[(u64, u128)], head| judge_log(&log(events), &ledger(&fates), head).unwrap_err();
        assert!(wrong(&[(1, 1)], 1).contains("events at []"), "lost");
        assert!(wrong(&[(1, 1), (2, 4), (3, 4)], 3).contains("events at [2, 3]"), "twice");
        assert!(wrong(&[(1, 4), (2, 1)], 2).contains("At(1)"), "elsewhere");
        assert!(wrong(&[(1, 1), (2, 4), (3, 2)], 3).contains("Refused"), "though refused");
        assert!(wrong(&[(1, 1), (3, 4)], 3).contains("behind position 1 comes 3"), "a gap");
        assert!(wrong(&[(1, 1), (2, 4), (3, 9)], 3).contains("nobody gave"), "of nobody");
        assert!(wrong(&[(1, 1), (2, 4)], 3).contains("ends at 2"), "cut short");
    }
}
