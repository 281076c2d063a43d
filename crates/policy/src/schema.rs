//! The policy's JSON schema, for editors.

use schemars::schema_for;

use crate::draft::PolicyDraft;

/// The JSON schema (draft 2020-12) of the policy format, as checked in at `schema/policy.schema.json`. It knows shapes;
/// names of chains and assets, checksums and duplicates are for [`lint`](crate::lint).
pub fn json_schema() -> String {
    format!("{:#}\n", schema_for!(PolicyDraft).as_value())
}
