//! Man pages and completions, from the same definitions as the parser.
//! `dbaccess man .` writes them; a test checks that they are current.

use super::command::Cli;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io;

/// The shells that completions are made for.
pub const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Every man page: file name and content.
pub fn man_pages() -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut root = Cli::command().disable_help_subcommand(true);
    root.build();
    let mut pages = Vec::new();
    page(&root, &mut pages)?;
    pages.sort();
    Ok(pages)
}

fn page(command: &clap::Command, pages: &mut Vec<(String, Vec<u8>)>) -> io::Result<()> {
    let man = clap_mangen::Man::new(command.clone())
        .source(concat!("dbaccess ", env!("CARGO_PKG_VERSION")))
        .manual("dbaccess manual");
    let mut content = Vec::new();
    man.render(&mut content)?;
    pages.push((man.get_filename(), content));
    command.get_subcommands().filter(|sub| !sub.is_hide_set()).try_for_each(|sub| page(sub, pages))
}

/// The name by which a shell finds its completions.
pub fn completion_file(shell: Shell) -> &'static str {
    match shell {
        Shell::Zsh => "_dbaccess",
        Shell::Fish => "dbaccess.fish",
        _ => "dbaccess.bash",
    }
}

/// A shell's completion script, which asks `dbaccess complete` for targets and ids.
pub fn completion_script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut visible(&Cli::command()), "dbaccess", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Zsh => zsh(&script),
        Shell::Fish => fish(script),
        _ => bash(script),
    }
}

/// Which commands' first word is asked from the server, and as what.
const FIRST_WORDS: [(&[&str], &str); 4] = [
    (
        &[
            "targets",
            "describe",
            "suspend",
            "resume",
            "rotate-tokens",
            "request",
            "connect",
            "exec",
            "scan",
            "doctor",
        ],
        "targets",
    ),
    (&["show", "approve", "deny", "cancel"], "requests"),
    (&["revoke"], "revocable"),
    (&["replay"], "played"),
];

/// Those of them that come after another.
const SECOND_WORDS: [(&str, &str); 4] =
    [("targets", "describe"), ("target", "suspend"), ("target", "resume"), ("target", "rotate-tokens")];

/// Those of `review campaign` that an access review's id follows.
const CAMPAIGN_WORDS: [&str; 3] = ["show", "decide", "sign"];

/// Which options' values are asked from the server, and as what.
const OPTIONS: [(&str, &str); 4] =
    [("grant", "grants"), ("session", "sessions"), ("target", "targets"), ("end", "delegations")];

/// The program without its hidden commands.
fn visible(whole: &clap::Command) -> clap::Command {
    clap::Command::new("dbaccess")
        .args(whole.get_arguments().cloned())
        .subcommands(whole.get_subcommands().filter(|sub| !sub.is_hide_set()).cloned())
}

fn bash(mut script: String) -> String {
    let mut words = String::new();
    for (commands, what) in FIRST_WORDS {
        words.push_str(&format!("            {}) what={what} ;;\n", commands.join("|")));
    }
    let mut options = String::new();
    for (option, what) in OPTIONS {
        options.push_str(&format!("        --{option}) what={what} ;;\n"));
    }
    let second: Vec<String> =
        SECOND_WORDS.iter().map(|(first, second)| format!("\"{first} {second}\"")).collect();
    let second = second.join("|");
    let campaign: Vec<String> =
        CAMPAIGN_WORDS.iter().map(|word| format!("\"review campaign {word}\"")).collect();
    let campaign = campaign.join("|");
    script.push_str(&format!(
        r#"
_dbaccess_asking() {{
    local cur="${{COMP_WORDS[COMP_CWORD]}}" what= at=1
    case "${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}" in
        {second}) at=2 ;;
    esac
    if [[ $COMP_CWORD -eq $((at + 1)) && $cur != -* ]]; then
        case "${{COMP_WORDS[at]}}" in
{words}        esac
    fi
    if [[ $COMP_CWORD -eq 4 && $cur != -* ]]; then
        case "${{COMP_WORDS[*]:1:3}}" in
            {campaign}) what=campaigns ;;
        esac
    fi
    case "${{COMP_WORDS[COMP_CWORD-1]}}" in
{options}    esac
    if [[ -n $what ]]; then
        COMPREPLY=($(compgen -W "$(dbaccess complete "$what" 2>/dev/null)" -- "$cur"))
        return
    fi
    _dbaccess "$@"
}}
complete -F _dbaccess_asking -o bashdefault -o default dbaccess
"#
    ));
    script
}

