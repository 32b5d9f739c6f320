//! The steps in the two Streamlit apps.

use std::io::{Seek, SeekFrom, Write};

use fantoccini::key::Key;
use sha2::{Digest, Sha256};

use crate::browser::Browser;

/// The app shows the signed-in person, read from the identity headers.
pub(crate) async fn knows_who_is_signed_in(
    browser: &Browser,
    user: &str,
    email: &str,
    groups: &[&str],
) {
    browser.reads(&format!("Hello, {user}!")).await;
    browser.reads(email).await;
    for group in groups {
        browser.reads(group).await;
    }
    browser.photograph("app1").await;
}

/// Uses a button and a slider, whose events reach the app only through the WebSocket.
pub(crate) async fn counts_over_the_websocket(browser: &Browser) {
    press(browser, "Count").await;
    browser.reads("Counter\n1").await;
    let slider = browser.find("[data-testid=stSlider] input").await;
    slider.send_keys(&Key::Right.to_string()).await.unwrap();
    browser.reads("Step\n2").await;
    press(browser, "Count").await;
    browser.reads("Counter\n3").await;
}

/// Uploads a file. The app shows the checksum of the received bytes.
pub(crate) async fn takes_a_file(browser: &Browser, size: u64) {
    let mut file = tempfile::NamedTempFile::with_suffix(".bin").unwrap();
    // A sparse file with a number in each kilobyte: quick to create, and every part is distinct.
    for start in (0..size).step_by(1024) {
        file.seek(SeekFrom::Start(start)).unwrap();
        file.write_all(&start.to_le_bytes()).unwrap();
    }
    file.as_file().set_len(size).unwrap();
    let mut reader = std::fs::File::open(file.path()).unwrap();
    let mut hash = Sha256::new();
    std::io::copy(&mut reader, &mut hash).unwrap();
    let hash = format!("{:x}", hash.finalize());

    let input = browser.find("input[type=file]").await;
    input.send_keys(&file.path().display().to_string()).await.unwrap();
    browser.reads(&hash).await;
    browser.scroll_to("[data-testid=stCode]").await;
    browser.photograph("upload").await;
}

pub(crate) async fn shows_the_figures_of_group2(browser: &Browser) {
    browser.reads("The figures of group2").await;
    browser.reads("Days that reached the goal").await;
    browser.find("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg").await;
    browser.photograph("app2").await;
}

async fn press(browser: &Browser, label: &str) {
    browser.reads(label).await;
    browser.find("[data-testid=stBaseButton-primary]").await.click().await.unwrap();
}
