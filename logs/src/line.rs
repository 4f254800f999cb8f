//! How an event becomes one line: time, level, the spans that it is in, message and fields.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;

/// `2026-03-01T09:05:07.042Z  INFO node{id=1}: a session ended reason=idle`
///
/// Names and reasons come from other hosts: a line break or an escape in one would forge a line or steer the
/// terminal of who reads it, so control characters are written as escapes.
pub(crate) struct OneLine;

impl<S, N> FormatEvent<S, N> for OneLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        clock::write_now(&mut writer)?;
        write!(writer, " {:>5} ", event.metadata().level())?;
        let mut escaped = Escaped(writer.by_ref());
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            fmt::Write::write_str(&mut escaped, span.name())?;
            let extensions = span.extensions();
            if let Some(fields) = extensions.get::<FormattedFields<N>>().filter(|fields| !fields.is_empty()) {
                fmt::Write::write_fmt(&mut escaped, format_args!("{{{fields}}}"))?;
            }
            fmt::Write::write_str(&mut escaped, ": ")?;
        }
        context.field_format().format_fields(Writer::new(&mut escaped), event)?;
        writeln!(writer)
    }
}

/// Writes control characters, and what breaks lines in some programs, as escapes.
struct Escaped<'w>(Writer<'w>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let steers =
            |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}');
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| steers(*c)) {
            self.0.write_str(&rest[..at])?;
            write!(self.0, "{}", c.escape_default())?;
            rest = &rest[at + c.len_utf8()..];
        }
        self.0.write_str(rest)
    }
}
