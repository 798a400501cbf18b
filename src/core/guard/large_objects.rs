//! The FunctionCall message: only the large-object functions, which libpq
//! calls that way. By OID, since the message names nothing else.

use super::reason::{Needs, Reason, refusal};
use super::script::{Message, check_message};
use super::{Allowed, Durability, Permit, Refusal, Rights, TxStatus};
use crate::core::model::Path;
use crate::core::sql::TxEffect;

/// The calls that libpq makes (`pg_proc.dat`; OIDs below 10,000 never change),
/// and whether they write.
const CALLS: &[(u32, &str, bool)] = &[
    (952, "lo_open", false),
    (953, "lo_close", false),
    (954, "loread", false),
    (955, "lowrite", true),
    (956, "lo_lseek", false),
    (957, "lo_creat", true),
    (715, "lo_create", true),
    (958, "lo_tell", false),
    (964, "lo_unlink", true),
    (1004, "lo_truncate", true),
    (3170, "lo_lseek64", false),
    (3171, "lo_tell64", false),
    (3172, "lo_truncate64", true),
];

/// Whether a FunctionCall message may pass, and the function's name for the record.
pub fn check_function_call(
    permit: &Permit,
    oid: u32,
    tx: TxStatus,
) -> Result<(&'static str, Allowed), Refusal> {
    check_message(permit, Message::FunctionCall)?;
    let Some((_, name, writes)) = CALLS.iter().find(|(known, ..)| *known == oid) else {
        let what = format!("calling function {oid} by the function-call message");
        return Err(refusal(permit, Reason::never(what, "call it in a SELECT")));
    };
    // A large object leaves as a file would.
    let needs = Needs { write: *writes, export: true, ..Needs::NONE };
    if let Some(reason) = needs.unmet(Rights::of(&permit.scope), || format!("the function {name}")) {
        return Err(refusal(permit, reason));
    }
    let strict = permit.path == Path::BreakGlass;
    let durability =
        if strict || (*writes && tx == TxStatus::Idle) { Durability::Synced } else { Durability::Written };
    Ok((name, Allowed { durability, effect: TxEffect::None }))
}
