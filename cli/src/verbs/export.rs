//! `reel export`: the log as CloudEvents JSON Lines, to standard output.

use futures::StreamExt;
use reqwest::Method;

use crate::args::Export;
use crate::client::Client;
use crate::error::CliError;
use crate::print;

pub(crate) async fn run(client: &Client, export: &Export) -> Result<(), CliError> {
    let (after, until) = (export.after.map(|after| after.to_string()), export.until.map(|until| until.to_string()));
    let request =
        client.request(Method::GET, "/commands/v1/export", &[("after", after.as_deref()), ("until", until.as_deref())]);
    let mut body = client.send(request).await?.bytes_stream();
    while let Some(bytes) = body.next().await {
        print::raw(&bytes.map_err(|error| CliError::caused("the export broke off", error))?)?;
    }
    Ok(())
}
