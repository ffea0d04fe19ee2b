//! What a client sees on a real connection, where oneshot calls would not show it.

use std::sync::Arc;

use reel_command_service::{Config, router};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::service::Service;

/// Who sends more than is taken must still get to read why, instead of a reset connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_of_20_mb_is_answered() {
    let service = Service::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server =
        tokio::spawn(axum::serve(listener, router(Arc::clone(&service.store), Config::default())).into_future());

    let mut connection = TcpStream::connect(address).await.unwrap();
    let head = "POST /commands/v1/import HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 20000000\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains(r#""line":1"#) && answer.contains("line 1: the line is longer than"), "{answer}");
    server.abort();
}
