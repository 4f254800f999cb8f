//! Codes (`7-otter-violin-salt`) as a person meets them: typed, asked for, and shown with what becomes of them.

use std::io::{self, IsTerminal as _, Read as _};

use anyhow::Result;
use messages::{ContentId, Name};
use riffle::{
    CallEnd, Code, CodeGift, CodeNews, OfferEnd, OfferLimits, OfferedCode, QueryError, RedeemError, Ticket,
};
use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::exit::{ExitCode, Stop};
use crate::running::{Running, refused_tracker};
use crate::screen::Screen;
use crate::settings::Settings;
use crate::tickets;
use crate::units::duration;

/// What stands for the standard input.
const STDIN: &str = "-";
/// No code is longer, in bytes.
const MAX_TYPED: u64 = 256;

/// The code that was typed; `-`: on the standard input; `None`: it is asked for.
///
/// # Errors
/// [`ExitCode::Usage`] when it is no code, or nobody can be asked.
pub(crate) fn read(typed: Option<&str>) -> Result<Code> {
    let text = match typed {
        Some(STDIN) => {
            let mut text = String::new();
            let read = io::stdin().lock().take(MAX_TYPED).read_to_string(&mut text);
            read.map_err(|error| Stop::new(ExitCode::Io, format!("standard input: {error}")))?;
            text
        }
        Some(typed) => typed.to_owned(),
        None if io::stdin().is_terminal() => ask()?,
        None => {
            return Err(Stop::usage("--code needs a code, such as 7-otter-violin-salt; - reads it").into());
        }
    };
    text.parse().map_err(|error| Stop::usage(format!("--code: {error}")).into())
}

/// Asks for a code at the terminal, where Tab completes its words.
fn ask() -> Result<String> {
    let config = Config::builder().completion_type(CompletionType::List).build();
    let asked = Editor::<Words, DefaultHistory>::with_config(config).and_then(|mut editor| {
        editor.set_helper(Some(Words));
        editor.readline("code: ")
    });
    match asked {
        Ok(text) => Ok(text),
        Err(ReadlineError::Eof | ReadlineError::Interrupted) => {
            Err(Stop::new(ExitCode::Interrupted, "no code was typed").into())
        }
        Err(error) => Err(Stop::new(ExitCode::Io, format!("the terminal cannot be read: {error}")).into()),
    }
}

/// Completes the words of a code.
struct Words;

impl Completer for Words {
    type Candidate = Pair;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<Pair>)> {
        let codes = riffle::complete_code(line.get(..at).unwrap_or_default()).into_iter();
        let word = |code: &str| code.rsplit('-').next().unwrap_or_default().to_owned();
        Ok((0, codes.map(|code| Pair { display: word(&code), replacement: code }).collect()))
    }
}

impl Helper for Words {}
impl Highlighter for Words {}
impl Validator for Words {}
impl Hinter for Words {
    type Hint = String;
}

/// What `code` stands for.
///
/// # Errors
/// Why it brought nothing, with the exit code.
pub(crate) async fn redeem(code: &Code, settings: &Settings, screen: &Screen) -> Result<CodeGift> {
    let redeemed = riffle::redeem_code(code, &settings.tracker_choice(), settings).await;
    let gift = redeemed.map_err(|error| match error {
        RedeemError::Query(QueryError::Tracker(error)) => refused_tracker(&error),
        error => Stop::new(exit_code(&error), error.to_string()),
    })?;
    let name = gift.ticket().name().map_or_else(|| gift.ticket().content().short(), Name::to_string);
    screen.note(&match gift.secrets() {
        Some(_) => format!("the code is right: {name}, in a closed swarm"),
        None => format!("the code is right: {name}"),
    });
    Ok(gift)
}

fn exit_code(error: &RedeemError) -> ExitCode {
    match error {
        RedeemError::NoTracker(..) => ExitCode::TrackerUnreachable,
        RedeemError::Refused { end, .. } => match end {
            CallEnd::Wrong | CallEnd::Dead | CallEnd::NoSuchNumber | CallEnd::Ended => ExitCode::NotFound,
            CallEnd::SenderSilent => ExitCode::NoOwner,
            CallEnd::DeskSilent => ExitCode::TrackerUnreachable,
            CallEnd::Got(_) | CallEnd::Busy | CallEnd::Unusable => ExitCode::Other,
        },
        RedeemError::Query(_) | RedeemError::NoSocket(..) => ExitCode::Other,
    }
}

