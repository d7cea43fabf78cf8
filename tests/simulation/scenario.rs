//! What a seed stands for: who does what when, and which requests go wrong. All of it is drawn before the
//! run, so that it can be told, and made smaller.

use std::collections::BTreeMap;

use super::{
    agents::Fate, api::Resource, bugs::Bug, collector::Cascade, faults::Fault, injected::Injected,
    random::Random, refusals::Forbidden,
};

/// Something that somebody does, at a moment of the agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    CreateJob(usize),
    /// Again and again, until the name is free.
    CreateAgain(usize),
    /// Creates a Job that continues this one's session.
    Continue(usize),
    Cancel(usize),
    Suspend(usize),
    Resume(usize),
    DeleteJob(usize),
    /// Deletes the pod of a Job's last attempt.
    DeletePod(usize),
    ForcePod(usize),
    /// And takes our finalizer off it.
    StripPod(usize),
    /// Deletes the Job, and takes its finalizers off.
    StripJob(usize),
    /// Makes it anew from what it was made of: another pod of the same name and Job.
    ReplacePod(usize),
    /// A pod that is no Job's takes the name of a Job's pod, if that is free.
    Stranger(usize, Likeness),
    EvictPod(usize),
    PreemptPod(usize),
    PressPod(usize),
    StartTwice(usize),
    DeleteAgent,
    CreateAgent,
    EditAgent,
    /// Its Jobs are to fail when a pod of theirs is lost.
    FailLost,
    /// Nobody hears of a node, and it of nobody.
    Silence(usize),
    /// The cluster notices.
    Unheard(usize),
    Return(usize),
    /// The machine is off for good, and its Node object deleted.
    RemoveNode(usize),
    /// The machine is off, and its Node object says so.
    TaintNode(usize),
    /// The machine starts again: nothing of what ran there is left.
    Restart(usize),
    DeleteNamespace,
    /// The cluster removes what is in it, as far as it goes.
    EmptyNamespace,
    /// Somebody else's finalizer is put before ours, on a Job and its last pod.
    Hold(usize),
    Unhold(usize),
    /// The API server takes no pod any more.
    Refuse(Refusal),
    Free,
    /// A policy keeps controllers from something.
    Forbid(Forbidden),
    /// No status is taken with which a Job would have more bytes than so.
    Limit(usize),
    /// All policies and limits are lifted.
    Allow,
    /// The Agent becomes large.
    Burden,
    /// Takes the label off the pod of a Job's last attempt.
    Unlabel(usize),
    /// Deletes a Job otherwise than kubectl does if nobody says how.
    Cascade(usize, Cascade),
    /// A policy of the cluster puts this into all pods from now on.
    Inject(Injected),
    InjectNothing,
    StoreGoes,
    StoreComes,
    RenewCa,
    Crash(usize),
    Pause(usize, u64),
    /// For so many milliseconds no renewal of its lease arrives.
    Mute(usize, u64),
    /// Somebody writes into the lease that this one holds it.
    GiveLease(usize),
    ListAgain(usize, Resource, usize),
    Skew(usize, i64),
    /// All that was broken is whole again.
    Heal,
}

/// Why the API server takes no pod, for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A quota of the namespace leaves no room.
    Quota,
    /// The quota is new.
    UnknownQuota,
    /// The namespace is new.
    NoAccount,
    Webhook,
}

impl Refusal {
    pub const ALL: [Refusal; 4] = [
        Refusal::Quota,
        Refusal::UnknownQuota,
        Refusal::NoAccount,
        Refusal::Webhook,
    ];

    /// Code, reason and words of the answer.
    pub fn answer(self) -> (u16, &'static str, &'static str) {
        match self {
            Refusal::Quota => (403, "Forbidden", "exceeded quota: none"),
            Refusal::UnknownQuota => (403, "Forbidden", "status unknown for quota: none"),
            Refusal::NoAccount => (403, "Forbidden", "error looking up service account default"),
            Refusal::Webhook => (
                500,
                "InternalError",
                "failed calling webhook \"a.b\": refused",
            ),
        }
    }
}

