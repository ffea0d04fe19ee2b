//! A short fault campaign; long ones are run by hand (`cargo run -p reel-e2e --bin campaign`).

use std::time::Duration;

use reel_e2e::campaign::{Campaign, Failed};
use reel_e2e::dice::Dice;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_dies_nothing_is_lost_and_every_row_is_right() {
    // It starts servers of its own; those that are given say that their programs are installed.
    for (name, variable) in
        [("mongodb", "REEL_TEST_MONGODB"), ("kafka", "REEL_TEST_KAFKA"), ("postgres", "REEL_TEST_POSTGRES")]
    {
        if reel_e2e::database::server(name, variable).is_none() {
            return println!("passed over: {variable} is not set");
        }
    }
    let campaign = Campaign { seed: Dice::new().seed, faults: 20, most: Duration::from_secs(80), failed: Failed::Ends };
    match campaign.run().await {
        Ok(summary) => println!("--seed {} holds: {summary}", campaign.seed),
        Err(why) => panic!("{why}"),
    }
}
