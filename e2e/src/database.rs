//! Read databases of one's own: a file in the data directory, or a database on the PostgreSQL or MySQL server that the environment
//! gives.

use sqlx::{AssertSqlSafe, Connection, MySqlConnection, PgConnection};

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
