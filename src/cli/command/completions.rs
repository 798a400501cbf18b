use crate::cli::error::CliError;
use crate::cli::generate::completion_script;
use crate::cli::output::result;
use clap_complete::Shell;

/// Print the completion script of a shell.
///
/// bash: dbaccess completions bash > ~/.local/share/bash-completion/completions/dbaccess;
/// zsh: into a file `_dbaccess` on $fpath; fish: into ~/.config/fish/completions/dbaccess.fish
#[derive(Clone, Debug, clap::Args)]
pub struct CompletionsArgs {
    /// bash, zsh or fish
    #[arg(value_parser = shell)]
    shell: Shell,
}

fn shell(text: &str) -> Result<Shell, String> {
    match text {
        "bash" => Ok(Shell::Bash),
        "zsh" => Ok(Shell::Zsh),
        "fish" => Ok(Shell::Fish),
        _ => Err("expected bash, zsh or fish".to_owned()),
    }
}

impl CompletionsArgs {
    pub(super) fn run(self) -> Result<(), CliError> {
        result(&completion_script(self.shell))
    }
}
