//! SIGKILL at all moments that `reel_e2e::kills` knows, a few times; many are run by hand (`cargo run -p reel-e2e --bin kills`).

use reel_e2e::dice::Dice;
use reel_e2e::kills::{Moment, kills};
use reel_e2e::place::Place;

/// How often it is killed on each database, unless `REEL_TEST_KILLS` says how often: once at each moment.
const KILLS: u32 = Moment::ALL.len() as u32;

async fn killed(place: Place) {
    let times = std::env::var("REEL_TEST_KILLS").ok();
    let times = times.map_or(KILLS, |number| number.parse().expect("REEL_TEST_KILLS is a number"));
    let seed = Dice::new().seed;
    println!("REEL_TEST_SEED={seed}");
    println!("{}", kills(&place, seed, times).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_sqlite() {
    killed(Place::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_postgres() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    killed(place).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_mysql() {
    let Some(place) = Place::mysql().await else { return println!("passed over: REEL_TEST_MYSQL is not set") };
    killed(place).await;
}
