//! A line between store and server that can be broken: all of it, or so that the answer to one insert gets lost, or so that the server
//! seems to forbid something.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use mongodb::bson::{Document, doc};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Mutex, watch},
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
    /// A command that never reaches the server: its user may not do it.
    forbids: std::sync::Mutex<Option<&'static str>>,
}

/// Where answers to the store go.
type ToClient = Mutex<OwnedWriteHalf>;

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

    /// Answers this command as a server does whose user lacks the permission.
    pub(crate) fn forbid(&self, command: &'static str) {
        *self.mood.forbids.lock().unwrap() = Some(command);
    }
}

async fn line(client: TcpStream, server: String, mood: Arc<Mood>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let mut cuts = mood.cuts.subscribe();
    let inserting = AtomicBool::new(false);
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let to_client = Mutex::new(to_client);
    tokio::select! {
        () = requests(from_client, to_server, &to_client, (&inserting, &mood)) => {}
        () = answers(from_server, &to_client, &inserting, &mood) => {}
        _ = cuts.changed() => {}
    }
}

async fn requests(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    to_client: &ToClient,
    (inserting, mood): (&AtomicBool, &Mood),
) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let read = &bytes[..count];
        let is_insert = read.windows(12).any(|window| window == b"\x02insert\0\x08\0\0\0");
        inserting.store(is_insert, Ordering::Relaxed);
        let forbidden = *mood.forbids.lock().unwrap();
        let passed = match forbidden.filter(|command| is_command(read, command)) {
            Some(command) => to_client.lock().await.write_all(&refusal(read, command)).await,
            None => to.write_all(read).await,
        };
        if passed.is_err() {
            return;
        }
    }
}

/// Whether a message, which came in one piece, is this command: behind its header (16 bytes), flags (4), the kind of its section (1) and
/// the document's length (4) stands its first element, a text by the command's name.
fn is_command(message: &[u8], command: &str) -> bool {
    let named = [b"\x02", command.as_bytes(), b"\0"].concat();
    message.get(25..).is_some_and(|document| document.starts_with(&named))
}

/// The answer to a message, as a server gives it whose user may not do that.
fn refusal(message: &[u8], command: &str) -> Vec<u8> {
    let errmsg = format!("not authorized to execute command {command}");
    let answer: Document = doc! { "ok": 0.0, "errmsg": errmsg, "code": 13, "codeName": "Unauthorized" };
    let answer = answer.to_vec().unwrap();
    let length = (21 + answer.len() as u32).to_le_bytes();
    let (id, asked, op_msg) = (1_u32.to_le_bytes(), &message[4..8], 2013_u32.to_le_bytes());
    [&length[..], &id, asked, &op_msg, &[0; 4], &[0], &answer].concat()
}

async fn answers(mut from: OwnedReadHalf, to: &ToClient, inserting: &AtomicBool, mood: &Mood) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let lost = inserting.load(Ordering::Relaxed) && mood.loses_answer.swap(false, Ordering::Relaxed);
        if lost || to.lock().await.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}
