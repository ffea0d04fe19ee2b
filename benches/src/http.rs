//! What a client of Reel sends: commands, reads, deployments, over connections that are kept.

use reqwest::{RequestBuilder, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::BenchError;
use crate::reel::Reel;

/// A client of one Reel. Cheap to clone; clones share connections.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    commands: String,
    host: String,
    reads: String,
}

impl Client {
    /// Of a Reel that is one process.
    pub(crate) fn of(reel: &Reel) -> Result<Client, BenchError> {
        Client::apart(reel, reel, reel)
    }

    /// Of processes apart: command service, host, read API.
    pub(crate) fn apart(commands: &Reel, host: &Reel, reads: &Reel) -> Result<Client, BenchError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .build()
            .map_err(BenchError::doing("making an HTTP client"))?;
        let [commands, host, reads] = [commands, host, reads].map(|reel| reel.url.clone());
        Ok(Client { http, commands, host, reads })
    }

    fn command(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}/commands/v1{path}", self.commands))
    }

    fn read(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}/read/v1{path}", self.reads))
    }

    /// Writes a post; answers with the token to wait for.
    pub(crate) async fn create(&self, post: Uuid) -> Result<String, BenchError> {
        let body = json!({ "id": post, "actor": "ann", "message": "Measured." });
        token(self.command("/posts").json(&body)).await
    }

    /// Likes a post; answers with the token to wait for.
    pub(crate) async fn like(&self, post: Uuid) -> Result<String, BenchError> {
        token(self.command(&format!("/posts/{post}/likes"))).await
    }

    /// The likes that readers of `projection` see; with a token, once it is there.
    pub(crate) async fn likes(&self, (projection, post): (&str, Uuid), token: Option<&str>) -> Result<u64, BenchError> {
        let request = self.read(&format!("/{projection}/posts?id=eq.{post}&select=likes"));
        let request = match token {
            Some(token) => request.header("Reel-Wait-For", token),
            None => request,
        };
        let rows = json_of(request).await?;
        rows[0]["likes"].as_u64().ok_or_else(|| BenchError::Failed(format!("the post has no row: {rows}")))
    }

    /// Whether readers of `projection` see the post.
    pub(crate) async fn is_visible(&self, projection: &str, post: Uuid) -> Result<bool, BenchError> {
        let request = self.read(&format!("/{projection}/posts?id=eq.{post}&select=id"));
        let answer = request.send().await.map_err(BenchError::doing("reading"))?;
        if answer.status() == StatusCode::NOT_FOUND {
            // Nothing of that name is live yet.
            return Ok(false);
        }
        let rows: Value = answer.json().await.map_err(BenchError::doing("reading"))?;
        Ok(rows.as_array().is_some_and(|rows| rows.len() == 1))
    }

    /// How far readers of `projection` are; nothing while nothing of that name is live.
    pub(crate) async fn position(&self, projection: &str) -> Result<Option<u64>, BenchError> {
        let generations = json_of(self.http.get(format!("{}/admin/v1/projections/{projection}", self.host))).await?;
        let live = generations.as_array().into_iter().flatten().find(|generation| generation["state"] == "live");
        Ok(live.and_then(|live| live["position"].as_u64()))
    }

    /// Deploys a component under a name.
    pub(crate) async fn deploy(&self, projection: &str, component: &[u8]) -> Result<(), BenchError> {
        let request = self.http.post(format!("{}/admin/v1/projections?name={projection}", self.host));
        json_of(request.body(component.to_vec())).await.map(drop)
    }
}

async fn token(request: RequestBuilder) -> Result<String, BenchError> {
    let answer = json_of(request).await?;
    answer["token"]
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| BenchError::Failed(format!("a command was answered without a token: {answer}")))
}

async fn json_of(request: RequestBuilder) -> Result<Value, BenchError> {
    let answer = request.send().await.map_err(BenchError::doing("sending a request"))?;
    let status = answer.status();
    let text = answer.text().await.map_err(BenchError::doing("reading an answer"))?;
    if !status.is_success() {
        return Err(BenchError::Failed(format!("{status}: {text}")));
    }
    serde_json::from_str(&text).map_err(BenchError::doing("reading an answer"))
}
