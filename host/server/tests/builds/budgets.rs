//! One log, built with every budget: to the same rows, and never with more memory.

use std::sync::Arc;

use reel_host::BuildConfig;
use reel_projector::ports::FailurePolicy;
use reel_read_model::Target;

use crate::bed::{Bed, Postgres};

/// Events that never fail, of sixty streams.
const SOUND: (u64, u64, u64) = (4_000, 60, 96);
/// Events of which some fail.
const FAULTY: (u64, u64, u64) = (1_500, 60, 100);

fn config(workers: usize, memory_bytes: usize) -> BuildConfig {
    BuildConfig { memory_bytes, workers, batch: 40, ..BuildConfig::for_this_machine() }
}

/// What one event may take beyond a budget that has no room for it: no row here takes more.
const ONE_EVENT: usize = 1_000;

/// Builds with every budget, and holds what comes of it against the loop's. Answers with how far each build came by itself.
async fn all_budgets(
    bed: &Bed,
    target: &Arc<dyn Target>,
    policy: FailurePolicy,
    budgets: &[(usize, usize)],
) -> Vec<u64> {
    let mut built = Vec::new();
    let expected = bed.expected(policy).await;
    for (workers, memory) in budgets {
        let way = bed.built(target, policy, config(*workers, *memory)).await;
        let (outcome, case) = (way.outcome, format!("{policy:?}, {workers} workers, {memory} bytes"));
        assert_eq!(outcome.halted, expected.halted, "{case}");
        if expected.halted.is_none() {
            assert_eq!(outcome.dead, expected.dead, "{case}");
            assert!(outcome.rows == expected.rows, "{case}: other rows");
            assert_eq!(outcome.fingerprints, expected.fingerprints, "{case}");
        }
        assert!(way.held <= (*memory).max(workers * ONE_EVENT), "{case}: its rows took {} bytes", way.held);
        built.push(way.built);
    }
    built
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_budget_comes_to_the_same_on_sqlite() {
    let bed = Bed::new(1, SOUND).await;
    let target = bed.sqlite().await;
    let budgets = [(1, 1 << 30), (2, 1 << 30), (1, 60_000), (2, 80_000), (3, 120_000), (2, 400_000)];
    let built = all_budgets(&bed, &target, FailurePolicy::Halt, &budgets).await;
    assert_eq!(built, [SOUND.0; 6], "parts of the streams fit, so nothing is left to the loop");
    // Not even the rows of one stream fit: the loop applies the rest.
    let built = all_budgets(&bed, &target, FailurePolicy::Halt, &[(1, 0), (2, 1_000)]).await;
    assert!(built.iter().all(|built| *built < SOUND.0), "{built:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_policy_comes_to_the_same_on_sqlite() {
    for seed in 2..6 {
        let bed = Bed::new(seed, FAULTY).await;
        let target = bed.sqlite().await;
        for policy in [FailurePolicy::Skip, FailurePolicy::Park, FailurePolicy::Halt] {
            all_budgets(&bed, &target, policy, &[(2, 1 << 30), (1, 20_000), (2, 40_000), (3, 1_000)]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_budget_comes_to_the_same_on_postgres() {
    let Some(postgres) = Postgres::new().await else { return };
    let bed = Bed::new(7, SOUND).await;
    let budgets = [(2, 1 << 30), (2, 0), (1, 60_000), (3, 120_000)];
    all_budgets(&bed, &postgres.target, FailurePolicy::Halt, &budgets).await;
    let bed = Bed::new(8, FAULTY).await;
    all_budgets(&bed, &postgres.target, FailurePolicy::Park, &[(2, 40_000), (3, 1_000)]).await;
    postgres.end().await;
}

/// Elsewhere a thread has no priority of its own.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_threads_of_a_build_leave_the_processor_to_others() {
    let bed = Bed::new(9, (200, 10, 96)).await;
    let target = bed.sqlite().await;
    let (threads, own) = bed.built(&target, FailurePolicy::Halt, config(2, 1 << 30)).await.nice;
    assert!(threads > own || own == 19, "a build at {threads}, the test at {own}");
}
