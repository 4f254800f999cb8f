//! The commands of the prompt: their table, and how a line is parsed into one of them.

use std::path::PathBuf;

use messages::{Name, Prefix};
use riffle::metainfo::SUFFIX;
use riffle::{Ticket, Wanted};

use crate::sharing::SendAs;
use crate::tickets::{self, STDIN};
use crate::{inside, shell_words, target};

/// One command of the prompt, as `help` shows it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    /// The word that the command begins with.
    pub(crate) name: &'static str,
    /// How the command is typed.
    pub(crate) usage: &'static str,
    /// What the command does, in one line.
    pub(crate) summary: &'static str,
}

/// All commands, in the order in which `help` shows them.
pub(crate) const TOPICS: &[Topic] = &[
    Topic {
        name: "send",
        usage: "send [--as NAME] [--replace] [--exclude GLOB] [--no-metadata] FILE|FOLDER...",
        summary: "share files, now and at the next start, until unshare",
    },
    Topic {
        name: "download",
        usage: "download [--wait] [--force] [--update] [--delete] [--newest] [--select GLOB] [--no-metadata] [-o PATH] \
                [--ticket-file FILE] TICKET|NAME|ID...",
        summary: "fetch files, and share them too once they are there (or get, receive)",
    },
    Topic { name: "exit", usage: "exit", summary: "leave now; downloads go on where they were next time" },
    Topic {
        name: "list",
        usage: "list [--files] [--select GLOB] [PREFIX|ID]",
        summary: "what the tracker knows; what is in one folder, by its whole name or id",
    },
    Topic { name: "status", usage: "status", summary: "transfers: how far, how fast, from whom, why slow" },
    Topic {
        name: "peers",
        usage: "peers",
        summary: "who gives and who takes: rates, pieces, how each stands",
    },
    Topic {
        name: "cancel",
        usage: "cancel NUMBER|NAME",
        summary: "give a download up; what has arrived is kept for the next time",
    },
    Topic {
        name: "unshare",
        usage: "unshare NAME|ID",
        summary: "stop sharing a file, for good; the beginning of its id is enough",
    },
    Topic {
        name: "limit",
        usage: "limit [up|down RATE|none]",
        summary: "the most in a second, all transfers together, e.g. limit up 10M, or 80Mbit",
    },
    Topic { name: "help", usage: "help [COMMAND]", summary: "this list, or one line of it" },
];

/// A command that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// An empty line.
    Nothing,
    /// Share these files.
    Send(Vec<PathBuf>, SendAs),
    /// Fetch these contents.
    Download(DownloadCommand),
    /// Show the contents whose names begin with this prefix.
    List(Prefix),
    /// Show what is in a content.
    ListFiles(ListFiles),
    /// Show the transfers.
    Status,
    /// Show the sessions.
    Peers,
    /// Give up a download.
    Cancel(Selector),
    /// Stop sharing the file with this name, or with an id that begins like this.
    Unshare(String),
    /// Show the limits, or change one.
    Limit(Option<LimitChange>),
    /// Explain one command, or all.
    Help(Option<&'static Topic>),
    /// Leave.
    Exit,
}

/// The arguments of `download`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DownloadCommand {
    /// What to fetch.
    pub(crate) wanted: Vec<Wanted>,
    /// The paths of descriptions that say what to fetch, or contents that are called as such files are.
    pub(crate) described: Vec<String>,
    /// Tickets that say what to fetch.
    pub(crate) tickets: Vec<Ticket>,
    /// A file with more of them.
    pub(crate) ticket_file: Option<PathBuf>,
    /// Where to save it; `None`: in the current folder.
    pub(crate) output: Option<PathBuf>,
    /// Whether an existing file with other content is replaced.
    pub(crate) force: bool,
    /// Whether a folder that exists is brought up to date.
    pub(crate) update: bool,
    /// Whether that removes what the new version lacks.
    pub(crate) delete: bool,
    /// The patterns of the files of a folder that are wanted; none: everything.
    pub(crate) select: Vec<String>,
    /// Whether files are saved as new ones are.
    pub(crate) without_metadata: bool,
    /// Whether names that the file system cannot hold are changed.
    pub(crate) rename_invalid: bool,
    /// Whether the download waits for what nobody shares yet.
    pub(crate) wait: bool,
}

