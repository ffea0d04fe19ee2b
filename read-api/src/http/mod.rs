//! The handlers: request → generation → (wait) → query → answer.

mod answer;
mod request;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponse, Response},
    routing::get,
};
use reel_projector::Manifest;
use reel_projector::manifest::NamedQuery;
use reel_read_model::{
    CatalogError, Generation,
    query::{Answer, Count},
    target::Condition,
};
use serde_json::json;

use self::{
    answer::{Frame, respond},
    request::{Asked, Counted, Format},
};
use crate::{
    ReadConfig,
    catalog::{Catalog, Catalogs, Freshness, Reference, Targets, label},
    describe::describe,
    error::ReadError,
    grammar::{Braces, Request},
    named::{bind, template},
    resolve::{Bindings, Layer, Resolved, resolve},
    wait::{Wait, Waited},
};

/// For how long a read that came upon a flip looks the live generation up anew before it gives up.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a read waits before it makes sure that what it waits for is still the live generation.
const WAIT_SLICE: Duration = Duration::from_millis(250);

/// The routes of the read API, with whole paths: `/read/v1/…`.
pub fn router(targets: Targets, config: ReadConfig) -> Router {
    let state = Arc::new(Api { catalogs: Catalogs::new(targets), config });
    Router::new()
        .route("/read/v1", get(list))
        .route("/read/v1/", get(list))
        .route("/read/v1/{projection}", get(show))
        .route("/read/v1/{projection}/", get(show))
        .route("/read/v1/{projection}/{table}", get(read))
        .method_not_allowed_fallback(reel_problem::method_not_allowed)
        .with_state(state)
}

struct Api {
    catalogs: Catalogs,
    config: ReadConfig,
}

