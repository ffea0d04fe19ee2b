//! A line between store and server that can be broken: all of it, or so that the answer to one insert gets lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// What the lines do.
#[derive(Default)]
struct Mood {
    /// The answer to the next insert is not passed on, and its line is cut.
    loses_answer: AtomicBool,
    /// Nobody is connected.
    refuses: AtomicBool,
    /// Raised to cut all lines.
    cuts: watch::Sender<u64>,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    mood: Arc<Mood>,
}

impl Proxy {
    /// Listens for `server`, a URL with host and port.
    pub(crate) async fn to(server: &str) -> Proxy {
        let server = server.trim_start_matches("mongodb://").split(['/', '?']).next().unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, mood) = (listener.local_addr().unwrap(), Arc::new(Mood::default()));
        let shared = Arc::clone(&mood);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                if !shared.refuses.load(Ordering::Relaxed) {
                    tokio::spawn(line(client, server.clone(), Arc::clone(&shared)));
                }
            }
        });
        Proxy { address, mood }
    }

    pub(crate) fn url(&self) -> String {
        format!("mongodb://{}", self.address)
    }

    pub(crate) fn lose_the_answer_to_the_next_insert(&self) {
        self.mood.loses_answer.store(true, Ordering::Relaxed);
    }

    /// Whether an answer was lost since.
    pub(crate) fn has_lost_it(&self) -> bool {
        !self.mood.loses_answer.load(Ordering::Relaxed)
    }

    pub(crate) fn cut(&self) {
        self.mood.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(crate) fn refuse(&self) {
        self.mood.refuses.store(true, Ordering::Relaxed);
        self.cut();
    }

    pub(crate) fn connect_again(&self) {
        self.mood.refuses.store(false, Ordering::Relaxed);
    }
}

async fn line(client: TcpStream, server: String, mood: Arc<Mood>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let mut cuts = mood.cuts.subscribe();
    let inserting = AtomicBool::new(false);
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = requests(from_client, to_server, &inserting) => {}
        () = answers(from_server, to_client, &inserting, &mood) => {}
        _ = cuts.changed() => {}
    }
}

async fn requests(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, inserting: &AtomicBool) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let is_insert = bytes[..count].windows(12).any(|window| window == b"\x02insert\0\x08\0\0\0");
        inserting.store(is_insert, Ordering::Relaxed);
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

async fn answers(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, inserting: &AtomicBool, mood: &Mood) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let lost = inserting.load(Ordering::Relaxed) && mood.loses_answer.swap(false, Ordering::Relaxed);
        if lost || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
