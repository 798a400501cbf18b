//! Samples of values, for proposals of what to classify. Read as an
//! administrator in read-only transactions; they are looked at and forgotten.

use super::ProvisionError;
use super::control::Control;
use crate::core::classify::{Samples, is_telling};
use crate::core::model::{Column, Relation, RelationKind};
use crate::core::profile::quote_ident;
use crate::server::config::Upstream;

/// A longer text is cut: what it is shows at its beginning.
const TEXT: usize = 300;
/// A document that is cut is none; a larger one is not looked at.
const DOCUMENT: usize = 16_000;

pub struct Sampler {
    control: Control,
    rows: u32,
}

impl Sampler {
    /// Reads about `rows` rows of a relation, as the login of `admin`.
    pub fn new(admin: &Upstream, rows: u32) -> Result<Self, ProvisionError> {
        Ok(Self { control: Control::read_only(admin, &admin.database)?, rows })
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
            Some(rows) if rows as f64 > wanted * 10.0 && relation.kind != RelationKind::ForeignTable => {
                format!(" TABLESAMPLE SYSTEM ({:.6})", (wanted * 100.0 / rows as f64).max(0.000_001))
            }
            _ => String::new(),
        }
    }
}
