//! Named places in the life of a signature where a test has a process die: before a commit, after it, before an answer. Any
//! one of them is a place where a machine may lose its power.
//!
//! Only the feature `armed`, which tests alone turn on, makes a point of these places. In every other build a [`Failpoints`]
//! has no size, passing a point compiles to nothing, and no variable of the environment is read.

mod point;

pub use point::Point;

#[cfg(feature = "armed")]
mod armed;
#[cfg(feature = "armed")]
pub use armed::{Died, Failpoints, VARIABLE, pass};

#[cfg(not(feature = "armed"))]
mod absent;
#[cfg(not(feature = "armed"))]
pub use absent::{Died, Failpoints, pass};
