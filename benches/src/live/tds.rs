//! SQL Server by hand: a connection, and statements in one transaction.

use tiberius::{AuthMethod, Client, Config, EncryptionLevel, Query};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};
use url::Url;

use super::by_hand::Bound;
use crate::error::BenchError;

/// A connection.
pub(super) struct Tds(Client<Compat<TcpStream>>);

impl Tds {
    pub(super) async fn connect(url: &str) -> Result<Tds, BenchError> {
        let url = Url::parse(url).map_err(BenchError::doing("reading the URL of SQL Server"))?;
        let mut config = Config::new();
        config.host(url.host_str().unwrap_or_default());
        config.port(url.port().unwrap_or(1433));
        config.database(url.path().trim_start_matches('/'));
        config.authentication(AuthMethod::sql_server(url.username(), url.password().unwrap_or_default()));
        if url.query().is_some_and(|settings| settings.contains("encrypt=false")) {
            config.encryption(EncryptionLevel::NotSupported);
        } else {
            config.trust_cert();
        }
        let reached = async {
            let stream = TcpStream::connect(config.get_addr()).await?;
            stream.set_nodelay(true)?;
            Client::connect(config.clone(), stream.compat_write()).await
        };
        reached.await.map(Tds).map_err(BenchError::doing("connecting to SQL Server"))
    }

    /// Runs statements in one transaction.
    pub(super) async fn all(&mut self, statements: &[(String, Vec<Bound>)]) -> tiberius::Result<()> {
        self.0.begin_transaction().await?;
        for (statement, bound) in statements {
            let mut query = Query::new(statement);
            for value in bound {
                match value {
                    Bound::Text(text) => query.bind(text),
                    Bound::Number(number) => query.bind(*number),
                }
            }
            query.execute(&mut self.0).await?;
        }
        self.0.commit_transaction().await
    }
}
