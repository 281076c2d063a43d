//! `quorate group`: three nodes that share auxiliary information.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_manifest::GroupDraft;
use quorate_proto::v1;
use quorate_proto::v1::enrol_group_event::Event;
use quorate_types::{GroupId, NodeId};
use serde_json::json;
use tokio_stream::StreamExt;

use super::manifest::edit;
use crate::cli::Globals;
use crate::client::{Client, ENROL, ORDINARY, refused, within};
use crate::output::{Answer, Output};
use crate::profile::{Caller, Profile};
use crate::progress::Enrolment;
use crate::refusal::Refusal;
use crate::views::GroupView;

/// Groups.
#[derive(Subcommand)]
pub(crate) enum Group {
    /// Add a group to a manifest draft
    Create(Create),
    /// Generate a group's auxiliary information: once, before its first wallet
    Enrol {
        /// The group, as the manifest in force names it
        group: GroupId,
    },
    /// List groups
    List,
}

/// See [`Group::Create`].
#[derive(Args)]
pub(crate) struct Create {
    /// The group's name
    #[arg(long)]
    group: GroupId,
    /// Its agent node
    #[arg(long, value_name = "NODE")]
    agent: NodeId,
    /// Its service node
    #[arg(long, value_name = "NODE")]
    service: NodeId,
    /// Its cold node
    #[arg(long, value_name = "NODE")]
    cold: NodeId,
    /// The manifest draft to edit
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
}

pub(crate) async fn run(command: Group, globals: &Globals, output: Output) -> Result<Answer, Refusal> {
    match command {
        Group::Create(command) => create(&command),
        Group::Enrol { group } => {
            let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
            let view = enrol(&client, group.as_str(), output).await?;
            let words = format!(
                "Group {group} is enrolled, {}.\nNext: quorate wallet create --wallet W --agent A --group {group}",
                view.aux_hash
            );
            Answer::new(&view, words)
        }
        Group::List => list(globals).await,
    }
}

fn create(command: &Create) -> Result<Answer, Refusal> {
    let [agent, service, cold] = [&command.agent, &command.service, &command.cold].map(ToString::to_string);
    let id = command.group.to_string();
    let edited = edit(&command.manifest, |draft| {
        draft.groups.push(GroupDraft { id: id.clone(), agent, service, cold });
        Ok(())
    })?;
    let words = format!("Group {id} is in {}. Next: {}", command.manifest.display(), edited.next);
    Answer::new(&json!({ "group": id, "manifest_version": edited.version }), words)
}

/// Enrols a group and shows how far each node is.
pub(crate) async fn enrol(client: &Client, group: &str, output: Output) -> Result<GroupView, Refusal> {
    let request = v1::EnrolGroupRequest { group: group.to_owned() };
    let mut events =
        client.cluster().enrol_group(within(request, ENROL)).await.map_err(refused)?.into_inner();
    let mut bars = Enrolment::new(output);
    while let Some(event) = events.next().await {
        match event.map(|event| event.event) {
            Ok(Some(Event::Progress(progress))) => bars.stage(&progress.node, &progress.stage),
            Ok(Some(Event::Done(group))) => {
                bars.done();
                return Ok(GroupView::from(group));
            }
            // An event of a later version.
            Ok(None) => {}
            Err(status) => {
                bars.abandon();
                return Err(refused(status));
            }
        }
    }
    bars.abandon();
    Err(Refusal::unavailable("the coordinator ended the enrolment without a word")
        .next("`quorate group list` tells whether it is enrolled; if not, enrol again"))
}

/// Every group the coordinator knows.
pub(crate) async fn groups(client: &Client) -> Result<Vec<GroupView>, Refusal> {
    let request = within(v1::ListGroupsRequest {}, ORDINARY);
    let answer = client.cluster().list_groups(request).await.map_err(refused)?.into_inner();
    Ok(answer.groups.into_iter().map(GroupView::from).collect())
}

async fn list(globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let groups = groups(&client).await?;
    let words = GroupView::table(&groups);
    Answer::new(&json!({ "groups": groups }), words)
}
