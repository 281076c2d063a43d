//! Conditions that were read and checked, and what they say to a request.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, EntityId, EntityTypeName, EntityUid,
    Expression, Policy, PolicyId, PolicySet, Request, RestrictedExpression, Schema, ValidationMode,
    Validator,
};

use crate::{Kind, Part, Refused, Unmet};

/// Most conditions together.
pub const MAX_CONDITIONS: usize = 16;

/// Longest text of one condition, in bytes.
pub const MAX_BYTES: usize = 512;

/// Most brackets that one condition opens. Cedar reads and asks by recursion: so it never goes deep.
pub const MAX_BRACKETS: usize = 16;

/// Most metadata that conditions may read.
pub const MAX_NAMES: usize = 16;

/// Longest name of metadata, in bytes.
const MAX_NAME: usize = 64;

/// One condition: an expression in Cedar over `context`, true where it is met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// What people call it, and denials name.
    pub label: String,
    /// The expression.
    pub text: String,
}

/// Conditions that were checked against the types they declare. All of them must be met.
#[derive(Clone)]
pub struct Conditions {
    kinds: BTreeMap<String, Kind>,
    conditions: Vec<Condition>,
    policies: PolicySet,
    schema: Schema,
    wallet: EntityTypeName,
    action: EntityUid,
    resource: EntityUid,
}

impl Conditions {
    /// Reads conditions over these metadata, and checks each strictly against their types.
    ///
    /// # Errors
    /// [`Refused`] where there are none or too many, where one is no expression of Cedar, or could not be asked about
    /// metadata of these types, and where Cedar so much as warns of it: one that always holds, for example.
    pub fn parse(metadata: &[(String, Kind)], conditions: Vec<Condition>) -> Result<Self, Refused> {
        let whole = |reason: &dyn fmt::Display| Refused::new(Part::Whole, reason);
        if !(1..=MAX_CONDITIONS).contains(&conditions.len()) || metadata.len() > MAX_NAMES {
            let few = format!("expected 1 to {MAX_CONDITIONS} conditions over at most {MAX_NAMES} metadata");
            return Err(whole(&few));
        }
        let kinds = kinds(metadata)?;
        let (schema, _) = Schema::from_cedarschema_str(&schema(&kinds)).map_err(|error| whole(&error))?;
        let validator = Validator::new(schema.clone());
        let mut labels = BTreeSet::new();
        // What no condition forbids is permitted.
        let rest = Policy::parse(Some(PolicyId::new("rest")), "permit (principal, action, resource);");
        let mut policies = PolicySet::from_policies(rest).map_err(|error| whole(&error))?;
        for (at, condition) in conditions.iter().enumerate() {
            let refused = |reason: &dyn fmt::Display| Refused::new(Part::Condition(at), reason);
            if !labels.insert(condition.label.as_str()) {
                return Err(refused(&"another condition is called so"));
            }
            let policy = policy(at, &condition.text).map_err(|reason| refused(&reason))?;
            check(&validator, &policy).map_err(|reason| refused(&reason))?;
            policies.add(policy).map_err(|error| refused(&error))?;
        }
        let name = |name: &str| name.parse::<EntityTypeName>().map_err(|error| whole(&error));
        let (wallet, action, resource) = (name("Wallet")?, name("Action")?, name("Request")?);
        let action = EntityUid::from_type_name_and_id(action, EntityId::new("sign"));
        let resource = EntityUid::from_type_name_and_id(resource, EntityId::new("this"));
        Ok(Self { kinds, conditions, policies, schema, wallet, action, resource })
    }

    /// The type of each of the metadata that must be said.
    pub const fn kinds(&self) -> &BTreeMap<String, Kind> {
        &self.kinds
    }

