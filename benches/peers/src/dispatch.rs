//! How a system is run with a plan.

use std::os::unix::net::UnixStream;

use crate::{
    far_end::{FarProcess, with_far_thread},
    measures::{
        Values, crowd::near as crowd_near, death::near as death_near, links, one_way, open_load, round_trip,
        system_calls, usage,
    },
    plan::{Measure, Plan},
    system::{BetweenProcesses, BetweenThreads, OverPairs, Receiver, Sender, Side},
    table,
};

/// Calls a function with the number of words that a message of the plan's size has.
macro_rules! with_words {
    ($plan:expr, $function:ident, $($argument:expr),*) => {
        match $plan.bytes {
            8 => $function::<S, 1>($($argument),*),
            64 => $function::<S, 8>($($argument),*),
            1024 => $function::<S, 128>($($argument),*),
            4096 => $function::<S, 512>($($argument),*),
            65536 => $function::<S, 8192>($($argument),*),
            1048576 => $function::<S, 131072>($($argument),*),
            bytes => panic!("no messages of {bytes} bytes"),
        }
    };
}

/// The same, for what is only measured with small messages.
macro_rules! with_few_words {
    ($plan:expr, $function:ident, $($argument:expr),*) => {
        match $plan.bytes {
            8 => $function::<S, 1>($($argument),*),
            64 => $function::<S, 8>($($argument),*),
            bytes => panic!("no messages of {bytes} bytes for {:?}", $plan.measure),
        }
    };
}

/// Runs a system between processes: this is the near end.
pub fn with_process<S: BetweenProcesses>(plan: &Plan) -> Values {
    match plan.measure {
        Measure::RoundTrip | Measure::OneWay(_) => with_words!(plan, process_near, plan),
        Measure::Crowd(pairs) => with_few_words!(plan, crowd_near, plan, pairs),
        Measure::Death(kills) => with_few_words!(plan, death_near, plan, kills),
        Measure::SetUp | Measure::Footprint => links::near::<OverPairs<S>>(plan),
        Measure::OpenLoad(_) | Measure::Steady(_) | Measure::Idle | Measure::SystemCalls(_) => {
            with_few_words!(plan, process_near, plan)
        }
        measure => panic!("{measure:?} is not about messages"),
    }
}

/// Is the far end of a system between processes.
pub fn far_process<S: BetweenProcesses>(plan: &Plan, stream: UnixStream) -> Values {
    match plan.measure {
        Measure::RoundTrip | Measure::OneWay(_) => with_words!(plan, process_far, plan, stream),
        Measure::SetUp | Measure::Footprint => links::far::<OverPairs<S>>(plan, stream),
        _ => with_few_words!(plan, process_far, plan, stream),
    }
}

/// Runs a system between threads: this is the near end.
pub fn with_thread<S: BetweenThreads>(plan: &Plan) -> Values {
    with_words!(plan, thread_near, plan)
}

fn process_near<S: BetweenProcesses, const N: usize>(plan: &Plan) -> Values {
    let (far, stream) = FarProcess::start(plan);
    let (mut sender, mut receiver) = S::open::<N>(Side::Near, stream, plan.shape());
    let mut values = near(plan, &mut sender, &mut receiver);
    drop((sender, receiver));
    values.extend(far.end());
    usage::add_both(&mut values);
    values
}

fn process_far<S: BetweenProcesses, const N: usize>(plan: &Plan, stream: UnixStream) -> Values {
    let (mut sender, mut receiver) = S::open::<N>(Side::Far, stream, plan.shape());
    far(plan, &mut sender, &mut receiver)
}

fn thread_near<S: BetweenThreads, const N: usize>(plan: &Plan) -> Values {
    let [here, there] = S::pair::<N>(plan.shape());
    let ((mut sender, mut receiver), mut there) = (here, there);
    with_far_thread(plan.cores, || near(plan, &mut sender, &mut receiver), || far(plan, &mut there.0, &mut there.1))
}

fn near<const N: usize>(plan: &Plan, sender: &mut impl Sender<N>, receiver: &mut impl Receiver<N>) -> Values {
    match plan.measure {
        Measure::RoundTrip => round_trip::near(plan.drive, sender, receiver),
        Measure::OneWay(way) => one_way::near(way, plan.drive, sender, receiver),
        Measure::OpenLoad(per_second) => open_load::near(per_second, plan, sender),
        Measure::Steady(per_second) => usage::steady_near(per_second, plan, sender),
        Measure::Idle => usage::idle_near(plan, sender, receiver),
        Measure::SystemCalls(flow) => system_calls::near(flow, plan, sender, receiver),
        measure => panic!("{measure:?} is not about two ends alone"),
    }
}

fn far<const N: usize>(plan: &Plan, sender: &mut impl Sender<N>, receiver: &mut impl Receiver<N>) -> Values {
    match plan.measure {
        Measure::RoundTrip | Measure::Crowd(_) | Measure::Death(_) => round_trip::far(plan.drive, sender, receiver),
        Measure::OneWay(way) => {
            let lends = table::system(&plan.system).abilities.lends;
            one_way::far(way, plan.drive, lends, sender, receiver)
        }
        Measure::OpenLoad(per_second) => open_load::far(per_second, plan, receiver),
        Measure::Steady(per_second) => usage::steady_far(per_second, plan, receiver),
        Measure::Idle => usage::idle_far(plan, sender, receiver),
        Measure::SystemCalls(flow) => system_calls::far(flow, plan, sender, receiver),
        measure => panic!("{measure:?} is not about two ends alone"),
    }
}