/// The arguments of a `list` that asks what is in a content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListFiles {
    /// The content.
    pub(crate) wanted: Wanted,
    /// As it was typed.
    pub(crate) label: String,
    /// The names that may have been meant by what looks like the beginning of an id.
    pub(crate) prefix: Option<Prefix>,
    /// The patterns of what is shown of a folder; none: everything.
    pub(crate) select: Vec<String>,
}

/// How one of several things is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selector {
    /// By the number in `status`.
    Number(u32),
    /// By the name.
    Name(String),
}

/// A change of one limit, in bytes a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitChange {
    /// The limit of all uploads together.
    Up(Option<u64>),
    /// The limit of all downloads together.
    Down(Option<u64>),
}

/// A line that is no command, and what to type instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mistake {
    /// A quote is not closed.
    #[error(transparent)]
    Quote(#[from] shell_words::OpenQuote),
    /// The first word is no command.
    #[error("there is no command \"{typed}\"; {}", hint(.nearest))]
    Unknown {
        /// What was typed.
        typed: String,
        /// The command that looks most like it.
        nearest: Option<&'static str>,
    },
    /// The command is known, and the rest does not fit it.
    #[error("{cause}; it is typed: {usage}")]
    Usage {
        /// What does not fit.
        cause: String,
        /// How the command is typed.
        usage: &'static str,
    },
}

fn hint(nearest: &Option<&'static str>) -> String {
    match nearest {
        Some(name) => format!("did you mean \"{name}\"? help shows all"),
        None => "help shows what there is".to_owned(),
    }
}

/// Parses one line.
///
/// # Errors
/// A [`Mistake`] that explains itself.
pub(crate) fn parse(line: &str) -> Result<Verb, Mistake> {
    let words = shell_words::split(line)?;
    let Some((name, rest)) = words.split_first() else {
        return Ok(Verb::Nothing);
    };
    let topic =
        topic(name).ok_or_else(|| Mistake::Unknown { typed: name.clone(), nearest: nearest(name) })?;
    let read = match topic.name {
        "send" => send(rest).map(|(files, send_as)| Verb::Send(files, send_as)),
        "download" => fetch(rest).map(Verb::Download),
        "list" => list(rest),
        "status" => none(rest).map(|()| Verb::Status),
        "peers" => none(rest).map(|()| Verb::Peers),
        "cancel" => {
            one(rest, "the number or the name of a download").map(|word| Verb::Cancel(parse_selector(word)))
        }
        "unshare" => one(rest, "the name or the id of a file").map(|word| Verb::Unshare(word.clone())),
        "limit" => limit(rest).map(Verb::Limit),
        "help" => at_most_one(rest).map(|word| Verb::Help(word.and_then(|word| self::topic(word)))),
        _ => none(rest).map(|()| Verb::Exit),
    };
    read.map_err(|cause| Mistake::Usage { cause, usage: topic.usage })
}

fn topic(typed: &str) -> Option<&'static Topic> {
    let name = match typed {
        "quit" | "bye" => "exit",
        "?" => "help",
        "get" | "receive" => "download",
        other => other,
    };
    TOPICS.iter().find(|topic| topic.name == name)
}

/// The command that was most likely meant by `typed`.
fn nearest(typed: &str) -> Option<&'static str> {
    let common = match typed {
        "fetch" => Some("download"),
        "share" | "put" | "add" => Some("send"),
        "ls" | "search" => Some("list"),
        "stop" | "rm" => Some("cancel"),
        _ => None,
    };
    let likeness = |topic: &&Topic| (strsim::jaro_winkler(&typed.to_lowercase(), topic.name) * 1000.0) as u32;
    let most_alike = || TOPICS.iter().max_by_key(likeness).filter(|topic| likeness(topic) > 700);
    common.or_else(|| most_alike().map(|topic| topic.name))
}

