//! Progress of an enrolment: one bar per node, from finding primes to sealing.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Output;

/// What a node reports on its way, in order, by the beginning of its name; and what to call it. The protocol reports
/// more: what is not here leaves the bar where it is.
const MILESTONES: [(&str, &str); 9] = [
    ("finding primes", "finding safe primes"),
    ("waiting for the others", "primes found, waiting for the others"),
    ("Build Paillier key", "making Paillier and Pedersen keys"),
    ("Hash received msgs", "comparing what everybody received"),
    ("Validate round 1", "checking the others' keys"),
    ("Assemble security params", "proving its own key"),
    ("Validate ψ_j", "checking the others' proofs"),
    ("Assemble auxiliary info", "assembling"),
    ("sealing", "sealing"),
];

/// One bar per node on a terminal; one line per milestone elsewhere.
pub(crate) struct Enrolment {
    bars: MultiProgress,
    by_node: BTreeMap<String, (ProgressBar, usize)>,
    plain: Option<Output>,
}

impl Enrolment {
    pub(crate) fn new(output: Output) -> Self {
        let bars = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let plain = bars.is_hidden().then_some(output);
        Self { bars, by_node: BTreeMap::new(), plain }
    }

    /// `node` is in `stage`.
    pub(crate) fn stage(&mut self, node: &str, stage: &str) {
        let (bar, reached) = self.by_node.entry(node.to_owned()).or_insert_with(|| {
            let bar = self.bars.add(ProgressBar::new(MILESTONES.len() as u64));
            bar.set_style(style());
            bar.set_prefix(node.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            (bar, 0)
        });
        let Some((position, words)) = milestone(stage) else { return };
        if position < *reached {
            return;
        }
        *reached = position + 1;
        bar.set_position(position as u64);
        bar.set_message(words);
        if let Some(output) = self.plain {
            output.note(&format!("   {node:<12} {words}"));
        }
    }

    /// All nodes are done.
    pub(crate) fn done(self) {
        for (bar, _) in self.by_node.values() {
            bar.set_position(MILESTONES.len() as u64);
            bar.finish_with_message("done");
        }
    }

    /// It failed: the bars stay as they were.
    pub(crate) fn abandon(self) {
        for (bar, _) in self.by_node.values() {
            bar.abandon();
        }
    }
}

fn style() -> ProgressStyle {
    // The template is ours; were it broken, the plain bar would show.
    ProgressStyle::with_template("   {prefix:<12} [{elapsed:>4}] [{bar:24}] {msg}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn milestone(stage: &str) -> Option<(usize, &'static str)> {
    let known = MILESTONES.iter().enumerate().find(|(_, (name, _))| stage.starts_with(name));
    known.map(|(position, (_, words))| (position, *words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milestones_are_known_by_how_they_begin() {
        assert_eq!(milestone("finding primes").unwrap().0, 0);
        assert_eq!(milestone("Validate ψ_j (П_mod)").unwrap().1, "checking the others' proofs");
        assert_eq!(milestone("sealing").unwrap().0, MILESTONES.len() - 1);
        for other in ["Setup networking", "Validate ψ'_j,i (П_fac)", ""] {
            assert_eq!(milestone(other), None, "{other}");
        }
    }

    #[test]
    fn a_bar_never_goes_back() {
        let mut bars = Enrolment::new(Output::new(true));
        for stage in ["Build Paillier key", "finding primes", "surprise"] {
            bars.stage("agent-1", stage);
        }
        let (bar, reached) = &bars.by_node["agent-1"];
        assert_eq!((bar.position(), *reached), (2, 3));
    }
}
