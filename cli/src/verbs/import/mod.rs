//! `reel import`: CloudEvents JSON Lines into the event store, in parts, so that progress shows and a line that is refused is named.

mod sender;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::Instant;

use crate::args::Import;
use crate::client::{Client, Output};
use crate::error::CliError;
use crate::print;
use sender::{Sender, Summary};

/// Bytes of one request: some thousand events, a few times a second.
const PART: usize = 2 << 20;

pub(crate) async fn run(client: &Client, import: Import) -> Result<(), CliError> {
    let mut total = Summary::default();
    let began = Instant::now();
    for file in &import.files {
        total.add(one(client, file).await?);
    }
    if client.output == Output::Json {
        return print::json(&total);
    }
    let seconds = began.elapsed().as_secs_f64();
    let rate = if seconds > 0.0 { total.lines as f64 / seconds } else { 0.0 };
    let text = match total {
        Summary { lines: 0, .. } => "nothing to import: no lines".to_owned(),
        Summary { imported: 0, already, last_position, .. } => {
            format!(
                "nothing to do: all {already} events are in the log already, which ends at position {last_position}"
            )
        }
        Summary { imported, already, last_position, .. } => format!(
            "imported {imported} events in {seconds:.1} s ({rate:.0}/s), {already} were there already; the log ends at position {last_position}"
        ),
    };
    print::line(&text)
}

async fn one(client: &Client, path: &Path) -> Result<Summary, CliError> {
    let name = path.display().to_string();
    let bar = print::progress(None, "{msg} {spinner} {human_pos} lines, {per_sec}");
    bar.set_message(name.clone());
    let mut lines = open(path)?;
    let mut sender = Sender::new(client, &name);
    let mut part = Vec::with_capacity(PART + (64 << 10));
    loop {
        part.clear();
        let read = fill(&mut lines, &mut part).map_err(|error| {
            CliError::caused(format!("{name} cannot be read behind line {}", sender.summary.lines), error)
        })?;
        if read == 0 && sender.summary.lines > 0 {
            break;
        }
        sender.send(std::mem::take(&mut part)).await?;
        bar.set_position(sender.summary.lines);
        if read == 0 {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(sender.summary)
}

fn open(path: &Path) -> Result<Box<dyn BufRead + Send>, CliError> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => CliError::NotFound(format!("there is no file {}", path.display())),
        _ => CliError::caused(format!("{} cannot be read", path.display()), error),
    })?;
    let unpacked: Box<dyn Read + Send> = match path.extension().and_then(|extension| extension.to_str()) {
        Some("zst") => Box::new(
            zstd::Decoder::new(file)
                .map_err(|error| CliError::caused(format!("{} is not zstd", path.display()), error))?,
        ),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    Ok(Box::new(BufReader::with_capacity(1 << 20, unpacked)))
}

/// Reads whole lines until a part is full. A line longer than a part is read as far as the server takes lines, and refused there.
fn fill(lines: &mut dyn BufRead, part: &mut Vec<u8>) -> std::io::Result<usize> {
    while part.len() < PART {
        if lines.read_until(b'\n', part)? == 0 {
            break;
        }
    }
    Ok(part.len())
}
