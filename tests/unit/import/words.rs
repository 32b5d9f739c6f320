#![expect(clippy::disallowed_methods, reason = "the test asks Python")]

use super::*;
use crate::one_process::blocking_alone;

const COMMANDS: [&str; 12] = [
    "a b  c",
    "sh -c \"echo 'x y'; exec z\"",
    "a\\ b 'c d'e \"f\"g",
    r#"x "a\$b \" \\ \n" 'q\'"#,
    "--x=\"two words\" ''",
    "bash -c 'sleep 15 && /oauth2-proxy --scope=\"openid email\"'",
    "a\nb\tc",
    "# is no comment",
    "open 'end",
    "back\\",
    "open \"end\\",
    "",
];

/// The rules are Python's, so Python is asked.
#[test]
fn the_words_are_those_of_python() {
    let _alone = blocking_alone();
    let script = "import json,shlex,sys\ndef s(t):\n try: return shlex.split(t)\n except ValueError: return None\nprint(json.dumps([s(t) for t in json.loads(sys.argv[1])]))";
    let asked = serde_json::to_string(&COMMANDS).unwrap();
    let output = std::process::Command::new("python3").args(["-c", script, &asked]).output();
    let expected: Vec<Option<Vec<String>>> =
        serde_json::from_slice(&output.unwrap().stdout).unwrap();
    for (command, expected) in COMMANDS.into_iter().zip(expected) {
        assert_eq!(split(command).ok(), expected, "{command}");
    }
}
