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
    #[error("can't make the folder {path}: {source}; is the volume mounted writable here?")]
    Folder { path: PathBuf, source: io::Error },
}

/// The group of the pod's volumes may write wherever it may in the volume itself.
const GROUP_MAY_WRITE: u32 = 0o020;

/// Makes the agent's working directory, which belongs to whoever runs this: the agent's user. One that is there
/// stays as it is, since by then the agent works in it.
pub fn make_folder(path: &Path) -> Result<(), InstallError> {
    let make = || {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        let mut permissions = fs::metadata(path)?.permissions();
        permissions.set_mode(permissions.mode() | GROUP_MAY_WRITE);
        fs::set_permissions(path, permissions)
    };
    make().map_err(|source| InstallError::Folder {
        path: path.to_owned(),
        source,
    })
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
    fn a_folder_is_made_once_and_keeps_what_is_in_it_when_ship_starts_again() {
        let volume = tempfile::tempdir().unwrap();
        // As the kubelet makes an emptyDir in a pod with an fsGroup.
        fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o2777)).unwrap();
        let folder = volume.path().join("work");
        make_folder(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o2770, 0o2770, "{mode:o}");
        fs::write(folder.join("kept"), "").unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
        make_folder(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(folder.join("kept").exists());
        let error = make_folder(&folder.join("no/such")).unwrap_err();
        assert!(error.to_string().contains("no/such"), "{error}");
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
