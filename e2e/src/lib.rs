//! The harness of the whole-system tests: the real `reel` binary started, spoken to as its users do, killed; databases of one's own; a
//! connection that can be cut; and independent answers to hold its rows against. Nothing of Reel is linked in: it is seen from outside.
//!
//! | variable | means |
//! |---|---|
//! | `REEL_TEST_POSTGRES` | a server, `postgres://user@host:port/postgres`: tests make databases of their own on it |
//! | `REEL_TEST_KAFKA`, `REEL_TEST_MONGODB` | brokers, `host:port,…`, and a server, `mongodb://host:port`: topics and databases of their own |
//! | `REEL_TEST_KAFKA_TLS` | a broker's listener with TLS, `host:port?ssl.ca.location=FILE`: in builds with `kafka-tls` |
//! | `REEL_TEST_MYSQL` | a MySQL or MariaDB server, `mysql://user@host:port/database`: the same |
//! | `REEL_TEST_SQLSERVER` | a SQL Server, `sqlserver://user:password@host:port/database`: the same |
//! | `REEL_TEST_REQUIRE` | names of servers (`postgres`, `mongodb`) without which tests fail instead of being passed over |
//! | `REEL_TEST_SEED` | the seed of all that is random in a test, as a failed one printed it |
//! | `REEL_TEST_BINARY` | the `reel` to test; else it is built |

pub mod apart;
pub mod author;
pub mod binary;
pub mod campaign;
pub mod components;
pub mod database;
pub mod deadline;
pub mod dice;
pub mod fold;
pub mod gate;
pub mod history;
pub mod kills;
pub mod place;
pub mod reel;
pub mod standby;
