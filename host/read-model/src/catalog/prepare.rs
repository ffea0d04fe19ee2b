//! Makes a catalog where there is none, and brings an older one up to date.

use super::VERSION;
use super::session::{CatalogSession, Fields, Outcome, SessionFault, one};
use crate::fault::Fault;
use crate::target::CatalogError;

/// Makes the catalog where there is none, and brings an older one up to date. The caller sees to it that nobody else does so at the
/// same time. `said` is how a statement of the dialect is said to this server.
pub(crate) async fn prepare<S: CatalogSession>(
    session: &mut S,
    target: &str,
    said: impl Fn(&'static str) -> String + Send,
) -> Outcome<(), S> {
    let unusable = |reason: String| Fault::Own(CatalogError::Unusable { target: target.to_owned(), reason });
    let version = match found(session).await? {
        Found::Nothing | Found::Unfinished => {
            for statement in S::SQL.create {
                session.define(said(statement)).await?;
            }
            session.execute(S::SQL.put_version, &[1.into()]).await?;
            1
        }
        Found::Version(version) => version,
        Found::Others => {
            let place = S::SQL.place;
            return Err(unusable(format!(
                "it has tables {place} that are not a catalog of Reel: use another database"
            )));
        }
    };
    if version == VERSION {
        return Ok(());
    }
    for upgrade in upgrades_from(version, S::SQL.upgrades).map_err(unusable)? {
        for statement in *upgrade {
            session.define(said(statement)).await?;
        }
    }
    session.execute(S::SQL.set_version, &[VERSION.into()]).await?;
    Ok(())
}

/// Whether the catalog is there already and of this version, so that nothing needs to be written.
pub(crate) async fn is_current<S: CatalogSession>(session: &mut S) -> Outcome<bool, S> {
    Ok(found(session).await? == Found::Version(VERSION))
}

/// What is where a catalog belongs.
#[derive(PartialEq, Eq)]
enum Found {
    Nothing,
    /// Whoever made it was interrupted, in a database that makes tables outside transactions.
    Unfinished,
    Version(i64),
    /// Tables that are not Reel's.
    Others,
}

async fn found<S: CatalogSession, O>(session: &mut S) -> Result<Found, SessionFault<S, O>> {
    let row = one(session, S::SQL.own_tables, &[]).await?;
    match (row.integer(0)?, row.integer(1)?) {
        (0, 0) => Ok(Found::Nothing),
        (_, 0) => Ok(Found::Others),
        _ => match session.row(S::SQL.version, &[]).await? {
            Some(row) => Ok(Found::Version(row.integer(0)?)),
            None => Ok(Found::Unfinished),
        },
    }
}

/// The steps of a dialect's upgrades that lead from `found` to [`VERSION`]: `upgrades[0]` makes version 2 of version 1, and so on.
///
/// # Errors
/// What to tell whoever opens it, where the catalog is newer than this build.
fn upgrades_from<'a>(
    found: i64,
    upgrades: &'a [&'static [&'static str]],
) -> Result<&'a [&'static [&'static str]], String> {
    debug_assert_eq!(upgrades.len() as i64, VERSION - 1, "one upgrade for each version but the first");
    if found > VERSION {
        return Err(format!(
            "its catalog has version {found}, and this Reel knows version {VERSION}: use a newer Reel"
        ));
    }
    let done = usize::try_from(found - 1).map_err(|_| format!("its catalog has the impossible version {found}"))?;
    Ok(&upgrades[done..])
}
