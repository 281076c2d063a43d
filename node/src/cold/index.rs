//! The index beside the sealed files, appended to and synced before anybody is told of a share.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use quorate_recovery::{Entry, Line, last_line, next_entry};
use quorate_session::NodeKey;

use super::ColdError;

/// The index's name, beside the files.
pub(crate) const FILE_NAME: &str = "index.jsonl";

/// Far more than one line: the end of the index that is read to find the last one.
const TAIL: u64 = 16 * 1024;

/// Appends a signed line. A line that a crash cut short is removed first: nobody was told of its file.
pub(super) fn append(dir: &Path, entry: Entry, key: &NodeKey) -> Result<(), ColdError> {
    let path = dir.join(FILE_NAME);
    let disk = |source| ColdError::Disk { path: path.clone(), source };
    let refuse = |reason: String| ColdError::Index { path: path.clone(), reason };
    let opened =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let mut file = opened.map_err(disk)?;
    let (last, end) = tail(&mut file).map_err(disk)?.map_err(refuse)?;
    let line = next_entry(last.as_ref(), entry).and_then(|entry| entry.sign(key)).map_err(refuse)?;
    file.set_len(end)
        .and_then(|()| file.seek(SeekFrom::Start(end)).map(drop))
        .and_then(|()| file.write_all(format!("{line}\n").as_bytes()))
        .and_then(|()| file.sync_all())
        .and_then(|()| File::open(dir)?.sync_all())
        .map_err(disk)
}

/// The last whole line, and where it ends.
fn tail(file: &mut File) -> io::Result<Result<(Option<Line>, u64), String>> {
    let length = file.metadata()?.len();
    let start = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    Ok(match last_line(&bytes) {
        Ok((None, _)) if start > 0 => Err("its last line cannot be found; move the index away".to_owned()),
        Ok((last, whole)) => Ok((last, start + whole as u64)),
        Err(error) => Err(format!("its last line cannot be read ({}); move the index away", error.reason)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cluster;
    use quorate_manifest::Manifest;
    use quorate_recovery::read_index;
    use quorate_types::B256;
    use std::fs;

    fn entry(file: &str) -> Entry {
        Entry {
            version: 1,
            sequence: 0,
            previous: B256::ZERO,
            cluster: "dev".parse().unwrap(),
            node: "cold-1".parse().unwrap(),
            group: "g".parse().unwrap(),
            aux_hash: B256::ZERO,
            file: file.to_owned(),
            sha256: "00".repeat(32),
            bytes: 1,
            created_at_ms: 1,
            wallet: None,
        }
    }

    #[test]
    fn lines_are_chained_and_a_torn_one_is_replaced() {
        let cluster = Cluster::new();
        let manifest = Manifest::parse(&cluster.manifest(1, |_| {}).body).unwrap();
        let key = &cluster.keys[2];
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        for name in ["a", "b", "c"] {
            append(dir.path(), entry(name), key).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        let files = |text: &[u8]| {
            read_index(text, &manifest)
                .map(|entries| entries.into_iter().map(|entry| entry.file).collect::<Vec<_>>())
        };
        assert_eq!(files(&whole).unwrap(), ["a", "b", "c"]);
        // A crash in the middle of the last line.
        fs::write(&path, &whole[..whole.len() - 40]).unwrap();
        assert!(files(&whole[..whole.len() - 40]).unwrap_err().reason.contains("cut short"));
        append(dir.path(), entry("d"), key).unwrap();
        assert_eq!(files(&fs::read(&path).unwrap()).unwrap(), ["a", "b", "d"]);
        // A line removed, moved, altered or by another node is found.
        let text = String::from_utf8(whole).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let altered = text.replace("\"file\":\"b\"", "\"file\":\"x\"");
        let wrong = [
            (format!("{}\n{}\n", lines[0], lines[2]), "does not follow", 2),
            (format!("{}\n{}\n", lines[1], lines[0]), "does not follow", 1),
            (altered, "not signed", 2),
            (text.replace("\"dev\"", "\"prod\""), "of cluster prod", 1),
            (format!("{}\nnonsense\n", lines[0]), "malformed", 2),
        ];
        for (text, words, line) in wrong {
            let error = read_index(text.as_bytes(), &manifest).unwrap_err();
            assert!(error.reason.contains(words) && error.line == line, "{error}");
        }
        // The index of the service node, signed with the cold node's key.
        let forged = Entry { node: "service-1".parse().unwrap(), ..entry("a") }.sign(key).unwrap();
        let error = read_index(format!("{forged}\n").as_bytes(), &manifest).unwrap_err();
        assert!(error.reason.contains("not signed by service-1"), "{error}");
    }

    #[test]
    fn an_index_that_is_none_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = Cluster::new();
        fs::write(dir.path().join(FILE_NAME), "something else\n").unwrap();
        let refused = append(dir.path(), entry("a"), &cluster.keys[2]);
        assert!(matches!(refused, Err(ColdError::Index { .. })));
        assert_eq!(fs::read(dir.path().join(FILE_NAME)).unwrap(), b"something else\n");
    }
}
