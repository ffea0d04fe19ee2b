//! A server that takes any login, remembers the table that was made last, describes it to who asks, and keeps the load that follows.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::declared::{described, of_table};

/// A server of one conversation.
pub(in crate::sql_server) struct Listener {
    port: u16,
    load: Arc<Mutex<Load>>,
}

/// A bulk load.
#[derive(Debug, Clone, Default)]
pub(super) struct Load {
    /// The statement that began it.
    pub(super) statement: String,
    /// What came behind it, without the packets' headers.
    pub(super) bytes: Vec<u8>,
}

/// DONE: nothing more follows.
const DONE: [u8; 13] = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

impl Listener {
    pub(super) async fn begin() -> Listener {
        Listener::at(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Answers where somebody may have come already.
    pub(in crate::sql_server) fn at(listener: TcpListener) -> Listener {
        let port = listener.local_addr().unwrap().port();
        let load = Arc::new(Mutex::new(Load::default()));
        let kept = Arc::clone(&load);
        tokio::spawn(async move { converse(listener.accept().await.unwrap().0, &kept).await });
        Listener { port, load }
    }

    pub(super) fn url(&self) -> String {
        format!("sqlserver://any:one@127.0.0.1:{}/views?encrypt=false", self.port)
    }

    /// The load that was sent, whose end was answered.
    pub(super) fn load(&self) -> Load {
        self.load.lock().unwrap().clone()
    }
}

/// Answers until the client goes.
async fn converse(mut client: TcpStream, kept: &Mutex<Load>) {
    let mut made = String::new();
    while let Ok((kind, bytes)) = message(&mut client).await {
        let answer = match kind {
            // PRELOGIN: there is no encryption.
            18 => vec![0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2],
            16 => [login_ack(), DONE.to_vec()].concat(),
            1 => said(&statement(&bytes), &mut made, kept),
            7 => {
                kept.lock().unwrap().bytes = bytes;
                DONE.to_vec()
            }
            other => panic!("a message of type {other}"),
        };
        send(&mut client, &answer).await;
    }
}

fn said(statement: &str, made: &mut String, kept: &Mutex<Load>) -> Vec<u8> {
    if statement.starts_with("CREATE TABLE") {
        statement.clone_into(made);
    } else if statement.starts_with("INSERT BULK") {
        statement.clone_into(&mut kept.lock().unwrap().statement);
    } else if statement.starts_with("SELECT TOP 0") {
        return [described(&of_table(made)), DONE.to_vec()].concat();
    }
    DONE.to_vec()
}

/// The text of a batch, behind ALL_HEADERS.
fn statement(bytes: &[u8]) -> String {
    let headers = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    let units: Vec<u16> = bytes[headers..].chunks(2).map(|unit| u16::from_le_bytes(unit.try_into().unwrap())).collect();
    String::from_utf16(&units).unwrap()
}

/// LOGINACK: T-SQL, TDS 7.4, and a program without a version.
fn login_ack() -> Vec<u8> {
    let name: Vec<u8> = "test".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let said = [&[1, 0x74, 0, 0, 4, 4], name.as_slice(), &[16, 0, 0, 0]].concat();
    [&[0xad], (said.len() as u16).to_le_bytes().as_slice(), &said].concat()
}

/// A message of the client's: its type, and what is in its packets.
async fn message(client: &mut TcpStream) -> std::io::Result<(u8, Vec<u8>)> {
    let mut bytes = Vec::new();
    loop {
        let mut header = [0; 8];
        client.read_exact(&mut header).await?;
        let length = usize::from(u16::from_be_bytes([header[2], header[3]])) - header.len();
        let from = bytes.len();
        bytes.resize(from + length, 0);
        client.read_exact(&mut bytes[from..]).await?;
        if header[1] & 1 == 1 {
            return Ok((header[0], bytes));
        }
    }
}

async fn send(client: &mut TcpStream, answer: &[u8]) {
    let length = u16::try_from(answer.len() + 8).unwrap().to_be_bytes();
    let packet = [&[4, 1, length[0], length[1], 0, 0, 1, 0], answer].concat();
    client.write_all(&packet).await.unwrap();
}
