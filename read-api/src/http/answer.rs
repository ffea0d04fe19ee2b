//! Rows → the body and headers of an answer. A small answer is written whole before it goes out, with its length and an exact
//! `Content-Range`; a large one is streamed as the database yields it, and broken off where that fails half-way.

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use reel_projector::json::{RowWriter, write_plain};
use reel_projector::{ReadModelError, Row, chain};
use tokio::sync::mpsc;

use super::request::{Counted, Format};
use crate::error::ReadError;

/// How many bytes are gathered before an answer is streamed, and the size of its pieces.
const PIECE: usize = 256 * 1024;

/// What the headers need to know.
pub(super) struct Frame {
    pub(super) format: Format,
    pub(super) counted: Counted,
    pub(super) labels: Vec<String>,
    /// Rows left out in front.
    pub(super) offset: u64,
    /// The most rows that were asked for.
    pub(super) limit: Option<u64>,
    /// Which generation, and how far it is.
    pub(super) headers: HeaderMap,
}

type Rows = mpsc::Receiver<Result<Vec<Row>, ReadModelError>>;

/// Writes an answer.
pub(super) async fn respond(frame: Frame, total: Option<u64>, rows: Rows) -> Result<Response, ReadError> {
    if let Some(total) = total.filter(|total| frame.offset > *total) {
        return Err(ReadError::BeyondTotal { offset: frame.offset, total });
    }
    let mut encoder = Encoder::new(&frame);
    let mut pieces = Pieces { rows, out: Vec::new(), end: End::Open };
    encoder.begin(&frame.labels, &mut pieces.out);
    pieces.fill(&mut encoder).await?;
    if frame.format == Format::Object {
        pieces.fill_all(&mut encoder).await?;
        one_row(encoder.written)?;
    }
    let known_rows = match pieces.end {
        End::Closed => Some(encoder.written),
        End::Open => total.map(|total| (total - frame.offset).min(frame.limit.unwrap_or(u64::MAX))),
    };
    let (status, headers) = head(frame, known_rows, total);
    let body = match pieces.end {
        End::Closed => Body::from(pieces.out),
        End::Open => streamed(pieces, encoder),
    };
    Ok((status, headers, body).into_response())
}

fn one_row(written: u64) -> Result<(), ReadError> {
    let found = match written {
        1 => return Ok(()),
        0 => "no row fits",
        _ => "several rows fit",
    };
    Err(ReadError::NotAcceptable(format!(
        "one object was asked for, but {found}: filter by a key, or accept application/json"
    )))
}

fn head(frame: Frame, rows: Option<u64>, total: Option<u64>) -> (StatusCode, HeaderMap) {
    let mut headers = frame.headers;
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(frame.format.media_type()));
    headers.insert(HeaderName::from_static("range-unit"), HeaderValue::from_static("items"));
    if frame.counted == Counted::Exactly {
        headers.insert(HeaderName::from_static("preference-applied"), HeaderValue::from_static("count=exact"));
    }
    if let Some(range) = rows.and_then(|rows| HeaderValue::try_from(content_range(frame.offset, rows, total)).ok()) {
        headers.insert(header::CONTENT_RANGE, range);
    }
    let partial = matches!((rows, total), (Some(rows), Some(total)) if rows < total);
    (if partial { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK }, headers)
}

/// `0-24/*`, `0-24/100`, `*/0`.
fn content_range(offset: u64, rows: u64, total: Option<u64>) -> String {
    let total = total.map_or_else(|| "*".to_owned(), |total| total.to_string());
    match rows {
        0 => format!("*/{total}"),
        _ => format!("{offset}-{}/{total}", offset + rows - 1),
    }
}

/// Writes rows in the form that was asked for.
struct Encoder {
    format: Format,
    writer: RowWriter,
    written: u64,
}

impl Encoder {
    fn new(frame: &Frame) -> Encoder {
        Encoder { format: frame.format, writer: RowWriter::new(&frame.labels), written: 0 }
    }

    fn begin(&self, labels: &[String], out: &mut Vec<u8>) {
        match self.format {
            Format::Json => out.push(b'['),
            Format::Object => {}
            Format::Csv => csv_line(labels, |label, out| out.extend_from_slice(label.as_bytes()), out),
        }
    }

