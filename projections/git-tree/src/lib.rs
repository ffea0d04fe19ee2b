//! The files of a git repository as they are now, a row each.

use reel_sdk::{Event, Events, Reject, Rows, Table, projection};

/// A file that exists.
#[derive(Debug, Clone, PartialEq, Table)]
#[table(name = "files", owner = path, index(author))]
struct File {
    /// Key of its stream.
    #[key(length = 400)]
    path: String,
    /// Id of its content.
    #[length(64)]
    blob: String,
    /// As git writes it: 100644, 100755, 120000…
    #[length(6)]
    mode: String,
    /// The last commit that changed it.
    #[length(64)]
    commit: String,
    /// Who made that commit.
    #[length(64)]
    author: String,
    /// How many commits touched it since it was last added, that one included.
    changes: i64,
}

#[derive(Events)]
#[rustfmt::skip]
enum FileEvent {
    #[kind("file-added")]    Added { commit: String, author: String, mode: String, blob: String },
    #[kind("file-modified")] Modified { commit: String, author: String, mode: String, blob: String },
    #[kind("file-deleted")]  Deleted,
}

/// The files of a repository, with the last change of each.
#[projection(
    name = "git-tree",
    version = "1.0.0",
    tables(File),
    queries(busiest(File, "order=changes.desc,path&limit={most}", most: i64 = 10))
)]
pub fn git_tree(event: Event<FileEvent>, rows: &mut Rows) -> Result<(), Reject> {
    let path = event.stream_key();
    match event.payload {
        FileEvent::Added { commit, author, mode, blob } => {
            rows.upsert(File { path: path.to_owned(), blob, mode, commit, author, changes: 1 });
        }
        FileEvent::Modified { commit, author, mode, blob } => {
            let values =
                (File::BLOB.set(blob), File::MODE.set(mode), File::COMMIT.set(commit), File::AUTHOR.set(author));
            rows.patch(File::key(path), values);
            rows.add(File::key(path), File::CHANGES, 1);
        }
        FileEvent::Deleted => rows.delete(File::key(path)),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
