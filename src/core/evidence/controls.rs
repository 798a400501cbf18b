//! The controls that evidence is given for, the frameworks that ask for them,
//! and the rules by which exceptions from them are found.

use crate::core::model::Framework;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Control {
    Approved,
    Limited,
    Logged,
    Reviewed,
    Periodic,
    Recorded,
}

impl Control {
    pub const ALL: [Self; 6] =
        [Self::Approved, Self::Limited, Self::Logged, Self::Reviewed, Self::Periodic, Self::Recorded];

    /// Those that a framework asks for.
    pub fn asked_by(framework: Framework) -> impl Iterator<Item = Self> {
        let asks = move |control: &Self| {
            framework == Framework::All || control.references().iter().any(|(whose, _)| *whose == framework)
        };
        Self::ALL.into_iter().filter(asks)
    }

    pub fn id(self) -> &'static str {
        match self {
            Self::Approved => "R9.1",
            Self::Limited => "R9.2",
            Self::Logged => "R9.3",
            Self::Reviewed => "R9.4.1",
            Self::Periodic => "R9.4.2",
            Self::Recorded => "R9.5",
        }
    }

    pub fn title(self) -> &'static str {
        match self {
            Self::Approved => "Access is approved before it is granted",
            Self::Limited => "Access is time-limited",
            Self::Logged => "All queries are logged",
            Self::Reviewed => "Emergency access is reviewed",
            Self::Periodic => "Access is reviewed periodically",
            Self::Recorded => "Privileged access is recorded",
        }
    }

    pub fn requirement(self) -> &'static str {
        match self {
            Self::Approved => {
                "Every grant stands on a request with a reason, on the decision of a policy that was in force, \
                 and on every approval that this policy demanded: each given before the grant, by somebody \
                 other than the requester, and no two of them by one person."
            }
            Self::Limited => {
                "Every session belongs to one person's grant, begins inside its window, and ends with it: \
                 the database role that was made for it is proven gone within 30 seconds."
            }
            Self::Logged => {
                "Every statement of every session is on the ledger before the database sees it, with the \
                 person, the session and the grant, and so is what came of it; no record is missing."
            }
            Self::Reviewed => {
                "Access that nobody approved beforehand, in an incident, is reviewed by somebody else in \
                 time, and what the incident system could not confirm is confirmed by people."
            }
            Self::Periodic => {
                "In every quarter people who answer for it review who can get what, who got it and what was \
                 used, line by line and never their own, sign it in time, and what they take away stays so \
                 until another review."
            }
            Self::Recorded => {
                "Break-glass, schema changes and whatever else policy names are recorded as the person saw \
                 them, from the first statement to the last, and the recording's hashes are on the ledger."
            }
        }
    }

    /// What the report holds as evidence.
    pub fn evidence(self) -> &'static str {
        match self {
            Self::Approved => "approval chain, times, approvers",
            Self::Limited => "session start and end, proof of revocation",
            Self::Logged => "query audit trail by person",
            Self::Reviewed => "reviews and their findings",
            Self::Periodic => "access reviews, who decided what of each line, signatures",
            Self::Recorded => "session recordings with their hashes",
        }
    }

    /// What its population is made of.
    pub fn population(self) -> &'static str {
        match self {
            Self::Approved => "grants whose window touches the interval",
            Self::Limited | Self::Logged => "sessions that lived in the interval",
            Self::Reviewed => "break-glass grants whose window touches the interval",
            Self::Periodic => "access reviews that were open in the interval",
            Self::Recorded => "sessions that lived in the interval and had to be recorded",
        }
    }

    pub fn references(self) -> &'static [(Framework, &'static str)] {
        match self {
            Self::Approved => &[(Framework::Soc2, "CC6.1"), (Framework::Iso27001, "A.9.2")],
            Self::Limited => &[(Framework::Soc2, "CC6.2"), (Framework::Hipaa, "164.312(d)")],
            Self::Logged => &[(Framework::Pci, "10.2"), (Framework::Soc2, "CC7.2")],
            Self::Reviewed => &[(Framework::Soc2, "CC6.3"), (Framework::Iso27001, "A.9.2.5")],
            Self::Periodic => &[
                (Framework::Soc2, "CC6.2"),
                (Framework::Soc2, "CC6.3"),
                (Framework::Iso27001, "A.9.2.5 (2022: A.5.18)"),
                (Framework::Hipaa, "164.308(a)(4)(ii)(C)"),
                (Framework::Pci, "7.2.4"),
                (Framework::Nist, "AC-2(j)"),
            ],
            Self::Recorded => &[(Framework::Soc2, "CC6.1"), (Framework::Nist, "AU-14")],
        }
    }

    /// `SOC 2 CC6.1, ISO 27001 A.9.2`.
    pub fn cited(self) -> String {
        let cited: Vec<String> =
            self.references().iter().map(|(framework, place)| format!("{framework} {place}")).collect();
        cited.join(", ")
    }

    pub fn rules(self) -> impl Iterator<Item = Rule> {
        Rule::ALL.into_iter().filter(move |rule| rule.control() == self)
    }
}

