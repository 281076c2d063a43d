//! Prints the JSON schema of policies:
//! `cargo run -p quorate-policy --example policy_schema > crates/policy/schema/policy.schema.json`

#![allow(clippy::print_stdout)]

fn main() {
    print!("{}", quorate_policy::json_schema());
}
