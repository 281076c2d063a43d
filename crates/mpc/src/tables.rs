//! Multi-exponentiation tables: powers of a group's ring-Pedersen generators, which halve the cost of signing.
//!
//! The library raises a generator from scratch for every entry, which takes seconds. Each entry is the one before it
//! raised to the 256th power, so eight squarings each make the same table in milliseconds. The library keeps the table's
//! fields to itself; it takes one in its serialized form, and a test holds the two builders equal.

use cggmp24::key_share::PedersenParams;
use cggmp24::security_level::{SecurityLevel128, max_exponents_size};
use paillier_zk::backend::Integer;
use paillier_zk::multiexp::MultiexpTable;
use serde::Serialize;

/// The library's table, field by field and in its order.
#[derive(Serialize)]
struct Table<'a> {
    s: Vec<Integer>,
    ell_x: &'a Integer,
    s_to_ell_x: Integer,
    t: Vec<Integer>,
    ell_y: &'a Integer,
    t_to_ell_y: Integer,
    modulus: &'a Integer,
}

/// Builds the table of one party's parameters. `None` where a generator is not invertible.
pub(crate) fn build(params: &PedersenParams) -> Option<MultiexpTable> {
    let (x_bits, y_bits) = max_exponents_size::<SecurityLevel128>();
    let modulus = &params.hat_N;
    let (ell_x, ell_y) = (least(x_bits), least(y_bits));
    let table = Table {
        s: powers(&params.s, x_bits, modulus),
        s_to_ell_x: params.s.pow_mod_ref(&ell_x, modulus)?,
        ell_x: &ell_x,
        t: powers(&params.t, y_bits, modulus),
        t_to_ell_y: params.t.pow_mod_ref(&ell_y, modulus)?,
        ell_y: &ell_y,
        modulus,
    };
    postcard::from_bytes(&postcard::to_allocvec(&table).ok()?).ok()
}

/// Digits of 8 bits that an exponent may have.
const fn digits(bits: u32) -> u32 {
    bits / 8 + 1
}

/// The smallest exponent: -(256^digits) + 1.
fn least(bits: u32) -> Integer {
    -Integer::u_pow_u(256, digits(bits)) + &Integer::one()
}

/// `base` to the powers 256^0, 256^1, and so on.
fn powers(base: &Integer, bits: u32, modulus: &Integer) -> Vec<Integer> {
    let raise = |power: &Integer| Some((0..8).fold(power.clone(), |power, _| power.square() % modulus));
    let first = base.clone() % modulus;
    let count = usize::try_from(digits(bits)).unwrap_or(usize::MAX);
    std::iter::successors(Some(first), raise).take(count).collect()
}

#[cfg(all(test, feature = "fixtures"))]
mod tests {
    use super::*;
    use crate::fixtures::group_aux;

    #[test]
    fn equals_the_librarys() {
        let (x_bits, y_bits) = max_exponents_size::<SecurityLevel128>();
        let aux = group_aux(0).unwrap();
        let params = &aux.info.pedersen_params[1];
        let theirs =
            MultiexpTable::build(&params.s, &params.t, x_bits, y_bits, params.hat_N.clone()).unwrap();
        let bytes = |table: &MultiexpTable| postcard::to_allocvec(table).unwrap();
        assert!(bytes(&build(params).unwrap()) == bytes(&theirs));
    }

    #[test]
    fn refuses_a_generator_without_inverse() {
        let aux = group_aux(0).unwrap();
        let mut params = aux.info.pedersen_params[0].clone();
        params.s = Integer::zero();
        assert!(build(&params).is_none());
    }
}
