//! Access review campaigns, and what they bar.

use super::{StoreError, Tx};
use crate::core::model::{Bar, Campaign, CampaignId, CampaignLine, Grant, Identity, LineAbout, PersonRef};
use jiff::Timestamp;
use rusqlite::params;
use std::collections::BTreeSet;

type Result<T> = std::result::Result<T, StoreError>;

impl Tx<'_> {
    pub fn save_campaign(&self, campaign: &Campaign) -> Result<()> {
        let body = serde_json::to_string(campaign)?;
        self.run(
            "INSERT INTO campaign (id, started_at, signed, body, scheduled) VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT (id) DO UPDATE SET signed = ?3, body = ?4",
            params![
                campaign.id.as_str(),
                campaign.started_at.as_microsecond(),
                campaign.signed.is_some(),
                body,
                campaign.scheduled
            ],
        )
        .map(drop)
    }

    /// Whether the schedule has started the campaign of a quarter.
    pub fn has_scheduled(&self, quarter: &str) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM campaign WHERE scheduled = ?1)";
        Ok(self.0.prepare_cached(sql)?.query_row([quarter], |row| row.get(0))?)
    }

    pub fn save_line(&self, campaign: &CampaignId, line: &CampaignLine) -> Result<()> {
        let body = serde_json::to_string(line)?;
        self.run(
            "INSERT INTO campaign_line (campaign, line, decided, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (campaign, line) DO UPDATE SET decided = ?3, body = ?4",
            params![campaign.as_str(), line.line, line.decision.is_some(), body],
        )
        .map(drop)
    }

    /// The lines of a new campaign, in their order, as JSON.
    pub fn save_lines(&self, campaign: &CampaignId, lines: &[String]) -> Result<()> {
        let sql = "INSERT INTO campaign_line (campaign, line, decided, body) VALUES (?1, ?2, 0, ?3)";
        let mut numbered = (1_u32..).zip(lines);
        numbered.try_for_each(|(line, body)| self.run(sql, params![campaign.as_str(), line, body]).map(drop))
    }

    pub fn line(&self, campaign: &CampaignId, line: u32) -> Result<Option<CampaignLine>> {
        let sql = "SELECT body FROM campaign_line WHERE campaign = ?1 AND line = ?2";
        self.one(sql, params![campaign.as_str(), line])
    }

    /// Lines behind one, in their order.
    pub fn lines(&self, campaign: &CampaignId, after: u32, limit: u32) -> Result<Vec<CampaignLine>> {
        self.many(
            "SELECT body FROM campaign_line WHERE campaign = ?1 AND line > ?2 ORDER BY line LIMIT ?3",
            params![campaign.as_str(), after, limit],
        )
    }

    /// Lines by their numbers.
    pub fn lines_among(&self, campaign: &CampaignId, numbers: &[u32]) -> Result<Vec<CampaignLine>> {
        let numbers = serde_json::to_string(numbers)?;
        self.many(
            "SELECT body FROM campaign_line
             WHERE campaign = ?1 AND line IN (SELECT value FROM json_each(?2)) ORDER BY line",
            params![campaign.as_str(), numbers],
        )
    }

    /// Whom lines behind one are about, in their order.
    pub fn lines_about(&self, campaign: &CampaignId, after: u32, limit: u32) -> Result<Vec<LineAbout>> {
        let mut statement = self.0.prepare_cached(
            "SELECT line, body ->> '$.person.subject', body ->> '$.person.email', body ->> '$.target', decided
             FROM campaign_line WHERE campaign = ?1 AND line > ?2 ORDER BY line LIMIT ?3",
        )?;
        let found = statement.query_map(params![campaign.as_str(), after, limit], |row| {
            let person = PersonRef { subject: row.get(1)?, email: row.get(2)? };
            Ok(LineAbout { line: row.get(0)?, person, target: row.get(3)?, decided: row.get(4)? })
        })?;
        Ok(found.collect::<rusqlite::Result<_>>()?)
    }

    /// The numbers of the lines that nobody has decided.
    pub fn undecided_lines(&self, campaign: &CampaignId) -> Result<BTreeSet<u32>> {
        let sql = "SELECT line FROM campaign_line WHERE campaign = ?1 AND NOT decided";
        let mut statement = self.0.prepare_cached(sql)?;
        Ok(statement.query_map([campaign.as_str()], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
    }

    /// Everybody who was here, behind one of them, in the order of their subjects.
    pub fn people_after(&self, subject: &str, limit: u32) -> Result<Vec<Identity>> {
        let sql = "SELECT body FROM person WHERE subject > ?1 ORDER BY subject LIMIT ?2";
        self.many(sql, params![subject, limit])
    }

    /// Campaigns, the newest first; only those that nobody has signed, unless all are asked for.
    pub fn campaigns(&self, all: bool, limit: u32) -> Result<Vec<Campaign>> {
        self.many(
            "SELECT body FROM campaign WHERE ?1 OR signed = 0 ORDER BY started_at DESC, id LIMIT ?2",
            params![all, limit],
        )
    }

    /// The campaigns that the beginning of an id may mean.
    pub fn campaigns_named(&self, prefix: &str) -> Result<Vec<Campaign>> {
        self.beginning("campaign", CampaignId::PREFIX, prefix)
    }

    /// Bars somebody from a target, in place of what the same campaign barred before.
    /// What other campaigns took stays theirs.
    pub fn save_bar(&self, bar: &Bar) -> Result<()> {
        let body = serde_json::to_string(bar)?;
        self.run(
            "INSERT INTO bar (subject, target, campaign, body) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (subject, target, campaign) DO UPDATE SET body = ?4",
            params![bar.person.subject, bar.target, bar.campaign.as_str(), body],
        )
        .map(drop)
    }

    pub fn remove_bar(&self, bar: &Bar) -> Result<()> {
        let key = [bar.person.subject.as_str(), bar.target.as_str(), bar.campaign.as_str()];
        self.run("DELETE FROM bar WHERE subject = ?1 AND target = ?2 AND campaign = ?3", key).map(drop)
    }

    /// What bars one person from one target, by campaign.
    pub fn bars_of(&self, subject: &str, target: &str) -> Result<Vec<Bar>> {
        self.many(
            "SELECT body FROM bar WHERE subject = ?1 AND target = ?2 ORDER BY campaign",
            [subject, target],
        )
    }

    pub fn bars(&self) -> Result<Vec<Bar>> {
        self.many("SELECT body FROM bar ORDER BY target, subject, campaign", [])
    }

    /// Grants whose window has a part in a period, the first to end first.
    pub fn grants_between(&self, from: Timestamp, to: Timestamp) -> Result<Vec<Grant>> {
        let grants: Vec<Grant> = self.many(
            "SELECT body FROM access_grant WHERE until > ?1 ORDER BY until, id",
            [from.as_microsecond()],
        )?;
        Ok(grants.into_iter().filter(|grant| grant.from < to).collect())
    }
}
