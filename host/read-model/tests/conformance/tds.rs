//! Plain SQL of another client on SQL Server.

use tiberius::{AuthMethod, Client, ColumnData, Config, EncryptionLevel};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// A connection of one's own.
pub(crate) type Connected = Client<Compat<TcpStream>>;

/// Connects, by a URL as a target takes it.
pub(crate) async fn connect(url: &str) -> tiberius::Result<Connected> {
    let url = url::Url::parse(url).unwrap();
    let mut config = Config::new();
    config.host(url.host_str().unwrap());
    config.port(url.port().unwrap_or(1433));
    config.database(&url.path()[1..]);
    config.authentication(AuthMethod::sql_server(url.username(), url.password().unwrap_or_default()));
    config.encryption(EncryptionLevel::NotSupported);
    let stream = TcpStream::connect(config.get_addr()).await?;
    Client::connect(config, stream.compat_write()).await
}

/// Some statements, each alone: the first column of what the last one answers.
pub(crate) async fn sql(url: &str, sql: &str) -> tiberius::Result<Vec<Option<String>>> {
    let mut client = connect(url).await?;
    let mut answer = Vec::new();
    for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
        answer = client.simple_query(statement).await?.into_first_result().await?;
    }
    Ok(answer.into_iter().map(|row| row.into_iter().next().and_then(text)).collect())
}

fn text(data: ColumnData<'static>) -> Option<String> {
    match data {
        ColumnData::String(text) => text.map(std::borrow::Cow::into_owned),
        ColumnData::I16(number) => number.map(|number| number.to_string()),
        ColumnData::I32(number) => number.map(|number| number.to_string()),
        ColumnData::I64(number) => number.map(|number| number.to_string()),
        ColumnData::Numeric(number) => number.map(|number| number.to_string()),
        other => panic!("ask for it as text: {other:?}"),
    }
}