fn none(words: &[String]) -> Result<(), String> {
    words.first().map_or(Ok(()), |word| Err(format!("\"{word}\" is too much")))
}

fn at_most_one(words: &[String]) -> Result<Option<&String>, String> {
    none(words.get(1..).unwrap_or_default()).map(|()| words.first())
}

fn one<'a>(words: &'a [String], what: &str) -> Result<&'a String, String> {
    at_most_one(words)?.ok_or_else(|| format!("{what} is missing"))
}

fn parse_selector(word: &str) -> Selector {
    let digits = word.strip_prefix('#').unwrap_or(word);
    digits.parse().map_or_else(|_| Selector::Name(word.to_owned()), Selector::Number)
}

fn send(words: &[String]) -> Result<(Vec<PathBuf>, SendAs), String> {
    let (mut files, mut send_as, mut options) = (Vec::new(), SendAs::default(), true);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" if options => options = false,
            "--replace" if options => send_as.replace = true,
            "--name" | "--as" if options => {
                let name = words.next().ok_or_else(|| format!("a name is missing behind {word}"))?;
                let name = Name::new(name).map_err(|error| format!("\"{name}\": {error}"))?;
                send_as.name = Some(name);
            }
            "--exclude" if options => {
                send_as.exclude.push(words.next().ok_or("a pattern is missing behind --exclude")?.clone());
            }
            "--no-metadata" if options => send_as.without_metadata = true,
            option if options && option.starts_with("--") => return Err(no_such_option(option, "file")),
            file => files.push(PathBuf::from(file)),
        }
    }
    if files.is_empty() { Err("a file is missing".to_owned()) } else { Ok((files, send_as)) }
}

fn no_such_option(option: &str, what: &str) -> String {
    if option == "--code" {
        return "a prompt has no codes, since a code may lead to another swarm: type riffle send --code, or riffle \
                download --code, in a shell"
            .to_owned();
    }
    format!("there is no option {option} (a {what} that begins so goes behind --)")
}

fn fetch(words: &[String]) -> Result<DownloadCommand, String> {
    let mut fetch = DownloadCommand::default();
    let mut words = words.iter();
    let (mut options, mut newest) = (true, false);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" if options => options = false,
            "--wait" if options => fetch.wait = true,
            "--newest" if options => newest = true,
            "--force" if options => fetch.force = true,
            "--no-metadata" if options => fetch.without_metadata = true,
            "--rename-invalid" if options => fetch.rename_invalid = true,
            "--update" if options => fetch.update = true,
            "--delete" if options => fetch.delete = true,
            "--select" if options => {
                fetch.select.push(words.next().ok_or("a pattern is missing behind --select")?.clone());
            }
            "--ticket-file" if options => {
                let file = words.next().ok_or("a path is missing behind --ticket-file")?;
                if file == STDIN {
                    return Err("the prompt itself reads the standard input".to_owned());
                }
                fetch.ticket_file = Some(file.into());
            }
            "-o" | "--output" if options => {
                fetch.output = Some(words.next().ok_or("a path is missing behind -o")?.into());
            }
            option if options && option.starts_with('-') => {
                return Err(no_such_option(option, "name"));
            }
            description if description.ends_with(SUFFIX) => fetch.described.push(description.to_owned()),
            name => {
                if let Some(ticket) = tickets::read(name)? {
                    tickets::refuse_open(&ticket)?;
                    fetch.tickets.push(ticket);
                    continue;
                }
                fetch.wanted.push(target::parse(name).map_err(|error| format!("\"{name}\": {error}"))?);
            }
        }
    }
    if newest {
        fetch.wanted = fetch.wanted.into_iter().map(target::newest).collect();
    }
    if fetch.delete && !fetch.select.is_empty() {
        return Err("--delete cannot be used with --select: nobody can tell what to delete".to_owned());
    }
    let is_empty = fetch.wanted.is_empty() && fetch.described.is_empty();
    let is_empty = is_empty && fetch.tickets.is_empty() && fetch.ticket_file.is_none();
    if is_empty { Err("a name or an id is missing".to_owned()) } else { Ok(fetch) }
}

