//! Recognises programs by their command: those whose work the appliance does itself, those that have a
//! preset, and a `sleep` in front of a program.

use super::words;

/// What a command runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::import) enum Kind {
    /// oauth2-proxy, with its flags.
    Oauth2Proxy(Vec<String>),
    /// nginx
    Nginx,
    /// Keycloak's `kc.sh`
    Keycloak,
    /// `streamlit run`, and nothing else
    Streamlit(Streamlit),
    /// Anything else.
    Other,
}

/// The parts of `streamlit run SCRIPT`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::import) struct Streamlit {
    pub(in crate::import) script: String,
    pub(in crate::import) port: Option<String>,
    /// `--server.baseUrlPath`
    pub(in crate::import) base: Option<String>,
    /// Protections that the command turns off.
    pub(in crate::import) unprotected: bool,
    /// The flags that the preset does not set.
    pub(in crate::import) args: Vec<String>,
}

/// A command without its `sleep`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::import) struct Recognised {
    pub(in crate::import) kind: Kind,
    pub(in crate::import) argv: Vec<String>,
    /// The time of a `sleep` in front: `15`.
    pub(in crate::import) slept: Option<String>,
}

/// Looks at the words of a command.
pub(in crate::import) fn recognise(argv: &[String]) -> Recognised {
    let mut argv = argv.to_vec();
    let mut slept = None;
    let mut inner = None;
    if let Some(script) = shell_script(&argv).map(str::to_owned) {
        let (time, rest) = without_sleep(&script);
        slept = time;
        inner = words::split(rest).ok();
        if slept.is_some() {
            match inner.clone().filter(|_| is_simple(rest)) {
                Some(words) => argv = words,
                None => rest.clone_into(&mut argv[2]),
            }
        }
    }
    let kind = kind(inner.as_deref().unwrap_or(&argv), inner.is_some() || slept.is_some());
    Recognised { kind, argv, slept }
}

/// The last component of a path.
pub(in crate::import) fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The script of `sh -c SCRIPT`.
fn shell_script(argv: &[String]) -> Option<&str> {
    let [shell, flag, script] = argv else { return None };
    let is_shell = matches!(base(shell), "sh" | "bash" | "dash" | "ash" | "zsh");
    let is_flag = flag.starts_with('-') && !flag.starts_with("--") && flag.ends_with('c');
    (is_shell && is_flag).then_some(script.trim())
}

/// The time of a leading `sleep N &&`, and what follows.
fn without_sleep(script: &str) -> (Option<String>, &str) {
    let whole = (None, script);
    let Some(rest) = script.strip_prefix("sleep") else { return whole };
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(rest.len());
    let (time, rest) = rest.split_at(end);
    let rest = rest.trim_start();
    let after = rest.strip_prefix("&&").or_else(|| rest.strip_prefix(';'));
    match after.map(str::trim_start).filter(|after| !after.is_empty()) {
        Some(after) if time.starts_with(|c: char| c.is_ascii_digit()) => {
            let after = after.strip_prefix("exec ").map_or(after, str::trim_start);
            (Some(time.to_owned()), after)
        }
        _ => whole,
    }
}

/// Whether a line needs no shell: one command, nothing to expand.
fn is_simple(script: &str) -> bool {
    let is_assignment = script.split_whitespace().next().is_some_and(|word| word.contains('='));
    let builtin = ["cd ", ". ", "source ", "export ", "set ", "ulimit "];
    !is_assignment
        && !script.contains(['|', '&', ';', '<', '>', '(', ')', '$', '`', '*', '?', '~', '\n'])
        && !builtin.iter().any(|word| script.starts_with(word))
}

fn kind(words: &[String], within_shell: bool) -> Kind {
    let is_oauth2_proxy =
        |word: &String| ["oauth2-proxy", "oauth2_proxy"].iter().any(|b| base(word).starts_with(b));
    let (wrapped, words) = unwrapped(words);
    let ends = |word: &String| ["&&", "||", "|", ";", "&"].contains(&word.as_str());
    let at = words.iter().position(is_oauth2_proxy).filter(|at| within_shell || *at == 0);
    if let Some(at) = at.filter(|at| *at == 0 || !words[at - 1].starts_with('-')) {
        return Kind::Oauth2Proxy(
            words[at + 1..].iter().take_while(|word| !ends(word)).cloned().collect(),
        );
    }
    match words.first().map(|word| base(word)) {
        Some("nginx") => Kind::Nginx,
        Some("kc.sh") => Kind::Keycloak,
        _ if wrapped || within_shell => Kind::Other,
        _ => streamlit(words).map_or(Kind::Other, Kind::Streamlit),
    }
}

