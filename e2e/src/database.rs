//! Read databases of one's own: a file in the data directory, or a database on the PostgreSQL, MySQL or SQL Server that the environment
//! gives.

use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};
use tokio_util::compat::TokioAsyncWriteCompatExt;

/// A database on PostgreSQL, dropped with this.
#[derive(Debug)]
pub struct Postgres {
    server: String,
    name: String,
}

impl Postgres {
    /// A new, empty one; nothing where no server is given, and tests are not required to have one.
    ///
    /// # Panics
    /// Where `REEL_TEST_REQUIRE` names postgres and there is no server, or it does not answer.
    pub async fn new() -> Option<Postgres> {
        let server = server("postgres", "REEL_TEST_POSTGRES")?;
        let name = format!("reel_e2e_{}", uuid::Uuid::new_v4().simple());
        admin(&server, &format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0")).await;
        Some(Postgres { server, name })
    }

    /// Where it is, as `--target` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/{}", self.front().0, self.name)
    }

    /// Host and port of the server.
    #[must_use]
    pub fn address(&self) -> &str {
        let authority = self.front().1;
        authority.rsplit_once('@').map_or(authority, |(_, address)| address)
    }

    /// Where it is for somebody who goes through `address` instead.
    #[must_use]
    pub fn url_through(&self, address: &str) -> String {
        self.url().replacen(self.address(), address, 1)
    }

    /// Everything before the database's name, and the part of it behind `postgres://`.
    fn front(&self) -> (&str, &str) {
        let front = self.server.rsplit_once('/').expect("a URL with a database").0;
        (front, front.split_once("://").expect("a URL with a scheme").1)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop_with(self.server.clone(), format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
    }
}

/// A database on MySQL or MariaDB, dropped with this.
#[derive(Debug)]
pub struct MySql {
    server: String,
    name: String,
}

impl MySql {
    /// A new, empty one; nothing where no server is given, and tests are not required to have one.
    ///
    /// # Panics
    /// Where `REEL_TEST_REQUIRE` names mysql and there is no server, or it does not answer.
    pub async fn new() -> Option<MySql> {
        let server = server("mysql", "REEL_TEST_MYSQL")?;
        let name = format!("reel_e2e_{}", uuid::Uuid::new_v4().simple());
        admin(&server, &format!("CREATE DATABASE {name}")).await;
        Some(MySql { server, name })
    }

    /// Where it is, as `--target` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/{}", self.server.rsplit_once('/').expect("a URL with a database").0, self.name)
    }
}

impl Drop for MySql {
    fn drop(&mut self) {
        drop_with(self.server.clone(), format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

/// A database on SQL Server, dropped with this.
#[derive(Debug)]
pub struct SqlServer {
    server: String,
    name: String,
}

impl SqlServer {
    /// A new, empty one; nothing where no server is given, and tests are not required to have one.
    ///
    /// # Panics
    /// Where `REEL_TEST_REQUIRE` names sqlserver and there is no server, or it does not answer.
    pub async fn new() -> Option<SqlServer> {
        let server = server("sqlserver", "REEL_TEST_SQLSERVER")?;
        let name = format!("reel_e2e_{}", uuid::Uuid::new_v4().simple());
        insist(&server, &format!("CREATE DATABASE {name}")).await;
        Some(SqlServer { server, name })
    }

    /// Where it is, as `--target` takes it.
    #[must_use]
    pub fn url(&self) -> String {
        let (front, database) = self.server.rsplit_once('/').expect("a URL with a database");
        let settings = database.split_once('?').map(|(_, settings)| format!("?{settings}")).unwrap_or_default();
        format!("{front}/{}{settings}", self.name)
    }

    /// Host and port of the server.
    ///
    /// # Panics
    /// Where `REEL_TEST_SQLSERVER` is no URL.
    #[must_use]
    pub fn address(&self) -> String {
        let url = url::Url::parse(&self.server).expect("REEL_TEST_SQLSERVER is a URL");
        format!("{}:{}", url.host_str().expect("a URL with a host"), url.port().unwrap_or(1433))
    }

    /// Where it is for somebody who goes through `address` instead.
    ///
    /// # Panics
    /// Where `REEL_TEST_SQLSERVER` is no URL.
    #[must_use]
    pub fn url_through(&self, address: &str) -> String {
        let mut url = url::Url::parse(&self.url()).expect("REEL_TEST_SQLSERVER is a URL");
        let (host, port) = address.rsplit_once(':').expect("host and port");
        url.set_host(Some(host)).expect("a URL with a host may have another");
        url.set_port(port.parse().ok()).expect("a URL with a host may have a port");
        url.into()
    }
}

impl Drop for SqlServer {
    fn drop(&mut self) {
        drop_with(self.server.clone(), format!("DROP DATABASE IF EXISTS {}", self.name));
    }
}

/// Makes or drops a database, which a server may refuse while others do the same, or while a session that is closed has not ended.
async fn insist(server: &str, sql: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(error) = tds(server, sql).await {
        assert!(Instant::now() < deadline, "{sql}: {error}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn tds(server: &str, sql: &str) -> tiberius::Result<()> {
    let url = url::Url::parse(server).expect("REEL_TEST_SQLSERVER is a URL");
    let mut config = tiberius::Config::new();
    config.host(url.host_str().expect("a URL with a host"));
    config.port(url.port().unwrap_or(1433));
    config.database(url.path().trim_start_matches('/'));
    let password = url.password().unwrap_or_default();
    config.authentication(tiberius::AuthMethod::sql_server(url.username(), password));
    if url.query().is_some_and(|settings| settings.contains("encrypt=false")) {
        config.encryption(tiberius::EncryptionLevel::NotSupported);
    } else {
        config.trust_cert();
    }
    let stream = tokio::net::TcpStream::connect(config.get_addr()).await?;
    let mut client = tiberius::Client::connect(config, stream.compat_write()).await?;
    client.simple_query(sql).await?.into_results().await.map(drop)
}

/// The server that a variable gives; nothing where it does not, and `REEL_TEST_REQUIRE` does not name it.
pub fn server(name: &str, variable: &str) -> Option<String> {
    let server = std::env::var(variable).ok().filter(|server| !server.is_empty());
    let required = std::env::var("REEL_TEST_REQUIRE").unwrap_or_default();
    let named = required.split([',', ' ']).any(|required| required.trim() == name);
    assert!(server.is_some() || !named, "REEL_TEST_REQUIRE names {name}, but {variable} is not set");
    server
}

fn drop_with(server: String, sql: String) {
    // A runtime of its own, since nothing can be awaited in the one that may be running here.
    let dropping = std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        runtime.block_on(admin(&server, &sql));
    });
    // Where it fails a database is left over; the test has said what it had to say.
    let _ = dropping.join();
}

async fn admin(server: &str, sql: &str) {
    if server.starts_with("sqlserver:") {
        return insist(server, sql).await;
    }
    let statement = sqlx::raw_sql(AssertSqlSafe(sql));
    if server.starts_with("mysql:") {
        let mut connection = MySqlConnection::connect(server).await.expect("the server of REEL_TEST_MYSQL answers");
        statement.execute(&mut connection).await.expect("the user may make databases");
        connection.close().await.expect("a connection that worked can be closed");
    } else {
        let mut connection = PgConnection::connect(server).await.expect("the server of REEL_TEST_POSTGRES answers");
        statement.execute(&mut connection).await.expect("the user may make databases");
        connection.close().await.expect("a connection that worked can be closed");
    }
}
