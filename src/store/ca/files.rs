//! The authorities on the volume: one file each, readable by the store alone. A file is there whole or not
//! at all, and stays there after a power cut, since pods trust what was published from it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use super::{CaError, mint::Authority};

/// How the files of authorities end; one that ends otherwise was never finished.
const EXTENSION: &str = "pem";

/// Reads all authorities. The folder is made if it is not there.
pub fn read(folder: &Path) -> Result<Vec<Authority>, CaError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(failed("make", folder))?;
    let mut authorities = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed("read", folder))? {
        let path = entry.map_err(failed("read", folder))?.path();
        if path
            .extension()
            .is_none_or(|extension| extension != EXTENSION)
        {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(failed("read", &path))?;
        let authority = Authority::from_pem(&text).ok_or(CaError::Unreadable { path })?;
        authorities.push(authority);
    }
    authorities.sort_by_key(|authority| authority.validity);
    Ok(authorities)
}

/// Writes one, safe against a power cut.
pub fn write(folder: &Path, authority: &Authority) -> Result<(), CaError> {
    let path = path(folder, authority);
    let unfinished = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(authority.to_pem().as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, &path)?;
        File::open(folder)?.sync_all()
    };
    written().map_err(failed("write", &path))
}

/// Removes one.
pub fn remove(folder: &Path, authority: &Authority) -> Result<(), CaError> {
    let path = path(folder, authority);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", &path)(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn path(folder: &Path, authority: &Authority) -> PathBuf {
    let from = authority.validity.from.timestamp();
    folder.join(format!("{from}.{EXTENSION}"))
}

fn failed<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> CaError + 'a {
    move |source| CaError::Files {
        doing,
        path: path.to_owned(),
        source,
    }
}