/// The words behind programs that only start another one, and whether there are such programs.
fn unwrapped(words: &[String]) -> (bool, &[String]) {
    let mut rest = words;
    loop {
        let number = match rest.first().map(|word| base(word)) {
            Some("exec" | "tini" | "dumb-init" | "nohup" | "--") => 1,
            Some("gosu" | "su-exec") => 2,
            Some("poetry" | "pipenv" | "uv") if rest.get(1).is_some_and(|w| w == "run") => 2,
            Some("env") => 1 + rest[1..].iter().take_while(|word| word.contains('=')).count(),
            _ => break,
        };
        rest = rest.get(number..).unwrap_or_default();
    }
    (rest.len() < words.len(), rest)
}

/// Flags that the preset sets itself.
const PRESET: [&str; 9] = [
    "--server.port",
    "--server.address",
    "--server.baseUrlPath",
    "--server.headless",
    "--server.enableCORS",
    "--server.enableXsrfProtection",
    "--browser.gatherUsageStats",
    "--browser.serverAddress",
    "--browser.serverPort",
];

fn streamlit(words: &[String]) -> Option<Streamlit> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (["streamlit", "run", rest @ ..]
    | ["python" | "python3", "-m", "streamlit", "run", rest @ ..]) = words.as_slice()
    else {
        return None;
    };
    let mut rest = rest;
    let mut found = Streamlit::default();
    while let [word, after @ ..] = rest {
        rest = after;
        if *word == "--" {
            found.args.push((*word).to_owned());
            found.args.extend(after.iter().map(ToString::to_string));
            break;
        }
        if !word.starts_with('-') {
            if !found.script.is_empty() {
                // Arguments of the script, which Streamlit also takes without `--`.
                found.args.push((*word).to_owned());
                continue;
            }
            (*word).clone_into(&mut found.script);
            continue;
        }
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (*word, after.first().copied().filter(|next| !next.starts_with('-'))),
        };
        if !word.contains('=') && value.is_some() {
            rest = &after[1..];
        }
        let value = value.unwrap_or("true");
        match flag {
            "--server.port" => found.port = Some(value.to_owned()),
            "--server.baseUrlPath" => found.base = Some(value.to_owned()),
            "--server.enableCORS" | "--server.enableXsrfProtection" if value == "false" => {
                found.unprotected = true;
            }
            flag if PRESET.contains(&flag) => {}
            flag => found.args.extend([flag.to_owned(), value.to_owned()]),
        }
    }
    let is_script = found.script.to_ascii_lowercase().ends_with(".py");
    is_script.then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(command: &str) -> Recognised {
        recognise(&words::split(command).unwrap())
    }

    #[test]
    fn a_sleep_is_taken_off() {
        for (command, slept, argv) in [
            ("sh -c 'sleep 5 && exec python x.py a'", Some("5"), vec!["python", "x.py", "a"]),
            ("bash -lc \"sleep 2s; a | b\"", Some("2s"), vec!["bash", "-lc", "a | b"]),
            ("sh -c 'sleep 1000'", None, vec!["sh", "-c", "sleep 1000"]),
            ("sleep 5", None, vec!["sleep", "5"]),
            ("sh -c 'sleepy && x'", None, vec!["sh", "-c", "sleepy && x"]),
        ] {
            let found = of(command);
            assert_eq!(found.slept.as_deref(), slept, "{command}");
            assert_eq!(found.argv, argv, "{command}");
        }
    }

    #[test]
    fn programs_are_recognised_behind_shells_and_starters() {
        let found = of("bash -c 'sleep 15 && /o/oauth2-proxy --a=1 --scope=openid email'");
        let flags = ["--a=1", "--scope=openid", "email"].map(str::to_owned).to_vec();
        assert_eq!(found.kind, Kind::Oauth2Proxy(flags));
        for (command, kind) in [
            ("/usr/sbin/nginx -g 'daemon off;'", Kind::Nginx),
            ("./keycloak/bin/kc.sh start-dev", Kind::Keycloak),
            ("sh -c 'cd /kc && bin/kc.sh start'", Kind::Other),
            ("exec /opt/oauth2-proxy-v7.4/oauth2-proxy -x", Kind::Oauth2Proxy(vec!["-x".into()])),
            ("cat --file oauth2-proxy", Kind::Other),
            ("poetry run streamlit run app.py", Kind::Other),
        ] {
            assert_eq!(of(command).kind, kind, "{command}");
        }
    }

    #[test]
    fn streamlit_keeps_what_the_preset_does_not_set() {
        let found = of("streamlit run app1.py --server.port 8501 --server.enableCORS false \
                        --server.baseUrlPath=/app1 --theme.base dark -- --data x");
        let Kind::Streamlit(found) = found.kind else { panic!("{found:?}") };
        assert_eq!((found.script.as_str(), found.port.as_deref()), ("app1.py", Some("8501")));
        assert_eq!((found.base.as_deref(), found.unprotected), (Some("/app1"), true));
        assert_eq!(found.args, ["--theme.base", "dark", "--", "--data", "x"]);
    }
}
