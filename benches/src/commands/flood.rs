//! Clients that send commands as fast as they are answered, each over a connection of its own that does next to nothing: it shares
//! the machine with what is measured.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::error::BenchError;
use crate::reel::milliseconds;

/// What clients came to, all together.
#[derive(Debug, Default)]
pub(super) struct Flood {
    /// Commands that were answered.
    pub(super) answered: u64,
    /// How long it took.
    pub(super) seconds: f64,
    /// From a command sent to its answer, one entry a command. Milliseconds.
    pub(super) waited: Vec<f64>,
}

impl Flood {
    /// Commands a second.
    pub(super) fn rate(&self) -> f64 {
        self.answered as f64 / self.seconds
    }
}

/// The clients of one service: a connection each.
pub(super) struct Clients {
    connections: Vec<Connection>,
    likes: Arc<[Uri]>,
}

struct Connection {
    requests: SendRequest<Full<Bytes>>,
    authority: String,
}

impl Clients {
    /// Connects as many clients to the service at `url`, and has them write as many posts.
    pub(super) async fn of(url: &str, clients: usize, posts: usize) -> Result<Clients, BenchError> {
        let authority = url.strip_prefix("http://").unwrap_or(url);
        let mut connections = Vec::with_capacity(clients);
        for _ in 0..clients {
            connections.push(Connection::open(authority).await?);
        }
        let ids: Vec<Uuid> = (0..posts).map(|_| Uuid::now_v7()).collect();
        let like = |id: &Uuid| format!("/commands/v1/posts/{id}/likes").parse().expect("a path of ASCII");
        let mut clients = Clients { connections, likes: ids.iter().map(like).collect() };
        clients.write(&ids).await?;
        Ok(clients)
    }

    async fn write(&mut self, posts: &[Uuid]) -> Result<(), BenchError> {
        let path = Uri::from_static("/commands/v1/posts");
        let bodies: Arc<[Bytes]> = posts.iter().map(new_post).collect();
        let count = self.connections.len();
        let written = self.each(|nth, mut connection| {
            let (path, bodies) = (path.clone(), Arc::clone(&bodies));
            async move {
                for body in bodies.iter().skip(nth).step_by(count) {
                    connection.send(&path, body.clone()).await?;
                }
                Ok((connection, ()))
            }
        });
        written.await.map(drop)
    }

    /// Likes posts for so long.
    pub(super) async fn like(&mut self, long: Duration) -> Result<Flood, BenchError> {
        let (likes, count) = (Arc::clone(&self.likes), self.connections.len());
        let began = Instant::now();
        let liked = self.each(|nth, mut connection| {
            let likes = Arc::clone(&likes);
            async move {
                let mut waited = Vec::new();
                let mine = likes.iter().cycle().skip(nth).step_by(count);
                for path in mine.take_while(|_| began.elapsed() < long) {
                    let sent = Instant::now();
                    connection.send(path, Bytes::new()).await?;
                    waited.push(milliseconds(sent));
                }
                Ok((connection, waited))
            }
        });
        let waited: Vec<f64> = liked.await?.into_iter().flatten().collect();
        let seconds = began.elapsed().as_secs_f64();
        Ok(Flood { answered: waited.len() as u64, seconds, waited })
    }

    /// Has each client do the same, at once.
    async fn each<T, W>(&mut self, work: impl Fn(usize, Connection) -> W) -> Result<Vec<T>, BenchError>
    where
        T: Send + 'static,
        W: Future<Output = Result<(Connection, T), BenchError>> + Send + 'static,
    {
        let mut all = JoinSet::new();
        for (nth, connection) in self.connections.drain(..).enumerate() {
            all.spawn(work(nth, connection));
        }
        let mut done = Vec::new();
        while let Some(ended) = all.join_next().await {
            let (connection, came_to) = ended.map_err(BenchError::doing("waiting for a client"))??;
            self.connections.push(connection);
            done.push(came_to);
        }
        Ok(done)
    }
}

impl Connection {
    async fn open(authority: &str) -> Result<Connection, BenchError> {
        let stream = TcpStream::connect(authority).await.map_err(BenchError::doing("connecting to the service"))?;
        stream.set_nodelay(true).map_err(BenchError::doing("connecting to the service"))?;
        let (requests, connection) =
            handshake(TokioIo::new(stream)).await.map_err(BenchError::doing("connecting to the service"))?;
        tokio::spawn(connection);
        Ok(Connection { requests, authority: authority.to_owned() })
    }

    async fn send(&mut self, path: &Uri, body: Bytes) -> Result<(), BenchError> {
        let request = Request::post(path).header(HOST, &self.authority);
        let request = if body.is_empty() { request } else { request.header(CONTENT_TYPE, "application/json") };
        let request = request.body(Full::new(body)).map_err(BenchError::doing("making a request"))?;
        self.requests.ready().await.map_err(BenchError::doing("sending a command"))?;
        let answer = self.requests.send_request(request).await.map_err(BenchError::doing("sending a command"))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(BenchError::doing("reading an answer"))?.to_bytes();
        if status.is_success() {
            return Ok(());
        }
        Err(BenchError::Failed(format!("{path} was answered with {status}: {}", String::from_utf8_lossy(&body))))
    }
}

fn new_post(id: &Uuid) -> Bytes {
    format!(r#"{{"id":"{id}","actor":"ann","message":"Measured."}}"#).into()
}
