//! How brokers are spoken to: over TLS or not, with whose login and by which mechanism, and what of it the client must have built in.
//! Its TLS and its SCRAM stand on OpenSSL, which the cargo feature `kafka-tls` brings.

use rdkafka::config::ClientConfig;

use super::{TopicUrlError, decoded, refused};

/// The mechanism of a login that names none.
const PLAIN: &str = "PLAIN";
/// Those that need a user and a password and nothing else; all but the first need OpenSSL.
const MECHANISMS: [&str; 3] = [PLAIN, "SCRAM-SHA-256", "SCRAM-SHA-512"];
/// The setting that names one, as librdkafka and as Java's client call it.
const MECHANISM_SETTINGS: [&str; 2] = ["sasl.mechanisms", "sasl.mechanism"];

/// What connections to brokers are made of, by the URL's scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Transport {
    /// `kafka://`: TCP.
    Plain,
    /// `kafkas://`: TLS over it.
    Tls,
}

impl Transport {
    /// The transport that a URL asks for, and what stands behind its scheme.
    pub(super) fn split(url: &str) -> Option<(Transport, &str)> {
        let begins = |transport: Transport| Some((transport, url.strip_prefix(transport.scheme())?));
        [Transport::Plain, Transport::Tls].into_iter().find_map(begins)
    }

    /// What URLs that ask for it begin with.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Transport::Plain => "kafka://",
            Transport::Tls => "kafkas://",
        }
    }
}

/// Who comes in, and by which mechanism that is proved.
#[derive(Clone, PartialEq, Eq)]
struct Login {
    user: String,
    password: String,
    mechanism: String,
}

/// How the brokers of one topic are spoken to.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Access {
    transport: Transport,
    /// Boxed: a topic's URL is passed around much, and most have none.
    login: Option<Box<Login>>,
}

impl Access {
    /// Takes what belongs to it out of the settings; `login` is `USER:PASSWORD`, percent-encoded.
    pub(super) fn take(
        transport: Transport,
        login: Option<&str>,
        settings: &mut Vec<(String, String)>,
    ) -> Result<Access, TopicUrlError> {
        let named = settings.extract_if(.., |(name, _)| MECHANISM_SETTINGS.contains(&name.as_str())).last();
        let mechanism = named.map(|(_, mechanism)| mechanism);
        if let Some(unknown) = mechanism.as_deref().filter(|named| !MECHANISMS.contains(named)) {
            return Err(refused(format!("sasl.mechanisms must be one of {}, not {unknown:?}", MECHANISMS.join(", "))));
        }
        if mechanism.is_some() && login.is_none() {
            return Err(refused("sasl.mechanisms goes with a login, USER:PASSWORD@ in front of the brokers"));
        }
        let of_tls = |name: &str| name.starts_with("ssl.") || name.starts_with("enable.ssl.");
        if let (Transport::Plain, Some((name, _))) = (transport, settings.iter().find(|(name, _)| of_tls(name))) {
            return Err(refused(format!("{name} goes with kafkas://, which is TLS")));
        }
        let mechanism = mechanism.unwrap_or_else(|| PLAIN.to_owned());
        let login = login.map(|login| Login::parse(login, mechanism)).transpose()?;
        Ok(Access { transport, login: login.map(Box::new) })
    }

    /// What URLs begin with that ask for it, without the password.
    pub(super) fn shown(&self) -> String {
        let user = self.login.as_ref().map(|login| format!("{}@", login.user)).unwrap_or_default();
        format!("{}{user}", self.transport.scheme())
    }

    /// Tells a client of it.
    pub(super) fn configure(&self, config: &mut ClientConfig) {
        let protocol = match (self.transport, &self.login) {
            (Transport::Plain, None) => "plaintext",
            (Transport::Plain, Some(_)) => "sasl_plaintext",
            (Transport::Tls, None) => "ssl",
            (Transport::Tls, Some(_)) => "sasl_ssl",
        };
        config.set("security.protocol", protocol);
        if self.transport == Transport::Tls {
            // The machine's own certificates, wherever it keeps them: where OpenSSL would look was settled when it was compiled.
            config.set("ssl.ca.location", "probe");
        }
        if let Some(Login { user, password, mechanism }) = self.login.as_deref() {
            config.set("sasl.mechanisms", mechanism).set("sasl.username", user).set("sasl.password", password);
        }
    }

    /// What it asks for that a client with these features (`ssl,sasl_scram,…`) has not.
    pub(super) fn lacking(&self, features: &str) -> Option<&'static str> {
        let has = |feature: &str| features.split(',').any(|built_in| built_in == feature);
        let is_scram = self.login.as_ref().is_some_and(|login| login.mechanism != PLAIN);
        match self.transport {
            Transport::Tls if !has("ssl") => Some("TLS (kafkas://)"),
            _ if is_scram && !has("sasl_scram") => Some("a login by SCRAM"),
            _ => None,
        }
    }
}

impl Login {
    fn parse(text: &str, mechanism: String) -> Result<Login, TopicUrlError> {
        let (user, password) = text.split_once(':').ok_or_else(|| refused("a user needs a password"))?;
        Ok(Login { user: decoded(user)?, password: decoded(password)?, mechanism })
    }
}

