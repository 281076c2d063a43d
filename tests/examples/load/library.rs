//! The library alone, in the same run: what no cluster can be faster than.

use std::time::{Duration, Instant};

use crate::bare;
use crate::usage::Process;

/// Times of the bare library, one after another on this machine.
pub(crate) struct Library {
    /// Key generation by three parties, wall time.
    pub(crate) keygen: Duration,
    /// Presigning by two parties, processor time of both: [`presign`]'s.
    pub(crate) presign_cpu: Duration,
    /// Partial signatures of both, combined and verified, wall time.
    pub(crate) online: Duration,
    /// An interactive signature by two parties, wall time.
    pub(crate) interactive: Duration,
}

/// How often each is run.
const TIMES: u32 = 5;

pub(crate) async fn measure() -> Library {
    let start = Instant::now();
    for number in 0..TIMES {
        bare::keygen(number.into()).await;
    }
    let keygen = start.elapsed() / TIMES;
    let shares = bare::Shares::new().await;
    // The tables are used for the first time.
    shares.sign(99).await;

    let start = Instant::now();
    for number in 0..TIMES {
        shares.sign(number.into()).await;
    }
    let interactive = start.elapsed() / TIMES;

    let (presigned, presign_cpu) = presignatures(&shares).await;
    let start = Instant::now();
    for presignatures in presigned {
        shares.online(presignatures);
    }
    Library { keygen, presign_cpu, online: start.elapsed() / TIMES, interactive }
}

/// Presigning alone, once more: the processor's pace changes within minutes.
pub(crate) async fn presign() -> Duration {
    let shares = bare::Shares::new().await;
    shares.sign(99).await;
    presignatures(&shares).await.1
}

/// Presignatures, and the processor time of both parties for each.
async fn presignatures(shares: &bare::Shares) -> (Vec<Vec<bare::Half>>, Duration) {
    let (mut presigned, before) = (Vec::new(), processor());
    for number in 0..TIMES {
        presigned.push(shares.presign(1000 + u64::from(number)).await);
    }
    (presigned, (processor() - before) / TIMES)
}

/// Processor time of this process.
fn processor() -> Duration {
    let cpu = Process::read(std::process::id(), std::path::Path::new("")).cpu;
    Duration::from_secs_f64(cpu.presign + cpu.maths + cpu.rest)
}
