//! Why the archive could not be used, by what the caller does next.

/// Why the archive could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Passing, or a matter of permissions: read from the event store meanwhile, and try again.
    #[error("the archive {location} is not available")]
    Unavailable {
        /// Where it is.
        location: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// One segment is of no use: put it aside, read its range from the event store, and have it sealed again.
    #[error("segment {segment} is damaged: {reason}")]
    Damaged {
        /// Its name.
        segment: String,
        /// What was found, and what was expected.
        reason: String,
    },
    /// One segment cannot be used by us, but there is nothing wrong with it: read its range from the event store.
    #[error("segment {segment} cannot be used: {reason}")]
    Unusable {
        /// Its name.
        segment: String,
        /// It was removed meanwhile; or a newer version wrote it.
        reason: String,
    },
    /// The place is not one: somebody must correct the configuration.
    #[error("{url} is no place for an archive: {reason}")]
    Place {
        /// As configured.
        url: String,
        /// What is wrong with it, and what would be right.
        reason: String,
    },
}
