//! A folder with three scripts in place of a configuration.

use crate::appliance::Appliance;
use crate::browser::Browser;

pub(crate) const SCRIPTS: [(&str, &str); 3] = [
    (
        "sales.py",
        "import pandas as pd\nimport streamlit as st\n\nst.title('Sales')\n\
         st.write('Hello,', st.user.get('user'))\nst.bar_chart(pd.DataFrame({'sold': [3, 1, 2]}))\n",
    ),
    (
        "plot.py",
        "from dash import Dash, html\n\napp = Dash(__name__)\nserver = app.server\n\
         app.layout = html.Div('The layout of Dash')\n",
    ),
    (
        "hello.py",
        "from flask import Flask, request\n\nservice = Flask(__name__)\n\n\n@service.get('/')\n\
         def hello():\n    return 'Flask greets ' + request.headers['X-Forwarded-User']\n",
    ),
];

pub(crate) async fn shows_three_apps(browser: &Browser) {
    for (path, text) in [
        ("/sales/", "Hello, test"),
        ("/plot/", "The layout of Dash"),
        ("/hello/", "Flask greets test"),
    ] {
        browser.goto(path).await;
        browser.reads(text).await;
    }
}

/// The page of an app that was changed while it runs.
pub(crate) async fn takes_up_a_change(browser: &Browser, appliance: &Appliance) {
    let script = appliance.path("apps/hello.py");
    let text = std::fs::read_to_string(&script).unwrap();
    std::fs::write(&script, text.replace("greets", "welcomes")).unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_mins(1);
    loop {
        browser.goto("/hello/").await;
        if browser.text().await.contains("Flask welcomes test") {
            return;
        }
        assert!(
            std::time::Instant::now() < until,
            "the change is not taken up\n{}",
            appliance.log()
        );
    }
}
