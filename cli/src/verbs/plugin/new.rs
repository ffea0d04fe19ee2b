//! `reel plugin new`: the crate of a projection that works, to begin with. Not here: how it is built.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use reel_projector::Manifest;
use serde_json::json;

use crate::error::CliError;

/// `{name}` is the projection's name, `{sdk}` says where the SDK is.
const CARGO: &str = include_str!("template/Cargo.toml");

/// A projection of this workspace, built and tested as the others are, but for its name.
const PROJECTION: &str = include_str!("../../../../projections/starter/src/lib.rs");
const ITS_NAME: &str = "name = \"starter\"";

/// Makes the crate in `dir`, which must not be there yet, or be empty.
pub(super) fn make(dir: &Path, name: Option<String>, sdk: Option<String>) -> Result<String, CliError> {
    let name = match name {
        Some(name) => name,
        None => named_after(dir)?,
    };
    check(&name)?;
    let sdk = dependency(sdk)?;
    if fs::read_dir(dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(CliError::Conflict(format!("{} is not empty: name a folder that is not there yet", dir.display())));
    }
    let files = [
        ("Cargo.toml", CARGO.replace("{name}", &name).replace("{sdk}", &sdk)),
        ("src/lib.rs", PROJECTION.replace(ITS_NAME, &format!("name = \"{name}\""))),
        (".gitignore", "/target\n".to_owned()),
    ];
    for (place, text) in files {
        let path = dir.join(place);
        write(&path, &text)
            .map_err(|error| CliError::caused(format!("{} cannot be written", path.display()), error))?;
    }
    Ok(name)
}

/// Never over a file that somebody else made meanwhile.
fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::create_dir_all(path.parent().expect("every file lies in the folder"))?;
    fs::File::create_new(path)?.write_all(text.as_bytes())
}

fn named_after(dir: &Path) -> Result<String, CliError> {
    let name = dir.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned)
        .ok_or_else(|| CliError::Usage(format!("what is the projection in {} called? Say it by --name", dir.display())))
}

/// Names obey the rule of manifests; so the smallest one is read.
fn check(name: &str) -> Result<(), CliError> {
    let table = json!({"name": "items", "shared": true, "key": ["id"], "columns": [{"name": "id", "type": "int64"}]});
    let manifest = json!({"manifest": 1, "name": name, "version": "0", "kinds": ["*"], "tables": [table]});
    match Manifest::parse(&manifest.to_string()) {
        Ok(_) => Ok(()),
        Err(error) => Err(CliError::Usage(format!("{error}; --name says another one"))),
    }
}

/// Where the SDK is, as cargo is told: what was said, else where this program was built.
fn dependency(given: Option<String>) -> Result<String, CliError> {
    let Some(given) = given else {
        let built_here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../projections/sdk");
        return folder(&built_here).map_err(|_| {
            let message =
                "where is Reel's SDK? Say it by --sdk: the folder projections/sdk, or the URL of Reel's repository";
            CliError::Usage(message.to_owned())
        });
    };
    if given.contains("://") || given.starts_with("git@") {
        return Ok(format!("git = {}", quoted(given)));
    }
    folder(Path::new(&given))
        .map_err(|error| CliError::caused(format!("{given} is no folder of the SDK (projections/sdk)"), error))
}

fn folder(path: &Path) -> io::Result<String> {
    let path: PathBuf = path.canonicalize()?;
    fs::metadata(path.join("Cargo.toml"))?;
    Ok(format!("path = {}", quoted(path.display().to_string())))
}

fn quoted(text: String) -> String {
    toml::Value::String(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_made_is_refused_and_nothing_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| folder.path().join(name);
        let refused = |dir: &Path, name: Option<&str>, sdk: Option<&str>| {
            make(dir, name.map(str::to_owned), sdk.map(str::to_owned)).unwrap_err().to_string()
        };
        assert!(refused(&place("My Items"), None, None).contains("a-z"));
        assert!(refused(&place("items"), Some("9"), None).contains("--name"));
        assert!(refused(Path::new("/"), None, None).contains("--name"));
        assert!(refused(&place("items"), None, Some("/nowhere")).contains("projections/sdk"));
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
        fs::create_dir(place("full")).unwrap();
        fs::write(place("full/notes"), "").unwrap();
        assert!(refused(&place("full"), None, None).contains("not empty"));
        assert_eq!(fs::read_dir(place("full")).unwrap().count(), 1);
    }

    #[test]
    fn a_repository_is_named_as_cargo_wants_it() {
        let folder = tempfile::tempdir().unwrap();
        let url = "https://git.example/reel.git";
        assert_eq!(make(folder.path(), Some("rooms".to_owned()), Some(url.to_owned())).unwrap(), "rooms");
        let text = fs::read_to_string(folder.path().join("Cargo.toml")).unwrap();
        let cargo: toml::Table = text.parse().unwrap();
        assert_eq!(cargo["dependencies"]["reel-sdk"]["git"].as_str(), Some(url));
        assert_eq!(cargo["package"]["name"].as_str(), Some("rooms"));
        assert!(fs::read_to_string(folder.path().join("src/lib.rs")).unwrap().contains(r#"name = "rooms""#));
    }
}
