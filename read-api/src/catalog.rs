//! What is there to read: the targets, and the generations that were looked up in them. A generation is kept until the database
//! says that it moved, so that an ordinary read costs one round trip.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use reel_read_model::{Generation, GenerationId, GenerationState, Target, target::Pointer};

use crate::{
    error::ReadError,
    query_error::{QueryError, shown},
};

/// The read databases that are served; the first is the default one.
#[derive(Clone)]
pub struct Targets {
    targets: Vec<Arc<dyn Target>>,
}

impl Targets {
    /// Serves `first` by default, and `others` to who asks for them by name.
    #[must_use]
    pub fn new(first: Arc<dyn Target>, others: impl IntoIterator<Item = Arc<dyn Target>>) -> Targets {
        Targets { targets: std::iter::once(first).chain(others).collect() }
    }
}

/// The targets with what was looked up in each.
pub(crate) struct Catalogs {
    catalogs: Vec<Catalog>,
}

impl Catalogs {
    pub(crate) fn new(targets: Targets) -> Catalogs {
        Catalogs { catalogs: targets.targets.into_iter().map(Catalog::new).collect() }
    }

    /// The target of this name, or the default one.
    pub(crate) fn get(&self, name: Option<&str>) -> Result<&Catalog, ReadError> {
        let Some(name) = name else {
            return Ok(&self.catalogs[0]);
        };
        let known = || self.catalogs.iter().map(|catalog| catalog.target.name().to_owned()).collect();
        let found = self.catalogs.iter().find(|catalog| catalog.target.name() == name);
        found.ok_or_else(|| ReadError::unknown("target", name, known()))
    }
}

/// Which generation a path names: `posts` or `posts@2`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Reference {
    pub(crate) projection: String,
    pub(crate) number: Option<u32>,
}

impl Reference {
    pub(crate) fn parse(text: &str) -> Result<Reference, QueryError> {
        let Some((projection, number)) = text.split_once('@') else {
            return Ok(Reference { projection: text.to_owned(), number: None });
        };
        let refused = || {
            QueryError::new(
                "path",
                format!("{:?} is no PROJECTION or PROJECTION@GENERATION, such as posts@2", shown(text)),
            )
        };
        let number = number.parse().map_err(|_| refused())?;
        Ok(Reference { projection: projection.to_owned(), number: Some(number) })
    }

    pub(crate) fn pointer(&self) -> Pointer {
        if self.number.is_some() { Pointer::Fixed } else { Pointer::Live }
    }
}

/// A generation, and whether it was looked up just now.
pub(crate) struct Found {
    pub(crate) generation: Arc<Generation>,
    pub(crate) freshness: Freshness,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// Looked up for this request.
    Fresh,
    /// Kept from an earlier one.
    Kept,
}

/// One target with what was looked up in it.
pub(crate) struct Catalog {
    pub(crate) target: Arc<dyn Target>,
    kept: RwLock<HashMap<Reference, Arc<Generation>>>,
}

impl Catalog {
    fn new(target: Arc<dyn Target>) -> Catalog {
        Catalog { target, kept: RwLock::default() }
    }

    /// The generation that `reference` names.
    pub(crate) async fn find(&self, reference: &Reference) -> Result<Found, ReadError> {
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner).get(reference).cloned();
        if let Some(generation) = kept {
            return Ok(Found { generation, freshness: Freshness::Kept });
        }
        let generation = self.refresh(reference).await?;
        Ok(Found { generation, freshness: Freshness::Fresh })
    }

    /// The generation that `reference` names, looked up anew.
    pub(crate) async fn refresh(&self, reference: &Reference) -> Result<Arc<Generation>, ReadError> {
        let generation = Arc::new(self.look_up(reference).await?);
        self.kept.write().unwrap_or_else(PoisonError::into_inner).insert(reference.clone(), generation.clone());
        Ok(generation)
    }

    /// Looks `reference` up anew the next time, if it was `id` so far.
    pub(crate) fn forget(&self, reference: &Reference, id: GenerationId) {
        let mut kept = self.kept.write().unwrap_or_else(PoisonError::into_inner);
        if kept.get(reference).is_some_and(|generation| generation.id == id) {
            kept.remove(reference);
        }
    }

    /// The same, without keeping it.
    pub(crate) async fn look_up(&self, reference: &Reference) -> Result<Generation, ReadError> {
        if reference.number.is_none()
            && let Some(live) = self.target.live(&reference.projection).await?
        {
            return Ok(live);
        }
        let mut all = self.target.generations().await?;
        let wanted = |generation: &Generation| {
            generation.projection == reference.projection && Some(generation.number) == reference.number
        };
        match all.iter().position(wanted) {
            Some(index) => Ok(all.swap_remove(index)),
            None => Err(not_found(reference, &all)),
        }
    }

    /// The live generations, by name of projection.
    pub(crate) async fn live(&self) -> Result<Vec<Generation>, ReadError> {
        let mut live = self.target.generations().await?;
        live.retain(|generation| generation.state == GenerationState::Live);
        live.sort_by(|a, b| a.projection.cmp(&b.projection));
        Ok(live)
    }
}

fn not_found(reference: &Reference, all: &[Generation]) -> ReadError {
    let own: Vec<&Generation> = all.iter().filter(|generation| generation.projection == reference.projection).collect();
    if own.is_empty() {
        let live = all.iter().filter(|generation| generation.state == GenerationState::Live);
        let mut known: Vec<String> = live.map(|generation| generation.projection.clone()).collect();
        known.sort_unstable();
        return ReadError::unknown("projection", &reference.projection, known);
    }
    let known: Vec<String> = own.iter().map(|generation| label(generation)).collect();
    if let Some(number) = reference.number {
        return ReadError::unknown("generation", &format!("{}@{number}", reference.projection), known);
    }
    let list: Vec<String> =
        own.iter().map(|generation| format!("{} ({})", label(generation), state_word(generation.state))).collect();
    let message = format!(
        "projection {} has no live generation yet. There is: {}. Wait until it is promoted, or read one by that name",
        reference.projection,
        list.join(", ")
    );
    ReadError::NotFound { message, known }
}

/// `posts@2`
pub(crate) fn label(generation: &Generation) -> String {
    format!("{}@{}", generation.projection, generation.number)
}

/// The state, as operators see it.
pub(crate) fn state_word(state: GenerationState) -> &'static str {
    match state {
        GenerationState::Build => "build",
        GenerationState::CatchUp => "catch-up",
        GenerationState::Ready => "ready",
        GenerationState::Live => "live",
        GenerationState::Previous => "previous",
        GenerationState::Failed => "failed",
        GenerationState::Cancelled => "cancelled",
        GenerationState::Dropped => "dropped",
    }
}
