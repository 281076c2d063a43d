//! `quorate node`: nodes' keys go into a manifest draft; the coordinator tells who is attached.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use quorate_manifest::NodeDraft;
use quorate_proto::v1;
use quorate_types::{NodeId, Role};
use serde_json::json;

use super::manifest::edit;
use crate::cli::Globals;
use crate::client::{Client, ORDINARY, refused, within};
use crate::dev::identities::{NodeKeyFile, init_node};
use crate::dev::init::program;
use crate::files;
use crate::output::Answer;
use crate::profile::{Caller, Profile};
use crate::refusal::{OrRefuse, Refusal};
use crate::views::NodeView;

/// Nodes.
#[derive(Subcommand)]
pub(crate) enum Node {
    /// Add a node's public key to a manifest draft
    ///
    /// The key is what `quorate-node init` printed on the node's own machine (--key-file, `-` for stdin). With
    /// --data-dir and --id it is made here, for a node of this machine.
    Enrol(Enrol),
    /// List the manifest's nodes, and which are attached
    List,
}

/// See [`Node::Enrol`].
#[derive(Args)]
pub(crate) struct Enrol {
    /// The manifest draft to edit
    #[arg(long, value_name = "FILE")]
    manifest: PathBuf,
    /// agent, service or cold
    #[arg(long)]
    role: Role,
    /// What `quorate-node init` printed
    #[arg(long, value_name = "FILE", required_unless_present = "data_dir", conflicts_with = "data_dir")]
    key_file: Option<PathBuf>,
    /// Make the key here, in this data directory
    #[arg(long, value_name = "DIR", requires = "id")]
    data_dir: Option<PathBuf>,
    /// The node's name, with --data-dir
    #[arg(long, requires = "data_dir")]
    id: Option<NodeId>,
}

pub(crate) async fn run(command: Node, globals: &Globals) -> Result<Answer, Refusal> {
    match command {
        Node::Enrol(command) => enrol(&command, globals),
        Node::List => list(globals).await,
    }
}

fn enrol(command: &Enrol, globals: &Globals) -> Result<Answer, Refusal> {
    let made = key(command, globals)?;
    let NodeKeyFile { node, key } = made;
    let role = command.role.to_string();
    let edited = edit(&command.manifest, |draft| {
        draft.nodes.push(NodeDraft { id: node.clone(), role: role.clone(), key: key.clone() });
        Ok(())
    })?;
    let words = format!(
        "{node} is in {} as {role}, key {key}.\nCompare the key with what the node's machine printed. Next: {}",
        command.manifest.display(),
        edited.next
    );
    Answer::new(&json!({ "node": node, "role": role, "key": key, "manifest_version": edited.version }), words)
}

fn key(command: &Enrol, globals: &Globals) -> Result<NodeKeyFile, Refusal> {
    if let (Some(data_dir), Some(id)) = (&command.data_dir, &command.id) {
        return init_node(&program(globals, "quorate-node")?, data_dir, id.as_str());
    }
    let path = command.key_file.as_deref().ok_or_else(|| Refusal::usage("give --key-file or --data-dir"))?;
    let bytes = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::stdin().lock().take(64 * 1024).read_to_end(&mut bytes).or_invalid("stdin")?;
        bytes
    } else {
        files::read(path)?
    };
    serde_json::from_slice(&bytes)
        .or_invalid(format!("{}: expected what `quorate-node init` printed", path.display()))
        .map_err(|refusal| refusal.field("--key-file"))
}

async fn list(globals: &Globals) -> Result<Answer, Refusal> {
    let client = Client::connect(&Profile::find(globals, Caller::Operator)?).await?;
    let request = within(v1::ListNodesRequest {}, ORDINARY);
    let answer = client.cluster().list_nodes(request).await.map_err(refused)?.into_inner();
    let nodes: Vec<NodeView> = answer.nodes.into_iter().map(NodeView::from).collect();
    let hash = crate::views::hex(&answer.manifest_hash);
    let words = format!("{}\nmanifest version {}, {hash}", NodeView::table(&nodes), answer.manifest_version);
    let object =
        json!({ "nodes": nodes, "manifest_version": answer.manifest_version, "manifest_hash": hash });
    Answer::new(&object, words)
}
