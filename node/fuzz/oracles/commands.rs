//! The commands that a person gives to a node that downloads.

use std::path::PathBuf;
use std::time::Duration;

use messages::{Digits, Prefix};
use riffle_core::{
    Command, Destination, DownloadId, DownloadOrder, DownloadTimeouts, Existing, SearchId, Wanted,
};

use super::{MAX_DOWNLOADS, MAX_SEARCHES, Play};
use crate::stage::tracker_address;

impl Play<'_> {
    pub(super) fn send_command(&mut self) {
        match self.script.below(6) {
            0 | 1 => self.send_download(),
            2 => {
                let download = DownloadId(self.script.below(self.downloads as usize + 1) as u32);
                self.stage.command(Command::Cancel { download });
            }
            3 if self.searches < MAX_SEARCHES => {
                let search = SearchId(self.searches);
                self.searches += 1;
                self.stage.command(Command::Search { search, prefix: Prefix::default(), after: None });
            }
            4 => {
                let download = self.script.coin().then_some(u64::from(self.script.half()) * 100);
                self.stage.command(Command::Limit { upload: None, download });
            }
            _ => self.stage.command(Command::UseTracker { tracker: tracker_address(), key: None }),
        }
    }

    pub(super) fn send_download(&mut self) {
        if self.downloads == MAX_DOWNLOADS {
            return;
        }
        let download = DownloadId(self.downloads);
        self.downloads += 1;
        let content = self.content();
        let wanted = match self.script.byte() % 4 {
            0 => Wanted::Content(content.id),
            1 => Wanted::Name(content.name, String::new()),
            2 => Wanted::Newest(content.name),
            _ => Wanted::Digits(Digits::new(&content.id.to_string()[..8]).expect("digits")),
        };
        let second = |byte: u8| (byte != 0).then(|| Duration::from_secs(byte.into()));
        let timeouts = DownloadTimeouts {
            tracker: second(self.script.byte()),
            nobody_shares: second(self.script.byte()),
            no_progress: second(self.script.byte()),
            ..DownloadTimeouts::NONE
        };
        let destination = Destination::Folder(PathBuf::from("folder"));
        self.stage.command(Command::Download {
            download,
            order: DownloadOrder {
                wanted,
                destination,
                existing: Existing::Keep,
                select: Vec::new(),
                save: riffle_core::SaveOptions::default(),
                sequential: false,
                timeouts,
            },
        });
    }
}
