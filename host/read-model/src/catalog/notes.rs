//! What a catalog says of single events: dead letters, and the decisions of operators. Loops and loads put dead letters, through the [`CatalogSession`].

use reel_events::{LogId, Place};
use reel_projector::ports::{DeadLetter, DeadLetterReason};

use super::entries::{Word, kept, place, uuid};
use super::session::{CatalogSession, Fields, Outcome, SessionFault};
use super::settings_digest;
use crate::target::{CatalogError, Decision, GenerationId};

/// Dead letters of a generation behind `after`, in order.
pub(crate) async fn dead_letters<S: CatalogSession>(
    session: &mut S,
    id: GenerationId,
    after: Place,
    limit: u32,
) -> Outcome<Vec<DeadLetter>, S> {
    let arguments = [id.0.into(), kept(after.number()).into(), i64::from(limit).into()];
    let rows = session.rows(S::SQL.dead_letters, &arguments).await?;
    rows.iter().map(dead_letter::<S>).collect()
}

fn dead_letter<S: CatalogSession>(row: &S::Row) -> Result<DeadLetter, SessionFault<S, CatalogError>> {
    Ok(DeadLetter {
        position: place(row.integer(0)?)?,
        event: uuid(&row.text(1)?)?,
        stream: row.text(2)?,
        kind: row.text(3)?,
        reason: DeadLetterReason::read(&row.text(4)?)?,
        code: row.text(5)?,
        message: row.text(6)?,
        original: row.maybe_text(7)?,
    })
}

/// Positions that an operator let go.
pub(crate) async fn decisions<S: CatalogSession>(
    session: &mut S,
    log: LogId,
    digest: &str,
    settings: &str,
) -> Outcome<Vec<Place>, S> {
    let (log, settings) = (log.to_string(), settings_digest(settings));
    let rows = session.rows(S::SQL.decisions, &[(&log).into(), digest.into(), (&settings).into()]).await?;
    rows.iter().map(|row| Ok(place(row.integer(0)?)?)).collect()
}

/// Keeps an operator's decision, unless it is there.
pub(crate) async fn decide<S: CatalogSession>(session: &mut S, decision: &Decision) -> Outcome<(), S> {
    let (log, settings) = (decision.log.to_string(), settings_digest(&decision.settings));
    let arguments = [
        (&log).into(),
        (&decision.digest).into(),
        (&settings).into(),
        kept(decision.position.number()).into(),
        decision.decided_at.micros().into(),
    ];
    session.execute(S::SQL.decide, &arguments).await?;
    Ok(())
}
