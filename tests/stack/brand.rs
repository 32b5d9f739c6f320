//! The sign-in page carries the title, the logo and the color of the appliance, in both looks and on every
//! screen, and signs people in.

use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::{Appliance, ROOT, folder, free_port};
use crate::browser::{Browser, Driver};
use crate::people;

const LOGO: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 60 30"><rect width="60" height="30" rx="6" fill="#7a1fa2"/><circle cx="30" cy="15" r="9" fill="#fff"/></svg>"##;
const VIOLET: &str = "rgb(122, 31, 162)";

/// What the page looks like: its title, the name and the logo at its top, colors, and whether it scrolls
/// sideways.
const SEEN: &str = "const style = (css) => getComputedStyle(document.querySelector(css));
    const logo = document.querySelector('.appliance-logo').getBoundingClientRect();
    done({ title: document.title,
        brand: document.querySelector('.appliance-brand').innerText,
        header: style('#kc-header').display,
        logo: [logo.width, logo.height],
        image: style('.appliance-logo').content.slice(0, 24),
        button: style('#kc-login, [type=submit]').backgroundColor,
        ground: style('body').backgroundColor,
        font: style('body').fontFamily,
        sideways: document.documentElement.scrollWidth - window.innerWidth });";

const PLACE: &str = "const at = document.querySelector(arguments[0]).getBoundingClientRect();
    done([at.x, at.y, at.width, at.height]);";

fn config(port: u16, brand: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://localhost:{port}\"\n{brand}\n\
         [oidc]\nserved_by = \"keycloak\"\nclient_id = \"appliance\"\nclient_secret = {{ generate = \"oidc-client\" }}\n\
         [apps.keycloak]\nkeycloak = {{ home = \"${{KEYCLOAK_HOME}}\", realm = \"{ROOT}/apps/keycloak/realm.json\" }}\npath = \"/auth\"\n\
         [apps.site]\nstatic = \"{ROOT}/docs/screenshots\"\npath = \"/site\"\naccess = \"signed-in\"\n"
    )
}

async fn seen(browser: &Browser) -> Value {
    browser.script(SEEN, vec![]).await
}

/// The page fits on every screen, in the colors of the look.
async fn fits_every_screen(browser: &Browser) {
    for (width, dark) in [390, 768, 1440].into_iter().flat_map(|at| [(at, false), (at, true)]) {
        browser.resize(width, dark).await;
        let seen = seen(browser).await;
        assert!(seen["sideways"].as_i64() <= Some(0), "{width} {dark}: {seen}");
        assert_eq!(seen["brand"], "Müller & Söhne", "{width} {dark}");
        assert_eq!(seen["header"], "none", "the name is there once");
        assert_eq!(seen["logo"], json!([56, 28]), "{width} {dark}: {seen}");
        let ground = if dark { "rgb(20, 24, 31)" } else { "rgb(246, 247, 249)" };
        assert_eq!((&seen["ground"], &seen["button"]), (&json!(ground), &json!(VIOLET)), "{width}");
    }
    browser.resize(1200, false).await;
}

/// Without settings, the page has the colors of the appliance and the name of the realm.
pub(crate) async fn is_that_of_the_appliance(browser: &Browser) {
    let seen = seen(browser).await;
    assert_eq!(
        (&seen["brand"], &seen["button"]),
        (&json!("Appliance"), &json!("rgb(31, 95, 191)"))
    );
}

#[tokio::test]
async fn the_sign_in_page_has_the_brand_of_the_appliance() {
    let driver = Driver::start(free_port()).await;
    let (folder, port) = (folder(), free_port());
    std::fs::write(folder.path().join("logo.svg"), LOGO).unwrap();
    let brand = "title = \"Müller & Söhne\"\nlogo = \"logo.svg\"\ncolor = \"#7a1fa2\"";
    let mut appliance = Appliance::start_in(folder, port, &config(port, brand), "keycloak").await;

    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    let page = seen(&test).await;
    assert_eq!(page["title"], "Sign in to Müller & Söhne");
    assert!(page["image"].as_str().unwrap().starts_with("url(\"data:image/svg"), "{page}");
    assert!(page["font"].as_str().unwrap().starts_with("system-ui"), "{page}");
    fits_every_screen(&test).await;
    let place = test.script(PLACE, vec![json!(".appliance-logo")]).await;
    test.photograph("brand").await;

    people::signs_in_with(&test, "test", "wrong").await;
    test.reads("Invalid username or password.").await;
    fits_every_screen(&test).await;
    test.photograph("brand-wrong").await;
    test.find("#username").await.clear().await.unwrap();
    people::signs_in_with(&test, "test", "test").await;
    test.find("a.tile[href='/site/']").await;
    assert_eq!(test.script(PLACE, vec![json!("header .logo")]).await, place, "as on the portal");
    test.photograph("brand-portal").await;

    // The pages behind the links of the portal have the same look.
    test.goto("/oauth2/start?action=totp").await;
    test.find("#password, #kc-totp-secret-qr-code").await;
    if test.has("#password").await {
        people::gives_the_password(&test, "test").await;
    }
    test.find("#kc-totp-secret-qr-code").await;
    fits_every_screen(&test).await;
    test.photograph("brand-totp").await;
    people::changes_the_password(&test, "test", "another one").await;

    test.close().await;

    // A reload changes the style sheet at once. Keycloak starts again for the name.
    let other = config(port, "title = \"Other <b>&amp;\"\ncolor = \"#ffc107\"");
    std::fs::write(appliance.path("appliance.toml"), other).unwrap();
    appliance.shell("appliance reload");
    let test = driver.open(&appliance.url).await;
    let page = loop {
        people::waits_on_the_starting_page(&test).await;
        let page = seen(&test).await;
        if page["brand"] == "Other <b>&amp;" {
            break page;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        test.goto("/").await;
    };
    assert_eq!(page["title"], "Sign in to Other <b>&amp;");
    assert!(page["logo"] == json!([0, 0]) && page["button"] == "rgb(255, 193, 7)", "{page}");
    test.photograph("brand-other").await;
    test.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
}
