//! Which variables of the environment count: an empty one is one that is not set, as files for containers and shells
//! without a value for it make them.

#![expect(clippy::disallowed_methods, reason = "here the program meets its environment")]

use std::ffi::{OsStr, OsString};

use clap::{Command, Error, FromArgMatches};
use config::SecretFiles;

/// Reads the command line of this process as `command` has it, and the environment where it says nothing.
///
/// # Errors
/// What is wrong with them, or the help that was asked for.
pub fn parse<P: FromArgMatches>(command: Command) -> Result<P, Error> {
    let mut command = without_empty(command, &|name| std::env::var_os(name));
    let mut matches = command.try_get_matches_from_mut(std::env::args_os())?;
    P::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// The files that a variable or a flag names: separated as the folders of `PATH` are.
#[must_use]
pub fn secret_files(text: OsString) -> SecretFiles {
    std::env::split_paths(&text).filter(|path| !path.as_os_str().is_empty()).collect()
}

/// `command` with its variables, those of its subcommands included, but for the empty ones.
pub fn without_empty(command: Command, variable: &dyn Fn(&OsStr) -> Option<OsString>) -> Command {
    let is_empty = |name: &OsStr| variable(name).is_some_and(|value| value.is_empty());
    let command = command.mut_args(|argument| match argument.get_env().is_some_and(is_empty) {
        true => argument.env(None::<&'static str>),
        false => argument,
    });
    command.mut_subcommands(|verb| without_empty(verb, variable))
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    fn left(command: &Command) -> Vec<&str> {
        let own = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        own.chain(command.get_subcommands().flat_map(left)).collect()
    }

    #[cfg(unix)]
    #[test]
    fn a_variable_separates_files_as_path_does() {
        let files = secret_files("/a b/one::two:".into());
        let named: Vec<_> = files.iter().collect();
        assert_eq!(named, [std::path::Path::new("/a b/one"), std::path::Path::new("two")]);
        assert!(secret_files("".into()).is_empty());
    }

    #[test]
    fn an_empty_variable_is_one_that_is_not_set_in_subcommands_too() {
        let command = || {
            let verb = Command::new("verb").arg(Arg::new("c").long("c").env("RIFFLE_C"));
            let command = Command::new("program").arg(Arg::new("a").long("a").env("RIFFLE_A"));
            command.arg(Arg::new("b").long("b").env("RIFFLE_B")).subcommand(verb)
        };
        let told = |name: &OsStr| match name.to_str() {
            Some("RIFFLE_A") => Some("value".into()),
            Some("RIFFLE_B") => Some(OsString::new()),
            _ => None,
        };
        assert_eq!(left(&without_empty(command(), &told)), ["RIFFLE_A", "RIFFLE_C"]);
        assert_eq!(left(&without_empty(command(), &|_| Some(OsString::new()))), Vec::<&str>::new());
    }
}