/// How much a stranger's pod looks like a Job's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Controllers see it.
    Labels,
    /// They don't, but for its name.
    Name,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub controllers: usize,
    /// The longest delay of a watch event, in milliseconds.
    pub lag: u64,
    pub deeds: Vec<(u64, Deed)>,
    /// What goes wrong with which request of the controllers.
    pub faults: BTreeMap<u64, Fault>,
    pub bug: Option<Bug>,
    /// How long every agent works before it succeeds, in milliseconds; drawn for each if not told.
    pub works: Option<u64>,
    /// Keep the story.
    pub told: bool,
}

impl Scenario {
    /// One Job, and nothing goes wrong.
    pub fn calm(seed: u64) -> Scenario {
        Scenario {
            seed,
            controllers: 1,
            lag: 100,
            deeds: vec![(10, Deed::CreateJob(0))],
            faults: BTreeMap::new(),
            bug: None,
            works: None,
            told: false,
        }
    }

    pub fn with(mut self, deeds: &[(u64, Deed)]) -> Scenario {
        self.deeds.extend_from_slice(deeds);
        self
    }

    /// Anything.
    pub fn by_chance(seed: u64) -> Scenario {
        let mut random = Random::new(seed).fork();
        if random.once_in(4) {
            return Scenario::name_again(seed, random);
        }
        let jobs = random.between(1, 4);
        let controllers = 1 + usize::from(random.once_in(2));
        let mut deeds: Vec<(u64, Deed)> = (0..jobs)
            .map(|job| (random.between(1, 8_000), Deed::CreateJob(job as usize)))
            .collect();
        for _ in 0..random.between(0, 8) {
            let job = random.between(0, jobs) as usize;
            let at = random.between(500, 40_000);
            let deed = deed(&mut random, job, controllers);
            deeds.push((at, deed));
            let later = at + random.between(2_000, 90_000);
            match deed {
                Deed::Suspend(job) if random.once_in(4) => {
                    deeds.push((at + random.between(50, 3_000), Deed::Resume(job)));
                }
                Deed::Suspend(job) if !random.once_in(3) => deeds.push((later, Deed::Resume(job))),
                Deed::DeleteJob(job) if random.once_in(2) => {
                    deeds.push((at + 100, Deed::CreateAgain(job)));
                }
                Deed::DeleteAgent => deeds.push((later, Deed::CreateAgent)),
                Deed::Silence(node) => {
                    let ends = [
                        Deed::Return(node),
                        Deed::RemoveNode(node),
                        Deed::TaintNode(node),
                    ];
                    deeds.push((later, *random.pick(&ends)));
                }
                Deed::Hold(job) => deeds.push((later, Deed::Unhold(job))),
                Deed::Refuse(_) => deeds.push((later, Deed::Free)),
                Deed::Inject(_) => deeds.push((later, Deed::InjectNothing)),
                Deed::StoreGoes => deeds.push((later, Deed::StoreComes)),
                Deed::Forbid(_) | Deed::Limit(_) => deeds.push((later, Deed::Allow)),
                _ => {}
            }
        }
        deeds.sort_by_key(|(at, _)| *at);
        let mut faults = BTreeMap::new();
        let rate = *random.pick(&[0, 0, 25, 10, 5]);
        for call in 1..200 {
            if rate > 0 && random.once_in(rate) {
                faults.insert(call, *random.pick(&Fault::ALL));
            }
        }
        Scenario {
            seed,
            controllers,
            lag: *random.pick(&[50, 300, 2_000, 8_000]),
            deeds,
            faults,
            bug: None,
            works: None,
            told: false,
        }
    }

    /// A Job is deleted and its name comes back at once, while something is slow or lost.
    fn name_again(seed: u64, mut random: Random) -> Scenario {
        let controllers = 1 + usize::from(random.once_in(2));
        let deleted = random.between(1_500, 12_000);
        let mut deeds = vec![
            (10, Deed::CreateJob(0)),
            (deleted, Deed::DeleteJob(0)),
            (deleted + 100, Deed::CreateAgain(0)),
        ];
        if random.once_in(2) {
            let later = deleted + random.between(500, 40_000);
            deeds.push((later, deed(&mut random, 0, controllers)));
        }
        let faults = (0..random.between(0, 3))
            .map(|_| {
                // What arrives when the name has changed hands harms most.
                let late = random.once_in(2);
                let fault = if late {
                    Fault::Slow(60_000)
                } else {
                    *random.pick(&Fault::ALL)
                };
                (random.between(3, 25), fault)
            })
            .collect();
        Scenario {
            controllers,
            lag: *random.pick(&[50, 300, 2_000, 8_000]),
            deeds,
            faults,
            ..Scenario::calm(seed)
        }
    }

