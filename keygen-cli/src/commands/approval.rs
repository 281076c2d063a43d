//! `quorate approval`: people say yes or no to what policy does not sign without them.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use quorate_approval::{ApprovalRequest, Subject};
use quorate_manifest::{Namespace, split_signatures};
use quorate_proto::{payload_from_pb, v1};
use quorate_types::WalletId;
use serde_json::json;

use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::files::{self, Mode};
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::ssh;
use crate::views::{CaseView, word};

/// Requests that wait for people, or on hold for time.
#[derive(Subcommand)]
pub(crate) enum Approval {
    /// List what waits
    List,
    /// Show one request, in words made here of its payload
    Show {
        #[command(flatten)]
        case: Case,
        /// Write what is to be signed to this file, for `ssh-keygen -Y sign -n approval@quorate FILE`
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Say yes: sign exactly this request
    Approve {
        #[command(flatten)]
        case: Case,
        /// The request as `approval show --out` wrote it and you read it: nothing else is signed
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// An approver's ssh private key [default: the dev cluster's]
        #[arg(long, value_name = "FILE", conflicts_with = "sig")]
        key: Option<PathBuf>,
        /// Signatures made elsewhere over the file of `approval show --out`; repeat for more files
        #[arg(long, value_name = "FILE")]
        sig: Vec<PathBuf>,
    },
    /// Say no, to a request on hold too. Whoever asked hears of it, and may ask again
    Refuse {
        #[command(flatten)]
        case: Case,
        /// Why, for whoever asked
        #[arg(long)]
        reason: String,
    },
}

/// Which request.
#[derive(Args)]
pub(crate) struct Case {
    /// The wallet
    wallet: WalletId,
    /// The request's idempotency key
    request: String,
}

pub(crate) async fn run(command: Approval, globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    match command {
        Approval::List => list(&client).await,
        Approval::Show { case, out } => show(&client, &case, out.as_deref()).await,
        Approval::Approve { case, file, key, sig } => {
            let body = files::read(&file).map_err(|refusal| refusal.field("--file"))?;
            approve(&client, globals, (case, body, key, sig)).await
        }
        Approval::Refuse { case, reason } => {
            let (wallet, idempotency_key) = (case.wallet.to_string(), case.request);
            let request = v1::RefuseRequest { wallet, idempotency_key, reason };
            let case = client.approvals().refuse(within(request, ORDINARY)).await.map_err(refused)?;
            answer(case.into_inner())
        }
    }
}

async fn list(client: &Client) -> Result<Answer, Refusal> {
    let (mut cases, mut request) = (Vec::new(), v1::ListApprovalsRequest::default());
    loop {
        let page = client.approvals().list_approvals(within(request.clone(), ORDINARY)).await;
        let v1::ListApprovalsResponse { cases: some, more } = page.map_err(refused)?.into_inner();
        let last = some.last().map(|case| (case.wallet.clone(), case.idempotency_key.clone()));
        for case in some {
            cases.push(CaseView::of(case)?);
        }
        let after = (&request.after_wallet, &request.after_idempotency_key);
        match last.filter(|(wallet, key)| more && (wallet, key) > after) {
            Some((wallet, key)) => (request.after_wallet, request.after_idempotency_key) = (wallet, key),
            None => break,
        }
    }
    let words = if cases.is_empty() { "nothing waits".to_owned() } else { CaseView::table(&cases) };
    Answer::new(&json!({ "cases": cases }), words)
}

async fn show(client: &Client, case: &Case, out: Option<&Path>) -> Result<Answer, Refusal> {
    let asked = get(client, case).await?;
    let Some(body) = asked.approval.as_ref().map(|approval| approval.body.clone()) else {
        return on_hold(CaseView::of(asked)?, out);
    };
    checked(client, &asked)?;
    let view = CaseView::of(asked)?;
    let mut words = view.words();
    if let Some(out) = out {
        files::create(out, &body, Mode::Public)?;
        let (file, wallet, request) =
            (word(&out.to_string_lossy()), word(&view.wallet), word(&view.idempotency_key));
        let signature = word(&format!("{}.sig", out.display()));
        words.push_str(&format!(
            "\nNext: quorate approval approve --file {file} --key KEY -- {wallet} {request}\n  or, on a token: ssh-keygen -Y \
             sign -n approval@quorate -f KEY {file}\n      quorate approval approve --file {file} --sig {signature} -- {wallet} \
             {request}"
        ));
    }
    Answer::new(&view, words)
}

fn on_hold(view: CaseView, out: Option<&Path>) -> Result<Answer, Refusal> {
    if out.is_some() {
        return Err(
            Refusal::invalid("it is on hold: it waits for time, and nobody signs anything").field("--out")
        );
    }
    let (wallet, request) = (word(&view.wallet), word(&view.idempotency_key));
    let words = format!(
        "{}\nNext, to stop it: quorate approval refuse --reason WHY -- {wallet} {request}",
        view.words()
    );
    Answer::new(&view, words)
}

async fn approve(
    client: &Client,
    globals: &Globals,
    (case, body, key, sig): (Case, Vec<u8>, Option<PathBuf>, Vec<PathBuf>),
) -> Result<Answer, Refusal> {
    // What was read is what is signed, whatever the coordinator tells by now.
    let said = ApprovalRequest::parse(&body).or_invalid("--file")?;
    if said.cluster != *client.cluster_id()?
        || said.wallet != case.wallet
        || said.idempotency_key != case.request
    {
        return Err(Refusal::invalid("it is about another request than the one named").field("--file"));
    }
    let signatures = if sig.is_empty() {
        let key = ssh::signing_key(globals, key.as_deref())?;
        vec![ssh::sign_body(&body, Namespace::Approval, &key)?]
    } else {
        let mut signatures = Vec::new();
        for path in &sig {
            let text = files::read_text(path).map_err(|refusal| refusal.field("--sig"))?;
            signatures.extend(split_signatures(&text).or_invalid(path.display())?);
        }
        signatures
    };
    let request = v1::ApproveRequest {
        wallet: case.wallet.to_string(),
        idempotency_key: case.request,
        approval: Some(v1::SignedDocument { body, signatures }),
    };
    answer(client.approvals().approve(within(request, ORDINARY)).await.map_err(refused)?.into_inner())
}

async fn get(client: &Client, case: &Case) -> Result<v1::ApprovalCase, Refusal> {
    let (wallet, idempotency_key) = (case.wallet.to_string(), case.request.clone());
    let request = v1::GetApprovalRequest { wallet, idempotency_key };
    Ok(client.approvals().get_approval(within(request, ORDINARY)).await.map_err(refused)?.into_inner())
}

/// The body asks about the very payload beside it, in the words that payload has.
fn checked(client: &Client, case: &v1::ApprovalCase) -> Result<(), Refusal> {
    let body = case.approval.as_ref().map(|approval| approval.body.as_slice()).unwrap_or_default();
    let asked = ApprovalRequest::parse(body).or_invalid("the case's body")?;
    let payload = payload_from_pb(case.payload.clone()).or_invalid("the case's payload")?;
    let decoded = quorate_intent::decode(&payload).or_invalid("the case's payload")?;
    let (wallet, summary) = (case.wallet.parse().or_invalid("the case's wallet")?, decoded.intent.summary());
    let subject = Subject {
        wallet: &wallet,
        payload_hash: payload.hash(),
        idempotency_key: &case.idempotency_key,
        summary: &summary,
        policy_hash: asked.policy_hash,
        timeout_s: 0,
    };
    let elsewhere = (asked.cluster != *client.cluster_id()?).then_some("cluster");
    match elsewhere.or_else(|| asked.differs(&subject)) {
        None => Ok(()),
        Some(field) => Err(Refusal::internal(format!(
            "the {field} approvers would sign is not the request's: sign nothing, and look into the coordinator"
        ))),
    }
}

fn answer(case: v1::ApprovalCase) -> Result<Answer, Refusal> {
    let view = CaseView::of(case)?;
    let words = view.words();
    Answer::new(&view, words)
}
