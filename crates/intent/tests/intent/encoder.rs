//! A second encoder of unsigned transactions, sharing no code with the first: Parity's RLP, `sha3`, and the
//! field lists as the EIPs write them.

use quorate_types::U256;
use rand::Rng;
use rlp::{Rlp, RlpStream};
use sha3::{Digest, Keccak256};

/// An address and its storage keys.
type AccessItem = (Vec<u8>, Vec<Vec<u8>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plain {
    pub(crate) ty: u8,
    pub(crate) chain: u64,
    pub(crate) nonce: u64,
    pub(crate) tip: u128,
    pub(crate) price: u128,
    pub(crate) gas: u64,
    pub(crate) to: Vec<u8>,
    pub(crate) value: U256,
    pub(crate) data: Vec<u8>,
    pub(crate) access: Vec<AccessItem>,
}

pub(crate) fn keccak(bytes: &[u8]) -> [u8; 32] {
    Keccak256::digest(bytes).into()
}

fn append_access(stream: &mut RlpStream, access: &[AccessItem]) {
    stream.begin_list(access.len());
    for (address, keys) in access {
        stream.begin_list(2).append(address).begin_list(keys.len());
        for key in keys {
            stream.append(key);
        }
    }
}

impl Plain {
    /// The bytes hashed for signing.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut stream = RlpStream::new();
        let value = self.value.to_be_bytes_trimmed_vec();
        match self.ty {
            0 => {
                stream.begin_list(9).append(&self.nonce).append(&self.price).append(&self.gas);
                stream.append(&self.to).append(&value).append(&self.data);
                stream.append(&self.chain).append(&0u8).append(&0u8);
            }
            1 => {
                stream.begin_list(8).append(&self.chain).append(&self.nonce).append(&self.price);
                stream.append(&self.gas).append(&self.to).append(&value).append(&self.data);
                append_access(&mut stream, &self.access);
            }
            _ => {
                stream.begin_list(9).append(&self.chain).append(&self.nonce).append(&self.tip);
                stream.append(&self.price).append(&self.gas).append(&self.to).append(&value);
                stream.append(&self.data);
                append_access(&mut stream, &self.access);
            }
        }
        let mut out = if self.ty == 0 { vec![] } else { vec![self.ty] };
        out.extend_from_slice(&stream.out());
        out
    }

    /// Reads the fields back, without a thought for canonical form.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let ty = if bytes[0] >= 0xc0 { 0 } else { bytes[0] };
        let list = Rlp::new(if ty == 0 { bytes } else { &bytes[1..] });
        let bytes = |i: usize| list.at(i).ok()?.data().ok().map(<[u8]>::to_vec);
        let number = |i| Some(U256::from_be_slice(&bytes(i)?));
        let long = |i| u64::try_from(number(i)?).ok();
        let wide = |i| u128::try_from(number(i)?).ok();
        let at = |legacy: usize, one: usize, two: usize| [legacy, one, two][usize::from(ty)];
        let access = if ty == 0 { vec![] } else { parse_access(&list.at(at(0, 7, 8)).ok()?)? };
        let price = wide(at(1, 2, 3))?;
        Some(Self {
            ty,
            chain: long(at(6, 0, 0))?,
            nonce: long(at(0, 1, 1))?,
            tip: if ty == 2 { wide(2)? } else { price },
            price,
            gas: long(at(2, 3, 4))?,
            to: bytes(at(3, 4, 5))?,
            value: number(at(4, 5, 6))?,
            data: bytes(at(5, 6, 7))?,
            access,
        })
    }

    pub(crate) fn random(rng: &mut impl Rng) -> Self {
        let ty = rng.gen_range(0..3);
        let price = rng.r#gen::<u128>() >> rng.gen_range(0..128);
        let tip = if ty == 2 { rng.gen_range(0..=price) } else { price };
        // At most 2^192 of fee: leave it room beside the value.
        let value: U256 = U256::from_be_bytes(rng.r#gen::<[u8; 32]>()) >> rng.gen_range(1..=256);
        Self {
            ty,
            chain: (rng.r#gen::<u64>() >> rng.gen_range(0..64)).max(1),
            nonce: rng.r#gen::<u64>() >> rng.gen_range(0..64),
            tip,
            price,
            gas: rng.r#gen::<u64>() >> rng.gen_range(0..64),
            to: random_bytes(rng, 20),
            value,
            data: random_data(rng),
            access: if ty == 0 { vec![] } else { random_access(rng) },
        }
    }
}

fn parse_access(list: &Rlp<'_>) -> Option<Vec<AccessItem>> {
    let item = |item: Rlp<'_>| {
        let keys =
            item.at(1).ok()?.iter().map(|key| key.data().ok().map(<[u8]>::to_vec)).collect::<Option<_>>()?;
        Some((item.at(0).ok()?.data().ok()?.to_vec(), keys))
    };
    list.iter().map(item).collect()
}

pub(crate) fn random_bytes(rng: &mut impl Rng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.r#gen()).collect()
}

fn random_data(rng: &mut impl Rng) -> Vec<u8> {
    let len = match rng.gen_range(0..4) {
        0 => 0,
        1 => rng.gen_range(1..8),
        2 => 68,
        _ => rng.gen_range(0..300),
    };
    random_bytes(rng, len)
}

fn random_access(rng: &mut impl Rng) -> Vec<AccessItem> {
    let items = if rng.gen_bool(0.5) { 0 } else { rng.gen_range(0..5) };
    let mut item = || {
        let keys = rng.gen_range(0..4);
        (random_bytes(rng, 20), (0..keys).map(|_| random_bytes(rng, 32)).collect())
    };
    (0..items).map(|_| item()).collect()
}