#[cfg(test)]
mod tests {
    use crate::topic::kafka::{ClientLacks, TopicUrl};

    /// What a client without OpenSSL, and one with it, say of themselves.
    const WITHOUT: &str = "gzip,snappy,sasl,regex,lz4,sasl_plain,plugins,zstd";
    const WITH: &str = "gzip,snappy,ssl,sasl,regex,lz4,sasl_plain,sasl_scram,plugins,zstd";

    fn url(text: &str) -> TopicUrl {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn refusal(text: &str) -> String {
        text.parse::<TopicUrl>().unwrap_err().to_string()
    }

    #[test]
    fn scheme_and_login_choose_the_protocol() {
        for (text, protocol, mechanism, ca) in [
            ("kafka://a:1/t", "plaintext", None, None),
            ("kafka://u:p@a:1/t", "sasl_plaintext", Some("PLAIN"), None),
            ("kafka://u:p@a:1/t?sasl.mechanism=SCRAM-SHA-256", "sasl_plaintext", Some("SCRAM-SHA-256"), None),
            ("kafkas://a:1/t", "ssl", None, Some("probe")),
            ("kafkas://u:p@a:1/t?ssl.ca.location=/c%20a.pem", "sasl_ssl", Some("PLAIN"), Some("/c a.pem")),
            ("kafkas://u:p@a:1/t?sasl.mechanisms=SCRAM-SHA-512", "sasl_ssl", Some("SCRAM-SHA-512"), Some("probe")),
        ] {
            let config = url(text).configure(&[]);
            assert_eq!(config.get("security.protocol"), Some(protocol), "{text}");
            assert_eq!(config.get("sasl.mechanisms"), mechanism, "{text}");
            assert_eq!(config.get("sasl.mechanism"), None, "{text}");
            assert_eq!(config.get("ssl.ca.location"), ca, "{text}");
        }
    }

    #[test]
    fn settings_of_tls_are_passed_on_and_never_shown() {
        let url = url("kafkas://bob:hush@a:1/t?ssl.key.password=hush&ssl.key.location=k.pem&ssl.key.pem=hush");
        let config = url.configure(&[]);
        assert_eq!((config.get("ssl.key.password"), config.get("ssl.key.location")), (Some("hush"), Some("k.pem")));
        assert_eq!(url.to_string(), "kafkas://bob@a:1/t");
        assert_eq!(format!("{url:?}"), "TopicUrl(kafkas://bob@a:1/t)");
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for (text, expected) in [
            ("kafkas:/a:1/t", "it does not begin with kafka:// or kafkas://"),
            ("kafka://a:1/t?security.protocol=ssl", "security.protocol is the scheme's: kafkas:// is TLS"),
            ("kafka://a:1/t?ssl.ca.location=x", "ssl.ca.location goes with kafkas://"),
            ("kafka://a:1/t?enable.ssl.certificate.verification=false", "goes with kafkas://"),
            ("kafkas://a:1/t?sasl.mechanisms=PLAIN", "sasl.mechanisms goes with a login"),
            ("kafkas://u:p@a:1/t?sasl.mechanism=GSSAPI", "one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, not \"GSSAPI\""),
        ] {
            assert!(refusal(text).contains(expected), "{text}: {}", refusal(text));
        }
    }

    #[test]
    fn a_client_without_openssl_has_neither_tls_nor_scram() {
        let lacking = |text: &str, features| url(text).access.lacking(features);
        let scram = "kafka://u:p@a:1/t?sasl.mechanisms=SCRAM-SHA-256";
        for text in ["kafka://a:1/t", "kafka://u:p@a:1/t"] {
            assert_eq!((lacking(text, WITHOUT), lacking(text, WITH)), (None, None), "{text}");
        }
        for (text, what) in [("kafkas://a:1/t", "TLS (kafkas://)"), (scram, "a login by SCRAM")] {
            assert_eq!((lacking(text, WITHOUT), lacking(text, WITH)), (Some(what), None), "{text}");
        }
    }

    /// What is linked into this very build has what its features say.
    #[test]
    fn a_build_without_the_feature_names_the_line_that_brings_it() {
        for text in ["kafkas://u:hush@a:1/t", "kafka://u:hush@a:1/t?sasl.mechanisms=SCRAM-SHA-512"] {
            let checked = url(text).check_client();
            if cfg!(feature = "kafka-tls") {
                assert!(checked.is_ok(), "{text}: {checked:?}");
                continue;
            }
            let said = checked.unwrap_err().to_string();
            assert!(said.contains("cargo build --release --features kafka-tls") && !said.contains("hush"), "{said}");
        }
    }

    #[test]
    fn a_setting_that_the_client_does_not_take_is_named_without_its_value() {
        for (text, name) in [
            ("kafka://a:1/t?socket.timeout=hush", "socket.timeout"),
            ("kafka://a:1/t?socket.timeout.ms=-7", "socket.timeout.ms"),
        ] {
            let error = url(text).check_client().unwrap_err();
            assert!(matches!(error, ClientLacks::Setting { .. }) && error.to_string().contains(name), "{error}");
            assert!(!error.to_string().contains("hush"), "{error}");
        }
        assert_eq!(url("kafka://a:1/t?socket.timeout.ms=7000&message.timeout.ms=1000").check_client(), Ok(()));
    }
}
