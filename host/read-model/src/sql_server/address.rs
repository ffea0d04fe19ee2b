//! What a SQL Server URL says: `sqlserver://user:password@host:port/database?encrypt=…`. Only here, because the other drivers read theirs
//! themselves.

use percent_encoding::percent_decode_str;
use tiberius::{AuthMethod, Config, EncryptionLevel};
use url::Url;

/// Bytes in a packet: four times the usual, for rows that go in by the thousand.
const PACKET: u32 = 16_384;

/// Where SQL Server listens, unless the URL says otherwise.
const PORT: u16 = 1433;

/// What the driver needs to connect.
///
/// # Errors
/// What is wrong with the URL, which is not shown.
pub(super) fn read(url: &str) -> Result<Config, String> {
    let url = Url::parse(url).map_err(|error| format!("its URL is none ({error}): {FORM}"))?;
    let text = |part: &str| {
        let decoded = percent_decode_str(part).decode_utf8().map(std::borrow::Cow::into_owned);
        decoded.map_err(|_| "its URL has bytes in it that are no UTF-8".to_owned())
    };
    let host =
        url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("its URL names no host: {FORM}"))?;
    let database = text(url.path().trim_start_matches('/'))?;
    if database.is_empty() {
        return Err(format!("its URL names no database: {FORM}"));
    }
    if url.username().is_empty() {
        return Err(format!("its URL names no user: {FORM}"));
    }
    let mut config = Config::new();
    config.host(text(host)?.trim_start_matches('[').trim_end_matches(']'));
    config.port(url.port().unwrap_or(PORT));
    config.database(database);
    config.authentication(AuthMethod::sql_server(text(url.username())?, text(url.password().unwrap_or_default())?));
    config.application_name("reel");
    config.packet_size(PACKET);
    config.command_timeout(None);
    secure(&mut config, &url)?;
    Ok(config)
}

/// Whether rows travel so that whoever listens can read them.
pub(super) fn is_readable_by_others(url: &str) -> bool {
    let Ok(url) = Url::parse(url) else { return false };
    url.query_pairs().any(|(name, value)| name == "encrypt" && matches!(&*value, "login" | "false"))
}

const FORM: &str = "give sqlserver://user:password@host:port/database";

/// How the connection is encrypted, and whom it trusts. Without a word everything is, and the server's certificate must be good.
/// `login` encrypts the password alone, `false` nothing.
fn secure(config: &mut Config, url: &Url) -> Result<(), String> {
    let (mut encrypt, mut trust, mut authority) = ("true".to_owned(), "false".to_owned(), None);
    for (name, value) in url.query_pairs() {
        match &*name {
            "encrypt" => encrypt = value.into_owned(),
            "trust-server-certificate" => trust = value.into_owned(),
            "certificate-authority" => authority = Some(value.into_owned()),
            other => {
                return Err(format!(
                    "its URL has the unknown setting {other:?}: there are encrypt, trust-server-certificate and certificate-authority"
                ));
            }
        }
    }
    config.encryption(match encrypt.as_str() {
        "true" => EncryptionLevel::Required,
        "login" => EncryptionLevel::Off,
        "false" => EncryptionLevel::NotSupported,
        "strict" => EncryptionLevel::Strict,
        other => return Err(format!("encrypt={other} in its URL is none of true, login, strict, false")),
    });
    match (trust.as_str(), authority) {
        ("true", Some(_)) => Err("its URL trusts every certificate and names an authority: leave one out".to_owned()),
        ("true", None) => {
            config.trust_cert();
            Ok(())
        }
        ("false", Some(path)) => {
            config.trust_cert_ca(path);
            Ok(())
        }
        ("false", None) => Ok(()),
        (other, _) => Err(format!("trust-server-certificate={other} in its URL is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_where_and_who() {
        let config = read("sqlserver://the%20user:p%40ss@db.example:14330/read%20models?encrypt=false").unwrap();
        assert_eq!(config.get_addr(), "db.example:14330");
        let config = format!("{config:?}");
        assert!(config.contains("read models"), "{config}");
        assert_eq!(read("sqlserver://u:p@db.example/x").unwrap().get_addr(), "db.example:1433");
        assert_eq!(read("sqlserver://u:p@[::1]:1/x").unwrap().get_addr(), "::1:1");
    }

    #[test]
    fn rows_are_encrypted_unless_the_url_says_otherwise() {
        for (setting, readable) in [
            ("", false),
            ("?encrypt=true", false),
            ("?encrypt=strict", false),
            ("?encrypt=login", true),
            ("?encrypt=false", true),
        ] {
            assert_eq!(is_readable_by_others(&format!("sqlserver://u:p@db/x{setting}")), readable, "{setting}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for (url, what) in [
            ("sqlserver://u:secret@host", "no database"),
            ("sqlserver://u:secret@host/", "no database"),
            ("sqlserver:///x", "no host"),
            ("sqlserver://host/x", "no user"),
            ("sqlserver://u:secret@host:port/x", "port"),
            ("sqlserver://u:secret@host/x?encrypt=maybe", "encrypt=maybe"),
            ("sqlserver://u:secret@host/x?trust=1", "\"trust\""),
            ("sqlserver://u:secret@host/x?trust-server-certificate=1", "neither"),
            ("sqlserver://u:secret@host/x?trust-server-certificate=true&certificate-authority=a", "leave one out"),
        ] {
            let error = read(url).err().unwrap();
            assert!(error.contains(what) && !error.contains("secret"), "{url}: {error}");
        }
    }
}