    /// How long an attempt's agent works by itself, in milliseconds.
    pub fn duration(&self, pod: &str) -> u64 {
        if let Some(works) = self.works {
            return works;
        }
        let mut random = self.draw(pod);
        let longest = *random.pick(&[2_000, 10_000, 25_000, 110_000]);
        random.between(500, longest)
    }

    /// What an attempt's agent comes to by itself.
    pub fn fate(&self, job: &str, attempt: u32) -> Fate {
        if self.works.is_some() {
            return Fate::Succeeds;
        }
        *self.draw(&format!("{job}/{attempt}")).pick(&Fate::ALL)
    }

    /// The sandbox of this pod is lost before anything starts in it.
    pub fn is_lost(&self, pod: &str) -> bool {
        !self.faults.is_empty() && self.draw(pod).once_in(20)
    }

    fn draw(&self, about: &str) -> Random {
        let number = about.bytes().fold(self.seed, |number, byte| {
            number.wrapping_mul(31).wrapping_add(u64::from(byte))
        });
        Random::new(number).fork()
    }

    /// The scenario without these of its parts, counted through deeds and faults.
    pub fn only(&self, kept: &[usize]) -> Scenario {
        let deeds = self.deeds.iter().enumerate();
        let faults = self.faults.iter().enumerate();
        let offset = self.deeds.len();
        Scenario {
            deeds: deeds
                .filter(|(i, _)| kept.contains(i))
                .map(|(_, it)| *it)
                .collect(),
            faults: faults
                .filter(|(i, _)| kept.contains(&(offset + i)))
                .map(|(_, (call, fault))| (*call, *fault))
                .collect(),
            ..self.clone()
        }
    }

    pub fn parts(&self) -> usize {
        self.deeds.len() + self.faults.len()
    }
}

fn deed(random: &mut Random, job: usize, controllers: usize) -> Deed {
    let node = random.between(0, 2) as usize;
    let controller = random.between(0, controllers as u64) as usize;
    let behind = random.between(1, 30) as usize;
    match random.between(0, 44) {
        0 | 1 => Deed::Cancel(job),
        2 => Deed::Suspend(job),
        3 | 4 => Deed::DeleteJob(job),
        5 | 6 => Deed::DeletePod(job),
        7 => Deed::ForcePod(job),
        8 => Deed::StripPod(job),
        9 => Deed::EvictPod(job),
        10 => Deed::PreemptPod(job),
        11 => Deed::PressPod(job),
        12 => Deed::StartTwice(job),
        13 => Deed::DeleteAgent,
        14 => Deed::EditAgent,
        15 | 16 => Deed::Silence(node),
        17 => Deed::StoreGoes,
        18 => Deed::RenewCa,
        25 => Deed::Suspend(job),
        27 => Deed::Hold(job),
        28 => Deed::Restart(node),
        26 if random.once_in(3) => Deed::DeleteNamespace,
        19 | 20 => Deed::Crash(controller),
        21 | 22 => Deed::Pause(controller, random.between(5_000, 60_000)),
        23 => Deed::ListAgain(controller, Resource::Jobs, behind),
        24 => Deed::ListAgain(controller, Resource::Pods, behind),
        29 => Deed::ListAgain(controller, Resource::Agents, behind),
        33 => Deed::Mute(controller, random.between(10_000, 60_000)),
        34 => Deed::Continue(job),
        35 => Deed::Refuse(*random.pick(&Refusal::ALL)),
        30 => Deed::StripJob(job),
        31 => Deed::ReplacePod(job),
        38 | 39 => Deed::Forbid(*random.pick(&Forbidden::ALL)),
        40 => Deed::Limit(*random.pick(&[0, 3_000])),
        41 => Deed::Unlabel(job),
        42 => Deed::Cascade(job, Cascade::Orphan),
        43 => Deed::Cascade(job, Cascade::Foreground),
        36 => Deed::Inject(*random.pick(&Injected::ALL)),
        32 => Deed::Stranger(job, *random.pick(&[Likeness::Labels, Likeness::Name])),
        _ => Deed::Skew(controller, random.between(0, 7_200_000) as i64 - 3_600_000),
    }
}
