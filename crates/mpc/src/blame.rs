//! Finds whose fault a library error is.
//!
//! The library keeps the blamed parties in private types: they are only to be had from its `Debug` output, and the
//! kind of error from the text of its chain. Both are pinned with the library's version and held by the rogue-party
//! tests; where the text says nothing, nobody is blamed by name.

use std::error::Error;

use quorate_types::PartyIndex;

use crate::error::MpcError;
use crate::wire::WireError;

/// Turns a library error of party `me` into ours. `participants` maps the library's positions back to keygen indices.
pub(crate) fn classify<E: Error + 'static>(
    error: &E,
    participants: &[PartyIndex],
    me: PartyIndex,
) -> MpcError {
    let chain = || causes(error);
    let wire = chain().find_map(|error| error.downcast_ref::<WireError>());
    match wire {
        Some(WireError::Refused { from, reason }) => {
            return MpcError::Peer { party: Some(*from), reason: reason.clone() };
        }
        Some(WireError::Closed) => return MpcError::Closed,
        Some(WireError::Encode) => return MpcError::Bug("encoding a message failed".to_owned()),
        None => {}
    }
    let words: Vec<String> = chain().map(ToString::to_string).collect();
    let says = |text: &str| words.iter().any(|word| word.contains(text));
    // The last words of the chain name the failed check. They hold no secrets: indices and names of proofs only.
    let reason = words.last().cloned().unwrap_or_default();
    if says("eof while rec") {
        MpcError::Closed
    } else if says("malicious") {
        let named = faulty_party(&format!("{error:?}"), participants);
        MpcError::Peer { party: named.or_else(|| only_other(participants, me)), reason }
    } else {
        MpcError::Bug(reason)
    }
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// Of two parties, the one that is not `me`: whom the library blames without a name.
fn only_other(participants: &[PartyIndex], me: PartyIndex) -> Option<PartyIndex> {
    match participants {
        [other, one] | [one, other] if *one == me && *other != me => Some(*other),
        _ => None,
    }
}

/// The first party the library blames.
fn faulty_party(debug: &str, participants: &[PartyIndex]) -> Option<PartyIndex> {
    let after = |mark| debug.split_once(mark).map(|(_, rest)| rest);
    // Key generation lists bare positions: `parties: [1]`.
    let rest = after("faulty_party: ").or_else(|| after("parties: ["))?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    participants.get(digits.parse::<usize>().ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_positions_back_to_parties() {
        let debug = "Aborted { parties: [AbortBlame { faulty_party: 1, data_message: 3 }] }";
        assert_eq!(faulty_party(debug, &[0, 2]), Some(2));
        assert_eq!(faulty_party("Feldman { parties: [0] }", &[1, 2]), Some(1));
        assert_eq!(faulty_party("faulty_party: 9", &[0, 2]), None);
        assert_eq!(faulty_party("nobody", &[0, 2]), None);
    }

    #[test]
    fn of_two_parties_the_other_is_to_blame() {
        assert_eq!(only_other(&[0, 1], 0), Some(1));
        assert_eq!(only_other(&[0, 2], 2), Some(0));
        assert_eq!(only_other(&[0, 2], 1), None);
        assert_eq!(only_other(&[0, 1, 2], 1), None);
    }
}
