//! The story: what four people do with two databases in a minute or two, and
//! what must be true after each step. A file for each of its parts, in the order
//! of the three paths: reading, writing and migrations, emergencies.

mod emergency;
mod migration;
mod narrow;
mod reading;
mod record;
mod writing;

use super::step::Scene;

/// Session roles that exist in the cluster.
const SESSION_ROLES: &str = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'dbaccess\\_s\\_%'";

pub const STORY: &[&[Scene]] =
    &[reading::SCENES, narrow::SCENES, writing::SCENES, migration::SCENES, emergency::SCENES, record::SCENES];
