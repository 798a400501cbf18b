//! The words of the product as types: person, target, scope, request, grant,
//! session, event. A value that exists is valid; what is raw is parsed once, here.

mod break_glass;
mod budget;
mod bulk;
mod campaign;
mod catalog;
mod classification;
mod comparison;
mod condition;
mod delegation;
mod duration;
mod event;
mod explanation;
mod facts;
mod framework;
mod grant;
mod hold;
mod id;
mod incident;
mod kind;
mod lookup;
mod mask;
mod metric;
mod migration;
mod notice;
mod person;
mod policy;
mod quarter;
mod recording;
mod request;
mod result_shape;
mod review;
mod risk;
mod scope;
mod secret;
mod session;
mod standing;
mod statement;
mod suspension;
mod target;
mod unseal;

pub use break_glass::{BreakGlass, BreakGlassEnd, BreakGlassEndReason, Confirmation};
pub use budget::{Budget, Budgets};
pub use bulk::{BULK_FLOOR, BulkKind, BulkRead, BulkRule, percent, usual};
pub use campaign::{
    Bar, Campaign, CampaignLine, CampaignSigned, CampaignTold, LineAbout, LineDecision, LineRight,
    LineVerdict, Right,
};
pub(crate) use catalog::usual_type_name;
pub use catalog::{Catalog, Column, ForeignKey, Relation, RelationKind, Routine, RoutineKind, SchemaOwner};
pub use classification::{Classification, Classified, Rule, Selector};
pub use comparison::{Compared, OtherStatement, Run, RunState, ScriptComparison};
pub use condition::{Comparison, Condition};
pub use delegation::{Absence, Delegation, Ended, LONGEST_DELEGATION, MOST_DELEGATIONS};
pub use duration::{BadDuration, format_duration, parse_duration};
pub use event::{Actor, Event, StatementResult};
pub use explanation::{Explanation, Missing, RuleOutcome, RuleSaid};
pub use facts::{Facts, IncidentFact};
pub use framework::Framework;
pub use grant::{Grant, Revoked, Standing};
pub use hold::{Covered, Hold, PrunedBy, Released};
pub use id::{
    CampaignId, ConnectionId, DelegationId, GrantId, HoldId, IdKind, RequestId, ReviewId, SessionId, UnsealId,
};
pub use incident::{BadIncident, Incident, IncidentId, IncidentRef, IncidentState, IncidentSystem};
pub use kind::ErrorKind;
pub use lookup::nearest;
pub(crate) use lookup::split_name;
pub(crate) use mask::words;
pub use mask::{MIN_GROUP, Mask, Partial, PartialKind};
pub use metric::{Case, Goal, Metric, Part, Unit, Week};
pub use migration::{Hazard, HazardKind, Migration, ScriptRef, ScriptStatement, Severity};
pub use notice::{Notice, NoticeKind, Urgency};
pub use person::{Identity, Person, PersonRef};
pub use policy::PolicySource;
pub use quarter::Quarter;
pub use recording::{RecordingRecord, Recovered};
pub use request::{
    AccessRequest, Approval, Closed, Decision, Limits, Narrowing, Path, RequestState, Role, RuleRef, Slot,
    Tier, Via, either, needed,
};
pub use result_shape::{ResultColumn, ResultShape};
pub use review::{Review, ReviewFinding, ReviewTold, Verdict};
pub use risk::{Risk, RiskLevel};
pub(crate) use scope::name_part;
pub use scope::{AskedScope, Level, Objects, Permission, Scope, ScopeError, TableName};
pub use secret::Secret;
pub use session::{EndReason, Session, SessionState, Totals};
pub use standing::{MOST_ROLES, PasswordKind, ProbeAnswer, RoleScan, StandingRole};
pub use statement::{Export, StatementFacts, StatementRecord};
pub use suspension::{LONGEST_SUSPENSION, Suspension, USUAL_SUSPENSION};
pub use target::{Environment, Sensitivity, Target};
pub use unseal::{Unseal, UnsealDecision, UnsealState};
