//! Entries of generations that are held at a position, for as long as somebody reads several of them there.

use uuid::Uuid;

use super::entries::{Unreadable, kept, number};
use super::no_generation;
use super::session::{CatalogSession, Fields, Outcome};
use crate::fault::Fault;
use crate::target::{Generation, GenerationId, GenerationState, Hold};

/// All holds.
pub(crate) async fn holds<S: CatalogSession>(session: &mut S) -> Outcome<Vec<Hold>, S> {
    let rows = session.rows(S::SQL.holds, &[]).await?;
    let mut holds = Vec::with_capacity(rows.len());
    for row in rows {
        let holder = row.text(1)?;
        let holder =
            Uuid::try_parse(&holder).map_err(|_| Unreadable(format!("a generation is held for {holder:?}")))?;
        let (through, stamp) = (number(row.integer(2)?)?, number(row.integer(3)?)?);
        holds.push(Hold { generation: GenerationId(row.integer(0)?), holder, through, stamp });
    }
    Ok(holds)
}

/// Makes a hold, or moves the one that `holder` has; false where somebody else has one.
pub(crate) async fn hold<S: CatalogSession>(
    session: &mut S,
    generation: &Generation,
    (holder, through): (Uuid, u64),
) -> Outcome<bool, S> {
    if generation.state == GenerationState::Dropped {
        return Err(Fault::Own(no_generation(generation.id)));
    }
    let holder = holder.to_string();
    let arguments = [kept(through).into(), generation.id.0.into(), (&holder).into()];
    Ok(session.execute(S::SQL.move_hold, &arguments).await? == 1
        || session.put_new(S::SQL.put_hold, &arguments).await?)
}

/// Takes a hold back, if `holder` has it.
pub(crate) async fn end_hold<S: CatalogSession>(session: &mut S, id: GenerationId, holder: Uuid) -> Outcome<(), S> {
    session.execute(S::SQL.end_hold, &[id.0.into(), (&holder.to_string()).into()]).await?;
    Ok(())
}