fn fish(mut script: String) -> String {
    script.push('\n');
    for (commands, what) in FIRST_WORDS {
        for command in commands {
            let is_second = SECOND_WORDS.iter().any(|(_, second)| second == command);
            let under = if is_second {
                format!("__fish_seen_subcommand_from {command}")
            } else {
                format!("__fish_dbaccess_using_subcommand {command}")
            };
            script.push_str(&format!(
                "complete -c dbaccess -n \"{under}\" -f -a \"(dbaccess complete {what} 2>/dev/null)\"\n"
            ));
        }
    }
    let words = CAMPAIGN_WORDS.join(" ");
    script.push_str(&format!(
        "complete -c dbaccess -n \"__fish_seen_subcommand_from campaign; and __fish_seen_subcommand_from {words}\" \
         -f -a \"(dbaccess complete campaigns 2>/dev/null)\"\n"
    ));
    for (option, what) in OPTIONS {
        script.push_str(&format!(
            "complete -c dbaccess -l {option} -x -a \"(dbaccess complete {what} 2>/dev/null)\"\n"
        ));
    }
    script
}

/// In zsh's script each argument names its own completer, `_default` where
/// there is none: those that can be asked from the server get one of ours.
fn zsh(script: &str) -> String {
    let mut lines = Vec::new();
    let mut command = "";
    // The commands that a branch is under, as the script itself names them.
    let (mut under, mut entered) = (Vec::new(), "");
    for line in script.lines() {
        // A command's own branch of the script begins with `(name)`.
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
            command = name;
        }
        if let Some((_, path)) = trimmed.split_once("curcontext=\"${curcontext%:*:*}:dbaccess-") {
            entered = path.split_once("command-").map_or("", |(path, _)| path);
        } else if trimmed.starts_with("case $") {
            under.push(entered);
        } else if trimmed == "esac" {
            under.pop();
            entered = under.last().copied().unwrap_or_default();
        }
        let of_campaign = entered == "review-campaign-" && CAMPAIGN_WORDS.contains(&command);
        let positional = line.starts_with("':") || line.starts_with("'::");
        let first_word = FIRST_WORDS.iter().find(|(commands, _)| positional && commands.contains(&command));
        let option = OPTIONS.iter().find(|(option, _)| line.starts_with(&format!("'--{option}=[")));
        let campaign = Some("campaigns").filter(|_| of_campaign && positional);
        let what = campaign.or(first_word.map(|(_, what)| *what)).or(option.map(|(_, what)| *what));
        let named = ["target", "id"].iter().any(|name| line.contains(&format!(":{name} -- ")));
        match what {
            Some(what) if named || option.is_some() => {
                lines.push(line.replace(":_default'", &format!(":_dbaccess_{what}'")));
            }
            _ => lines.push(line.to_owned()),
        }
        if line.starts_with("autoload ") {
            for what in [
                "targets",
                "requests",
                "sessions",
                "grants",
                "delegations",
                "revocable",
                "played",
                "campaigns",
            ] {
                lines.push(format!(
                    "\n_dbaccess_{what}() {{ compadd -- ${{(f)\"$(dbaccess complete {what} 2>/dev/null)\"}} }}"
                ));
            }
        }
    }
    format!("{}\n", lines.join("\n"))
}
