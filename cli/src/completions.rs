//! `klamm completions`: what shells need to complete our arguments.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::output::Stdout;

#[derive(Debug, clap::Args)]
#[command(after_help = "Example: klamm completions fish > ~/.config/fish/completions/klamm.fish")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "klamm", &mut script);
    let mut stdout = Stdout::new();
    stdout.buffer().extend_from_slice(&script);
    stdout.finish()?;
    Ok(())
}