async fn list(
    State(api): State<Arc<Api>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ReadError> {
    let asked = Asked::parse(&headers, query.as_deref())?;
    let catalog = api.catalogs.get(asked.target.as_deref())?;
    let live = catalog.live().await?;
    let document = json!({
        "target": catalog.target.name(),
        "projections": live.iter().map(describe).collect::<Vec<_>>(),
    });
    Ok(Json(document).into_response())
}

async fn show(
    State(api): State<Arc<Api>>,
    Path(projection): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ReadError> {
    let asked = Asked::parse(&headers, query.as_deref())?;
    let reference = Reference::parse(&projection)?;
    let catalog = api.catalogs.get(asked.target.as_deref())?;
    let generation = catalog.look_up(&reference).await?;
    Ok(Json(describe(&generation)).into_response())
}

async fn read(
    State(api): State<Arc<Api>>,
    Path((projection, table)): Path<(String, String)>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, ReadError> {
    let asked = Asked::parse(&headers, query.as_deref())?;
    let reader = Reader {
        catalog: api.catalogs.get(asked.target.as_deref())?,
        config: &api.config,
        reference: Reference::parse(&projection)?,
        table: &table,
        asked,
    };
    let (frame, answer) = reader.read().await?;
    respond(frame, answer.total, answer.rows).await
}

/// One read on its way.
struct Reader<'a> {
    catalog: &'a Catalog,
    config: &'a ReadConfig,
    reference: Reference,
    /// The table or named query.
    table: &'a str,
    asked: Asked,
}

impl Reader<'_> {
    /// Finds the generation, waits for it, asks it; begins again where another one went live meanwhile.
    async fn read(&self) -> Result<(Frame, Answer), ReadError> {
        let mut moved: Option<Instant> = None;
        loop {
            let (generation, resolved) = self.find_and_plan().await?;
            let Some(position) = self.wait(&generation).await? else {
                self.catalog.forget(&self.reference, generation.id);
                continue;
            };
            match self.catalog.target.query(&generation, self.reference.pointer(), &resolved.query).await {
                Ok(answer) => return Ok((self.frame(&generation, resolved, position), answer)),
                Err(CatalogError::Moved | CatalogError::NotFound(_)) => {
                    self.catalog.forget(&self.reference, generation.id);
                    if moved.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
                        return Err(CatalogError::Moved.into());
                    }
                }
                Err(error) => {
                    self.catalog.forget(&self.reference, generation.id);
                    return Err(error.into());
                }
            }
        }
    }

    /// The generation, and the query against its manifest. What is not known in one that was kept may be in one that went live
    /// since: then it is looked up anew.
    async fn find_and_plan(&self) -> Result<(Arc<Generation>, Resolved), ReadError> {
        let found = self.catalog.find(&self.reference).await?;
        match self.plan(&found.generation.manifest) {
            Err(_) if found.freshness == Freshness::Kept => {
                let generation = self.catalog.refresh(&self.reference).await?;
                let resolved = self.plan(&generation.manifest)?;
                Ok((generation, resolved))
            }
            planned => Ok((found.generation, planned?)),
        }
    }

    /// Waits if that was asked for. Nothing: the time is not over, but it may be another generation's turn by now.
    async fn wait(&self, generation: &Generation) -> Result<Option<Option<u64>>, ReadError> {
        let Some(wait) = &self.asked.wait else {
            return Ok(Some(None));
        };
        let target = self.catalog.target.as_ref();
        let waited = wait.run(target, generation, WAIT_SLICE, self.config.commits.clone()).await?;
        match waited {
            Waited::Reached { lowest } => Ok(Some(Some(lowest))),
            Waited::NotYet { stands: None, .. } if !wait.is_over() => {
                // Its checkpoints are gone: give whoever drops it the time to finish.
                tokio::time::sleep(Duration::from_millis(10)).await;
                Ok(None)
            }
            Waited::NotYet { .. } if !wait.is_over() => Ok(None),
            waited => Err(self.too_late(wait, generation, waited).await),
        }
    }

    async fn too_late(&self, wait: &Wait, generation: &Generation, waited: Waited) -> ReadError {
        let now = self.catalog.look_up(&self.reference).await;
        let condition = match now.map(|generation| generation.condition) {
            Ok(Condition::Paused) => ", and it is paused".to_owned(),
            Ok(Condition::Halted { message, .. }) => format!(", and it has halted: {message}"),
            Ok(Condition::Running) | Err(_) => String::new(),
        };
        wait.too_late(&label(generation), &condition, waited)
    }

    /// The query against a generation's manifest, with what the headers ask for.
    fn plan(&self, manifest: &Manifest) -> Result<Resolved, ReadError> {
        let mut resolved = if let Some(index) = manifest.table_index(self.table) {
            let request = Request::parse(&self.asked.pairs, Braces::Literal)?;
            let layer = Layer { request: &request, bindings: &Bindings::new() };
            resolve(&[layer], index, &manifest.tables[usize::from(index)])?
        } else if let Some(query) = manifest.queries.iter().find(|query| query.name == self.table) {
            self.plan_named(manifest, query)?
        } else {
            let tables = manifest.tables.iter().map(|table| table.name.clone());
            let known = tables.chain(manifest.queries.iter().map(|query| query.name.clone())).collect();
            return Err(ReadError::unknown("table or query", self.table, known));
        };
        let query = &mut resolved.query;
        let range = self.asked.range;
        query.offset = query.offset.saturating_add(range.first).min(i64::MAX as u64);
        let of_range = range.last.map(|last| last - range.first + 1);
        let of_limit = query.limit.map(|limit| limit.saturating_sub(range.first));
        let of_format = (self.asked.format == Format::Object).then_some(2);
        query.limit = [of_range, of_limit, of_format].into_iter().flatten().min();
        if self.asked.counted == Counted::Exactly {
            query.count = Count::Exact;
        }
        Ok(resolved)
    }

    fn plan_named(&self, manifest: &Manifest, query: &NamedQuery) -> Result<Resolved, ReadError> {
        let mut pairs = self.asked.pairs.clone();
        let bindings = bind(query, &mut pairs)?;
        let template = template(query)?;
        let own = Request::parse(&pairs, Braces::Literal)?;
        let layers =
            [Layer { request: &template, bindings: &bindings }, Layer { request: &own, bindings: &Bindings::new() }];
        let table = manifest.tables.get(usize::from(query.table));
        let table = table
            .ok_or_else(|| ReadError::Broken(format!("query {} reads a table that does not exist", query.name)))?;
        Ok(resolve(&layers, query.table, table)?)
    }

    fn frame(&self, generation: &Generation, resolved: Resolved, position: Option<u64>) -> Frame {
        let mut headers = HeaderMap::new();
        if let Ok(label) = HeaderValue::try_from(label(generation)) {
            headers.insert(HeaderName::from_static("reel-generation"), label);
        }
        if let Some(position) = position {
            headers.insert(HeaderName::from_static("reel-position"), HeaderValue::from(position));
        }
        Frame {
            format: self.asked.format,
            counted: self.asked.counted,
            labels: resolved.labels,
            offset: resolved.query.offset,
            limit: resolved.query.limit,
            headers,
        }
    }
}

#[cfg(test)]
mod tests;
