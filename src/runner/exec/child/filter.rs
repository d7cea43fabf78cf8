//! What the agent may not ask of the kernel about its runner.
//!
//! Both run as one user in one PID namespace, so the kernel would let the agent lower the runner's limits
//! until it can't write or open anything more, take its processor time away, or fill its queue of
//! signals so that the kubelet's one is lost. A seccomp filter sees numbers and never memory, so each of
//! these calls is refused by its arguments, and whole calls where an argument does not tell:
//! pidfd_send_signal(2), since a socket of ours gives out our pidfd, and the F_SETSIG of fcntl(2), which
//! lets a file's owner be sent any signal, since an owner can be named by a pointer too.
//!
//! What stays allowed does no harm: kill(-1) leaves the first process of a namespace out. Refused calls
//! fail with EPERM. Another architecture's calls (32-bit programs on x86) end their process: their
//! numbers mean something else, and the filter could not tell what.

use std::collections::BTreeMap;

use nix::libc::{self, c_long};
use rustix::process::Pid;
use seccompiler::SeccompCmpArgLen::{Dword, Qword};
use seccompiler::SeccompCmpOp::{Eq, Ne};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule,
};

/// fcntl(2): the command that chooses which signal a file's owner gets.
const F_SETSIG: i32 = 10;

/// ioprio_set(2): whom the second argument names; in no header but the kernel's own.
mod ioprio {
    pub const PROCESS: i32 = 1;
    pub const GROUP: i32 = 2;
    pub const USER: i32 = 3;
}

/// getpriority(2): whom the second argument names.
mod priority {
    pub const PROCESS: i32 = 0;
    pub const GROUP: i32 = 1;
    pub const USER: i32 = 2;
}

/// The system calls of the x32 architecture: those of x86-64 with a bit set, and a few of its own.
#[cfg(target_arch = "x86_64")]
mod x32 {
    use nix::libc::{self, c_long};

    pub const BIT: c_long = 0x4000_0000;
    pub const OWN: [(c_long, c_long); 2] = [
        (libc::SYS_rt_sigqueueinfo, BIT | 524),
        (libc::SYS_rt_tgsigqueueinfo, BIT | 536),
    ];
}

/// A call that is refused when all conditions hold; without a condition always.
type Refused = (c_long, Vec<SeccompCondition>);

/// The filter that protects this process from whoever it is put on.
pub fn protecting(runner: Pid) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    for (call, conditions) in refused(runner.as_raw_nonzero().get())? {
        for number in numbers(call) {
            let rules = rules.entry(number).or_default();
            // A call with no rule at all is what always matches.
            if !conditions.is_empty() {
                rules.push(SeccompRule::new(conditions.clone())?);
            }
        }
    }
    SeccompFilter::new(
        rules,
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EPERM.cast_unsigned()),
        std::env::consts::ARCH.try_into()?,
    )?
    .try_into()
}

/// The first process of a container leads a process group with its own number.
fn refused(runner: i32) -> Result<Vec<Refused>, BackendError> {
    let mut refused = vec![
        (libc::SYS_prlimit64, vec![is(0, runner)?, is_not_null(2)?]),
        (libc::SYS_fcntl, vec![is(1, F_SETSIG)?]),
        // Whoever is in the runner's group means it by naming nobody.
        (libc::SYS_setpgid, vec![is(1, runner)?]),
        (libc::SYS_pidfd_send_signal, vec![]),
        (libc::SYS_tgkill, vec![is(1, runner)?]),
        (libc::SYS_rt_tgsigqueueinfo, vec![is(1, runner)?]),
    ];
    for call in [
        libc::SYS_sched_setscheduler,
        libc::SYS_sched_setparam,
        libc::SYS_sched_setattr,
        libc::SYS_sched_setaffinity,
        libc::SYS_kill,
        libc::SYS_tkill,
        libc::SYS_tgkill,
        libc::SYS_rt_sigqueueinfo,
        libc::SYS_rt_tgsigqueueinfo,
        libc::SYS_pidfd_open,
    ] {
        refused.push((call, vec![is(0, runner)?]));
    }
    for (call, process, group, user) in [
        (
            libc::SYS_setpriority,
            priority::PROCESS,
            priority::GROUP,
            priority::USER,
        ),
        (
            libc::SYS_ioprio_set,
            ioprio::PROCESS,
            ioprio::GROUP,
            ioprio::USER,
        ),
    ] {
        refused.push((call, vec![is(0, process)?, is(1, runner)?]));
        refused.push((call, vec![is(0, group)?, is(1, runner)?]));
        refused.push((call, vec![is(0, user)?]));
    }
    Ok(refused)
}

/// The kernel takes an `int` from the lower half of a register, whatever the upper half says.
fn is(argument: u8, value: i32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Dword, Eq, value.cast_unsigned().into())
}

fn is_not_null(argument: u8) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, Qword, Ne, 0)
}

/// All numbers by which a call can be made.
#[cfg(target_arch = "x86_64")]
fn numbers(call: c_long) -> Vec<c_long> {
    let own = x32::OWN.iter().filter(|(same, _)| *same == call);
    let mut numbers = vec![call, call | x32::BIT];
    numbers.extend(own.map(|(_, number)| number));
    numbers
}

/// All numbers by which a call can be made.
#[cfg(not(target_arch = "x86_64"))]
fn numbers(call: c_long) -> Vec<c_long> {
    vec![call]
}
