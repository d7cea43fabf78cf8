//! Puts the runner where the agent's container can start it. `ship` has it in its image; the agent's
//! image is the user's own and knows nothing of us, so the program is copied into a folder that both
//! share. The copy is static, and appears at its name only when it is whole.
//!
//! The kubelet starts the agent when this has ended, so it may also wait for what `ship` does before that.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Everybody may read and start it, nobody may change it.
const MODE: u32 = 0o555;

/// Where this program's own bytes are, also when its file was replaced meanwhile.
const MYSELF: &str = "/proc/self/exe";

/// How often it is looked for what is waited for.
const EVERY: Duration = Duration::from_millis(20);

/// Why the runner was not installed.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("can't read the runner's own program {MYSELF}: {0}")]
    Read(io::Error),
    #[error("can't write the runner to {path}: {source}; is the folder mounted writable here?")]
    Write { path: PathBuf, source: io::Error },
}

/// Copies the running program to `destination`, which is replaced if it exists.
pub fn install(destination: &Path) -> Result<(), InstallError> {
    let mut source = File::open(MYSELF).map_err(InstallError::Read)?;
    let failed = |source| InstallError::Write {
        path: destination.to_owned(),
        source,
    };
    copy(&mut source, destination).map_err(failed)
}

/// Returns when there is something at this path. Whoever starts the pod decides how long that may take.
pub fn wait_for(path: &Path) {
    while !path.exists() {
        thread::sleep(EVERY);
    }
}

/// A copy that was interrupted leaves a file beside the destination; the next one removes it.
fn copy(source: &mut File, destination: &Path) -> io::Result<()> {
    let unfinished = destination.with_added_extension("new");
    match fs::remove_file(&unfinished) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut copy = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o700)
        .open(&unfinished)?;
    io::copy(source, &mut copy)?;
    copy.set_permissions(fs::Permissions::from_mode(MODE))?;
    // A file that is open for writing can't be started. Nothing is synced, which takes seconds on a busy disk:
    // whoever starts after a power cut installs anew.
    drop(copy);
    fs::rename(&unfinished, destination)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_whole_and_may_be_started_but_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("herd-runner");
        install(&destination).unwrap();
        assert_eq!(fs::read(&destination).unwrap(), fs::read(MYSELF).unwrap());
        assert_eq!(
            fs::metadata(&destination).unwrap().permissions().mode() & 0o7777,
            MODE
        );
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_stood_there_is_replaced_also_after_an_interrupted_copy() {
        let folder = tempfile::tempdir().unwrap();
        let destination = folder.path().join("herd-runner");
        fs::write(&destination, "old").unwrap();
        let half = folder.path().join("herd-runner.new");
        fs::write(&half, "half").unwrap();
        fs::set_permissions(&half, fs::Permissions::from_mode(MODE)).unwrap();
        install(&destination).unwrap();
        assert_eq!(fs::read(&destination).unwrap(), fs::read(MYSELF).unwrap());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = install(Path::new("/nowhere/herd-runner")).unwrap_err();
        assert!(
            error.to_string().contains("/nowhere/herd-runner"),
            "{error}"
        );
    }
}
