//! Provisioning: profiles and sessions as roles in a target, and back out.
//!
//! ```text
//!  open_session ── opening ──► dbaccess.open_session(…)           one round trip
//!                              (ensure_profile first, when the profile is new or has drifted)
//!  close_session ─ ending ───► lock_session → end_connections…      the credential is dead
//!                  closing ──► close_session
//!                              (dispose_owned in other databases, where something was left)
//! ```
//!
//! Of a standby all of that is done on its primary; the standby shows it later,
//! and its sessions end first (`standby`).
//!
//! The target does the work in a handful of definer functions (`setup/`)
//! that defend themselves; the server's login may do nothing but call them.
//! This room decides no access: it is called with what was decided, by the use
//! cases that open and close sessions, by the sweeper and by doctor. It never
//! remembers a session: what exists is asked of the target.

mod catalog;
mod close;
mod control;
mod deploys;
mod error;
mod escapes;
mod findings;
mod open;
mod roles;
mod sample;
mod scan;
mod setup;
mod standby;

pub use close::{Closed, Step, StepTime};
pub use error::ProvisionError;
pub use open::{OpenSession, STATEMENT_TIMEOUT, SessionSettings};
pub use roles::{ManagedProfile, ManagedRole, SERVER};
pub use sample::Sampler;
pub use scan::{LoginRole, LoginRoles};
pub use setup::{SETUP_VERSION, SetupParams, apply_setup, apply_teardown, setup_sql, teardown_sql};

use crate::core::model::{Catalog, Classification, Scope};
use crate::core::profile::Profile;
use crate::server::config::Upstream;
use control::Control;
use standby::Standby;

/// One target, as the place where roles are made and removed. Cheap to keep:
/// four warm connections at most, made on first use and replaced when they die.
pub struct Target {
    /// Where sessions are.
    upstream: Upstream,
    /// Where roles are made and everything is read: of a standby the primary.
    writable: Upstream,
    /// For everything that may wait for somebody's lock.
    opening: Control,
    /// For locking sessions out: nothing that may wait for a lock is ever ahead of it.
    ending: Control,
    /// For removing what is locked out, and for housekeeping.
    closing: Control,
    standby: Option<Standby>,
}

impl Target {
    /// Connects on first use, so a target that is down is no error here.
    ///
    /// # Errors
    /// [`ProvisionError::Tls`] when the CA file is not usable.
    pub fn new(upstream: Upstream) -> Result<Self, ProvisionError> {
        let writable = upstream.writable();
        let opening = Control::new(&writable, &writable.database)?;
        let ending = Control::new(&writable, &writable.database)?;
        let closing = Control::new(&writable, &writable.database)?;
        let standby = Standby::of(&upstream)?;
        Ok(Self { upstream, writable, opening, ending, closing, standby })
    }

    pub fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// The profile of a scope in this target's database.
    pub fn profile(&self, scope: &Scope, catalog: &Catalog, classification: &Classification) -> Profile {
        Profile::compile(scope, catalog, classification, &self.upstream.database)
    }
}
