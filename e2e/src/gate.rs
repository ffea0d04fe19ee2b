//! A gate between Reel and its database: a TCP proxy that can be shut, which cuts every connection and refuses new ones, and opened again.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A proxy to one server.
pub struct Gate {
    /// Where it listens.
    pub address: SocketAddr,
    server: String,
    open: Option<JoinHandle<()>>,
}

impl Gate {
    /// An open gate to `server` (`host:port`).
    pub async fn to(server: &str) -> Gate {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let open = Some(tokio::spawn(pass(listener, server.to_owned())));
        Gate { address, server: server.to_owned(), open }
    }

    /// Cuts all connections, and refuses new ones.
    pub async fn shut(&mut self) {
        if let Some(open) = self.open.take() {
            open.abort();
            // It ends by being aborted; the listener and all connections are closed then.
            let _ = open.await;
        }
    }

    /// Lets connections through again, at the same address.
    pub async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("nobody else takes the port meanwhile");
        self.open = Some(tokio::spawn(pass(listener, self.server.clone())));
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(open) = &self.open {
            open.abort();
        }
    }
}

/// Passes connections until it is aborted, which ends them all.
async fn pass(listener: TcpListener, server: String) {
    let mut passing = JoinSet::new();
    loop {
        let Ok((mut near, _)) = listener.accept().await else { return };
        let server = server.clone();
        passing.spawn(async move {
            // Whichever side ends a connection, or fails, ends both halves.
            if let Ok(mut far) = TcpStream::connect(server).await {
                let _ = copy_bidirectional(&mut near, &mut far).await;
            }
        });
        while passing.try_join_next().is_some() {}
    }
}
