//! Shares a file in one task and fetches it in another: a tracker and two nodes in one process.
//!
//! `cargo run -p riffle --example share_and_fetch -- FILE FOLDER`

use std::error::Error;

use riffle::{EmbeddedTracker, Node, TrackerLog};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(file), Some(folder)) = (words.next(), words.next()) else { return Err("FILE FOLDER".into()) };
    let tracker = EmbeddedTracker::start("127.0.0.1:0".parse()?, TrackerLog::none())?;
    let local = || Node::builder().tracker(tracker.address().to_string()).listen(([127, 0, 0, 1], 0).into());

    let owner = local().start().await?;
    let content = owner.share(file).await?.announced().await?;

    let downloader = local().start().await?;
    let download = downloader.download(content).into_dir(folder).start();
    let mut progress = download.progress();
    while let Some(progress) = progress.next().await {
        println!("{} of {:?} bytes, {} B/s", progress.verified, progress.length, progress.rate);
    }
    println!("{}", download.finished().await?.path.display());
    tokio::join!(owner.shutdown(), downloader.shutdown());
    Ok(())
}
