//! Who this process is, kept fresh from disk while it runs.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::error::TlsError;
use crate::files::{Stamp, TlsFiles};
use crate::material::{Material, unix_seconds};
use crate::spiffe::SpiffeId;

/// This process's certificate, key and CA bundle. New connections use what was last read; old ones keep theirs.
pub struct Identity {
    files: TlsFiles,
    id: SpiffeId,
    material: ArcSwap<Material>,
}

impl Identity {
    /// Reads the files and checks that they fit together, are valid now and name one member of a cluster.
    ///
    /// # Errors
    /// [`TlsError`], naming the file.
    pub fn load(files: &TlsFiles) -> Result<Arc<Self>, TlsError> {
        let material = Material::read(files)?;
        let id = material.id.clone();
        Ok(Arc::new(Self { files: files.clone(), id, material: ArcSwap::from_pointee(material) }))
    }

    /// Our own name. It never changes while the process runs.
    pub fn id(&self) -> SpiffeId {
        self.id.clone()
    }

    /// When the certificate in use ends.
    pub fn not_after(&self) -> SystemTime {
        self.material.load().not_after
    }

    /// Reads the files again; new connections use the new material from here on.
    ///
    /// # Errors
    /// [`TlsError`], naming the file; the old material stays in use. Another name than the process started with
    /// is refused too: configuration and peers know it by the old one.
    pub fn reload(&self) -> Result<(), TlsError> {
        let material = Material::read(&self.files)?;
        if material.id != self.id {
            return Err(TlsError::Renamed {
                file: self.files.certificate.clone(),
                got: Box::new(material.id),
                ours: Box::new(self.id.clone()),
            });
        }
        self.material.store(Arc::new(material));
        Ok(())
    }

    /// Looks at the files every `every` and reloads when one changed; a failure keeps the old material, warns once
    /// per change and is tried again at each look. The task ends with the identity, or when it is aborted.
    /// Must be called inside a tokio runtime.
    pub fn spawn_reload(self: &Arc<Self>, every: Duration) -> JoinHandle<()> {
        let identity = Arc::downgrade(self);
        let mut refused = None;
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval(every.max(Duration::from_millis(10)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(identity) = identity.upgrade() else { return };
                // Files may sit on a slow disk: off the async threads.
                match tokio::task::spawn_blocking(move || identity.look(refused)).await {
                    Ok(next) => refused = next,
                    Err(_) => return,
                }
            }
        })
    }

    /// One look at the files: reloads where they changed. Takes and returns the last change that was refused, so
    /// that one bad file is one warning.
    fn look(&self, refused: Option<Stamp>) -> Option<Stamp> {
        let stamp = self.files.stamp();
        let refused = if stamp == self.material().stamp { None } else { self.apply(stamp, refused) };
        #[expect(clippy::cast_precision_loss, reason = "a gauge is f64; seconds since 1970 fit exactly")]
        metrics::gauge!("quorate_certificate_not_after_seconds").set(unix_seconds(self.not_after()) as f64);
        refused
    }

    fn apply(&self, stamp: Stamp, refused: Option<Stamp>) -> Option<Stamp> {
        match self.reload() {
            Ok(()) => {
                tracing::info!(id = %self.id, not_after = unix_seconds(self.not_after()), "certificate reloaded");
                metrics::counter!("quorate_certificate_reloads_total", "result" => "ok").increment(1);
                return None;
            }
            Err(error) if refused != Some(stamp) => {
                tracing::warn!(id = %self.id, %error, "certificate not reloaded, the old one stays in use");
                metrics::counter!("quorate_certificate_reloads_total", "result" => "refused").increment(1);
            }
            Err(_) => {}
        }
        Some(stamp)
    }

    pub(crate) fn material(&self) -> Arc<Material> {
        self.material.load_full()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}
