//! Short campaigns; long ones are run by hand (`cargo run -p reel-e2e --bin campaign`).

#![expect(clippy::print_stdout, reason = "this is a test; clippy exempts only the functions marked as one")]

use std::time::Duration;

use reel_e2e::campaign::{Campaign, Course, Failed, Target};
use reel_e2e::dice::Dice;

/// Runs one where the servers are there. It starts servers of its own; those that are given say that their programs are installed.
async fn holds(target: Target, course: Course, seconds: u64) {
    let read_database = match target {
        Target::Postgres => Some(("postgres", "REEL_TEST_POSTGRES")),
        Target::Mysql => Some(("mysql", "REEL_TEST_MYSQL")),
        Target::Sqlserver => Some(("sqlserver", "REEL_TEST_SQLSERVER")),
        Target::Sqlite => None,
    };
    let needed = [("mongodb", "REEL_TEST_MONGODB"), ("kafka", "REEL_TEST_KAFKA")];
    for (name, variable) in needed.into_iter().chain(read_database) {
        if reel_e2e::database::server(name, variable).is_none() {
            return println!("passed over: {variable} is not set");
        }
    }
    let seed = Dice::new().seed;
    let campaign = Campaign { seed, target, course, most: Duration::from_secs(seconds), failed: Failed::Ends };
    match campaign.run().await {
        Ok(summary) => println!("--seed {seed} holds: {summary}"),
        Err(why) => panic!("{why}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_nothing_is_lost_and_every_row_is_right() {
    holds(Target::Postgres, Course::Faults(20), 80).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_while_generations_come_and_go_on_postgres() {
    holds(Target::Postgres, Course::Journey, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_while_generations_come_and_go_on_mysql() {
    holds(Target::Mysql, Course::Journey, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_while_generations_come_and_go_on_sqlite() {
    holds(Target::Sqlite, Course::Journey, 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_refused_while_generations_come_and_go_on_sql_server() {
    holds(Target::Sqlserver, Course::Journey, 30).await;
}
