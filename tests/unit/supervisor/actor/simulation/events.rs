//! The way of events to the supervisor.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::sleep;

use super::kernel::SimulatedKernel;
use crate::supervisor::life::event::{Event, Excess, Generation};

/// Passes events on to the supervisor: sometimes later, and sometimes once more when they are about
/// an incarnation that has ended long ago.
pub(super) async fn pass_on(
    mut from: UnboundedReceiver<(u64, Event)>,
    to: UnboundedSender<(u64, Event)>,
    kernel: Arc<SimulatedKernel>,
    mut rng: Rng,
) {
    let mut seen: Vec<(u64, Event)> = Vec::new();
    let mut newest: BTreeMap<u64, Generation> = BTreeMap::new();
    while let Some((id, event)) = from.recv().await {
        kernel.state().note(|| format!("event of {id}: {event:?}"));
        if rng.u32(0..30) == 0 {
            kernel.state().holds += 1;
            sleep(Duration::from_millis(rng.u64(0..40))).await;
            kernel.state().holds -= 1;
        }
        let _ = to.send((id, event));
        if let Event::Spawned(generation) = event
            && rng.u32(0..12) == 0
        {
            grow(id, generation, to.clone(), kernel.clone(), rng.u64(0..6_000));
        }
        let Some(generation) = generation(event) else { continue };
        let newest_of = newest.entry(id).or_default();
        *newest_of = generation.max(*newest_of);
        let late =
            seen.iter().filter(|(of, old)| *of == id && self::generation(*old) < Some(*newest_of));
        let late: Vec<Event> = late.map(|(_, old)| *old).collect();
        if rng.u32(0..4) == 0 && !late.is_empty() {
            let old = late[rng.usize(0..late.len())];
            kernel.state().note(|| format!("late event of {id}: {old:?}"));
            let _ = to.send((id, old));
        }
        // One of each kind, so that the many answers of probes do not push out the others.
        seen.retain(|(of, old)| *of != id || discriminant(old) != discriminant(&event));
        seen.push((id, event));
    }
}

/// Lets the memory of an incarnation grow over its limit.
fn grow(
    id: u64,
    generation: Generation,
    to: UnboundedSender<(u64, Event)>,
    kernel: Arc<SimulatedKernel>,
    after: u64,
) {
    tokio::spawn(async move {
        sleep(Duration::from_millis(after)).await;
        if !kernel.state().is_calm {
            let event = Event::TooMuchMemory(generation, Excess { used: 2, limit: 1 });
            kernel.state().note(|| format!("event of {id}: {event:?}"));
            let _ = to.send((id, event));
        }
    });
}

fn generation(event: Event) -> Option<Generation> {
    match event {
        Event::SetUpEnded(of, _)
        | Event::Spawned(of)
        | Event::NotSpawned(of, _)
        | Event::LeaderEnded(of)
        | Event::Exited { generation: of, .. }
        | Event::Gone(of)
        | Event::Ready(of, _)
        | Event::Live(of, _)
        | Event::TooMuchMemory(of, _) => Some(of),
        _ => None,
    }
}
