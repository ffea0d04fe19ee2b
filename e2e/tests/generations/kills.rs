//! SIGKILL at all moments that `reel_e2e::kills` knows, a few times; many are run by hand (`cargo run -p reel-e2e --bin kills`).

use reel_e2e::dice::Dice;
use reel_e2e::kills::{Memory, kills};
use reel_e2e::place::Place;

/// Kills it once at each moment, unless `REEL_TEST_KILLS` says how often.
async fn killed(place: Place, memory: Memory) {
    let times = std::env::var("REEL_TEST_KILLS").ok();
    let once = memory.moments().len() as u32;
    let times = times.map_or(once, |number| number.parse().expect("REEL_TEST_KILLS is a number"));
    let seed = Dice::new().seed;
    println!("REEL_TEST_SEED={seed}");
    println!("{}", kills(&place, memory, (seed, times)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_sqlite() {
    killed(Place::sqlite(), Memory::Enough).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_postgres() {
    let Some(place) = Place::postgres().await else { return println!("passed over: REEL_TEST_POSTGRES is not set") };
    killed(place, Memory::Enough).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_every_generation_goes_on_on_mysql() {
    let Some(place) = Place::mysql().await else { return println!("passed over: REEL_TEST_MYSQL is not set") };
    killed(place, Memory::Enough).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_they_fold_in_parts_builds_go_on_from_those() {
    killed(Place::sqlite(), Memory::Parts).await;
}