    /// The conditions, as they were written.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// Every reason why what is said of a request of `wallet` does not meet them, in order; none where it does. Metadata
    /// that are not declared are not read.
    pub fn unmet(&self, wallet: &str, said: &BTreeMap<String, String>) -> Vec<Unmet<'_>> {
        let (mut values, mut unsaid) = (Vec::new(), Vec::new());
        for (name, kind) in &self.kinds {
            match said.get(name).and_then(|text| kind.read(text)) {
                Some(value) => values.push((name.clone(), value)),
                None => unsaid.push(Unmet::Unsaid { name, kind: *kind }),
            }
        }
        if !unsaid.is_empty() {
            return unsaid;
        }
        match self.request(wallet, values) {
            Ok(request) => self.judge(&request),
            Err(reason) => vec![Unmet::Failed(reason)],
        }
    }

    fn request(&self, wallet: &str, values: Vec<(String, RestrictedExpression)>) -> Result<Request, String> {
        let context = Context::from_pairs(values).map_err(|error| error.to_string())?;
        let wallet = EntityUid::from_type_name_and_id(self.wallet.clone(), EntityId::new(wallet));
        let (action, resource) = (self.action.clone(), self.resource.clone());
        let request = Request::new(wallet, action, resource, context, Some(&self.schema));
        request.map_err(|error| error.to_string())
    }

    fn judge(&self, request: &Request) -> Vec<Unmet<'_>> {
        let answer = Authorizer::new().is_authorized(request, &self.policies, &Entities::empty());
        let diagnostics = answer.diagnostics();
        let fired: BTreeSet<&PolicyId> = diagnostics.reason().collect();
        // Cedar leaves out what fails, and forbids nothing by it: here that is a no.
        let failed: BTreeMap<&PolicyId, String> = diagnostics.errors().map(failed_one).collect();
        let mut unmet = Vec::new();
        for (at, condition) in self.conditions.iter().enumerate() {
            let id = id(at);
            if let Some(reason) = failed.get(&id) {
                unmet.push(Unmet::Untold { condition, reason: reason.clone() });
            } else if fired.contains(&id) {
                unmet.push(Unmet::Fails(condition));
            }
        }
        let allowed = answer.decision() == Decision::Allow && failed.is_empty();
        if unmet.is_empty() && !allowed {
            unmet.push(Unmet::Failed("nothing permits it".to_owned()));
        }
        unmet
    }
}

fn failed_one(error: &AuthorizationError) -> (&PolicyId, String) {
    let AuthorizationError::PolicyEvaluationError(error) = error;
    (error.policy_id(), error.inner().to_string())
}

impl PartialEq for Conditions {
    /// All else is made of these.
    fn eq(&self, other: &Self) -> bool {
        (&self.kinds, &self.conditions) == (&other.kinds, &other.conditions)
    }
}

impl Eq for Conditions {}

impl fmt::Debug for Conditions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kinds, conditions, .. } = self;
        f.debug_struct("Conditions").field("kinds", kinds).field("conditions", conditions).finish()
    }
}

fn kinds(metadata: &[(String, Kind)]) -> Result<BTreeMap<String, Kind>, Refused> {
    let mut kinds = BTreeMap::new();
    for (at, (name, kind)) in metadata.iter().enumerate() {
        let refused = |reason: &str| Refused::new(Part::Name(at), reason);
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(plain) {
            return Err(refused("expected a name of small letters, digits and _"));
        }
        if kinds.insert(name.clone(), *kind).is_some() {
            return Err(refused("listed twice"));
        }
    }
    Ok(kinds)
}

/// A wallet signs a request, and the metadata are the context. In quotes, no name is a word of the language.
fn schema(kinds: &BTreeMap<String, Kind>) -> String {
    let fields: Vec<String> =
        kinds.iter().map(|(name, kind)| format!("\"{name}\": {}", kind.in_cedar())).collect();
    let context = fields.join(", ");
    format!(
        "entity Wallet; entity Request; \
         action sign appliesTo {{ principal: [Wallet], resource: [Request], context: {{ {context} }} }};"
    )
}

fn id(at: usize) -> PolicyId {
    PolicyId::new(at.to_string())
}

/// Forbids what does not meet the condition. The text must be an expression by itself, so that it can end nothing here.
fn policy(at: usize, text: &str) -> Result<Policy, String> {
    if text.len() > MAX_BYTES || text.bytes().filter(|byte| b"([{".contains(byte)).count() > MAX_BRACKETS {
        return Err(format!("at most {MAX_BYTES} bytes and {MAX_BRACKETS} opening brackets are accepted"));
    }
    // Nothing that a reader cannot see, or takes for something else.
    if !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
        return Err("expected printable ASCII in one line".to_owned());
    }
    text.parse::<Expression>().map_err(|error| error.to_string())?;
    // On its own line, so that a remark at its end takes nothing with it.
    let forbid = format!("forbid (principal, action, resource) unless {{\n{text}\n}};");
    Policy::parse(Some(id(at)), forbid).map_err(|error| error.to_string())
}

fn check(validator: &Validator, policy: &Policy) -> Result<(), String> {
    let alone = PolicySet::from_policies([policy.clone()]).map_err(|error| error.to_string())?;
    let found = validator.validate(&alone, ValidationMode::Strict);
    let error = found.validation_errors().map(ToString::to_string).next();
    let warning = || found.validation_warnings().map(ToString::to_string).next();
    error.or_else(warning).map_or(Ok(()), Err)
}
