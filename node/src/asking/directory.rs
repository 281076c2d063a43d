//! Where the socket may be made: in a place that nobody else can change, from the root down.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::AskingError;

const WRITABLE_BY_OTHERS: u32 = 0o022;
/// In such a directory everybody may take away and rename what is their own, and nothing else.
const STICKY: u32 = 0o1000;

/// Takes away the socket a run before left, and nothing else, and says where the next one goes: links on the way are
/// followed now, and not again.
///
/// # Errors
/// [`AskingError`], naming the path.
pub(super) fn clear(socket: &Path) -> Result<PathBuf, AskingError> {
    let failed = |source| AskingError::Io(socket.to_owned(), source);
    let me = rustix::process::geteuid().as_raw();
    let parent = socket.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let parent = fs::canonicalize(parent).map_err(failed)?;
    let name = socket.file_name().ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
    for directory in parent.ancestors() {
        let found = fs::symlink_metadata(directory).map_err(failed)?;
        if !is_safe(&found, me, directory != parent) {
            return Err(AskingError::Directory(directory.to_owned()));
        }
    }
    let socket = parent.join(name);
    match fs::symlink_metadata(&socket) {
        Ok(there) if there.file_type().is_socket() && there.uid() == me => {
            fs::remove_file(&socket).map_err(failed)?;
        }
        Ok(_) => return Err(AskingError::Taken(socket)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(socket)
}

/// As sshd asks it of the files it goes by: root's or this user's, and nobody else's to write. What only leads to the
/// socket's directory may be like `/tmp`, where others cannot touch what is this user's.
fn is_safe(directory: &Metadata, me: u32, leads_there: bool) -> bool {
    let mode = directory.mode();
    let ours = [me, 0].contains(&directory.uid());
    ours && (mode & WRITABLE_BY_OTHERS == 0 || (leads_there && mode & STICKY != 0))
}