    fn row(&mut self, row: &[reel_projector::Value], out: &mut Vec<u8>) {
        match self.format {
            Format::Json | Format::Object => {
                if self.written > 0 {
                    out.extend_from_slice(b",\n");
                }
                self.writer.write(row, out);
            }
            Format::Csv => csv_line(row, write_plain, out),
        }
        self.written += 1;
    }

    fn end(&self, out: &mut Vec<u8>) {
        if self.format == Format::Json {
            out.push(b']');
        }
    }
}

/// One line of RFC 4180: cells with commas, quotes, line ends or spaces at an end stand in quotes, and an empty text does too, so
/// that it differs from NULL.
fn csv_line<T: CsvCell>(cells: &[T], write: impl Fn(&T, &mut Vec<u8>), out: &mut Vec<u8>) {
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        let start = out.len();
        write(cell, out);
        let text = &out[start..];
        let edges =
            text.first().is_some_and(u8::is_ascii_whitespace) || text.last().is_some_and(u8::is_ascii_whitespace);
        let empty_text = text.is_empty() && !cell.is_null();
        if edges || empty_text || text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
            let cell = out.split_off(start);
            out.push(b'"');
            for byte in cell {
                if byte == b'"' {
                    out.push(b'"');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
    }
    out.push(b'\n');
}

trait CsvCell {
    fn is_null(&self) -> bool;
}

impl CsvCell for String {
    fn is_null(&self) -> bool {
        false
    }
}

impl CsvCell for reel_projector::Value {
    fn is_null(&self) -> bool {
        *self == reel_projector::Value::Null
    }
}

/// The rows on their way into bytes.
struct Pieces {
    rows: Rows,
    out: Vec<u8>,
    end: End,
}

/// Whether more rows may come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Open,
    Closed,
}

impl Pieces {
    /// Writes rows until a piece is full or the last row is written.
    async fn fill(&mut self, encoder: &mut Encoder) -> Result<(), ReadModelError> {
        while self.end == End::Open && self.out.len() < PIECE {
            self.next(encoder).await?;
        }
        Ok(())
    }

    /// Writes all rows.
    async fn fill_all(&mut self, encoder: &mut Encoder) -> Result<(), ReadModelError> {
        while self.end == End::Open {
            self.next(encoder).await?;
        }
        Ok(())
    }

    async fn next(&mut self, encoder: &mut Encoder) -> Result<(), ReadModelError> {
        match self.rows.recv().await {
            Some(rows) => rows?.iter().for_each(|row| encoder.row(row, &mut self.out)),
            None => {
                encoder.end(&mut self.out);
                self.end = End::Closed;
            }
        }
        Ok(())
    }
}

