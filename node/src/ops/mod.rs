//! What a coordinator may ask of this node, one file each. Every one of them decides for itself.

pub(crate) mod activate;
pub(crate) mod aux_info;
mod contribution;
pub(crate) mod denied;
pub(crate) mod freeze;
mod half;
pub(crate) mod hold;
pub(crate) mod keygen;
pub(crate) mod lapse;
pub(crate) mod manifest;
pub(crate) mod policy;
pub(crate) mod presign;
pub(crate) mod sign;
pub(crate) mod sign_online;
