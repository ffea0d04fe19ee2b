//! From the configured place of an archive to the object store behind it.

use std::{fmt::Display, sync::Arc, time::Duration};

use object_store::{
    ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, path::Path,
};

use super::ArchiveError;

/// How long a request to object storage is tried again: afterwards the event store answers instead.
const PATIENCE: Duration = Duration::from_secs(20);

/// An object store, and the folder in it.
pub(super) struct Place {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) prefix: Path,
}

/// Opens the place that `url` names; see [`super::Archive::open`].
pub(super) fn open(url: &str) -> Result<Place, ArchiveError> {
    let refused = |reason: &dyn Display| ArchiveError::Place { url: url.to_owned(), reason: reason.to_string() };
    let Some((scheme, rest)) = url.split_once("://") else {
        return directory(url).map_err(|reason| refused(&reason));
    };
    if scheme == "file" {
        return directory(rest).map_err(|reason| refused(&reason));
    }
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(refused(&format!("it names no bucket: {scheme}://BUCKET/PREFIX is expected")));
    }
    let prefix = Path::from_url_path(prefix).map_err(|error| refused(&error))?;
    let objects = bucket_of(scheme, bucket).map_err(|error| refused(&error))?;
    let objects = objects.ok_or_else(|| {
        refused(&"a directory's path, file:///…, s3://BUCKET/…, gs://BUCKET/… or az://CONTAINER/… is expected")
    })?;
    Ok(Place { objects, prefix })
}

fn directory(path: &str) -> Result<Place, String> {
    if path.is_empty() {
        return Err("it names no directory".to_owned());
    }
    std::fs::create_dir_all(path).map_err(|error| format!("the directory cannot be made: {error}"))?;
    let objects = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
    Ok(Place { objects: Arc::new(objects.with_fsync(true)), prefix: Path::default() })
}

/// The bucket, where the scheme is one that is known.
fn bucket_of(scheme: &str, bucket: &str) -> Result<Option<Arc<dyn ObjectStore>>, object_store::Error> {
    let retry = RetryConfig { max_retries: 5, retry_timeout: PATIENCE, ..RetryConfig::default() };
    let client = ClientOptions::new().with_connect_timeout(PATIENCE / 4);
    Ok(match scheme {
        "s3" => Some(Arc::new(
            AmazonS3Builder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(client)
                .with_retry(retry)
                .build()?,
        )),
        "gs" => Some(Arc::new(
            GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(bucket)
                .with_client_options(client)
                .with_retry(retry)
                .build()?,
        )),
        "az" => Some(Arc::new(
            MicrosoftAzureBuilder::from_env()
                .with_container_name(bucket)
                .with_client_options(client)
                .with_retry(retry)
                .build()?,
        )),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_place_is_said() {
        for (url, part) in [
            ("", "names no directory"),
            ("s3:///x", "names no bucket"),
            ("ftp://host/x", "s3://BUCKET"),
            ("az://container/x", "ccount"),
        ] {
            let error = open(url).err().unwrap().to_string();
            assert!(error.contains(part), "{url}: {error}");
        }
    }

    #[test]
    fn a_directory_is_made() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        open(path.to_str().unwrap()).unwrap();
        open(&format!("file://{}", path.display())).unwrap();
        assert!(path.is_dir());
    }

    #[test]
    fn a_bucket_needs_no_server_to_be_named() {
        let place = open("s3://bucket/some/prefix").unwrap();
        assert_eq!(place.prefix, Path::from("some/prefix"));
    }
}