fn list(words: &[String]) -> Result<Verb, String> {
    let (mut files, mut select, mut typed, mut options) = (false, Vec::new(), Vec::new(), true);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--" if options => options = false,
            "--files" | "-f" if options => files = true,
            "--select" if options => {
                select.push(words.next().ok_or("a pattern is missing behind --select")?.clone());
            }
            option if options && option.starts_with('-') => return Err(no_such_option(option, "name")),
            _ => typed.push(word.clone()),
        }
    }
    inside::check_patterns(&select).map_err(|error| error.to_string())?;
    let typed = at_most_one(&typed)?.map_or("", String::as_str);
    let prefix = || Prefix::new(typed).map_err(|error| error.to_string());
    let files = files || !select.is_empty();
    if files && typed.is_empty() {
        return Err("a name or an id is missing".to_owned());
    }
    match target::parse(typed) {
        Ok(wanted) if files => {
            Ok(Verb::ListFiles(ListFiles { wanted, label: typed.to_owned(), prefix: None, select }))
        }
        Err(error) if files => Err(format!("\"{typed}\": {error}")),
        Ok(wanted @ (Wanted::Content(_) | Wanted::Digits(_))) => {
            let prefix = Some(prefix()?);
            Ok(Verb::ListFiles(ListFiles { wanted, label: typed.to_owned(), prefix, select }))
        }
        _ => prefix().map(Verb::List),
    }
}

