//! Faults of programs and of the machine. The appliance goes on, and says what is wrong.

mod clock;
mod dead_disk;
mod machine;
mod programs;
mod shortage;

use crate::harness::Appliance;

const STEADY: &str = "[apps.steady]\ncommand = [\"sleep\", \"1000\"]\n";

fn apps(number: usize, rest: &str) -> String {
    let tables: Vec<_> = (0..number).map(|at| format!("[apps.x{at}]\n{rest}\n")).collect();
    tables.concat()
}

/// It runs, has not panicked, and ends as it should.
async fn ends_well(appliance: &mut Appliance) {
    assert_eq!(appliance.stop().await, 0, "{}", appliance.log());
    assert!(!appliance.log().contains("panicked"), "{}", appliance.log());
}
