//! Projections over another producer's topic: several hosts share its partitions, and there is no event store.

mod bed;
mod broken;
mod following;
mod refusals;
