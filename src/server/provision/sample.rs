//! Samples of values, for proposals of what to classify; they are looked at and
//! forgotten.
//!
//! Read in an ordinary session, never as an administrator: reading a table runs
//! code of its owner (an index predicate's function when the query is planned,
//! a policy's when it is run), in a read-only transaction and after SET ROLE
//! too. In a session that code may read the tables to be looked at, and no more.

use super::control::Control;
use super::roles::SERVER;
use super::{OpenSession, ProvisionError, SessionSettings, Target};
use crate::core::classify::{Samples, is_telling};
use crate::core::model::{
    Catalog, Classification, Column, Objects, Permission, Relation, RelationKind, Scope, Secret, TableName,
};
use crate::core::profile::{quote_ident, session_role};
use crate::os;
use crate::server::config::Upstream;
use jiff::SignedDuration;
use std::collections::BTreeSet;
use std::time::Duration;

/// A longer text is cut: what it is shows at its beginning.
const TEXT: usize = 300;
/// A document that is cut is none; a larger one is not looked at.
const DOCUMENT: usize = 16_000;
/// The session ends when the sampling does. Should this process be killed, its
/// role stays locked up with a password that nobody knows until this has passed.
const WINDOW: SignedDuration = SignedDuration::from_mins(30);
const STATEMENT_LIMIT: Duration = Duration::from_secs(15);

/// A session that reads samples. It lives in the target: [`Sampler::close`] it.
pub struct Sampler<'t> {
    target: &'t Target,
    role: String,
    /// The access role's name.
    profile: String,
    control: Control,
    rows: u32,
}

impl<'t> Sampler<'t> {
    /// Whether a relation is one to look at: base tables hold their values
    /// themselves; a foreign table's server would have to know the session.
    pub fn reads(relation: &Relation) -> bool {
        matches!(relation.kind, RelationKind::Table | RelationKind::PartitionedTable)
    }

    /// Opens a session that can read `tables` as they are, with a new
    /// `password` and its SCRAM verifier, to read about `rows` rows of each.
    ///
    /// # Errors
    /// [`ProvisionError::Setup`] where the target is not set up. Nothing is left
    /// behind then, as far as the target can be reached.
    ///
    /// Cancel-safety: a cancelled opening may leave a role until its window ends.
    pub async fn open(
        target: &'t Target,
        catalog: &Catalog,
        tables: BTreeSet<TableName>,
        (password, verifier): (Secret, &Secret),
        rows: u32,
    ) -> Result<Self, ProvisionError> {
        let role = session_role(os::random());
        let login = Upstream { user: role.clone(), password: Some(password), ..target.upstream().clone() };
        let control = Control::read_only(&login, &login.database)?;
        let objects = Objects::Only { schemas: BTreeSet::new(), tables };
        let scope = Scope::new(objects, BTreeSet::from([Permission::Read]));
        // What is not classified yet is what there is to find: nothing is masked.
        let profile = target.profile(&scope, catalog, &Classification::default());
        let session = OpenSession {
            role: &role,
            verifier,
            until: os::now() + WINDOW,
            profile: &profile,
            // Said to be no running server's own, so that its sweeper leaves it alone.
            comment: &format!("dbaccess target classify{SERVER}none"),
            settings: SessionSettings::careful("dbaccess target classify", true, STATEMENT_LIMIT),
            // A second one, for when the first was lost and is not yet gone.
            connection_limit: 2,
        };
        let opened = target.open_session(&session).await;
        let sampler = Self { target, role, profile: profile.name().to_owned(), control, rows };
        match opened {
            Ok(()) => Ok(sampler),
            Err(error) => {
                // Most likely there is nothing to close; the first error says more.
                drop(sampler.close().await);
                Err(error)
            }
        }
    }

    /// Ends the session, as every session is ended: its role is gone then.
    pub async fn close(self) -> Result<(), ProvisionError> {
        self.target.close_session(&self.role).await?;
        if let Err(error) = self.target.drop_profile(&self.profile).await {
            // Used by somebody's session, or left to the server's housekeeping.
            tracing::debug!(%error, profile = %self.profile, "the profile stays");
        }
        Ok(())
    }

    /// Values of the columns whose type tells something.
    pub async fn sample(&self, relation: &Relation, columns: &[&Column]) -> Result<Samples, ProvisionError> {
        let columns: Vec<&Column> =
            columns.iter().copied().filter(|column| is_telling(&column.type_name)).collect();
        if columns.is_empty() || self.rows == 0 {
            return Ok(Samples::new());
        }
        let rows = self.control.call(&self.query(relation, &columns), &[]).await?;
        let values =
            |index: usize| rows.iter().filter_map(|row| row.get::<_, Option<String>>(index)).collect();
        Ok(columns.iter().enumerate().map(|(index, column)| (column.name.clone(), values(index))).collect())
    }

    fn query(&self, relation: &Relation, columns: &[&Column]) -> String {
        let column = |column: &&Column| {
            let length = if column.type_name.starts_with("json") { DOCUMENT } else { TEXT };
            format!("left({}::text, {length})", quote_ident(&column.name))
        };
        let columns: Vec<String> = columns.iter().map(column).collect();
        format!(
            "SELECT {} FROM {}.{}{} LIMIT {}",
            columns.join(", "),
            quote_ident(&relation.name.schema),
            quote_ident(&relation.name.name),
            self.part_of(relation),
            self.rows
        )
    }

    /// Of a large table some blocks from all over it: the first rows may be
    /// somebody's tests of years ago. Ten times the rows wanted, since blocks
    /// are uneven.
    fn part_of(&self, relation: &Relation) -> String {
        let wanted = f64::from(self.rows) * 10.0;
        match relation.rows {
            #[expect(clippy::cast_precision_loss, reason = "an estimate")]
            Some(rows) if rows as f64 > wanted * 10.0 => {
                format!(" TABLESAMPLE SYSTEM ({:.6})", (wanted * 100.0 / rows as f64).max(0.000_001))
            }
            _ => String::new(),
        }
    }
}
