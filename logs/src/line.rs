//! How an event becomes one line: its time, level, spans, message and fields.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;
use crate::shown::write_as_one_line;

/// `2026-03-01T09:05:07.042Z  INFO node{id=1}: a session ended reason=idle`
///
/// Names and reasons come from other hosts. A line break or an escape in one would forge a line or steer the terminal
/// of the reader, so everything is written as [`crate::one_line`] shows it.
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

/// A writer that shows text as [`crate::one_line`] does.
struct Escaped<'w>(Writer<'w>);

impl fmt::Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_as_one_line(&mut self.0, text)
    }
}