fn limit(words: &[String]) -> Result<Option<LimitChange>, String> {
    let [direction, rate] = words else {
        let nothing = words.is_empty();
        return if nothing { Ok(None) } else { Err("a direction and a rate are expected".to_owned()) };
    };
    let change = match direction.as_str() {
        "up" | "upload" => LimitChange::Up,
        "down" | "download" => LimitChange::Down,
        other => return Err(format!("\"{other}\" is neither up nor down")),
    };
    crate::setting_values::parse_rate(rate).map(change).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(line: &str) -> String {
        parse(line).expect_err("a mistake").to_string()
    }

    #[test]
    fn commands_are_read() {
        assert_eq!(parse("  "), Ok(Verb::Nothing));
        let plain = SendAs::default();
        assert_eq!(parse("send 'a b' c"), Ok(Verb::Send(vec!["a b".into(), "c".into()], plain.clone())));
        assert_eq!(parse("send -- --name"), Ok(Verb::Send(vec!["--name".into()], plain)));
        let named = SendAs { name: Name::new("b").ok(), replace: true, ..SendAs::default() };
        assert_eq!(parse("send a --name b --replace"), Ok(Verb::Send(vec!["a".into()], named.clone())));
        assert_eq!(parse("send a c --as b --replace"), Ok(Verb::Send(vec!["a".into(), "c".into()], named)));
        for verb in ["download x", "get x", "receive x"] {
            assert_eq!(parse(verb), parse("download x"));
        }
        assert_eq!(parse("exit"), Ok(Verb::Exit));
        assert_eq!(parse("quit"), Ok(Verb::Exit));
        assert_eq!(parse("status"), Ok(Verb::Status));
        assert_eq!(parse("cancel 2"), Ok(Verb::Cancel(Selector::Number(2))));
        assert_eq!(parse("cancel #2"), Ok(Verb::Cancel(Selector::Number(2))));
        assert_eq!(parse("unshare a.txt"), Ok(Verb::Unshare("a.txt".to_owned())));
        assert_eq!(parse("list fi"), Ok(Verb::List(Prefix::new("fi").expect("short"))));
        let files = |line: &str| match parse(line) {
            Ok(Verb::ListFiles(files)) => Some((files.label, files.prefix.is_some(), files.select)),
            _ => None,
        };
        assert_eq!(files("list -f fi"), Some(("fi".to_owned(), false, vec![])));
        assert_eq!(files("list 20261127"), Some(("20261127".to_owned(), true, vec![])), "or names begin so");
        assert_eq!(
            files("list fi --select '*.jpg'"),
            Some(("fi".to_owned(), false, vec!["*.jpg".to_owned()]))
        );
        for wrong in ["list --files", "list a b", "list --select", "list a --select 'a['", "list --all"] {
            assert!(matches!(parse(wrong), Err(Mistake::Usage { .. })), "{wrong}");
        }
        assert_eq!(parse("help send"), Ok(Verb::Help(Some(&TOPICS[0]))));
        assert_eq!(parse("limit"), Ok(Verb::Limit(None)));
        assert_eq!(parse("limit up 10MiB"), Ok(Verb::Limit(Some(LimitChange::Up(Some(10 << 20))))));
        assert_eq!(parse("limit down none"), Ok(Verb::Limit(Some(LimitChange::Down(None)))));
    }

    #[test]
    fn download_takes_tickets_and_files_of_them() {
        let tracker = "10.0.0.7:1".parse().expect("a tracker");
        let ticket = Ticket::new(crate::fixtures::content(5), tracker);
        let text = ticket.text();
        let Ok(Verb::Download(fetch)) = parse(&format!("download f {} --ticket-file t", *text)) else {
            panic!("not a download");
        };
        assert_eq!((fetch.tickets, fetch.ticket_file), (vec![ticket], Some("t".into())));
        assert_eq!(fetch.wanted, [Wanted::Name(crate::fixtures::name("f"), String::new())]);
        assert!(matches!(parse("download --ticket-file t"), Ok(Verb::Download(_))));
        let refused = |line: &str| parse(line).expect_err("refused").to_string();
        assert!(refused(&format!("download {}", &text[..60])).contains("cut short or mistyped"));
        assert!(refused("download --ticket-file").contains("a path is missing"));
        for line in ["download --code 7-otter-violin-salt", "send --code f"] {
            assert!(refused(line).contains("in a shell"), "{line}");
        }
        assert!(refused("download --ticket-file -").contains("the prompt itself reads"));
    }

    #[test]
    fn download_takes_its_options_anywhere() {
        let Ok(Verb::Download(fetch)) = parse("download f.bin --wait -o 'my files' --force") else {
            panic!("not a download");
        };
        assert_eq!(fetch.wanted, vec![target::parse("f.bin").expect("a name")]);
        assert!(fetch.force && !fetch.update);
        assert_eq!((fetch.output, fetch.wait), (Some("my files".into()), true));
        let Ok(Verb::Download(fetch)) = parse("download lab.img --newest f@cafe") else {
            panic!("not a download");
        };
        let lab = messages::Name::new("lab.img").expect("a name");
        assert_eq!(fetch.wanted, [Wanted::Newest(lab), target::parse("f@cafe").expect("a name")]);
        let Ok(Verb::Download(fetch)) = parse("download --update --delete photos") else {
            panic!("not a download");
        };
        assert!(fetch.update && fetch.delete && !fetch.force);
        assert!(
            mistake("download --delete --select '*.jpg' photos").contains("cannot be used with --select")
        );
        assert!(matches!(
            parse("download -- --wait"),
            Ok(Verb::Download(DownloadCommand { wait: false, .. }))
        ));
    }

    #[test]
    fn a_mistake_says_what_to_type() {
        assert_eq!(
            mistake("downlaod x"),
            "there is no command \"downlaod\"; did you mean \"download\"? help shows all"
        );
        assert!(mistake("fetch x").contains("download"));
        assert_eq!(mistake("xyzzy"), "there is no command \"xyzzy\"; help shows what there is");
        assert_eq!(
            mistake("send"),
            "a file is missing; it is typed: send [--as NAME] [--replace] [--exclude GLOB] [--no-metadata] \
             FILE|FOLDER..."
        );
        assert_eq!(mistake("send 'a"), "a quote is not closed");
        assert!(mistake("send a b --as").contains("a name is missing behind --as"));
        assert!(mistake("send --strct a").contains("no option --strct"));
        assert!(mistake("download").contains("a name or an id is missing"));
        assert!(mistake("download -x").contains("no option -x"));
        assert!(mistake("limit sideways 3").contains("neither up nor down"));
        assert!(mistake("limit up fast").contains("fast"));
        assert!(mistake("status now").contains("\"now\" is too much"));
    }
}
