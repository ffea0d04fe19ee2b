//! The stored form of a commit's events.