/// The body of a large answer. An error ends it without its proper end, so that no client takes half an answer for a whole one.
fn streamed(pieces: Pieces, encoder: Encoder) -> Body {
    let next = async |state: Option<(Pieces, Encoder)>| {
        let (mut pieces, mut encoder) = state?;
        if let Err(error) = pieces.fill(&mut encoder).await {
            tracing::error!(error = chain(&error), rows = encoder.written, "an answer was broken off");
            return Some((Err(error), None));
        }
        let piece = Bytes::from(std::mem::take(&mut pieces.out));
        let rest = (pieces.end == End::Open).then_some((pieces, encoder));
        Some((Ok(piece), rest))
    };
    Body::from_stream(futures::stream::unfold(Some((pieces, encoder)), next))
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use reel_projector::Value;

    use super::*;

    fn frame(format: Format) -> Frame {
        let labels = vec!["n".to_owned(), "t".to_owned()];
        Frame { format, counted: Counted::No, labels, offset: 0, limit: None, headers: HeaderMap::new() }
    }

    fn row(n: i64, text: &str) -> Row {
        [Value::Int(n), Value::Text(text.into())].into()
    }

    fn rows(chunks: Vec<Result<Vec<Row>, ReadModelError>>) -> Rows {
        let (sender, receiver) = mpsc::channel(chunks.len().max(1));
        chunks.into_iter().for_each(|chunk| sender.try_send(chunk).unwrap());
        receiver
    }

    fn unavailable() -> ReadModelError {
        ReadModelError::Unavailable { target: "main".to_owned(), source: "gone".into() }
    }

    async fn text(response: Response) -> String {
        String::from_utf8(to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn a_small_answer_is_whole() {
        let given = rows(vec![Ok(vec![row(1, "a")]), Ok(vec![row(2, "b")])]);
        let response = respond(frame(Format::Json), None, given).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[header::CONTENT_RANGE], "0-1/*");
        assert_eq!(text(response).await, "[{\"n\":1,\"t\":\"a\"},\n{\"n\":2,\"t\":\"b\"}]");
    }

    #[tokio::test]
    async fn ranges_and_statuses() {
        // (offset, rows, total) → status, Content-Range
        let cases = [
            (0, 0, None, 200, "*/*"),
            (0, 0, Some(0), 200, "*/0"),
            (5, 2, Some(10), 206, "5-6/10"),
            (0, 2, Some(2), 200, "0-1/2"),
            (2, 0, Some(2), 206, "*/2"),
        ];
        for (offset, count, total, status, range) in cases {
            let frame = Frame { offset, ..frame(Format::Json) };
            let given = rows(vec![Ok((0..count).map(|n| row(n, "")).collect())]);
            let response = respond(frame, total, given).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{range}");
            assert_eq!(response.headers()[header::CONTENT_RANGE], range);
        }
        let beyond = respond(Frame { offset: 3, ..frame(Format::Json) }, Some(2), rows(vec![])).await.unwrap_err();
        let response = beyond.into_response();
        assert_eq!(
            (response.status().as_u16(), response.headers()[header::CONTENT_RANGE].to_str().unwrap()),
            (416, "*/2")
        );
    }

    #[tokio::test]
    async fn one_object_needs_one_row() {
        let one = respond(frame(Format::Object), None, rows(vec![Ok(vec![row(1, "a")])])).await.unwrap();
        assert_eq!(text(one).await, "{\"n\":1,\"t\":\"a\"}");
        for given in [vec![], vec![row(1, "a"), row(2, "b")]] {
            let error = respond(frame(Format::Object), None, rows(vec![Ok(given)])).await.unwrap_err();
            assert_eq!(error.into_response().status(), StatusCode::NOT_ACCEPTABLE);
        }
    }

    #[tokio::test]
    async fn csv_tells_null_from_empty() {
        let given = vec![row(1, "a,\"b\""), row(2, ""), [Value::Null, Value::Null].into(), row(3, " x")];
        let response = respond(frame(Format::Csv), None, rows(vec![Ok(given)])).await.unwrap();
        assert_eq!(text(response).await, "n,t\n1,\"a,\"\"b\"\"\"\n2,\"\"\n,\n3,\" x\"\n");
    }

    #[tokio::test]
    async fn a_large_answer_is_streamed_and_is_the_same_text() {
        let many: Vec<Row> = (0..20_000).map(|n| row(n, "some text that takes place")).collect();
        let chunks = many.chunks(500).map(|chunk| Ok(chunk.to_vec())).collect();
        let response = respond(frame(Format::Json), None, rows(chunks)).await.unwrap();
        assert!(!response.headers().contains_key(header::CONTENT_RANGE));
        let read: Vec<serde_json::Value> = serde_json::from_str(&text(response).await).unwrap();
        assert_eq!((read.len(), &read[19_999]["n"]), (20_000, &serde_json::json!(19_999)));
    }

    #[tokio::test]
    async fn an_early_failure_is_a_problem_and_a_late_one_breaks_off() {
        let early = respond(frame(Format::Json), None, rows(vec![Ok(vec![row(1, "a")]), Err(unavailable())]))
            .await
            .unwrap_err();
        let response = early.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
        let large = row(1, &"x".repeat(PIECE));
        let late = respond(frame(Format::Json), None, rows(vec![Ok(vec![large]), Err(unavailable())])).await.unwrap();
        assert!(to_bytes(late.into_body(), usize::MAX).await.is_err());
    }
}