/// The code that `send --code` offers, from when its file is announced on.
pub(crate) struct CodeOnOffer {
    limits: OfferLimits,
    offered: Option<OfferedCode>,
}

impl CodeOnOffer {
    /// None yet; it will be good as `settings` say.
    pub(crate) fn new(settings: &Settings) -> CodeOnOffer {
        let limits = OfferLimits { lifetime: settings.code_lifetime, guesses: settings.code_guesses };
        CodeOnOffer { limits, offered: None }
    }

    /// Offers the content, if none is offered yet.
    ///
    /// # Errors
    /// The system gives no random bytes, or the tracker has no address that a ticket can name.
    pub(crate) fn begin(&mut self, content: ContentId, name: &Name, running: &Running) -> Result<()> {
        if self.offered.is_some() {
            return Ok(());
        }
        let tracker = running.tracker_for_others().text;
        let key = running.node.tracker_key();
        let ticket = match tickets::of_share(content, name, (&tracker, key)) {
            Some(ticket) => ticket,
            // What is in the clear, within this host, proves no key.
            None => {
                let tracker = tracker
                    .parse()
                    .map_err(|error| Stop::new(ExitCode::Other, format!("{tracker}: {error}")))?;
                Ticket::new(content, tracker).with_name(name.clone())
            }
        };
        self.offered = Some(running.node.offer_code(ticket, self.limits)?);
        Ok(())
    }

    /// Waits for what becomes of the code; for ever, where there is none.
    pub(crate) async fn next(offer: &mut Option<CodeOnOffer>) -> CodeNews {
        let offered = offer.as_mut().and_then(|offer| offer.offered.as_mut());
        if let Some(offered) = offered
            && let Some(news) = offered.next().await
        {
            return news;
        }
        std::future::pending().await
    }

    /// Ends the code, if there is one.
    pub(crate) async fn withdraw(self) {
        if let Some(offered) = self.offered {
            offered.withdraw().await;
        }
    }
}

/// Says what became of the code.
pub(crate) fn tell(news: &CodeNews, running: &Running, settings: &Settings, screen: &Screen) {
    match news {
        CodeNews::Ready(code) => {
            let tracker = running.tracker_for_others().text;
            screen.result(&format!("riffle download --tracker {tracker} --code {code}"));
            let lifetime = duration(settings.code_lifetime);
            screen.note(&format!("(the code is {code}, for any number of receivers, for {lifetime})"));
        }
        CodeNews::Given(given) => screen.note(&format!("somebody has used the code: {given} so far")),
        CodeNews::WrongWords { left } => {
            screen
                .note(&format!("somebody has tried wrong words with the code: after {left} more it is dead"));
        }
        CodeNews::Dead => screen.error(
            "the code is dead: wrong words were tried too often; what is shared stays shared, and another \
             `riffle send --code` makes another code",
        ),
        CodeNews::Ended(OfferEnd::Withdrawn) => {}
        CodeNews::Ended(end) => {
            let words = CodeNews::end_in_words(*end, running.tracker());
            screen.error(&format!("{words}; what is shared stays shared"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::code_of;

    #[test]
    fn a_code_that_is_none_is_a_mistake_of_usage_that_says_what_is_meant() {
        assert_eq!(read(Some("7 Otter violin SALT")).expect("a code").to_string(), "7-otter-violin-salt");
        let error = read(Some("7-oter-violin-salt")).expect_err("mistyped");
        assert_eq!(code_of(&error), ExitCode::Usage);
        assert_eq!(error.to_string(), "--code: no code has the word \"oter\"; is it otter?");
    }

    #[test]
    fn the_words_of_a_code_are_completed() {
        let history = DefaultHistory::new();
        let (start, pairs) = Words.complete("7-otter-vi", 10, &Context::new(&history)).expect("no trouble");
        assert_eq!((start, pairs.len()), (0, 1));
        assert_eq!((pairs[0].display.as_str(), pairs[0].replacement.as_str()), ("violin", "7-otter-violin"));
    }
}
