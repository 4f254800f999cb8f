//! Fetches what a tracker knows by a name, with a bar of letters on the terminal.
//!
//! `cargo run -p riffle --example progress_bar -- TRACKER NAME`

use std::error::Error;
use std::io::Write as _;

use riffle::{Name, Node};

const WIDTH: u64 = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(tracker), Some(name)) = (words.next(), words.next()) else { return Err("TRACKER NAME".into()) };
    let node = Node::builder().tracker(tracker).start().await?;
    let download = node.download(Name::new(&name)?).start();
    let mut progress = download.progress();
    while let Some(progress) = progress.next().await {
        let length = progress.length.unwrap_or(u64::MAX).max(1);
        let done = (u128::from(progress.verified) * u128::from(WIDTH) / u128::from(length)) as usize;
        let bar = "#".repeat(done) + &".".repeat(WIDTH as usize - done);
        print!("\r[{bar}] {} MiB/s, {} owners ", progress.rate >> 20, progress.owners);
        std::io::stdout().flush()?;
    }
    println!("\n{}", download.finished().await?.path.display());
    node.shutdown().await;
    Ok(())
}
