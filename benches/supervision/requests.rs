//! Requests to an app while the appliance is reloaded again and again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use reqwest::Method;

use crate::harness::{Appliance, Browser, FETCH, free_port};
use crate::ours::{sleepers, write_apps};
use crate::{APPS, ms, peers};

const CLIENTS: usize = 50;
const REQUESTS: usize = 10_000;

pub async fn during_reloads() {
    let port = free_port();
    let _app = peers::app(port);
    let open = format!(
        "[apps.open]\npath = \"/open\"\naccess = \"public\"\nupstream = \"http://127.0.0.1:{port}\"\n"
    );
    let appliance = Appliance::start(&(open.clone() + &sleepers(APPS, 0)));
    appliance.wait_for_state("x0", "ready").await;
    let done = Arc::new(AtomicBool::new(false));
    let load = (0..CLIENTS).map(|_| {
        let (browser, done) = (Browser::new(&appliance.url), done.clone());
        tokio::spawn(async move {
            let (mut asked, mut failed) = (0, 0);
            while asked < REQUESTS / CLIENTS || !done.load(Ordering::Relaxed) {
                asked += 1;
                let answer = browser.send(Method::GET, "/open/", FETCH).await;
                failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200));
            }
            (asked, failed)
        })
    });
    let load: Vec<_> = load.collect();
    let (mut reloads, began) = (0, Instant::now());
    while ms(began) < 10_000.0 {
        reloads += 1;
        // The title of the app that is asked changes as well.
        let title = open.replace("path", &format!("title = \"Title {reloads}\"\npath"));
        write_apps(&appliance, &(title + &sleepers(APPS, reloads)));
        let answer = tokio::task::block_in_place(|| appliance.cli(&["reload"]));
        assert!(answer.status.success(), "{answer:?}");
    }
    done.store(true, Ordering::Relaxed);
    let (mut asked, mut failed) = (0, 0);
    for one in load {
        let (of_asked, of_failed) = one.await.unwrap();
        (asked, failed) = (asked + of_asked, failed + of_failed);
    }
    assert!(asked >= REQUESTS);
    println!("| failed requests of {asked} during {reloads} reloads | 0 | {failed} | |");
}
