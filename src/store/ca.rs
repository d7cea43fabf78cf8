//! The store's certificate authority, so that an install needs none from elsewhere. Its keys stay on the
//! store's volume; what others need to trust it is published in a ConfigMap. Authorities follow each
//! other with a long overlap, see [`crate::plan::certificates`].

mod files;
mod mint;
mod publish;

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rustls::ServerConfig;
use tokio::sync::watch;
use tracing::{info, warn};

use self::mint::Authority;
pub use self::publish::{Publication, publish};
use crate::{
    kubernetes::Chain,
    plan::certificates::{self, Validity},
};

/// How often the calendar is looked at.
const TICK: Duration = Duration::from_secs(3600);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    #[error("failed to {doing} {path}")]
    Files {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "{path} is no certificate authority of the store's; remove the file to have a new one made"
    )]
    Unreadable { path: PathBuf },
    #[error("failed to make a certificate")]
    Mint(#[source] rcgen::Error),
    #[error("failed to set TLS up")]
    Tls(#[source] rustls::Error),
    #[error("no certificate authority is valid now: is the clock right?")]
    NoneValid,
}

/// All authorities of the store, and the certificate that it shows.
pub struct Ca {
    folder: PathBuf,
    /// Names under which the store is reached, for its certificate.
    names: Vec<String>,
    authorities: Vec<Authority>,
    /// What the certificate that is shown now was made from.
    shown: Option<(Validity, DateTime<Utc>)>,
}

impl Ca {
    /// Reads what is in this folder, which is made if it is not there, and makes what lacks.
    pub fn open(folder: PathBuf, names: Vec<String>, now: DateTime<Utc>) -> Result<Self, CaError> {
        let authorities = files::read(&folder)?;
        let mut ca = Ca {
            folder,
            names,
            authorities,
            shown: None,
        };
        ca.renew(now)?;
        Ok(ca)
    }

    /// Makes another authority if it is time, and forgets expired ones; tells whether any changed.
    fn renew(&mut self, now: DateTime<Utc>) -> Result<bool, CaError> {
        let before = self.authorities.len();
        for authority in &self.authorities {
            if authority.validity.is_expired(now) {
                files::remove(&self.folder, authority)?;
            }
        }
        self.authorities
            .retain(|authority| !authority.validity.is_expired(now));
        let expired = self.authorities.len() < before;
        let needed = certificates::needs_authority(&self.validities(), now);
        if needed {
            let authority = Authority::make(now)?;
            files::write(&self.folder, &authority)?;
            info!(until = %authority.validity.until, "made a certificate authority");
            self.authorities.push(authority);
        }
        Ok(needed || expired)
    }

    /// The certificates of all authorities, as PEM: what others need to trust the store.
    pub fn bundle(&self) -> String {
        self.authorities
            .iter()
            .map(|authority| authority.certificate.as_str())
            .collect()
    }

    /// A fresh certificate and what a server shows it with; none while the last one is good.
    fn serving(&mut self, now: DateTime<Utc>) -> Result<Option<ServerConfig>, CaError> {
        let signer = certificates::signer(&self.validities(), now)
            .and_then(|index| self.authorities.get(index))
            .ok_or(CaError::NoneValid)?;
        let good = |(shown, by): (Validity, DateTime<Utc>)| {
            by == signer.validity.from && !certificates::needs_serving(shown, now)
        };
        if self.shown.is_some_and(good) {
            return Ok(None);
        }
        let issued = signer.issue(&self.names, now)?;
        self.shown = Some((issued.validity, signer.validity.from));
        issued.into_config().map(Some)
    }

    fn validities(&self) -> Vec<Validity> {
        self.authorities
            .iter()
            .map(|authority| authority.validity)
            .collect()
    }
}

/// What the keeping of certificates tells others.
pub struct Kept {
    /// For the server: the newest counts for each new connection.
    pub serving: watch::Receiver<Arc<ServerConfig>>,
    /// To be published: PEM of all authorities.
    pub bundle: watch::Receiver<String>,
}

/// Keeps the certificates current from now on, in a task of its own.
pub fn keep(mut ca: Ca, clock: fn() -> DateTime<Utc>) -> Result<Kept, CaError> {
    let first = ca.serving(clock())?.ok_or(CaError::NoneValid)?;
    let (serving_sender, serving) = watch::channel(Arc::new(first));
    let (bundle_sender, bundle) = watch::channel(ca.bundle());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(TICK).await;
            let now = clock();
            match ca.renew(now) {
                Ok(true) => drop(bundle_sender.send_replace(ca.bundle())),
                Ok(false) => {}
                Err(error) => warn!(error = %Chain(&error), "a certificate authority is due"),
            }
            match ca.serving(now) {
                Ok(Some(config)) => drop(serving_sender.send_replace(Arc::new(config))),
                Ok(None) => {}
                Err(error) => warn!(error = %Chain(&error), "the store's certificate is due"),
            }
        }
    });
    Ok(Kept { serving, bundle })
}

#[cfg(test)]
mod tests;