macro_rules! rules {
    ($($rule:ident $control:ident $id:literal $finds:literal)+) => {
        /// One kind of exception.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule {
            $(#[doc = $finds] $rule,)+
        }

        impl Rule {
            pub const ALL: [Self; [$($id),+].len()] = [$(Self::$rule),+];

            /// As the data name it.
            pub fn id(self) -> &'static str {
                match self { $(Self::$rule => $id,)+ }
            }

            pub fn control(self) -> Control {
                match self { $(Self::$rule => Control::$control,)+ }
            }

            /// What it finds.
            pub fn finds(self) -> &'static str {
                match self { $(Self::$rule => $finds,)+ }
            }
        }
    };
}

rules! {
    NoRequest      Approved "no-request"       "a grant of a request that is not on the ledger"
    Refused        Approved "refused"          "a grant of a request that policy or a person had refused, or that had ended"
    NotApproved    Approved "not-approved"     "a grant without any approval, although its tier demanded one"
    NotComplete    Approved "not-complete"     "a grant with an approval missing that its tier demanded"
    ApprovedLate   Approved "approved-late"    "an approval that came after the grant"
    SelfApproval   Approved "self-approval"    "an approval by the requester, or in the requester's name"
    SamePerson     Approved "same-person"      "two approvals with one person behind them"
    OtherScript    Approved "other-script"     "an approval of another script than the one that was granted"
    UnknownPolicy  Approved "unknown-policy"   "a decision by a policy that was not in force then"
    NoGrant        Limited  "no-grant"         "a session under no grant"
    OtherAccess    Limited  "other-access"     "a session of another person, or in another target, than its grant's"
    OpenedBefore   Limited  "opened-before"    "a session that opened before its grant's window"
    OpenedAfter    Limited  "opened-after"     "a session that opened after its grant's window"
    OpenedRevoked  Limited  "opened-revoked"   "a session that opened after its grant was revoked"
    Outlived       Limited  "outlived"         "a role alive for more than 30 seconds after its grant's end"
    RevokedLate    Limited  "revoked-late"     "a role proven gone more than 30 seconds after its session's end"
    NeverDead      Limited  "never-dead"       "a role of an ended session that is not proven gone"
    TooLong        Limited  "too-long"         "a window longer than was asked for, or than policy allowed"
    SweptRole      Limited  "swept-role"       "a role in a database that no living session had; the sweeper removed it"
    NoOutcome      Logged   "no-outcome"       "statements whose outcome is not on the ledger"
    NoSession      Logged   "no-session"       "statements of a session that is not on the ledger"
    AfterDeath     Logged   "after-death"      "a statement after the session's role was gone"
    UnknownRecord  Logged   "unknown-record"   "records of a form that this version does not know"
    StatementsPruned Logged "statements-pruned" "statements that retention has taken out: only their hashes are left to show"
    RecordMissing  Logged   "record-missing"   "a place where the ledger's chain is broken, or a record beside it is missing"
    RecordTorn     Logged   "record-torn"      "a last line that a crash tore; it was cut off, and kept beside the ledger"
    NoReview       Reviewed "no-review"        "a break-glass grant that ended, and no review was opened"
    ReviewOverdue  Reviewed "review-overdue"   "a review that was not written when it was due"
    OwnReview      Reviewed "own-review"       "a review by the person who had the access"
    Unjustified    Reviewed "unjustified"      "access that its reviewer did not find justified"
    Unconfirmed    Reviewed "unconfirmed"      "access that went on without the incident system, and that people did not confirm in time"
    NoCampaign     Periodic "no-campaign"      "a whole quarter of the interval in which no access review was started"
    CampaignLate   Periodic "campaign-overdue" "an access review that was not signed when it was due"
    SignedOpen     Periodic "signed-open"      "an access review that was signed with undecided lines"
    OwnLine        Periodic "own-line"         "a decision about the reviewer's own access"
    Lifted         Periodic "lifted"           "what a review took, and security gave back without another review"
    NotRecorded    Recorded "not-recorded"     "a session that had to be recorded, without a recording"
    NotEnded       Recorded "not-ended"        "a recording without an end, of a session whose role is gone"
    RecordingLost  Recorded "recording-lost"   "a recording that lacks parts the ledger knows"
    RecordingPruned Recorded "recording-pruned" "a recording that retention has taken out: only its hashes are left to show"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r9_each_framework_gets_the_controls_that_it_asks_for() {
        let of = |framework: Framework| Control::asked_by(framework).map(Control::id).collect::<Vec<_>>();
        let table: [(&str, &[&str]); 6] = [
            ("soc2", &["R9.1", "R9.2", "R9.3", "R9.4.1", "R9.4.2", "R9.5"]),
            ("iso27001", &["R9.1", "R9.4.1", "R9.4.2"]),
            ("hipaa", &["R9.2", "R9.4.2"]),
            ("pci", &["R9.3", "R9.4.2"]),
            ("nist", &["R9.4.2", "R9.5"]),
            ("all", &["R9.1", "R9.2", "R9.3", "R9.4.1", "R9.4.2", "R9.5"]),
        ];
        for (name, controls) in table {
            assert_eq!(of(Framework::parse(name).unwrap()), controls, "{name}");
        }
        assert_eq!(Framework::parse("SOX"), None);
        assert_eq!(Control::Recorded.cited(), "SOC 2 CC6.1, NIST 800-53 AU-14");
    }
}
